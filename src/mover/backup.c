/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backing up a disk.
 *
 * The reader asks the source's map for a region at a time, turns it into runs of blocks, and reads
 * the runs of data, several requests in flight. Unchanged runs are passed over; from them AUDITS
 * blocks are picked at random over the whole disk and read all the same, because nothing else would
 * notice change tracking that lost a write.
 *
 * An increment's tree begins as a copy of its parent's, of which it knows nothing but the root.
 * Where a collector is at work that is not enough (format section 11): then the tree is made anew,
 * every unchanged block is looked up, and what is about to be dropped is read again.
 */
#include "mover/backup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "mover/blockmap.h"
#include "mover/pipeline.h"

#define REGION ((uint64_t)1 << 30) /* of the map asked for at once */
#define BLOCK ((uint64_t)1 << TREE_BLOCK_LOG)
#define SLOT_BLOCKS_MAX (SLOT_BYTES >> TREE_BLOCK_LOG)
#define AUDITS 32
#define WAIT_MS 100

struct backup {
	const struct backup_disk *job;
	struct session *session;
	uint64_t size, blocks;
	bool copies; /* the new tree begins as a copy of the parent's */
	struct tree_edit *edit;
	/* of the reader's thread: */
	struct pipe_slot **flying; /* reads in flight, oldest first */
	size_t n_flying;
	struct tree_walk *parent; /* or NULL */
	struct tree_piece ahead;  /* its next block */
	bool ahead_valid, ahead_end;
	uint64_t audits[AUDITS]; /* ascending */
	size_t n_audits, next_audit;
};

/* ---- what stood here before ---- */

static int walk_to(struct backup *b, uint64_t off, struct block_ref *ret_ref, struct err *e)
{
	if (!b->ahead_end && (!b->ahead_valid || b->ahead.offset + 256 * BLOCK < off)) {
		if (tree_walk_seek(b->parent, off, e) < 0)
			return -1;
		b->ahead_valid = false;
	}
	while (!b->ahead_end && (!b->ahead_valid || b->ahead.offset < off)) {
		int rc = tree_walk_next(b->parent, &b->ahead, e);

		if (rc < 0)
			return -1;
		b->ahead_valid = true;
		b->ahead_end = rc == 0;
	}
	if (!b->ahead_end && b->ahead.offset == off)
		*ret_ref = (struct block_ref){b->ahead.id, b->ahead.print};
	return 0;
}

/*
 * What the parent has for a block; blocks ascend from call to call, with jumps. A parent that is
 * damaged is as good as none where everything is read anyway: an old checkpoint's damage must not
 * keep anybody from making a new, whole one.
 */
static int parent_ref(struct backup *b, uint64_t block, struct block_ref *ret_ref, struct err *e)
{
	struct err why = {0};

	memset(ret_ref, 0, sizeof(*ret_ref));
	if (!b->parent || walk_to(b, block << TREE_BLOCK_LOG, ret_ref, &why) == 0)
		return 0;
	if (why.kind == ERR_CORRUPT && !b->job->incremental) {
		b->parent = NULL;
		return 0;
	}
	*e = why;
	return -1;
}

/* ---- reads ---- */

/* Make items of what is read, and hand the slot on. */
static int give_items(struct backup *b, struct pipeline *p, struct pipe_slot *slot, struct err *e)
{
	slot->n_items = slot->n_blocks;
	for (size_t i = 0; i < slot->n_items; i++) {
		slot->items[i].off = (uint32_t)(i << TREE_BLOCK_LOG);
		slot->items[i].len = (uint32_t)BLOCK;
	}
	progress_add(&b->job->progress->passed, slot->kind == SLOT_AUDIT ? 0 : slot->read.len);
	return pipeline_give(p, slot) ? 0 : pipeline_check(p, e);
}

/* The disk's last block is padded with zeros. */
static void pad(struct pipe_slot *slot)
{
	size_t padded = slot->n_blocks << TREE_BLOCK_LOG;

	memset(slot->buf + slot->read.len, 0, padded - slot->read.len);
}

static int landed(struct backup *b, struct pipeline *p, struct pipe_slot *slot, struct err *e)
{
	if (slot->read.error)
		return err_sys(e, slot->read.error, "read %s at %llu", b->job->source->name,
			       (unsigned long long)slot->read.off);
	pad(slot);
	return give_items(b, p, slot, e);
}

/* For a source that workers read. */
static int fill(void *arg, struct pipe_slot *slot, struct err *e)
{
	const struct backup *b = arg;
	struct source *src = b->job->source;

	if (src->ops->read(src, slot->buf, slot->read.len, slot->read.off, e) < 0)
		return -1;
	pad(slot);
	return 0;
}

/* Let reads finish; hand on those that are done. */
static int poll_reads(struct backup *b, struct pipeline *p, int timeout_ms, struct err *e)
{
	struct source *src = b->job->source;
	size_t kept = 0;

	if (src->ops->wait && src->ops->wait(src, timeout_ms, e) < 0)
		return -1;
	for (size_t i = 0; i < b->n_flying; i++) {
		struct pipe_slot *slot = b->flying[i];

		if (!slot->read.done)
			b->flying[kept++] = slot;
		else if (landed(b, p, slot, e) < 0)
			return -1;
	}
	b->n_flying = kept;
	return pipeline_check(p, e);
}

/* A free slot, while reads in flight go on. */
static struct pipe_slot *next_slot(struct backup *b, struct pipeline *p, struct err *e)
{
	for (;;) {
		struct pipe_slot *slot = pipeline_slot(p, b->n_flying == 0);

		if (slot)
			return slot;
		if (b->n_flying == 0) {
			pipeline_check(p, e);
			return NULL;
		}
		if (poll_reads(b, p, WAIT_MS, e) < 0)
			return NULL;
	}
}

static int start_read(struct backup *b, struct pipeline *p, enum slot_kind kind, uint64_t first,
		      uint64_t n, struct err *e)
{
	struct source *src = b->job->source;
	struct pipe_slot *slot;

	while (b->n_flying >= src->in_flight) {
		if (poll_reads(b, p, WAIT_MS, e) < 0)
			return -1;
	}
	slot = next_slot(b, p, e);
	if (!slot)
		return -1;
	slot->kind = kind;
	slot->first = first;
	slot->n_blocks = n;
	for (uint64_t i = 0; i < n; i++) {
		if (parent_ref(b, first + i, &slot->items[i].parent, e) < 0)
			return -1;
	}
	slot->read = (struct source_read){.buf = slot->buf, .off = first << TREE_BLOCK_LOG};
	slot->read.len = (size_t)MIN(n << TREE_BLOCK_LOG, b->size - slot->read.off);
	if (b->job->pace && pace_keep(b->job->pace, slot->read.len, b->job->cancel, e) < 0)
		return -1;
	if (src->ops->read)
		return give_items(b, p, slot, e);
	b->flying[b->n_flying++] = slot;
	if (src->ops->start(src, &slot->read, e) < 0)
		return -1;
	return slot->read.done ? poll_reads(b, p, 0, e) : 0;
}

/* ---- the reader ---- */

/* A run is passed without being read; of the disk's last block only what the disk has counts. */
static void pass_run(struct backup *b, const struct block_run *r)
{
	uint64_t off = r->first << TREE_BLOCK_LOG;

	progress_add(&b->job->progress->passed, MIN(r->n << TREE_BLOCK_LOG, b->size - off));
}

static int read_run(struct backup *b, struct pipeline *p, const struct block_run *r, struct err *e)
{
	for (uint64_t i = 0; i < r->n; i += SLOT_BLOCKS_MAX) {
		if (start_read(b, p, SLOT_BLOCKS, r->first + i, MIN(r->n - i, SLOT_BLOCKS_MAX), e) <
		    0)
			return -1;
	}
	return 0;
}

/* Zeros: nothing to do in a new tree; in a copy of the parent's they make a hole. */
static int clear_run(struct backup *b, struct pipeline *p, const struct block_run *r, struct err *e)
{
	struct pipe_slot *slot;

	pass_run(b, r);
	if (!b->copies)
		return 0;
	slot = next_slot(b, p, e);
	if (!slot)
		return -1;
	slot->kind = SLOT_CLEAR;
	slot->first = r->first;
	slot->n_blocks = r->n;
	return pipeline_give(p, slot) ? 0 : pipeline_check(p, e);
}

/* Those before this block are over. */
static void skip_audits(struct backup *b, uint64_t block)
{
	while (b->next_audit < b->n_audits && b->audits[b->next_audit] < block)
		b->next_audit++;
}

static int keep_run(struct backup *b, struct pipeline *p, const struct block_run *r, struct err *e)
{
	struct block_ref was;

	pass_run(b, r);
	skip_audits(b, r->first);
	for (; b->next_audit < b->n_audits; b->next_audit++) {
		uint64_t block = b->audits[b->next_audit];

		if (block >= r->first + r->n)
			return 0;
		if (parent_ref(b, block, &was, e) < 0)
			return -1;
		/* Holes say little: most of a disk is holes. */
		if (!block_id_is_zero(&was.id) && start_read(b, p, SLOT_AUDIT, block, 1, e) < 0)
			return -1;
	}
	return 0;
}

/* Is it time to look whether this block is what tracking says? */
static bool audited(struct backup *b, uint64_t block)
{
	skip_audits(b, block);
	return b->next_audit < b->n_audits && b->audits[b->next_audit] == block;
}

static int give_kept(struct pipeline *p, struct pipe_slot **slot, struct err *e)
{
	if (!*slot || pipeline_give(p, steal(slot)))
		return 0;
	return pipeline_check(p, e);
}

/* One block of an unchanged run, which goes to `slot` if the repository is sure to keep it. */
static int keep_block(struct backup *b, struct pipeline *p, uint64_t block, struct pipe_slot **slot,
		      struct err *e)
{
	struct pipe_item it = {.state = ITEM_ZERO};
	int known = 1;

	if (parent_ref(b, block, &it.is, e) < 0)
		return -1;
	if (!block_id_is_zero(&it.is.id)) {
		it.state = ITEM_KNOWN;
		known = session_knows(b->session, &it.is.id, e);
	}
	if (known < 0 || ((!known || audited(b, block)) && give_kept(p, slot, e) < 0))
		return -1;
	if (!known)
		return start_read(b, p, SLOT_BLOCKS, block, 1, e);
	if (it.state != ITEM_ZERO && audited(b, block) &&
	    start_read(b, p, SLOT_AUDIT, block, 1, e) < 0)
		return -1;
	if (!*slot) {
		*slot = next_slot(b, p, e);
		if (!*slot)
			return -1;
		(*slot)->kind = SLOT_KEPT;
		(*slot)->first = block;
	}
	(*slot)->items[(*slot)->n_items++] = it;
	pass_run(b, &(struct block_run){.first = block, .n = 1});
	return (*slot)->n_items == SLOT_ITEMS ? give_kept(p, slot, e) : 0;
}

static int look_up_run(struct backup *b, struct pipeline *p, const struct block_run *r,
		       struct err *e)
{
	struct pipe_slot *slot = NULL;

	for (uint64_t i = 0; i < r->n; i++) {
		if (keep_block(b, p, r->first + i, &slot, e) < 0)
			return -1;
	}
	return give_kept(p, &slot, e);
}

static int take_runs(struct backup *b, struct pipeline *p, struct blockmap *m, struct err *e)
{
	struct block_run r;

	while (blockmap_take(m, &r)) {
		int rc = r.kind == EXTENT_DATA	 ? read_run(b, p, &r, e)
			 : r.kind == EXTENT_ZERO ? clear_run(b, p, &r, e)
			 : b->copies		 ? keep_run(b, p, &r, e)
						 : look_up_run(b, p, &r, e);

		if (rc < 0)
			return -1;
	}
	return pipeline_check(p, e);
}

/*
 * The map of one region. What the parent does not have cannot be unchanged; nor can a block that is
 * cut off by the end of either disk, because the parent's has other bytes behind that end.
 */
static int map_region(struct backup *b, struct blockmap *m, struct extent_list *l, struct err *e)
{
	struct source *src = b->job->source;
	uint64_t both = b->job->incremental ? MIN(b->job->parent->size, b->size) : 0;
	uint64_t had = both / BLOCK * BLOCK;
	uint64_t off = m->at;

	l->n = 0;
	if (src->ops->map(src, off, MIN(REGION, b->size - off), l, e) < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		struct extent x = l->v[i];
		uint64_t known = off < had ? MIN(x.len, had - off) : 0;

		off += x.len;
		if (x.kind != EXTENT_CLEAN && x.kind != EXTENT_CLEAN_ZERO) {
			blockmap_add(m, x.len, x.kind);
			continue;
		}
		blockmap_add(m, known, EXTENT_CLEAN);
		blockmap_add(m, x.len - known, x.kind == EXTENT_CLEAN ? EXTENT_DATA : EXTENT_ZERO);
	}
	return 0;
}

static int read_disk(struct pipeline *p, void *arg, struct err *e)
{
	struct backup *b = arg;
	struct extent_list extents = {0};
	struct blockmap m;
	int rc = 0;

	blockmap_init(&m, BLOCK, b->size);
	while (m.at < b->size && rc == 0) {
		rc = map_region(b, &m, &extents, e);
		if (rc == 0)
			rc = take_runs(b, p, &m, e);
	}
	while (rc == 0 && b->n_flying)
		rc = poll_reads(b, p, WAIT_MS, e);
	/* The slots that they read into go with the pipeline. */
	if (rc < 0 && b->job->source->ops->drop)
		b->job->source->ops->drop(b->job->source);
	blockmap_done(&m);
	extent_done(&extents);
	return rc;
}

/* ---- the tree ---- */

static int place(void *arg, const struct pipe_slot *slot, struct err *e)
{
	struct backup *b = arg;

	if (slot->kind == SLOT_CLEAR)
		return tree_edit_clear(b->edit, slot->first, slot->first + slot->n_blocks, e);
	for (size_t i = 0; i < slot->n_items; i++) {
		/* In a new tree holes are there already. */
		if (slot->items[i].state == ITEM_ZERO && !b->copies)
			continue;
		if (tree_edit_set(b->edit, slot->first + i, &slot->items[i].is, e) < 0)
			return -1;
	}
	return 0;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void pick_audits(struct backup *b)
{
	if (b->blocks == 0)
		return;
	random_bytes(b->audits, sizeof(b->audits));
	for (int i = 0; i < AUDITS; i++)
		b->audits[i] %= b->blocks;
	qsort(b->audits, AUDITS, sizeof(b->audits[0]), ascending);
	for (int i = 0; i < AUDITS; i++) {
		if (b->n_audits == 0 || b->audits[b->n_audits - 1] != b->audits[i])
			b->audits[b->n_audits++] = b->audits[i];
	}
}

static int run(struct backup *b, struct session *s, struct fetch *fetch, struct fetch *walk_fetch,
	       struct codec *codec, struct tree *ret_tree, struct point_stats *stats, struct err *e)
{
	const struct backup_disk *job = b->job;
	AUTO(tree_walk) parent = job->parent ? tree_walk_new(job->parent, walk_fetch) : NULL;
	AUTO(tree_edit)
	edit = tree_edit_new(b->copies ? job->parent : NULL, b->size, fetch, codec,
			     session_put_node, s, e);
	struct pipeline_job run = {.session = s,
				   .in_flight = job->source->in_flight,
				   .read = read_disk,
				   .fill = job->source->ops->read ? fill : NULL,
				   .place = place,
				   .arg = b,
				   .progress = job->progress,
				   .cancel = job->cancel};

	if (!edit)
		return -1;
	b->edit = edit;
	b->parent = parent;
	if (pipeline_run(&run, stats, e) < 0)
		return -1;
	return tree_edit_finish(edit, ret_tree, e);
}

/* A parent counts only if its checkpoint was there after the session began. */
static int check_parent(struct session *s, struct backup_disk *job, struct err *e)
{
	int there;

	if (job->parent && !job->parent_point)
		session_takes(s, NULL);
	if (!job->parent || !job->parent_point)
		return 0;
	there = session_sees(s, job->parent_point, e);
	if (there > 0)
		session_takes(s, job->parent_point);
	if (there)
		return there < 0 ? -1 : 0;
	if (job->incremental)
		return err_set(e, ERR_CONFLICT,
			       "the checkpoint to compare with was deleted meanwhile");
	job->parent = NULL;
	return 0;
}

static int read_into(struct session *s, const struct backup_disk *job, struct tree *ret_tree,
		     struct point_stats *ret_stats, struct err *e)
{
	struct backup b = {.job = job, .session = s, .size = job->source->size};
	struct point_stats stats = {.content = b.size};
	AUTO(fetch) fetch = fetch_new(session_repo(s));
	AUTO(fetch) walk_fetch = fetch_new(session_repo(s));
	AUTO(codec) codec = codec_new(repo_keys(session_repo(s)), session_level(s));
	uint64_t start = clock_mono_us(), passed = progress_get(&job->progress->passed);
	struct err why = {0};
	int rc;

	if (b.size > TREE_SIZE_MAX)
		return err_set(e, ERR_LIMIT, "%s is too large", job->source->name);
	b.blocks = DIV_UP(b.size, BLOCK);
	b.copies = job->incremental && session_condemned(s)->n == 0;
	if (job->incremental)
		pick_audits(&b);
	b.flying = xcalloc(job->source->in_flight + 1, sizeof(struct pipe_slot *));
	rc = run(&b, s, fetch, walk_fetch, codec, ret_tree, &stats, &why);
	free(b.flying);
	if (rc < 0 && job->incremental && why.kind == ERR_CORRUPT) {
		err_wrap(&why, "the checkpoint to compare with cannot be used");
		why.kind = ERR_CONFLICT;
	}
	if (rc < 0) {
		/* Whoever reads it again begins at its beginning. */
		atomic_store(&job->progress->passed, passed);
		if (e)
			*e = why;
		return -1;
	}
	stats.spent_us = clock_mono_us() - start;
	*ret_stats = stats;
	return 0;
}

int backup_disk(struct session *s, const struct backup_disk *job, struct tree *ret_tree,
		struct point_stats *ret_stats, struct err *e)
{
	struct backup_disk mine = *job;

	if (check_parent(s, &mine, e) < 0)
		return -1;
	return read_into(s, &mine, ret_tree, ret_stats, e);
}
