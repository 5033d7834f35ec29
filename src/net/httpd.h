/* SPDX-License-Identifier: Apache-2.0 */
/*
 * httpd.h: an HTTP server with a table of routes, over libmicrohttpd.
 *
 * A request is complete before its handler sees it. Handlers run in a pool of threads, so they may
 * wait for a database; routes with HTTPD_QUICK run where the request was read. What a handler
 * answers is sent when it returns; a stream goes on until one side ends it.
 *
 * Limits: the size of headers and body: 431, 413; connections in all: 503. Connections over that of
 * one address, and those of clients that take too long to send a request, are closed without an
 * answer. What is no HTTP at all gets an answer of the library, without a request id.
 *
 * Threads: an httpd is thread-safe; a call belongs to the thread that its handler runs in; a stream
 * may be sent to by any thread.
 */
#ifndef HF_NET_HTTPD_H
#define HF_NET_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct httpd;
struct httpd_call;
struct httpd_stream;

typedef void httpd_fn(struct httpd_call *c, void *arg);

#define HTTPD_QUICK 1u /* does not wait for anything longer than a read of the database */

struct networks;

struct httpd_route {
	const char *method; /* "GET", which takes HEAD too; "*": any that no other route of the
			       path has */
	const char *path;   /* "/v1/{project_id}/plans/{plan_id}"; "{rest*}" as the last part takes
			       the rest, if its parts are names that can be used as a path */
	httpd_fn *fn;
	void *arg;
	unsigned flags;
	size_t body_max; /* bytes; 0: the server's */
};

struct httpd_options {
	const char *address;			       /* "127.0.0.1", "::" */
	uint16_t port;				       /* 0: any free one, see httpd_port */
	const char *certificate, *key;		       /* PEM texts; NULL: plain HTTP */
	unsigned threads;			       /* of handlers; 0: as many as make sense */
	unsigned connections, connections_per_address; /* 0: 1000, and no limit of its own */
	/* Whose X-Forwarded-For is believed (forwarded.h); borrowed. NULL: nobody's. */
	const struct networks *trusted_proxies;
	unsigned idle_s; /* 0: 60; for the headers of a request, and again for its body */
	size_t body_max; /* 0: 1 MiB */
	/* Called first for each request, also for one that no route takes: may answer, then the
	 * route is not called. Runs where the handler would. May be NULL. */
	httpd_fn *before;
	/* Called for what no route takes (404), for a method that the path has not (405, `allow` is
	 * set in the answer), and for what is over a limit: makes the body. NULL: a line of text.
	 */
	void (*refuse)(struct httpd_call *c, int status, const char *reason, void *arg);
	/* When an answer is about to be sent: for logs and counters. `us`: from the complete
	 * request until here. */
	void (*after)(const struct httpd_call *c, int status, uint64_t us, void *arg);
	void *arg;
};

/* The routes are borrowed, the options' strings copied. ERR_INVALID (certificate), ERR_BUSY (the
 * port is taken), ERR_DENIED. */
struct httpd *httpd_start(const struct httpd_options *o, const struct httpd_route *routes,
			  size_t n_routes, struct err *e);
uint16_t httpd_port(const struct httpd *h);
/* The certificate (with its chain) for connections from now on; those that are open go on. Only for
 * a server that was started with one. ERR_INVALID: it stays what it was. */
int httpd_set_certificate(struct httpd *h, const char *certificate, const char *key, struct err *e);
/*
 * Accept no more, end the streams, wait for calls that run. After `timeout_ms` their clients are
 * told that the server stops, and connections are closed; it returns when the last handler has.
 */
void httpd_stop(struct httpd *h, unsigned timeout_ms);

/* ---- a request; strings live as long as the call ---- */
const char *httpd_method(const struct httpd_call *c);
const char *httpd_path(const struct httpd_call *c);	  /* decoded, without the query */
const char *httpd_route_path(const struct httpd_call *c); /* the route's; NULL: none */
const char *httpd_part(const struct httpd_call *c, const char *name);  /* "plan_id"; NULL: none */
const char *httpd_query(const struct httpd_call *c, const char *name); /* decoded; NULL: none */
/* All of them in order; returns false at the end. */
bool httpd_query_at(const struct httpd_call *c, size_t i, const char **ret_name,
		    const char **ret_value);
const char *httpd_header(const struct httpd_call *c, const char *name);
const char *httpd_cookie(struct httpd_call *c, const char *name);
const void *httpd_body(const struct httpd_call *c, size_t *ret_len);
const char *httpd_address(const struct httpd_call *c); /* of the client, as text */
bool httpd_is_tls(const struct httpd_call *c);
/* Unique for each request; also sent as X-Openstack-Request-Id. "req-" and a UUID. */
const char *httpd_request_id(const struct httpd_call *c);
/* A place for what `before` found out for the handler; freed with `done` after the answer. */
void httpd_attach(struct httpd_call *c, void *data, void (*done)(void *data));
void *httpd_attached(const struct httpd_call *c);
/*
 * For what runs where requests are read (`before` and the handler of a route with HTTPD_QUICK) and
 * finds out that it has to wait: true: return now, both are called again in the pool, with what was
 * attached. false: this is the pool, go on.
 */
bool httpd_later(struct httpd_call *c);

/* ---- its answer ---- */
/* Copied. A second one of the same name replaces the first, but for Set-Cookie and
 * WWW-Authenticate. One with a line break in it is not sent. */
void httpd_set_header(struct httpd_call *c, const char *name, const char *value);
/* Copied. Once per call; the last one counts. */
void httpd_answer(struct httpd_call *c, int status, const char *content_type, const void *body,
		  size_t len);
bool httpd_answered(const struct httpd_call *c);

/*
 * Answer 200 with a body that grows: server-sent events. `closed` is called once, by any thread,
 * when it has ended for whatever reason; after that and httpd_stream_end() it is gone. At most
 * `queue_max` bytes wait to be sent: a client that is slower is cut off.
 */
struct httpd_stream *httpd_stream(struct httpd_call *c, const char *content_type, size_t queue_max,
				  void (*closed)(void *arg), void *arg);
/* false: it has ended or the client is too slow. */
bool httpd_stream_send(struct httpd_stream *s, const void *data, size_t len);
/* Nothing more will come; the caller gives up its reference. */
void httpd_stream_end(struct httpd_stream *s);

#endif
