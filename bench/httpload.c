/* SPDX-License-Identifier: Apache-2.0 */
/*
 * httpload [-c CONNECTIONS] [-s SECONDS] [-H "name: value"]… [-d JSON] URL : the same GET, or POST
 * with -d, over and over on connections that are kept, each asking again when its answer is there.
 * Prints one line of JSON: answers a second, and how long they took (microseconds). Plain HTTP, one
 * thread: what it costs itself is small against what it measures, and it is meant to share the
 * machine with the server.
 *
 * A tenth of the time is for warming up and is not counted. Answers have a Content-Length.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

#define CONNECTIONS_MAX 4096

struct connection {
	int fd;
	uint64_t asked; /* when; clock_mono_us */
	struct buf in;
	size_t need; /* bytes of this answer; 0: not known yet */
};

struct load {
	struct addrinfo *at;
	struct buf request;
	int epoll;
	uint64_t counted_from, end;
	uint32_t *times;
	size_t n, room;
	size_t other; /* with another status than 2xx */
	size_t broken;
};

static int usage(void)
{
	fprintf(stderr, "usage: httpload [-c CONNECTIONS] [-s SECONDS] [-H 'name: value']... "
			"[-d JSON] http://HOST:PORT/PATH\n");
	return 2;
}

/* Resolve the address and begin the text of the request; false: it is no URL of ours. */
static bool read_url(struct load *l, const char *method, const char *url)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	const char *host = url + strlen("http://"), *path, *colon;

	if (strncmp(url, "http://", 7) != 0)
		return false;
	path = strchr(host, '/');
	colon = path ? memrchr(host, ':', (size_t)(path - host)) : NULL;
	if (!colon)
		return false;
	AUTO_FREE char *name = xstrndup(host, (size_t)(colon - host));
	AUTO_FREE char *port = xstrndup(colon + 1, (size_t)(path - colon - 1));
	buf_fmt(&l->request, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, name);
	return getaddrinfo(name, port, &hints, &l->at) == 0;
}

static bool ask(struct load *l, struct connection *c)
{
	c->in.len = 0;
	c->need = 0;
	c->asked = clock_mono_us();
	/* A request fits into what the socket takes. */
	return send(c->fd, l->request.data, l->request.len, MSG_NOSIGNAL) ==
	       (ssize_t)l->request.len;
}

static bool open_connection(struct load *l, struct connection *c)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	int on = 1;

	c->fd = socket(l->at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (c->fd < 0 || connect(c->fd, l->at->ai_addr, l->at->ai_addrlen) < 0)
		return false;
	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) == 0 && ask(l, c);
}

static size_t answer_length(struct buf *b)
{
	const char *text = buf_str(b), *end = strstr(text, "\r\n\r\n");
	const char *p = end ? strcasestr(text, "\r\ncontent-length:") : NULL;

	if (!end)
		return 0;
	return (size_t)(end + 4 - text) +
	       (p && p < end ? strtoul(p + strlen("\r\ncontent-length:"), NULL, 10) : 0);
}

static void count(struct load *l, const struct connection *c, uint64_t now)
{
	if (now < l->counted_from)
		return;
	if (c->in.data[9] != '2') /* "HTTP/1.1 200" */
		l->other++;
	if (l->n == l->room) {
		l->room = 2 * l->room + 65536;
		l->times = xreallocarray(l->times, l->room, sizeof(*l->times));
	}
	l->times[l->n++] = (uint32_t)(now - c->asked);
}

/* false: the connection is of no more use. */
static bool receive(struct load *l, struct connection *c)
{
	uint8_t *room = buf_reserve(&c->in, 16384);
	ssize_t n = recv(c->fd, room, 16384, MSG_DONTWAIT);

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	c->in.len += (size_t)n;
	if (!c->need)
		c->need = answer_length(&c->in);
	if (!c->need || c->in.len < c->need)
		return true;
	count(l, c, clock_mono_us());
	return ask(l, c);
}

static void run(struct load *l)
{
	struct epoll_event events[256];

	while (clock_mono_us() < l->end) {
		int n = epoll_wait(l->epoll, events, ARRAY_LEN(events), 100);

		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (receive(l, c))
				continue;
			l->broken++;
			close(c->fd);
			if (l->broken > CONNECTIONS_MAX || !open_connection(l, c))
				return;
		}
	}
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint32_t quantile(const struct load *l, double q)
{
	return l->n ? l->times[(size_t)(q * (double)(l->n - 1))] : 0;
}

/* Options and the request; false: they are wrong. */
static bool read_options(struct load *l, int argc, char **argv, unsigned long *connections,
			 unsigned long *seconds)
{
	AUTO_BUF headers = BUF_INIT;
	const char *body = NULL;
	int option;

	while ((option = getopt(argc, argv, "c:s:H:d:")) != -1) {
		if (option == 'c')
			*connections = strtoul(optarg, NULL, 10);
		else if (option == 's')
			*seconds = strtoul(optarg, NULL, 10);
		else if (option == 'H')
			buf_fmt(&headers, "%s\r\n", optarg);
		else if (option == 'd')
			body = optarg;
		else
			return false;
	}
	if (optind + 1 != argc || !*connections || *connections > CONNECTIONS_MAX || !*seconds ||
	    !read_url(l, body ? "POST" : "GET", argv[optind]))
		return false;
	if (body)
		buf_fmt(&headers, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
			strlen(body));
	buf_add(&l->request, headers.data, headers.len);
	buf_text(&l->request, "\r\n");
	buf_text(&l->request, body ? body : "");
	return true;
}

int main(int argc, char **argv)
{
	struct load l = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
	unsigned long connections = 64, seconds = 10;
	uint64_t start, counted;

	if (!read_options(&l, argc, argv, &connections, &seconds))
		return usage();
	struct connection *all = xcalloc(connections, sizeof(*all));

	start = clock_mono_us();
	l.end = start + seconds * 1000000;
	l.counted_from = start + seconds * 100000;
	for (size_t i = 0; i < connections; i++) {
		if (!open_connection(&l, &all[i])) {
			fprintf(stderr, "httpload: %s: %m\n", argv[optind]);
			return 1;
		}
	}
	run(&l);
	counted = clock_mono_us() - l.counted_from;
	qsort(l.times, l.n, sizeof(*l.times), compare);
	printf("{\"connections\": %lu, \"answers\": %zu, \"other_status\": %zu, \"broken\": %zu, "
	       "\"per_second\": %.0f, \"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u}\n",
	       connections, l.n, l.other, l.broken, (double)l.n * 1e6 / (double)counted,
	       quantile(&l, 0.5), quantile(&l, 0.99), quantile(&l, 1));
	for (size_t i = 0; i < connections; i++) {
		close(all[i].fd);
		buf_done(&all[i].in);
	}
	free(all);
	free(l.times);
	buf_done(&l.request);
	freeaddrinfo(l.at);
	close(l.epoll);
	return l.n && !l.other ? 0 : 1;
}
