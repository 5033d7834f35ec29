/* SPDX-License-Identifier: Apache-2.0 */
/*
 * httpd.h: an HTTP server with a table of routes, over libmicrohttpd.
 *
 * A request is complete before its handler sees it. Handlers run in a pool of threads, so they may
 * wait for a database; routes with HTTPD_QUICK run where the request was read. What a handler
 * answers is sent when it returns; a stream goes on until one side ends it.
 *
 * Limits: connections (in all, for one address), the size of headers and body, the time that a
 * client may take to send a request. What is over them gets 413, 431, 408 or 503.
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

struct httpd_route {
	const char *method; /* "GET"; "*": any that no other route of the path has */
	const char *path;   /* "/v1/{project_id}/plans/{plan_id}"; "{rest*}" as the last part takes
			       the rest */
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
	unsigned idle_s;			       /* 0: 60 */
	size_t body_max;			       /* 0: 1 MiB */
	/* Called first for each request: may answer, then the route is not called. May be NULL. */
	httpd_fn *before;
	/* Called for what no route takes (404), for a method that the path has not (405, `allow` is
	 * set in the answer), and for what is over a limit: makes the body. NULL: a line of text.
	 */
	void (*refuse)(struct httpd_call *c, int status, const char *reason, void *arg);
	/* After each answer: for logs and counters. `us`: from the complete request to the answer.
	 */
	void (*after)(const struct httpd_call *c, int status, uint64_t us, void *arg);
	void *arg;
};

/* The routes are borrowed. ERR_INVALID (certificate), ERR_BUSY (the port is taken), ERR_DENIED. */
struct httpd *httpd_start(const struct httpd_options *o, const struct httpd_route *routes,
			  size_t n_routes, struct err *e);
uint16_t httpd_port(const struct httpd *h);
/* Accept no more; wait for calls that run, at most `timeout_ms`; end the streams; close. */
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
const char *httpd_cookie(const struct httpd_call *c, const char *name);
const void *httpd_body(const struct httpd_call *c, size_t *ret_len);
const char *httpd_address(const struct httpd_call *c); /* of the client, as text */
bool httpd_is_tls(const struct httpd_call *c);
/* Unique for each request; also sent as X-Openstack-Request-Id. "req-" and a UUID. */
const char *httpd_request_id(const struct httpd_call *c);
/* A place for what `before` found out for the handler; freed with `done` after the answer. */
void httpd_attach(struct httpd_call *c, void *data, void (*done)(void *data));
void *httpd_attached(const struct httpd_call *c);

/* ---- its answer ---- */
void httpd_set_header(struct httpd_call *c, const char *name, const char *value); /* copied */
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
