/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/nbd_server.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"

#define START_MS 30000
#define STOP_MS 60000

struct nbd_server {
	struct spawn *child;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	char *socket; /* or NULL */
};

/* ---- places ---- */

/* For a URI: everything but letters, digits and a few signs as %XX. */
static void add_escaped(struct buf *b, const char *text)
{
	for (; *text; text++) {
		unsigned char ch = (unsigned char)*text;
		char hex[4];

		if (isalnum(ch) || strchr("-._~/", ch)) {
			buf_add(b, text, 1);
		} else {
			snprintf(hex, sizeof(hex), "%%%02X", ch);
			buf_add(b, hex, 3);
		}
	}
}

char *nbd_uri(const struct nbd_place *at, const char *export_name)
{
	bool v6 = at->address && strchr(at->address, ':');
	AUTO_BUF name = BUF_INIT;
	AUTO_BUF path = BUF_INIT;

	add_escaped(&name, export_name);
	if (!at->socket)
		return xasprintf("nbd://%s%s%s:%s/%s", v6 ? "[" : "", at->address, v6 ? "]" : "",
				 at->port, buf_str(&name));
	add_escaped(&path, at->socket);
	return xasprintf("nbd+unix:///%s?socket=%s", buf_str(&name), buf_str(&path));
}

static int unix_address(const char *path, struct sockaddr_storage *ret_a, socklen_t *ret_len,
			struct err *e)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	if (strlen(path) > NBD_SOCKET_MAX)
		return err_set(e, ERR_LIMIT,
			       "socket %s: its path has %zu bytes, and a unix socket's at most %d",
			       path, strlen(path), NBD_SOCKET_MAX);
	memcpy(un.sun_path, path, strlen(path));
	memcpy(ret_a, &un, sizeof(un));
	*ret_len = sizeof(un);
	return 0;
}

static int tcp_address(const char *address, const char *port, struct sockaddr_storage *ret_a,
		       socklen_t *ret_len, struct err *e)
{
	struct addrinfo want = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				.ai_socktype = SOCK_STREAM},
			*got;

	if (getaddrinfo(address, port, &want, &got) != 0)
		return err_set(e, ERR_INVALID,
			       "'%s' is no address of a machine, or '%s' no port: write them in "
			       "numbers",
			       address, port);
	memcpy(ret_a, got->ai_addr, got->ai_addrlen);
	*ret_len = got->ai_addrlen;
	freeaddrinfo(got);
	return 0;
}

static int address_of(const struct nbd_place *at, struct sockaddr_storage *ret_a,
		      socklen_t *ret_len, struct err *e)
{
	memset(ret_a, 0, sizeof(*ret_a));
	return at->socket ? unix_address(at->socket, ret_a, ret_len, e)
			  : tcp_address(at->address, at->port, ret_a, ret_len, e);
}

static int try_connect(const struct sockaddr_storage *a, socklen_t len)
{
	int fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)a, len) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int check_socket(const char *path, const struct sockaddr_storage *a, socklen_t len,
			struct err *e)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(e, errno, "socket %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, ERR_EXISTS, "%s exists and is no socket: choose another path",
			       path);
	fd = try_connect(a, len);
	if (fd >= 0 || errno != ECONNREFUSED)
		return err_set(e, ERR_EXISTS,
			       "socket %s exists and is in use: stop who serves there, or choose "
			       "another path",
			       path);
	return unlink(path) == 0 ? 0 : err_sys(e, errno, "remove the old socket %s", path);
}

static int check_port(const struct nbd_place *at, const struct sockaddr_storage *a, socklen_t len,
		      struct err *e)
{
	AUTO_CLOSE int fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		return err_sys(e, errno, "listen at %s", at->address);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)a, len) == 0 && listen(fd, 1) == 0)
		return 0;
	if (errno == EADDRINUSE)
		return err_set(e, ERR_BUSY, "port %s of %s is taken: choose another one", at->port,
			       at->address);
	return err_sys(e, errno, "listen at port %s of %s", at->port, at->address);
}

int nbd_place_check(const struct nbd_place *at, struct err *e)
{
	struct sockaddr_storage a;
	socklen_t len;

	if (address_of(at, &a, &len, e) < 0)
		return -1;
	return at->socket ? check_socket(at->socket, &a, len, e) : check_port(at, &a, len, e);
}

/* ---- the program ---- */

static bool answers(int fd, void *out, size_t n)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 20) > 0 && recv(fd, out, n, MSG_WAITALL) == (ssize_t)n;
}

/* Is its greeting there? qemu-nbd listens before it opens the image: that somebody takes the
 * connection says nothing yet. Says good-bye, so that the server has nothing to complain of. */
static bool greets(int fd)
{
	static const uint8_t flags_and_abort[] = {0,   0,   0, 1, 'I', 'H', 'A', 'V', 'E', 'O',
						  'P', 'T', 0, 0, 0,   2,   0,	 0,   0,   0};
	uint8_t greeting[18], reply[20];

	if (!answers(fd, greeting, sizeof(greeting)) || memcmp(greeting, "NBDMAGIC", 8) != 0)
		return false;
	if (send(fd, flags_and_abort, sizeof(flags_and_abort), MSG_NOSIGNAL) > 0)
		answers(fd, reply, sizeof(reply));
	return true;
}

static int wait_ready(struct nbd_server *s, const struct cancel *cancel, struct err *e)
{
	uint64_t until = clock_mono_us() + (uint64_t)START_MS * 1000;
	AUTO_CLOSE int fd = -1;

	for (;;) {
		struct err why = {0};

		if (fd < 0)
			fd = try_connect(&s->addr, s->addr_len);
		if (fd >= 0 && greets(fd))
			return 0;
		if (spawn_ended(s->child, &why)) {
			if (why.kind == ERR_NONE)
				err_set(&why, ERR_IO, "%s ended at once", s->child->name);
			if (e)
				*e = why;
			return -1;
		}
		if (cancel_check(cancel, e) < 0)
			return -1;
		if (clock_mono_us() > until)
			return err_set(e, ERR_TIMEOUT, "%s did not start in %d s", s->child->name,
				       START_MS / 1000);
		clock_sleep_ms(5);
	}
}

struct nbd_server *nbd_server_start(const char *const argv[], int in, const struct nbd_place *at,
				    const struct cancel *cancel, struct err *e)
{
	AUTO(nbd_server) s = xcalloc(1, sizeof(*s));

	if (address_of(at, &s->addr, &s->addr_len, e) < 0)
		return NULL;
	s->socket = xstrdup0(at->socket);
	s->child = spawn_start(argv, in, -1, e);
	if (!s->child || wait_ready(s, cancel, e) < 0)
		return NULL;
	return steal(&s);
}

struct spawn *nbd_server_process(struct nbd_server *s)
{
	return s->child;
}

int nbd_server_stop(struct nbd_server *s, struct err *e)
{
	uint64_t until = clock_mono_us() + (uint64_t)STOP_MS * 1000;
	AUTO_FREE char *name = xstrdup(s->child->name);
	struct err why = {0};
	bool ended = false;

	/* It may have ended by itself; a pid is not asked twice. */
	if (s->child->pid > 0)
		kill(s->child->pid, SIGTERM);
	while (!ended && s->child->pid > 0 && clock_mono_us() < until) {
		ended = spawn_ended(s->child, &why);
		if (!ended)
			clock_sleep_ms(2);
	}
	ended = ended || s->child->pid <= 0;
	nbd_server_free(s);
	if (!ended)
		return err_set(e, ERR_TIMEOUT, "%s did not close the image in time", name);
	if (why.kind != ERR_NONE) {
		if (e)
			*e = why;
		return -1;
	}
	return 0;
}

void nbd_server_free(struct nbd_server *s)
{
	if (!s)
		return;
	spawn_stop(s->child);
	/* Not all programs do that. */
	if (s->child && s->socket)
		unlink(s->socket);
	free(s->socket);
	free(s);
}
