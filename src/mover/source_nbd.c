/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk behind NBD. Two meta contexts tell what to read: base:allocation (bit 1: reads as zeros)
 * and, for an increment, a dirty bitmap (bit 0: changed). The server answers each with extents of
 * its own boundaries, and with fewer than asked; what both cover is used. A dirty extent that reads
 * as zeros (a discard) is told as zeros, without being read.
 */
#include "mover/source.h"

#include <errno.h>
#include <libnbd.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "mover/qemu_nbd.h"

#define IN_FLIGHT 16
#define ALLOCATION "base:allocation"
#define ALLOCATION_ZERO 2
#define BITMAP_DIRTY 1

/* The extents of one context for one question. */
struct context_map {
	struct extent *v;
	uint64_t *flags;
	size_t n, cap;
	uint64_t covered;
};

struct nbd_source {
	struct source s;
	struct nbd_handle *nbd;
	bool allocation; /* the server tells it */
	char *bitmap;
	struct context_map zeros, dirty;
	struct qemu_nbd *server; /* our own, or NULL */
};

static struct nbd_source *of(struct source *s)
{
	return (struct nbd_source *)s;
}

/* What libnbd said last in this thread, as our error. */
static int nbd_fail(const struct nbd_source *n, const char *what, struct err *e)
{
	const char *why = nbd_get_error();
	int sys = nbd_get_errno();

	err_set(e, sys ? err_kind_of_errno(sys) : ERR_IO, "%s: %s: %s", n->s.name, what,
		why ? why : "no reason given");
	if (e && (e->kind == ERR_INVALID || e->kind == ERR_NOENT || e->kind == ERR_UNSUPPORTED))
		e->kind = ERR_IO;
	if (e)
		e->sys = sys;
	return -1;
}

static void map_clear(struct context_map *m)
{
	m->n = 0;
	m->covered = 0;
}

static void map_add(struct context_map *m, uint64_t len, uint32_t flags)
{
	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 256;
		m->v = xreallocarray(m->v, m->cap, sizeof(*m->v));
		m->flags = xreallocarray(m->flags, m->cap, sizeof(*m->flags));
	}
	m->v[m->n].len = len;
	m->flags[m->n++] = flags;
	m->covered += len;
}

static int take_extents(void *arg, const char *context, uint64_t offset, uint32_t *entries,
			size_t n_entries, int *error)
{
	struct nbd_source *n = arg;
	struct context_map *m = NULL;

	(void)offset;
	(void)error;
	if (strcmp(context, ALLOCATION) == 0)
		m = &n->zeros;
	else if (n->bitmap && strcmp(context, n->bitmap) == 0)
		m = &n->dirty;
	for (size_t i = 0; m && i + 1 < n_entries; i += 2)
		map_add(m, entries[i], entries[i + 1]);
	return 0;
}

static enum extent_kind kind_of(const struct nbd_source *n, size_t zi, size_t di)
{
	bool zero = n->allocation && (n->zeros.flags[zi] & ALLOCATION_ZERO);

	if (n->bitmap && !(n->dirty.flags[di] & BITMAP_DIRTY))
		return zero ? EXTENT_CLEAN_ZERO : EXTENT_CLEAN;
	return zero ? EXTENT_ZERO : EXTENT_DATA;
}

/* Merge what the contexts said about the next `len` bytes. */
static void merge(struct nbd_source *n, uint64_t len, struct extent_list *out)
{
	uint64_t z_left = n->allocation ? n->zeros.v[0].len : len;
	uint64_t d_left = n->bitmap ? n->dirty.v[0].len : len;
	size_t zi = 0, di = 0;

	while (len) {
		uint64_t take = MIN(len, MIN(z_left, d_left));

		extent_add(out, take, kind_of(n, zi, di));
		len -= take;
		z_left -= take;
		d_left -= take;
		if (len && z_left == 0)
			z_left = n->zeros.v[++zi].len;
		if (len && d_left == 0)
			d_left = n->dirty.v[++di].len;
	}
}

static int nbd_map(struct source *s, uint64_t off, uint64_t len, struct extent_list *out,
		   struct err *e)
{
	struct nbd_source *n = of(s);
	nbd_extent_callback cb = {.callback = take_extents, .user_data = n};

	if (!n->allocation && !n->bitmap) {
		extent_add(out, len, EXTENT_DATA);
		return 0;
	}
	map_clear(&n->zeros);
	map_clear(&n->dirty);
	if (nbd_block_status(n->nbd, len, off, cb, 0) < 0)
		return nbd_fail(n, "ask what is allocated", e);
	if (n->allocation)
		len = MIN(len, n->zeros.covered);
	if (n->bitmap)
		len = MIN(len, n->dirty.covered);
	if (len == 0)
		return err_set(e, ERR_IO, "%s: the server gave no extents at %llu", s->name,
			       (unsigned long long)off);
	merge(n, len, out);
	return 0;
}

static int read_done(void *arg, int *error)
{
	struct source_read *r = arg;

	r->error = *error;
	r->done = true;
	return 0;
}

/* Let go of commands that have ended. If read_done had libnbd do that, nbd_aio_pread would look at
 * one that ended at once, because the server hung up, after it was freed. */
static void retire(struct nbd_source *n)
{
	int64_t cookie;

	while ((cookie = nbd_aio_peek_command_completed(n->nbd)) > 0)
		nbd_aio_command_completed(n->nbd, (uint64_t)cookie);
}

static int nbd_start(struct source *s, struct source_read *r, struct err *e)
{
	struct nbd_source *n = of(s);
	nbd_completion_callback cb = {.callback = read_done, .user_data = r};

	r->done = false;
	if (nbd_aio_pread(n->nbd, r->buf, r->len, r->off, cb, 0) < 0)
		return nbd_fail(n, "read", e);
	return 0;
}

static int nbd_wait(struct source *s, int timeout_ms, struct err *e)
{
	struct nbd_source *n = of(s);
	int rc = nbd_poll(n->nbd, timeout_ms);

	retire(n);
	/* libnbd speaks of its states then, and what was in flight has ended with ENOTCONN, which
	 * would tell nobody anything. QEMU also hangs up when it cannot read what was asked for. */
	if (nbd_aio_is_dead(n->nbd) > 0 || nbd_aio_is_closed(n->nbd) > 0)
		return err_set(e, ERR_UNREACHABLE,
			       "%s: the server closed the connection: it ended, or it could not "
			       "read the disk",
			       s->name);
	return rc < 0 ? nbd_fail(n, "wait for the server", e) : 0;
}

/* Closing ends what is in flight, and tells it so. */
static void nbd_drop(struct source *s)
{
	nbd_close(of(s)->nbd);
	of(s)->nbd = NULL;
}

static void nbd_free(struct source *s)
{
	struct nbd_source *n = of(s);

	nbd_drop(s);
	qemu_nbd_free(n->server);
	free(n->zeros.v);
	free(n->zeros.flags);
	free(n->dirty.v);
	free(n->dirty.flags);
	free(n->bitmap);
	free(n->s.name);
	free(n);
}

static const struct source_ops nbd_ops = {
	.free = nbd_free,
	.map = nbd_map,
	.start = nbd_start,
	.wait = nbd_wait,
	.drop = nbd_drop,
};

static int connect_export(struct nbd_source *n, const char *socket, const char *export_name,
			  struct err *e)
{
	int64_t size;

	if (nbd_set_export_name(n->nbd, export_name) < 0 ||
	    nbd_add_meta_context(n->nbd, ALLOCATION) < 0 ||
	    (n->bitmap && nbd_add_meta_context(n->nbd, n->bitmap) < 0) ||
	    nbd_connect_unix(n->nbd, socket) < 0)
		return nbd_fail(n, "connect", e);
	size = nbd_get_size(n->nbd);
	if (size < 0)
		return nbd_fail(n, "ask for its size", e);
	n->s.size = (uint64_t)size;
	n->allocation = nbd_can_meta_context(n->nbd, ALLOCATION) > 0;
	if (n->bitmap && nbd_can_meta_context(n->nbd, n->bitmap) <= 0)
		return err_set(e, ERR_NOENT, "%s: the server does not offer %s", n->s.name,
			       n->bitmap);
	return 0;
}

static struct nbd_source *nbd_new(const char *name, const char *bitmap, struct err *e)
{
	struct nbd_handle *h = nbd_create();
	struct nbd_source *n;

	if (!h) {
		err_set(e, ERR_LIMIT, "%s: %s", name, nbd_get_error());
		return NULL;
	}
	n = xcalloc(1, sizeof(*n));
	n->s = (struct source){&nbd_ops, xstrdup(name), 0, IN_FLIGHT, bitmap != NULL};
	n->nbd = h;
	n->bitmap = xstrdup0(bitmap);
	return n;
}

struct source *source_nbd_open(const char *socket, const char *export_name, const char *bitmap,
			       const char *name, struct err *e)
{
	struct nbd_source *n = nbd_new(name, bitmap, e);

	if (!n)
		return NULL;
	if (connect_export(n, socket, export_name, e) < 0) {
		nbd_free(&n->s);
		return NULL;
	}
	return &n->s;
}

struct source *source_image_open(const char *path, const char *format, const char *bitmap,
				 struct err *e)
{
	struct qemu_nbd_options o = {.format = format, .bitmap = bitmap};
	AUTO_FREE char *context = bitmap ? xasprintf("qemu:dirty-bitmap:%s", bitmap) : NULL;
	AUTO(qemu_nbd) server = qemu_nbd_start(path, &o, e);
	struct source *s;

	if (!server)
		return NULL;
	s = source_nbd_open(qemu_nbd_socket(server), "", context, path, e);
	if (s)
		of(s)->server = steal(&server);
	return s;
}
