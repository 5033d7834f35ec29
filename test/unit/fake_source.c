/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_source.h"

#include <errno.h>
#include <string.h>

static struct fake_source *of(struct source *s)
{
	return (struct fake_source *)s;
}

static int fake_map(struct source *s, uint64_t off, uint64_t len, struct extent_list *out,
		    struct err *e)
{
	struct fake_source *f = of(s);
	unsigned told = 0;
	uint64_t at = 0;

	if (++f->maps == f->fail_map)
		return err_set(e, ERR_IO, "the map cannot be read (injected)");
	if (!f->map) {
		extent_add(out, len, EXTENT_DATA);
		return 0;
	}
	for (size_t i = 0; i < f->n_map && len; i++) {
		uint64_t end = at + f->map[i].len, n;

		if (end > off) {
			n = MIN(end - off, len);
			extent_add(out, n, f->map[i].kind);
			off += n;
			len -= n;
			if (f->pieces && ++told == f->pieces)
				return 0;
		}
		at = end;
	}
	return 0;
}

static void finish_read(struct fake_source *f, struct source_read *r, int error)
{
	if (!error)
		memcpy(r->buf, f->data + r->off, r->len);
	r->error = error;
	r->done = true;
}

static int fake_read(struct source *s, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct fake_source *f = of(s);
	unsigned n = ++f->reads;

	if (f->before_read)
		f->before_read(f, off, len);
	f->bytes += len;
	if (n == f->fail_read)
		return err_set(e, ERR_IO, "read %u fails (injected)", n);
	memcpy(buf, f->data + off, len);
	return 0;
}

static int fake_start(struct source *s, struct source_read *r, struct err *e)
{
	struct fake_source *f = of(s);
	bool fails = ++f->reads == f->fail_read;

	if (f->before_read)
		f->before_read(f, r->off, r->len);
	f->bytes += r->len;
	if (fails && !f->read_errno)
		return err_set(e, ERR_IO, "read %u cannot be begun (injected)", f->reads);
	r->done = false;
	if (!f->late) {
		finish_read(f, r, fails ? f->read_errno : 0);
		return 0;
	}
	/* One that is to fail says so at once; the others take their time. */
	if (fails) {
		finish_read(f, r, f->read_errno);
		return 0;
	}
	f->flying[f->pending++] = r;
	f->most = MAX(f->most, f->pending);
	return 0;
}

static int fake_wait(struct source *s, int timeout_ms, struct err *e)
{
	struct fake_source *f = of(s);
	uint64_t n;

	(void)timeout_ms;
	if (++f->waits == f->fail_wait)
		return err_set(e, ERR_UNREACHABLE, "the server is gone (injected)");
	for (n = f->pending ? random_below(&f->rnd, f->pending + 1) : 0; n; n--) {
		uint64_t i = random_below(&f->rnd, f->pending);

		finish_read(f, f->flying[i], 0);
		f->flying[i] = f->flying[--f->pending];
	}
	return 0;
}

/* As a connection that is closed does: what is in flight ends now, or never. */
static void fake_drop(struct source *s)
{
	struct fake_source *f = of(s);

	while (f->pending)
		finish_read(f, f->flying[--f->pending], ENOTCONN);
	f->drops++;
}

static void fake_free(struct source *s)
{
	(void)s;
}

static const struct source_ops fake_ops = {
	.free = fake_free,
	.map = fake_map,
	.start = fake_start,
	.wait = fake_wait,
	.drop = fake_drop,
};

static const struct source_ops direct_ops = {
	.free = fake_free,
	.map = fake_map,
	.read = fake_read,
};

void fake_source_direct(struct fake_source *f)
{
	f->s.ops = &direct_ops;
}

void fake_source_init(struct fake_source *f, const uint8_t *data, uint64_t size)
{
	static char name[] = "a disk in memory";

	*f = (struct fake_source){.data = data, .rnd = {random_seed()}};
	f->s = (struct source){&fake_ops, name, size, 4, true};
}
