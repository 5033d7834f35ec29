/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sinks behind NBD: any export, or a new qcow2 image behind a qemu-nbd of our own. Every thread has
 * its own connection, so that writes go on in parallel; at the end every connection is flushed.
 */
#include <errno.h>
#include <fcntl.h>
#include <libnbd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fio.h"
#include "base/spawn.h"
#include "mover/draft.h"
#include "mover/qemu_nbd.h"
#include "mover/sink.h"

#define REQUEST_MAX ((size_t)1 << 20)
#define ZERO_MAX ((uint64_t)1 << 30)

struct nbd_sink {
	struct sink s;
	struct nbd_handle **nbd;
	unsigned n;
	bool can_zero;
	struct qemu_nbd *server; /* our own, or NULL */
	struct draft *image;	 /* its, or NULL */
};

static struct nbd_sink *of(struct sink *s)
{
	return (struct nbd_sink *)s;
}

static enum err_kind kind_of(int sys, struct nbd_handle *h)
{
	if (sys == ENOSPC)
		return ERR_NOSPACE;
	if (sys == EPERM)
		return ERR_DENIED;
	/* Also when it was never there. */
	if (h && (nbd_aio_is_dead(h) > 0 || nbd_aio_is_closed(h) > 0))
		return ERR_UNREACHABLE;
	return ERR_IO;
}

static int nbd_fail(struct nbd_handle *h, const char *name, const char *what, struct err *e)
{
	int sys = nbd_get_errno();
	const char *why = nbd_get_error();

	err_set(e, ERR_IO, "%s: %s: %s", name, what, why ? why : "no reason given");
	if (e)
		e->kind = kind_of(sys, h);
	return -1;
}

static int nbd_write(struct sink *s, unsigned thread, const void *data, size_t len, uint64_t off,
		     struct err *e)
{
	struct nbd_handle *h = of(s)->nbd[thread % of(s)->n];
	const uint8_t *p = data;

	while (len) {
		size_t n = MIN(len, REQUEST_MAX);

		if (nbd_pwrite(h, p, n, off, 0) < 0)
			return nbd_fail(h, s->name, "write", e);
		p += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int nbd_zero_range(struct sink *s, unsigned thread, uint64_t len, uint64_t off,
			  struct err *e)
{
	struct nbd_handle *h = of(s)->nbd[thread % of(s)->n];
	AUTO_FREE uint8_t *zeros = of(s)->can_zero ? NULL : xcalloc(1, REQUEST_MAX);

	while (len) {
		uint64_t n = MIN(len, of(s)->can_zero ? ZERO_MAX : (uint64_t)REQUEST_MAX);
		int rc = zeros ? nbd_pwrite(h, zeros, (size_t)n, off, 0) : nbd_zero(h, n, off, 0);

		if (rc < 0)
			return nbd_fail(h, s->name, "write zeros", e);
		off += n;
		len -= n;
	}
	return 0;
}

static void nbd_sink_free(struct sink *s)
{
	struct nbd_sink *n = of(s);

	for (unsigned i = 0; i < n->n; i++)
		nbd_close(n->nbd[i]);
	qemu_nbd_free(n->server);
	draft_free(n->image);
	free(n->nbd);
	free(n->s.name);
	free(n);
}

/* Close our image and give it its name. */
static int finish_image(struct nbd_sink *n, struct err *e)
{
	for (unsigned i = 0; i < n->n; i++) {
		nbd_shutdown(n->nbd[i], 0);
		nbd_close(n->nbd[i]);
	}
	n->n = 0;
	if (qemu_nbd_stop(steal(&n->server), e) < 0)
		return -1;
	return draft_keep(n->image, e);
}

static int nbd_finish(struct sink *s, struct err *e)
{
	struct nbd_sink *n = of(s);

	for (unsigned i = 0; i < n->n; i++) {
		if (nbd_can_flush(n->nbd[i]) > 0 && nbd_flush(n->nbd[i], 0) < 0)
			return nbd_fail(n->nbd[i], s->name, "flush", e);
	}
	return n->server ? finish_image(n, e) : 0;
}

static const struct sink_ops export_ops = {
	.free = nbd_sink_free,
	.write = nbd_write,
	.zero = nbd_zero_range,
	.finish = nbd_finish,
};

/* A new image is zeros all over. */
static const struct sink_ops image_ops = {
	.free = nbd_sink_free,
	.write = nbd_write,
	.finish = nbd_finish,
};

static int connect_one(struct nbd_sink *n, const char *uri, const char *socket, struct err *e)
{
	struct nbd_handle *h = nbd_create();

	if (!h)
		return nbd_fail(NULL, n->s.name, "connect", e);
	n->nbd[n->n++] = h;
	if (uri ? nbd_connect_uri(h, uri) < 0 : nbd_connect_unix(h, socket) < 0)
		return nbd_fail(h, n->s.name, "connect", e);
	return 0;
}

/* With `uri` or to a unix `socket`: as many connections as the server takes, up to `threads`. */
static int connect_all(struct nbd_sink *n, const char *uri, const char *socket, unsigned threads,
		       struct err *e)
{
	n->nbd = xcalloc(threads, sizeof(struct nbd_handle *));
	if (connect_one(n, uri, socket, e) < 0)
		return -1;
	n->can_zero = nbd_can_zero(n->nbd[0]) > 0;
	if (uri && nbd_can_multi_conn(n->nbd[0]) <= 0)
		return 0;
	while (n->n < threads) {
		if (connect_one(n, uri, socket, e) < 0)
			return -1;
	}
	return 0;
}

struct sink *sink_nbd_open(const char *uri, uint64_t size, unsigned threads, struct err *e)
{
	AUTO(sink) s = NULL;
	struct nbd_sink *n = xcalloc(1, sizeof(*n));
	int64_t have;

	s = &n->s;
	n->s.ops = &export_ops;
	n->s.name = xstrdup(uri);
	if (connect_all(n, uri, NULL, threads, e) < 0)
		return NULL;
	have = nbd_get_size(n->nbd[0]);
	if (have < 0 || (uint64_t)have < size) {
		err_set(e, ERR_NOSPACE, "%s has %lld bytes, the disk %llu", uri, (long long)have,
			(unsigned long long)size);
		return NULL;
	}
	if (nbd_is_read_only(n->nbd[0]) > 0) {
		err_set(e, ERR_DENIED, "%s is read-only", uri);
		return NULL;
	}
	return steal(&s);
}

static int make_image(const char *path, const char *bytes, struct err *e)
{
	AUTO_FREE char *file = qemu_file_name(path);
	const char *argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", "--", file, bytes, NULL};

	return spawn_run(argv, 4096, NULL, NULL, e);
}

struct sink *sink_qcow2_open(const char *path, uint64_t size, bool overwrite, unsigned threads,
			     struct err *e)
{
	struct qemu_nbd_options o = {.format = "qcow2", .writable = true, .clients = threads};
	AUTO_FREE char *bytes = xasprintf("%llu", (unsigned long long)size);
	AUTO(sink) s = NULL;
	struct draft *image;
	struct nbd_sink *n;

	image = draft_new(path, overwrite,
			  "it cannot become a qcow2 image; write the disk to it with --format raw",
			  e);
	if (!image)
		return NULL;
	n = xcalloc(1, sizeof(*n));
	s = &n->s;
	n->s.ops = &image_ops;
	n->s.name = xstrdup(path);
	n->image = image;
	if (make_image(draft_path(image), bytes, e) < 0)
		return NULL;
	n->server = qemu_nbd_start(draft_path(image), &o, e);
	if (!n->server || connect_all(n, NULL, qemu_nbd_socket(n->server), threads, e) < 0)
		return NULL;
	return steal(&s);
}
