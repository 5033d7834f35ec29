/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sinks that keep nothing: a pipe, which hands everything on, and nothing.
 */
#include "base/fio.h"
#include "mover/sink.h"

struct pipe_sink {
	struct sink s;
	int fd;
};

static void pipe_free(struct sink *s)
{
	free(s->name);
	free(s);
}

static int pipe_write(struct sink *s, unsigned thread, const void *data, size_t len, uint64_t off,
		      struct err *e)
{
	(void)thread;
	(void)off;
	return fio_write(((struct pipe_sink *)s)->fd, data, len, s->name, e);
}

static int pipe_zero(struct sink *s, unsigned thread, uint64_t len, uint64_t off, struct err *e)
{
	static const uint8_t zeros[65536];

	for (; len; len -= MIN(len, sizeof(zeros))) {
		if (pipe_write(s, thread, zeros, (size_t)MIN(len, sizeof(zeros)), off, e) < 0)
			return -1;
	}
	return 0;
}

static int nothing_to_finish(struct sink *s, struct err *e)
{
	(void)s;
	(void)e;
	return 0;
}

static const struct sink_ops pipe_ops = {
	.free = pipe_free,
	.write = pipe_write,
	.zero = pipe_zero,
	.finish = nothing_to_finish,
};

static int null_write(struct sink *s, unsigned thread, const void *data, size_t len, uint64_t off,
		      struct err *e)
{
	(void)s;
	(void)thread;
	(void)data;
	(void)len;
	(void)off;
	(void)e;
	return 0;
}

static const struct sink_ops null_ops = {
	.free = pipe_free,
	.write = null_write,
	.finish = nothing_to_finish,
};

static struct pipe_sink *pipe_sink_new(const struct sink_ops *ops, int fd, const char *name)
{
	struct pipe_sink *p = xcalloc(1, sizeof(*p));

	p->s.ops = ops;
	p->s.name = xstrdup(name);
	p->fd = fd;
	return p;
}

struct sink *sink_pipe_open(int fd, const char *name)
{
	struct pipe_sink *p = pipe_sink_new(&pipe_ops, fd, name);

	fio_widen(fd);
	p->s.ordered = true;
	return &p->s;
}

struct sink *sink_null_open(void)
{
	return &pipe_sink_new(&null_ops, -1, "nothing")->s;
}
