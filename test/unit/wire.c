/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/mem.h"

int wire_open(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {10, 0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

bool wire_send(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

bool wire_text(int fd, const char *text)
{
	return wire_send(fd, text, strlen(text));
}

/* Byte by byte: what follows belongs to the next answer. */
static bool read_until(int fd, struct buf *b, const char *end)
{
	size_t want = strlen(end), start = b->len;
	char c;

	while (recv(fd, &c, 1, 0) == 1) {
		buf_add(b, &c, 1);
		if (b->len - start >= want && memcmp(b->data + b->len - want, end, want) == 0)
			return true;
	}
	return false;
}

static bool read_bytes(int fd, struct buf *b, size_t n)
{
	char part[4096];

	while (n) {
		ssize_t got = recv(fd, part, MIN(n, sizeof(part)), 0);

		if (got <= 0)
			return false;
		buf_add(b, part, (size_t)got);
		n -= (size_t)got;
	}
	return true;
}

static void read_chunks(int fd, struct buf *b)
{
	for (;;) {
		AUTO_BUF line = BUF_INIT;
		size_t n;

		if (!read_until(fd, &line, "\r\n"))
			return;
		n = strtoul(buf_str(&line), NULL, 16);
		if (!read_bytes(fd, b, n) || !read_until(fd, &line, "\r\n") || !n)
			return;
	}
}

char *wire_header(struct wire_answer *a, const char *name)
{
	size_t want = strlen(name);

	for (char *p = buf_str(&a->head); (p = strstr(p, "\r\n"));) {
		p += 2;
		if (strncasecmp(p, name, want) == 0 && p[want] == ':') {
			p += want + 1;
			p += strspn(p, " ");
			return xstrndup(p, strcspn(p, "\r"));
		}
	}
	return NULL;
}

struct wire_answer wire_read(int fd, bool head)
{
	struct wire_answer a = {0};
	AUTO_FREE char *length = NULL;
	AUTO_FREE char *coding = NULL;

	if (!read_until(fd, &a.head, "\r\n\r\n"))
		return a;
	a.status = (int)strtol(buf_str(&a.head) + strlen("HTTP/1.1 "), NULL, 10);
	length = wire_header(&a, "content-length");
	coding = wire_header(&a, "transfer-encoding");
	if (head || a.status == 100 || a.status == 204)
		return a;
	if (coding)
		read_chunks(fd, &a.body);
	else
		read_bytes(fd, &a.body, length ? strtoul(length, NULL, 10) : SIZE_MAX);
	return a;
}

void wire_done(struct wire_answer *a)
{
	buf_done(&a->head);
	buf_done(&a->body);
}

bool wire_closed(int fd, int ms)
{
	uint64_t until = clock_mono_us() + (uint64_t)ms * 1000;
	char part[4096];

	for (;;) {
		struct pollfd p = {fd, POLLIN, 0};
		uint64_t now = clock_mono_us();

		if (now > until || poll(&p, 1, (int)((until - now) / 1000) + 1) <= 0)
			return false;
		if (recv(fd, part, sizeof(part), 0) <= 0)
			return true;
	}
}

struct wire_answer wire_ask(uint16_t port, const char *request)
{
	int fd = wire_open(port);
	struct wire_answer a = {0};

	if (fd < 0)
		return a;
	if (wire_text(fd, request))
		a = wire_read(fd, strncmp(request, "HEAD ", 5) == 0);
	close(fd);
	return a;
}
