/*
 * The load of `deno task bench`, for Linux: clients in one epoll loop. It is in C so that it needs less of a core than the
 * server it measures. Each connection sends a message, waits for the whole answer, and sends the next message. Over UDP, one
 * socket keeps COUNT datagrams on the way.
 *
 *   load tcp  PORT COUNT SECONDS PID SIZE                an echo of SIZE bytes
 *   load udp  PORT COUNT SECONDS PID SIZE
 *   load call PORT COUNT SECONDS PID MESSAGE [OPENING]   the bytes of a file, and an answer of always the same length
 *
 * OPENING is a file that each connection sends first; the answer to it ends with an empty line. PID is the server's process.
 * It prints messages per second, the server's CPU time for each in microseconds (all its threads, from /proc), the percentage
 * of a core that this program used, and the number of lost datagrams. Time counts from when every connection has had its first
 * answer, or 30 seconds have passed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
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
	int answered; /* whether its first answer has come */
};

static char *message, *buffer;
static size_t size, answer; /* the lengths of a message and of the answer to it */
static int echoes;
static long messages, lost, answered;
static int server;

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

/* Seconds of CPU time that the server has used: the first number of each thread's schedstat, in nanoseconds. */
static double server_cpu(void)
{
	char path[300];
	double total = 0;
	snprintf(path, sizeof path, "/proc/%d/task", server);
	DIR *threads = opendir(path);
	if (!threads)
		die(path);
	for (struct dirent *entry; (entry = readdir(threads));) {
		unsigned long long used = 0;
		snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", server, entry->d_name);
		FILE *file = fopen(path, "r");
		if (file && fscanf(file, "%llu", &used) == 1)
			total += used / 1e9;
		if (file)
			fclose(file);
	}
	closedir(threads);
	return total;
}

static double own_cpu(void)
{
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* Reads and writes as much as possible without waiting; returns 0 if nothing was possible. */
static int step(struct client *c)
{
	int moved = 0;
	ssize_t n = read(c->fd, buffer, answer - c->received);
	if (n == 0)
		fputs("the server closed a connection\n", stderr), exit(1);
	if (n < 0 && errno != EAGAIN)
		die("read");
	if (n > 0) {
		if (echoes && memcmp(buffer, message + c->received, n))
			fputs("a byte differs\n", stderr), exit(1);
		c->received += n, moved = 1;
		if (c->received == answer)
			c->sent = c->received = 0, messages++, answered += !c->answered, c->answered = 1;
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

static char *contents(const char *path, size_t *length)
{
	FILE *file = fopen(path, "r");
	char *text = malloc(1 << 20);
	if (!file)
		die(path);
	*length = fread(text, 1, 1 << 20, file);
	fclose(file);
	return text;
}

/* Sends the opening of a connection, and reads the answer up to its empty line. */
static void open_with(int fd, const char *opening, size_t length)
{
	char text[8192];
	size_t n = 0;
	if (write(fd, opening, length) != (ssize_t)length)
		die("write");
	while (n < 4 || memcmp(text + n - 4, "\r\n\r\n", 4))
		if (n == sizeof text || read(fd, text + n++, 1) != 1)
			die("the answer to the opening");
}

/* The length of the answer: what has come when nothing comes for 200 ms. */
static size_t learn_answer(int fd)
{
	size_t total = 0;
	struct pollfd event = { .fd = fd, .events = POLLIN };
	if (write(fd, message, size) != (ssize_t)size)
		die("write");
	while (poll(&event, 1, total ? 200 : 5000) > 0) {
		ssize_t n = read(fd, buffer, 1 << 20);
		if (n <= 0)
			break;
		total += n;
	}
	if (total == 0)
		fputs("no answer\n", stderr), exit(1);
	return total;
}

static struct client *connect_all(struct sockaddr_in *to, int count, const char *opening, size_t length)
{
	struct client *clients = calloc(count, sizeof *clients);
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < count; i++) {
		int on = 1, fd = clients[i].fd = socket(AF_INET, SOCK_STREAM, 0);
		if (fd < 0 || connect(fd, (struct sockaddr *)to, sizeof *to))
			die("connect");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		if (opening)
			open_with(fd, opening, length);
		if (answer == 0)
			answer = learn_answer(fd);
		fcntl(fd, F_SETFL, O_NONBLOCK);
	}
	return clients;
}

/* Sends messages until `end`, or, at the start, until every connection has had its first answer. */
static void tcp(struct client *clients, int count, double end, int is_start)
{
	static int epoll;
	if (epoll == 0) {
		epoll = epoll_create1(0);
		for (int i = 0; i < count; i++) {
			struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &clients[i] };
			epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event);
		}
	}
	while (now() < end && !(is_start && answered == count)) {
		struct epoll_event events[256];
		int n = epoll_wait(epoll, events, 256, 100);
		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;
			/* A small message needs one read and one write; a large one continues until it would have to wait. */
			while (step(c) && (size > 4096 || answer > 4096))
				;
		}
	}
}

static void udp(int fd, int flight, double end)
{
	for (int i = 0; i < flight; i++)
		send(fd, message, size, 0);
	while (now() < end) {
		if (recv(fd, buffer, size * 2 + 100, 0) > 0)
			messages++, send(fd, message, size, 0);
		else
			for (lost += flight; flight > 0 && recv(fd, buffer, size * 2 + 100, MSG_DONTWAIT) > 0;)
				;
		if (lost > 1000L * flight)
			fputs("nothing comes back\n", stderr), exit(1);
	}
}

int main(int argc, char **argv)
{
	if (argc < 7)
		return fputs("usage: load tcp|udp|call PORT COUNT SECONDS PID SIZE|MESSAGE [OPENING]\n", stderr), 2;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[2])) };
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int count = atoi(argv[3]), is_udp = !strcmp(argv[1], "udp");
	double seconds = atof(argv[4]);
	server = atoi(argv[5]);
	echoes = strcmp(argv[1], "call") != 0;
	if (echoes) {
		size = answer = atol(argv[6]);
		message = malloc(size);
		for (size_t i = 0; i < size; i++)
			message[i] = 'a' + i % 26;
	} else
		message = contents(argv[6], &size);
	buffer = malloc((size > 1 << 20 ? size : 1 << 20) * 2 + 100);

	int fd = -1;
	struct client *clients = NULL;
	if (is_udp) {
		struct timeval patience = { .tv_usec = 200000 };
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		if (connect(fd, (struct sockaddr *)&to, sizeof to))
			die("connect");
	} else {
		size_t length = 0;
		char *opening = argc > 7 ? contents(argv[7], &length) : NULL;
		clients = connect_all(&to, count, opening, length);
		tcp(clients, count, now() + 30, 1);
		if (answered == 0)
			fputs("no connection had an answer in 30 s\n", stderr), exit(1);
	}
	messages = 0;
	double start = now(), used = server_cpu(), own = own_cpu();
	is_udp ? udp(fd, count, start + seconds) : tcp(clients, count, start + seconds, 0);
	double elapsed = now() - start;
	used = server_cpu() - used, own = own_cpu() - own;
	if (is_udp)
		send(fd, "/quit", 5, 0); /* or a chat server would keep relaying to this socket */
	printf("%.0f %.3f %.0f %ld\n", messages / elapsed, messages ? used / messages * 1e6 : 0.0, 100 * own / elapsed, lost);
}
