/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fio.h"
#include "fake_source.h"

void machine_init(struct machine *m, struct random *rnd, bool stream)
{
	*m = (struct machine){.stream = stream, .data = xcalloc(BLOCKS_MAX, BLOCK)};
	m->size = 1 + random_below(rnd, BLOCKS_MAX * BLOCK);
	/* What does not compress: what changes of it a little becomes a delta. */
	random_fill(rnd, m->data, m->size / 2, true);
}

void machine_done(struct machine *m)
{
	free(m->data);
}

/* ---- changes ---- */

static void touch(struct machine *m, uint64_t off, uint64_t n)
{
	for (uint64_t at = off; at < off + n; at++)
		m->dirty[at / GRAIN] = true;
}

void machine_write(struct machine *m, const struct machine *other, struct random *rnd)
{
	uint64_t off, n;

	if (m->size == 0)
		return;
	off = random_below(rnd, m->size);
	n = 1 + random_below(rnd, random_below(rnd, 3) ? 5000 : 8 * BLOCK);
	n = MIN(n, m->size - off);
	switch (random_below(rnd, 5)) {
	case 0:
		memset(m->data + off, 0, n);
		break;
	case 1: /* the same data elsewhere */
		n = MIN(n, other->size - MIN(other->size, off));
		memmove(m->data + off, other->data + off, n);
		break;
	default:
		random_fill(rnd, m->data + off, n, random_below(rnd, 3) == 0);
	}
	touch(m, off, n);
}

void machine_sprinkle(struct machine *m, struct random *rnd)
{
	for (int i = 0; i < 8 && m->size >= 50; i++) {
		uint64_t off = random_below(rnd, m->size - 49);

		random_fill(rnd, m->data + off, 50, true);
		touch(m, off, 50);
	}
}

void machine_shift(struct machine *m, struct random *rnd)
{
	uint64_t from, to, n;

	if (m->size == 0)
		return;
	from = random_below(rnd, m->size);
	to = random_below(rnd, m->size);
	n = m->size - MAX(from, to);
	memmove(m->data + to, m->data + from, n);
	touch(m, to, n);
}

void machine_resize(struct machine *m, struct random *rnd)
{
	uint64_t size = random_below(rnd, BLOCKS_MAX * BLOCK);

	if (random_below(rnd, 3) == 0)
		size = size / BLOCK * BLOCK;
	/* What is cut off is gone; what is added is zeros and counts as changed. */
	if (size < m->size)
		memset(m->data + size, 0, m->size - size);
	else
		touch(m, m->size, size - m->size);
	m->size = size;
}

/* ---- backups ---- */

/* The map of an increment, grain by grain; of a whole disk, holes where it is zeros. */
static size_t make_map(const struct machine *m, struct random *rnd, bool increment,
		       struct extent *map)
{
	size_t n = 0;

	for (uint64_t off = 0; off < m->size; off += GRAIN, n++) {
		uint64_t len = MIN((uint64_t)GRAIN, m->size - off);
		enum extent_kind kind = EXTENT_DATA;

		if (increment && !m->dirty[off / GRAIN])
			kind = EXTENT_CLEAN;
		else if (block_all_zero(m->data + off, len) && random_below(rnd, 2))
			kind = EXTENT_ZERO;
		map[n] = (struct extent){len, kind};
	}
	return n;
}

static bool back_up_disk(struct machine *m, struct session *s, struct random *rnd,
			 const struct tree *parent, const struct uuid *parent_point,
			 struct tree *ret_tree)
{
	struct extent map[GRAINS];
	struct progress progress = {0};
	struct point_stats stats;
	struct fake_source f;
	struct backup_disk job = {.source = &f.s,
				  .parent = parent,
				  .parent_point = parent_point,
				  .incremental = parent && random_below(rnd, 4),
				  .progress = &progress};

	fake_source_init(&f, m->data, m->size);
	f.rnd.state = random_next(rnd) | 1;
	f.late = random_below(rnd, 2);
	f.pieces = (unsigned)random_below(rnd, 4);
	f.map = map;
	f.n_map = make_map(m, rnd, job.incremental, map);
	OK(backup_disk(s, &job, ret_tree, &stats, e));
	return job.incremental;
}

static void back_up_stream(struct machine *m, struct session *s, const struct tree *parent,
			   const struct uuid *parent_point, struct tree *ret_tree)
{
	AUTO_CLOSE int fd = memfd_create("stream", MFD_CLOEXEC);
	struct progress progress = {0};
	struct point_stats stats;
	struct backup_stream job = {.fd = fd,
				    .name = "a stream",
				    .parent = parent,
				    .parent_point = parent_point,
				    .progress = &progress};

	OK(fio_write(fd, m->data, m->size, "a stream", e));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	OK(backup_stream(s, &job, ret_tree, &stats, e));
}

bool machine_back_up(struct machine *m, struct session *s, struct random *rnd,
		     const struct tree *parent, const struct uuid *parent_point,
		     struct tree *ret_tree)
{
	if (!m->stream)
		return back_up_disk(m, s, rnd, parent, parent_point, ret_tree);
	back_up_stream(m, s, parent, parent_point, ret_tree);
	return false;
}
