/*
 * A UDP echo server in C with recvmmsg and sendmmsg, for Linux: it shows what the kernel allows. The port is in the environment
 * (PORT).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BATCH = 64, SIZE = 65536 };

int main(void)
{
	static char data[BATCH][SIZE];
	static struct sockaddr_in names[BATCH];
	static struct iovec vectors[BATCH];
	static struct mmsghdr headers[BATCH];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(atoi(getenv("PORT"))) };
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&at, sizeof at))
		return perror("bind"), 1;
	puts("listening on 127.0.0.1"), fflush(stdout);
	for (;;) {
		for (int i = 0; i < BATCH; i++) {
			vectors[i] = (struct iovec){ data[i], SIZE };
			headers[i].msg_hdr = (struct msghdr){ &names[i], sizeof names[i], &vectors[i], 1, NULL, 0, 0 };
		}
		int n = recvmmsg(fd, headers, BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < n; i++)
			vectors[i].iov_len = headers[i].msg_len;
		for (int sent = 0, k; sent < n; sent += k > 0 ? k : 1)
			k = sendmmsg(fd, headers + sent, n - sent, 0);
	}
}
