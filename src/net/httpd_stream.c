/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that go on. What is sent waits in a buffer; libmicrohttpd asks for it where it can write,
 * and its connection is suspended where there is nothing, so that a stream costs no thread. A
 * suspended connection notices nothing: whether its client has gone is looked at by the watch.
 *
 * The caller has a reference until httpd_stream_end(), the server until the request is over.
 */
#include "net/httpd_priv.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define BLOCK 4096

struct httpd_stream {
	pthread_mutex_t lock;
	atomic_uint refs;
	struct httpd *httpd;
	struct MHD_Connection *mhd; /* NULL: not yet, or no more */
	bool suspended;
	bool ended; /* nothing more is taken */
	bool cut;   /* what waits is not sent either */
	struct buf waiting;
	size_t sent; /* of `waiting` */
	size_t queue_max;
	void (*closed)(void *arg);
	void *arg;

	/* Under the server's lock. */
	struct httpd_stream *next, **link;
	struct httpd_conn *conn; /* while mhd is set */
};

static void unref(struct httpd_stream *s)
{
	if (atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&s->lock);
	buf_done(&s->waiting);
	free(s);
}

static void resume_locked(struct httpd_stream *s)
{
	if (s->suspended) {
		s->suspended = false;
		MHD_resume_connection(s->mhd);
	}
}

static void end_locked(struct httpd_stream *s, bool cut)
{
	s->ended = true;
	if (cut && !s->cut) {
		s->cut = true;
		/* libmicrohttpd may be waiting for a client that does not read. */
		pthread_mutex_lock(&s->httpd->lock);
		if (s->conn)
			shutdown(s->conn->fd, SHUT_RDWR);
		pthread_mutex_unlock(&s->httpd->lock);
	}
	resume_locked(s);
}

struct httpd_stream *httpd_stream(struct httpd_call *c, const char *content_type, size_t queue_max,
				  void (*closed)(void *arg), void *arg)
{
	struct httpd_stream *s = xcalloc(1, sizeof(*s));
	struct httpd *h = c->httpd;

	pthread_mutex_init(&s->lock, NULL);
	atomic_init(&s->refs, 2);
	s->httpd = h;
	s->queue_max = queue_max;
	s->closed = closed;
	s->arg = arg;
	httpd_answer(c, 200, content_type, "", 0);
	c->stream = s;
	pthread_mutex_lock(&h->lock);
	s->ended = atomic_load(&h->stopping);
	s->link = &h->streams;
	s->next = h->streams;
	if (s->next)
		s->next->link = &s->next;
	h->streams = s;
	pthread_mutex_unlock(&h->lock);
	return s;
}

bool httpd_stream_send(struct httpd_stream *s, const void *data, size_t len)
{
	bool taken = false;

	pthread_mutex_lock(&s->lock);
	if (!s->ended && s->waiting.len - s->sent + len > s->queue_max) {
		end_locked(s, true);
	} else if (!s->ended) {
		if (s->sent) {
			s->waiting.len -= s->sent;
			memmove(s->waiting.data, s->waiting.data + s->sent, s->waiting.len);
			s->sent = 0;
		}
		buf_add(&s->waiting, data, len);
		resume_locked(s);
		taken = true;
	}
	pthread_mutex_unlock(&s->lock);
	return taken;
}

void httpd_stream_end(struct httpd_stream *s)
{
	pthread_mutex_lock(&s->lock);
	end_locked(s, false);
	pthread_mutex_unlock(&s->lock);
	unref(s);
}

static ssize_t give(void *arg, uint64_t pos, char *out, size_t max)
{
	struct httpd_stream *s = arg;
	ssize_t n = 0;

	(void)pos;
	pthread_mutex_lock(&s->lock);
	if (s->cut) {
		n = MHD_CONTENT_READER_END_WITH_ERROR;
	} else if (s->sent < s->waiting.len) {
		n = (ssize_t)MIN(max, s->waiting.len - s->sent);
		memcpy(out, s->waiting.data + s->sent, (size_t)n);
		s->sent += (size_t)n;
	} else if (s->ended) {
		n = MHD_CONTENT_READER_END_OF_STREAM;
	} else {
		buf_done(&s->waiting); /* many are silent most of the time */
		s->sent = 0;
		MHD_suspend_connection(s->mhd);
		s->suspended = true;
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

struct MHD_Response *stream_response(struct httpd_stream *s, struct MHD_Connection *mhd,
				     struct httpd_conn *conn)
{
	pthread_mutex_lock(&s->lock);
	s->mhd = mhd;
	pthread_mutex_lock(&s->httpd->lock);
	s->conn = conn;
	pthread_mutex_unlock(&s->httpd->lock);
	pthread_mutex_unlock(&s->lock);
	return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, give, s, NULL);
}

void stream_over(struct httpd_stream *s)
{
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	s->cut = true;
	s->suspended = false;
	s->mhd = NULL;
	pthread_mutex_lock(&s->httpd->lock);
	s->conn = NULL;
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	pthread_mutex_unlock(&s->httpd->lock);
	pthread_mutex_unlock(&s->lock);
	if (s->closed)
		s->closed(s->arg);
	unref(s);
}

/* A client that waits for nothing but us never hangs up on its side alone. */
static bool has_gone(const struct httpd_stream *s)
{
	struct pollfd p = {s->conn ? s->conn->fd : -1, POLLRDHUP, 0};

	return poll(&p, 1, 0) > 0;
}

/* End some of the streams. Their own locks come before the server's: they are held by references.
 */
static void end_some(struct httpd *h, bool (*which)(const struct httpd_stream *s), bool cut)
{
	struct httpd_stream **held = NULL;
	size_t n = 0, room = 0;

	pthread_mutex_lock(&h->lock);
	for (struct httpd_stream *s = h->streams; s; s = s->next) {
		if (which && !which(s))
			continue;
		if (n == room) {
			room = 2 * room + 16;
			held = xreallocarray(held, room, sizeof(struct httpd_stream *));
		}
		atomic_fetch_add(&s->refs, 1);
		held[n++] = s;
	}
	pthread_mutex_unlock(&h->lock);
	for (size_t i = 0; i < n; i++) {
		pthread_mutex_lock(&held[i]->lock);
		end_locked(held[i], cut);
		pthread_mutex_unlock(&held[i]->lock);
		unref(held[i]);
	}
	free(held);
}

void stream_end_all(struct httpd *h)
{
	end_some(h, NULL, false);
}

void stream_end_gone(struct httpd *h)
{
	end_some(h, has_gone, true);
}
