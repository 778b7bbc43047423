/*
 * The load of `deno task bench`, for Linux: echo clients in one epoll loop. It is in C so that it needs less of a core than
 * the server it measures. Each connection sends a message, waits for the whole echo, and sends the next message. Over UDP,
 * one socket keeps IN_FLIGHT datagrams on the way.
 *
 *   load tcp PORT CONNECTIONS SIZE SECONDS
 *   load udp PORT IN_FLIGHT SIZE SECONDS
 *
 * Prints messages per second, the percentage of a core that this program used, and the number of lost datagrams.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct client {
	int fd;
	size_t sent, received;
};

static char *message, *buffer;
static size_t size;
static long messages, lost;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Reads and writes as much as possible without waiting; returns 0 if nothing was possible. */
static int step(struct client *c)
{
	int moved = 0;
	ssize_t n = read(c->fd, buffer, size - c->received);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		die("read");
	if (n > 0) {
		if (memcmp(buffer, message + c->received, n))
			fputs("a byte differs\n", stderr), exit(1);
		c->received += n, moved = 1;
		if (c->received == size)
			c->sent = c->received = 0, messages++;
	}
	if (c->sent < size) {
		n = write(c->fd, message + c->sent, size - c->sent);
		if (n > 0)
			c->sent += n, moved = 1;
		else if (errno != EAGAIN)
			die("write");
	}
	return moved;
}

static void tcp(struct sockaddr_in *to, int connections, double seconds)
{
	struct client *clients = calloc(connections, sizeof *clients);
	int epoll = epoll_create1(0), on = 1;
	for (int i = 0; i < connections; i++) {
		int fd = clients[i].fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)to, sizeof *to))
			die("connect");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		fcntl(fd, F_SETFL, O_NONBLOCK);
		struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &clients[i] };
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	}
	for (double end = now() + seconds; now() < end;) {
		struct epoll_event events[256];
		int n = epoll_wait(epoll, events, 256, 100);
		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;
			/* A small message needs one read and one write; a large one continues until it would have to wait. */
			while (step(c) && size > 4096)
				;
		}
	}
}

static void udp(struct sockaddr_in *to, int flight, double seconds)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct timeval patience = { .tv_usec = 200000 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)to, sizeof *to))
		die("connect");
	for (int i = 0; i < flight; i++)
		send(fd, message, size, 0);
	for (double end = now() + seconds; now() < end;) {
		if (recv(fd, buffer, size * 2 + 100, 0) > 0)
			messages++, send(fd, message, size, 0);
		else
			for (lost += flight; flight > 0 && recv(fd, buffer, size * 2 + 100, MSG_DONTWAIT) > 0;)
				;
		if (lost > 1000L * flight)
			fputs("nothing comes back\n", stderr), exit(1);
	}
	send(fd, "/quit", 5, 0); /* or a chat server would keep relaying to this socket */
}

int main(int argc, char **argv)
{
	if (argc != 6)
		return fputs("usage: load tcp|udp PORT COUNT SIZE SECONDS\n", stderr), 2;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[2])) };
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	size = atol(argv[4]);
	message = malloc(size);
	buffer = malloc(size * 2 + 100);
	for (size_t i = 0; i < size; i++)
		message[i] = 'a' + i % 26;
	double start = now();
	(strcmp(argv[1], "udp") ? tcp : udp)(&to, atoi(argv[3]), atof(argv[5]));
	double elapsed = now() - start;
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	double cpu = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
	printf("%.0f %.0f %ld\n", messages / elapsed, 100 * cpu / elapsed, lost);
}
