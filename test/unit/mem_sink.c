/* SPDX-License-Identifier: Apache-2.0 */
#include "mem_sink.h"

#include <stdlib.h>
#include <string.h>

static struct mem_sink *of(struct sink *s)
{
	return (struct mem_sink *)s;
}

static bool accept(struct mem_sink *m, unsigned thread, uint64_t len, uint64_t off)
{
	bool fine = len > 0 && off <= m->size && len <= m->size - off;
	unsigned highest = atomic_load(&m->highest);

	while (thread > highest && !atomic_compare_exchange_weak(&m->highest, &highest, thread))
		continue;

	if (m->s.ordered) {
		fine = fine && off == m->next;
		m->next = off + len;
	}
	m->wrong += !fine;
	return fine;
}

static int mem_write(struct sink *s, unsigned thread, const void *data, size_t len, uint64_t off,
		     struct err *e)
{
	struct mem_sink *m = of(s);

	if (m->before_write)
		m->before_write(m->arg);
	if (++m->writes == m->fail_write)
		return err_set(e, ERR_NOSPACE, "no room (injected)");
	if (accept(m, thread, len, off))
		memcpy(m->data + off, data, len);
	return 0;
}

static int mem_zero(struct sink *s, unsigned thread, uint64_t len, uint64_t off, struct err *e)
{
	struct mem_sink *m = of(s);

	if (++m->zeros == m->fail_zero)
		return err_set(e, ERR_NOSPACE, "no room for zeros (injected)");
	if (accept(m, thread, len, off))
		memset(m->data + off, 0, len);
	return 0;
}

static int mem_finish(struct sink *s, struct err *e)
{
	struct mem_sink *m = of(s);

	m->finished++;
	return m->fail_finish ? err_set(e, ERR_IO, "it cannot be flushed (injected)") : 0;
}

static void mem_free(struct sink *s)
{
	(void)s;
}

static const struct sink_ops with_zero = {
	.free = mem_free,
	.write = mem_write,
	.zero = mem_zero,
	.finish = mem_finish,
};

static const struct sink_ops without_zero = {
	.free = mem_free,
	.write = mem_write,
	.finish = mem_finish,
};

void mem_sink_init(struct mem_sink *m, uint64_t size, bool ordered, bool zero)
{
	static char name[] = "memory";

	*m = (struct mem_sink){.size = size};
	m->s = (struct sink){zero ? &with_zero : &without_zero, name, ordered};
	m->data = xmalloc(size);
	memset(m->data, MEM_SINK_FILLER, size);
}

void mem_sink_done(struct mem_sink *m)
{
	free(m->data);
}
