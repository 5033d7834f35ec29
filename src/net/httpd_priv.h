/* SPDX-License-Identifier: Apache-2.0 */
/*
 * httpd_priv.h: what the files of the HTTP server share. httpd.c: start, stop, and the course of a
 * request; httpd_call.c: what a handler asks and answers; httpd_conn.c: connections and their
 * limits; httpd_stream.c: answers that go on; httpd_tls.c: certificates.
 *
 * Locks, outer first: a stream's, then the server's. Neither is held while a function of the
 * caller's runs. libmicrohttpd's own locks are inside ours.
 */
#ifndef HF_NET_HTTPD_PRIV_H
#define HF_NET_HTTPD_PRIV_H

#include "net/httpd.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/crew.h"
#include "base/queue.h"
#include "base/uuid.h"
#include "net/httpd_route.h"

#define HTTPD_HEADER_MAX ((size_t)32 << 10) /* all headers of a request, and its first line */
/* A body over the limit is read and thrown away up to so much more: a client that is still sending
 * does not see an answer. */
#define HTTPD_DISCARD ((size_t)8 << 20)

/* A connection: kept by libmicrohttpd as its socket context. */
struct httpd_conn {
	struct httpd_conn *next, **link;
	struct httpd *httpd;
	int fd;
	bool over; /* more than allowed */
	/* When the request has to be here (clock_mono_us); 0: it is. */
	uint64_t deadline;
	char address[INET6_ADDRSTRLEN];
};

struct httpd {
	struct httpd_options o;
	bool tls;
	struct httpd_identity *identity; /* the newest */
	struct route_table *routes;
	struct MHD_Daemon *daemon;
	struct crew *pool;
	struct queue *waiting; /* calls for the pool */
	uint16_t port;
	pthread_mutex_t said_lock;
	char said[200]; /* by libmicrohttpd, last */

	pthread_mutex_t lock;
	pthread_cond_t quiet; /* fewer are active */
	struct httpd_conn *conns;
	unsigned n_conns;
	struct httpd_call *running;   /* in the pool */
	struct httpd_stream *streams; /* that are not over */
	unsigned active;	      /* complete requests whose answer is not sent */
	atomic_bool stopping;	      /* set once */
	bool pool_closed;
	pthread_cond_t tick; /* wakes the watch */
	pthread_t watch;     /* of connections */
	bool watching;
};

struct httpd_field {
	char *name, *value;
};

/*
 * A request. libmicrohttpd owns it from the request line until it tells that the request is over;
 * a handler in the pool has a reference of its own, because a stop does not wait for it.
 */
struct httpd_call {
	atomic_uint refs;
	struct httpd *httpd;
	struct MHD_Connection *mhd;
	struct httpd_conn *conn;
	char *raw; /* "/path?query" */
	char method[16];
	char id[5 + UUID_TEXT];
	char address[INET6_ADDRSTRLEN];
	struct httpd_field *headers; /* of the request, in one piece of memory */
	size_t n_headers;
	struct httpd_field *cookies; /* that were asked for */
	size_t n_cookies;
	struct target target;
	const struct httpd_route *route;

	/* What it gets instead of its route: 404 and so on; 0: nothing yet. */
	int refused;
	char reason[256];
	char allow[ROUTE_ALLOW];
	size_t body_max, body_seen;
	struct buf body;
	bool begun, complete, counted, started_answer, tls;
	bool quick;	/* it runs where requests are read */
	bool later;	/* and wants to go on in the pool */
	bool close;	/* the connection cannot be used again */
	uint64_t since; /* when it was complete */

	void *attached;
	void (*attached_done)(void *data);
	struct httpd_field *out; /* headers of the answer */
	size_t n_out;
	int status;
	char *content_type;
	void *answer;
	size_t answer_len;
	struct httpd_stream *stream;

	/* Under the server's lock. */
	struct httpd_call *next, **link; /* in `running` */
	bool abandoned;			 /* the stop did not wait */
	bool resuming;			 /* its connection, right now */
};

/* ---- httpd_call.c ---- */
struct httpd_call *call_new(struct httpd *h, const char *raw);
void call_unref(struct httpd_call *c);
/* Copy what the connection has of it; refuses it where that is over a limit. */
void call_read_headers(struct httpd_call *c);
/* Behind proxies that are trusted: the address is the client's. */
void call_find_client(struct httpd_call *c);
void call_refuse(struct httpd_call *c, int status, const char *reason);
/* Make the answer: `before`, then the handler or what refuses. */
void call_run(struct httpd_call *c);
/* Hand the answer to libmicrohttpd. */
enum MHD_Result call_send(struct httpd_call *c);

/* ---- httpd_conn.c ---- */
/* libmicrohttpd's callbacks; `arg` is the httpd. */
void conn_notify(void *arg, struct MHD_Connection *mhd, void **context,
		 enum MHD_ConnectionNotificationCode what);
struct httpd_conn *conn_of(struct MHD_Connection *mhd);
void conn_set_deadline(struct httpd_conn *conn, uint64_t when);
int conn_start_watch(struct httpd *h, struct err *e);
void conn_stop_watch(struct httpd *h);

/* ---- httpd_tls.c ---- */
#define TLS_OPTIONS 3
/* libmicrohttpd's options for TLS, or none, with their end; how many they are. */
size_t tls_options(const struct httpd *h, struct MHD_OptionItem *out);
void tls_free(struct httpd *h);

/* ---- httpd_stream.c ---- */
/* The answer for libmicrohttpd; the stream belongs to that from here on. */
struct MHD_Response *stream_response(struct httpd_stream *s, struct MHD_Connection *mhd,
				     struct httpd_conn *conn);
/* The answer is over, or never began. */
void stream_over(struct httpd_stream *s);
/* The server stops: what waits is sent, and then it is over. */
void stream_end_all(struct httpd *h);
/* End those whose clients have gone. */
void stream_end_gone(struct httpd *h);

#endif
