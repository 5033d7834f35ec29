/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The course of a request: libmicrohttpd tells its first line (begin_uri), then its headers
 * (begin), its body in pieces (take), and that it is complete (complete). What does not wait runs
 * right there, in one of libmicrohttpd's threads. For the rest the connection is suspended, the
 * call goes to the pool, and when the connection is resumed libmicrohttpd asks again, for an answer
 * that is there by then. At last it tells that the request is over (completed).
 */
#include "net/httpd.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/log.h"
#include "net/httpd_priv.h"

#define CONNECTIONS 1000
#define IDLE_S 60
#define BODY_MAX ((size_t)1 << 20)
#define READERS_MAX 4 /* threads of libmicrohttpd */
#define POOL_MIN 8
#define POOL_MAX 32
#define CONNECTION_MEMORY ((size_t)64 << 10)
#define LAST_WORDS_MS 500 /* for answers that tell of the stop */

/* ---- the pool ---- */

static void list_running(struct httpd_call *c)
{
	struct httpd *h = c->httpd;

	c->link = &h->running;
	c->next = h->running;
	if (c->next)
		c->next->link = &c->next;
	h->running = c;
}

static void unlist_running(struct httpd_call *c)
{
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
}

/* The answer is there. It stays in the list until its connection is resumed: a stop waits for that.
 */
static void give_back(struct httpd_call *c)
{
	struct httpd *h = c->httpd;
	bool abandoned;

	pthread_mutex_lock(&h->lock);
	abandoned = c->abandoned;
	c->resuming = !abandoned;
	pthread_mutex_unlock(&h->lock);
	if (abandoned)
		return;
	MHD_resume_connection(c->mhd);
	pthread_mutex_lock(&h->lock);
	unlist_running(c);
	pthread_cond_broadcast(&h->quiet);
	pthread_mutex_unlock(&h->lock);
}

static int work(void *arg, struct err *e)
{
	struct httpd *h = arg;
	struct httpd_call *c;

	(void)e;
	while ((c = queue_take(h->waiting))) {
		bool abandoned;

		pthread_mutex_lock(&h->lock);
		abandoned = c->abandoned;
		pthread_mutex_unlock(&h->lock);
		if (!abandoned)
			call_run(c);
		give_back(c);
		call_unref(c);
	}
	return 0;
}

/* false: the server stops, and takes no more. */
static bool give_to_pool(struct httpd_call *c)
{
	struct httpd *h = c->httpd;
	bool open;

	pthread_mutex_lock(&h->lock);
	open = !h->pool_closed;
	if (open) {
		/* Before somebody may resume it. */
		MHD_suspend_connection(c->mhd);
		list_running(c);
		atomic_fetch_add(&c->refs, 1);
	}
	pthread_mutex_unlock(&h->lock);
	if (!open)
		return false;
	/* There is room for every connection, and it is closed when none can come any more. */
	if (!queue_give(h->waiting, c))
		abort();
	return true;
}

/* ---- the course of a request ---- */

static void *begin_uri(void *arg, const char *uri, struct MHD_Connection *mhd)
{
	(void)mhd;
	return call_new(arg, uri);
}

static void find_route(struct httpd_call *c)
{
	struct httpd *h = c->httpd;
	struct err e = {0};

	if (target_parse(c->raw, &c->target, &e) < 0) {
		call_refuse(c, 400, e.msg);
		return;
	}
	c->route = route_find(h->routes, &c->target, c->method, c->allow);
	if (c->route && c->route->body_max)
		c->body_max = c->route->body_max;
	if (!c->route && c->allow[0])
		call_refuse(c, 405, "this path has no such method");
	else if (!c->route)
		call_refuse(c, 404, "there is nothing at this path");
}

/* true: nobody reads the body, it is too long for that, or has no end that all agree on. */
static bool skip_body(struct httpd_call *c)
{
	const char *length = httpd_header(c, "content-length");
	uint64_t n = length ? strtoull(length, NULL, 10) : 0;

	if (n > c->body_max)
		call_refuse(c, 413, "the body is too long");
	if (n > c->body_max + HTTPD_DISCARD || (n > c->body_max && httpd_header(c, "expect"))) {
		c->refused = 0; /* whatever it was */
		call_refuse(c, 413, "the body is too long");
		c->close = true;
	}
	return c->close;
}

static enum MHD_Result answer_here(struct httpd_call *c)
{
	call_run(c);
	return call_send(c);
}

static void count_active(struct httpd_call *c)
{
	struct httpd *h = c->httpd;

	c->complete = true;
	c->since = clock_mono_us();
	pthread_mutex_lock(&h->lock);
	c->conn->deadline = 0;
	h->active++;
	c->counted = true;
	pthread_mutex_unlock(&h->lock);
}

static enum MHD_Result begin(struct httpd_call *c, struct MHD_Connection *mhd, const char *method)
{
	struct httpd *h = c->httpd;

	c->begun = true;
	c->mhd = mhd;
	c->conn = conn_of(mhd);
	if (!c->conn)
		return MHD_NO;
	c->tls = h->tls;
	c->body_max = h->o.body_max;
	snprintf(c->method, sizeof(c->method), "%s", method);
	memcpy(c->address, c->conn->address, sizeof(c->address));
	if (strlen(method) >= sizeof(c->method))
		call_refuse(c, 400, "the method is too long");
	call_read_headers(c);
	call_find_client(c);
	if (c->conn->over || atomic_load(&h->stopping)) {
		c->close = true;
		call_refuse(c, 503,
			    c->conn->over ? "there are too many connections"
					  : "the server is stopping");
	}
	find_route(c);
	conn_set_deadline(c->conn, clock_mono_us() + (uint64_t)h->o.idle_s * 1000000);
	if (!skip_body(c))
		return MHD_YES;
	count_active(c);
	return answer_here(c);
}

static enum MHD_Result take(struct httpd_call *c, const char *data, size_t *n)
{
	size_t len = *n;

	*n = 0;
	c->body_seen += len;
	if (c->body_seen > c->body_max)
		call_refuse(c, 413, "the body is too long");
	if (!c->refused)
		buf_add(&c->body, data, len);
	else
		buf_done(&c->body);
	return c->body_seen > c->body_max + HTTPD_DISCARD ? MHD_NO : MHD_YES;
}

static enum MHD_Result complete(struct httpd_call *c)
{
	bool refused = c->refused && c->refused != 404 && c->refused != 405;

	count_active(c);
	if (refused)
		return answer_here(c);
	if (c->route && c->route->flags & HTTPD_QUICK) {
		c->quick = true;
		call_run(c);
		c->quick = false;
		if (c->status || !c->later)
			return call_send(c);
		c->later = false;
	}
	if (give_to_pool(c))
		return MHD_YES;
	c->refused = 0; /* there may be nothing at its path, too */
	call_refuse(c, 503, "the server is stopping");
	return answer_here(c);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *mhd, const char *url,
			      const char *method, const char *version, const char *data, size_t *n,
			      void **context)
{
	struct httpd_call *c = *context;

	(void)arg;
	(void)url;
	(void)version;
	if (!c)
		return MHD_NO;
	if (!c->begun)
		return begin(c, mhd, method);
	if (c->complete)
		return call_send(c);
	if (*n)
		return take(c, data, n);
	return complete(c);
}

static void completed(void *arg, struct MHD_Connection *mhd, void **context,
		      enum MHD_RequestTerminationCode how)
{
	struct httpd_call *c = *context;
	struct httpd *h = arg;
	struct httpd_conn *conn = conn_of(mhd);
	bool abandoned;

	(void)how;
	*context = NULL;
	if (!c)
		return;
	pthread_mutex_lock(&h->lock);
	if (conn)
		conn->deadline = clock_mono_us() + (uint64_t)h->o.idle_s * 1000000;
	abandoned = c->abandoned;
	pthread_mutex_unlock(&h->lock);
	if (!abandoned && c->stream)
		stream_over(steal(&c->stream));
	pthread_mutex_lock(&h->lock);
	if (c->counted) {
		h->active--;
		pthread_cond_broadcast(&h->quiet);
	}
	pthread_mutex_unlock(&h->lock);
	call_unref(c);
}

/* ---- start ---- */

__attribute__((format(printf, 2, 0))) static void log_library(void *arg, const char *fmt,
							      va_list args)
{
	struct httpd *h = arg;
	char text[sizeof(h->said)];

	vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\r\n")] = 0;
	log_debug("libmicrohttpd: %s", text);
	pthread_mutex_lock(&h->said_lock);
	memcpy(h->said, text, sizeof(text));
	pthread_mutex_unlock(&h->said_lock);
}

/* Nothing is decoded by libmicrohttpd: it does not know a slash from "%2F". */
static size_t leave_encoded(void *arg, struct MHD_Connection *mhd, char *text)
{
	(void)arg;
	(void)mhd;
	return strlen(text);
}

static int listen_at(const struct addrinfo *a, const char *name, struct err *e)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1,
	    off = 0;

	if (fd < 0)
		return err_sys(e, errno, "make a socket for %s", name);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	if (errno == EADDRINUSE)
		err_set(e, ERR_BUSY, "another program listens at %s", name);
	else if (errno == EADDRNOTAVAIL)
		err_set(e, ERR_INVALID, "this machine does not have the address of %s", name);
	else
		err_sys(e, errno, "listen at %s", name);
	close(fd);
	return -1;
}

static int open_socket(const struct httpd_options *o, uint16_t *ret_port, struct err *e)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *found;
	struct sockaddr_in6 bound;
	socklen_t len = sizeof(bound);
	char port[8], name[INET6_ADDRSTRLEN + 64];
	int fd, error;

	snprintf(port, sizeof(port), "%u", o->port);
	snprintf(name, sizeof(name), "%s port %s", o->address, port);
	error = getaddrinfo(o->address, port, &hints, &found);
	if (error)
		return err_set(e, ERR_INVALID, "address '%s': %s", o->address, gai_strerror(error));
	fd = listen_at(found, name, e);
	freeaddrinfo(found);
	if (fd < 0)
		return -1;
	getsockname(fd, (struct sockaddr *)&bound, &len); /* ports lie at the same place */
	*ret_port = ntohs(bound.sin6_port);
	return fd;
}

static struct httpd *new_httpd(const struct httpd_options *o, const struct httpd_route *routes,
			       size_t n)
{
	struct httpd *h = xcalloc(1, sizeof(*h));
	unsigned pool = MIN(MAX(4 * crew_cores(), POOL_MIN), POOL_MAX);

	h->o = *o;
	h->o.threads = o->threads ? o->threads : pool;
	h->o.connections = o->connections ? o->connections : CONNECTIONS;
	h->o.idle_s = o->idle_s ? o->idle_s : IDLE_S;
	h->o.body_max = o->body_max ? o->body_max : BODY_MAX;
	h->tls = o->certificate != NULL;
	h->o.address = h->o.certificate = h->o.key = NULL; /* they need not live on */
	h->routes = route_table_new(routes, n);
	/* Above the limit there is room for those who are told so. */
	h->waiting = queue_new(2 * (size_t)h->o.connections + 32);
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_init(&h->said_lock, NULL);
	cond_init(&h->quiet);
	cond_init(&h->tick);
	return h;
}

static enum MHD_Result let_in(void *arg, const struct sockaddr *address, socklen_t length)
{
	const struct httpd *h = arg;

	(void)address;
	(void)length;
	return atomic_load(&h->stopping) ? MHD_NO : MHD_YES;
}

static int start_daemon(struct httpd *h, int fd, struct err *e)
{
	unsigned readers = MIN(crew_cores(), READERS_MAX);
	struct MHD_OptionItem items[] = {
		{MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)log_library, h},
		{MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)begin_uri, h},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)completed, h},
		{MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)conn_notify, h},
		{MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)leave_encoded, NULL},
		{MHD_OPTION_LISTEN_SOCKET, fd, NULL},
		{MHD_OPTION_THREAD_POOL_SIZE, readers > 1 ? readers : 0, NULL},
		{MHD_OPTION_CONNECTION_LIMIT, h->o.connections + h->o.connections / 8 + 16, NULL},
		{MHD_OPTION_PER_IP_CONNECTION_LIMIT, h->o.connections_per_address, NULL},
		{MHD_OPTION_CONNECTION_TIMEOUT, h->o.idle_s, NULL},
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL},
		{MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
		{MHD_OPTION_END, 0, NULL},
	};
	struct MHD_OptionItem tls[TLS_OPTIONS];
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
			 MHD_USE_ERROR_LOG | (h->tls ? MHD_USE_TLS : 0);

	tls_options(h, tls);
	h->daemon = MHD_start_daemon(flags, h->port, let_in, h, handle, h, MHD_OPTION_ARRAY, items,
				     MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	if (!h->daemon)
		return err_set(e, ERR_INTERNAL, "libmicrohttpd does not start: %s", h->said);
	return 0;
}

/* Everything that runs has ended. */
static void free_httpd(struct httpd *h)
{
	crew_free(h->pool);
	queue_free(h->waiting);
	route_table_free(h->routes);
	tls_free(h);
	pthread_cond_destroy(&h->quiet);
	pthread_cond_destroy(&h->tick);
	pthread_mutex_destroy(&h->lock);
	pthread_mutex_destroy(&h->said_lock);
	free(h);
}

static int start_threads(struct httpd *h, struct err *e)
{
	h->pool = crew_new(NULL, NULL);
	for (unsigned i = 0; i < h->o.threads; i++) {
		if (crew_add(h->pool, work, h, e) < 0)
			return -1;
	}
	return conn_start_watch(h, e);
}

struct httpd *httpd_start(const struct httpd_options *o, const struct httpd_route *routes,
			  size_t n_routes, struct err *e)
{
	struct httpd *h = new_httpd(o, routes, n_routes);
	int fd;

	if (o->certificate && httpd_set_certificate(h, o->certificate, o->key, e) < 0) {
		free_httpd(h);
		return NULL;
	}
	fd = open_socket(o, &h->port, e);
	if (fd >= 0 && start_threads(h, e) == 0 && start_daemon(h, fd, e) == 0)
		return h;
	/* Where it does not start, libmicrohttpd may have closed it. */
	if (fd >= 0 && fcntl(fd, F_GETFD) >= 0)
		close(fd);
	queue_close(h->waiting);
	conn_stop_watch(h);
	free_httpd(h);
	return NULL;
}

uint16_t httpd_port(const struct httpd *h)
{
	return h->port;
}

/* ---- stop ---- */

static void wait_quiet(struct httpd *h, unsigned ms)
{
	struct timespec until = cond_in_ms(ms);
	int error = 0;

	pthread_mutex_lock(&h->lock);
	while (h->active && !error)
		error = pthread_cond_timedwait(&h->quiet, &h->lock, &until);
	pthread_mutex_unlock(&h->lock);
}

/* Who waits for a handler is told that none will answer; true: there are some. */
static bool abandon(struct httpd *h)
{
	struct httpd_call *list = NULL, *next;

	pthread_mutex_lock(&h->lock);
	h->pool_closed = true;
	for (struct httpd_call *c = h->running; c; c = next) {
		next = c->next;
		if (c->resuming)
			continue;
		unlist_running(c);
		c->abandoned = true;
		atomic_fetch_add(&c->refs, 1);
		c->next = list;
		list = c;
	}
	while (h->running)
		pthread_cond_wait(&h->quiet, &h->lock);
	pthread_mutex_unlock(&h->lock);
	for (struct httpd_call *c = list; c; c = next) {
		next = c->next;
		MHD_resume_connection(c->mhd);
		call_unref(c);
	}
	return list != NULL;
}

void httpd_stop(struct httpd *h, unsigned timeout_ms)
{
	if (!h)
		return;
	/* From now on nobody is let in. MHD_quiesce_daemon() would do it by taking the socket out
	 * of what the library's threads wait for, and ends the process where one of them does so
	 * too. */
	atomic_store(&h->stopping, true);
	stream_end_all(h);
	wait_quiet(h, timeout_ms);
	if (abandon(h))
		wait_quiet(h, LAST_WORDS_MS);
	/* What is in the queue still was abandoned; nothing more is put there. */
	conn_stop_watch(h);
	MHD_stop_daemon(h->daemon);
	queue_close(h->waiting);
	crew_join(h->pool, NULL);
	free_httpd(h);
}
