/*
 * An echo server as one epoll loop in C, for Linux: it shows what the kernel allows, the limit of every other server in
 * `deno task bench`. The port is in the environment (PORT).
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
	static char buffer[65536];
	int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(atoi(getenv("PORT"))) };
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024))
		return perror("listen"), 1;
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listener }, events[256];
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	puts("listening on 127.0.0.1"), fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll, events, 256, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == listener) {
				event.data.fd = accept(listener, NULL, NULL);
				epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
				continue;
			}
			ssize_t got = read(fd, buffer, sizeof buffer), sent = 0, k = 0;
			while (sent < got && (k = write(fd, buffer + sent, got - sent)) > 0)
				sent += k;
			if (got <= 0 || k < 0)
				close(fd);
		}
	}
}
