/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/pipeline.h"

#include "base/crew.h"
#include "base/uuid.h"
#include "repo/encoder.h"

#define SLOTS_MAX 192 /* 96 MiB */

struct pipeline {
	const struct pipeline_job *job;
	struct point_stats *stats;
	struct pipe_slot *slots;
	size_t n_slots;
	uint64_t next_number; /* of the reader */
	struct queue *free_slots;
	struct queue *filled;
	struct seq *worked;
	atomic_uint working; /* workers that have not ended */
	struct crew *crew;
};

struct pipe_slot *pipeline_slot(struct pipeline *p, bool wait)
{
	struct pipe_slot *slot = wait ? queue_take(p->free_slots) : queue_try(p->free_slots);

	if (!slot)
		return NULL;
	slot->number = p->next_number++;
	slot->n_items = 0;
	return slot;
}

bool pipeline_give(struct pipeline *p, struct pipe_slot *slot)
{
	return queue_give(p->filled, slot);
}

int pipeline_check(struct pipeline *p, struct err *e)
{
	if (cancel_check(p->job->cancel, e) < 0)
		return -1;
	/* The failure that matters is the first one; this one is not shown. */
	return crew_stopping(p->crew) ? err_set(e, ERR_CANCELLED, "stopped") : 0;
}

static void stop(void *arg)
{
	struct pipeline *p = arg;

	queue_close(p->free_slots);
	queue_close(p->filled);
	seq_close(p->worked);
}

static int reader(void *arg, struct err *e)
{
	struct pipeline *p = arg;
	int rc = p->job->read(p, p->job->arg, e);

	queue_close(p->filled);
	return rc;
}

/* ---- workers ---- */

struct worker {
	struct pipeline *p;
	struct encoder *encoder;
	uint8_t *out;
	bool careful;  /* a parent's block is not known for that: a collector may drop it */
	unsigned turn; /* of blocks that their fingerprint says are equal */
};

/*
 * Is the block what stood here before? Fingerprints say so; but one of HASHED_ALL_THE_SAME such
 * blocks, other ones in every backup, gets its id from its content all the same: what a fault of
 * this machine's memory stored under a wrong fingerprint is so found in time, and stored anew.
 * Whatever may be stored has its id from its content.
 */
#define HASHED_ALL_THE_SAME 16

static bool same_print(struct worker *w, const struct pipe_item *it)
{
	return !w->careful && !block_id_is_zero(&it->parent.id) &&
	       block_print_equal(&it->is.print, &it->parent.print) &&
	       ++w->turn % HASHED_ALL_THE_SAME != 0;
}

static void identify(struct worker *w, const struct pipe_slot *slot, struct pipe_item *it,
		     const uint8_t *data)
{
	struct codec *codec = encoder_codec(w->encoder);

	codec_print(codec, data, it->len, &it->is.print);
	if (slot->kind != SLOT_AUDIT && same_print(w, it))
		it->is.id = it->parent.id;
	else
		codec_id(codec, BLOCK_DATA, data, it->len, &it->is.id);
}

static int work_item(struct worker *w, const struct pipe_slot *slot, struct pipe_item *it,
		     struct err *e)
{
	uint8_t *data = slot->buf + it->off;
	int known;

	it->payload = 0;
	it->is = (struct block_ref){0};
	if (block_all_zero(data, it->len)) {
		it->state = ITEM_ZERO;
		return 0;
	}
	identify(w, slot, it, data);
	it->state = ITEM_KNOWN;
	if (slot->kind == SLOT_AUDIT || (block_id_equal(&it->is.id, &it->parent.id) && !w->careful))
		return 0;
	known = session_knows(w->p->job->session, &it->is.id, e);
	if (known)
		return known < 0 ? -1 : 0;
	it->state = ITEM_NEW;
	it->payload = (uint32_t)encoder_encode(w->encoder, &it->parent.id, data, it->len, w->out,
					       &it->encoding);
	if (it->encoding != BLOCK_RAW)
		memcpy(data, w->out, it->payload);
	return 0;
}

static int work_slot(struct worker *w, struct pipe_slot *slot, struct err *e)
{
	const struct pipeline_job *job = w->p->job;

	if (slot->n_items == 0 || slot->kind == SLOT_KEPT)
		return 0;
	if (job->fill && job->fill(job->arg, slot, e) < 0)
		return -1;
	for (size_t i = 0; i < slot->n_items; i++) {
		if (work_item(w, slot, &slot->items[i], e) < 0)
			return -1;
	}
	return 0;
}

static int work_loop(struct worker *w, struct err *e)
{
	struct pipe_slot *slot;

	while ((slot = queue_take(w->p->filled)) != NULL) {
		if (work_slot(w, slot, e) < 0)
			return -1;
		if (!seq_give(w->p->worked, slot->number, slot))
			return 0;
	}
	return 0;
}

static int worker(void *arg, struct err *e)
{
	struct pipeline *p = arg;
	struct session *s = p->job->session;
	struct worker w = {p, encoder_new(s), xmalloc(SLOT_BYTES), session_condemned(s)->n > 0, 0};
	int rc;

	random_bytes(&w.turn, sizeof(w.turn));
	rc = work_loop(&w, e);

	encoder_free(w.encoder);
	free(w.out);
	/* The last one tells the packer that no more will come. */
	if (atomic_fetch_sub(&p->working, 1) == 1)
		seq_close(p->worked);
	return rc;
}

/* ---- packer ---- */

static int pack_item(struct pipeline *p, const struct pipe_slot *slot, const struct pipe_item *it,
		     struct err *e)
{
	struct progress *pr = p->job->progress;
	size_t stored;

	progress_add(&pr->read, it->len);
	p->stats->read += it->len;
	if (it->state != ITEM_NEW)
		return 0;
	if (session_put(p->job->session, BLOCK_DATA, &it->is.id, it->encoding, slot->buf + it->off,
			it->payload, &stored, e) < 0)
		return -1;
	if (stored) {
		progress_add(&pr->fresh, it->len);
		progress_add(&pr->stored, stored);
		p->stats->fresh += it->len;
		p->stats->stored += stored;
	}
	return 0;
}

static int audit(const struct pipe_slot *slot, struct err *e)
{
	for (size_t i = 0; i < slot->n_items; i++) {
		if (!block_id_equal(&slot->items[i].is.id, &slot->items[i].parent.id))
			return err_set(
				e, ERR_CONFLICT,
				"block %llu changed although change tracking says that it did "
				"not",
				(unsigned long long)(slot->first + i));
	}
	return 0;
}

static int pack_slot(struct pipeline *p, const struct pipe_slot *slot, struct err *e)
{
	for (size_t i = 0; i < slot->n_items; i++) {
		if (pack_item(p, slot, &slot->items[i], e) < 0)
			return -1;
	}
	return slot->kind == SLOT_AUDIT ? audit(slot, e) : p->job->place(p->job->arg, slot, e);
}

/* In the caller's thread, because the session belongs to it. */
static int pack_all(struct pipeline *p, struct err *e)
{
	struct pipe_slot *slot;

	while ((slot = seq_take(p->worked)) != NULL) {
		if (pack_slot(p, slot, e) < 0)
			return -1;
		if (!queue_give(p->free_slots, slot))
			return 0;
	}
	return 0;
}

/* ---- running ---- */

static void set_up(struct pipeline *p, unsigned workers)
{
	p->n_slots = MIN(2 * workers + p->job->in_flight + 4, (unsigned)SLOTS_MAX);
	p->slots = xcalloc(p->n_slots, sizeof(*p->slots));
	p->free_slots = queue_new(p->n_slots);
	p->filled = queue_new(p->n_slots);
	p->worked = seq_new(p->n_slots);
	p->crew = crew_new(stop, p);
	for (size_t i = 0; i < p->n_slots; i++) {
		p->slots[i].buf = xmalloc_pages(SLOT_BYTES);
		queue_give(p->free_slots, &p->slots[i]);
	}
}

static void tear_down(struct pipeline *p)
{
	crew_free(p->crew);
	for (size_t i = 0; i < p->n_slots; i++)
		free(p->slots[i].buf);
	queue_free(p->free_slots);
	queue_free(p->filled);
	seq_free(p->worked);
	free(p->slots);
}

static int start(struct pipeline *p, unsigned workers, struct err *e)
{
	atomic_store(&p->working, workers);
	for (unsigned i = 0; i < workers; i++) {
		if (crew_add(p->crew, worker, p, e) < 0)
			return -1;
	}
	return crew_add(p->crew, reader, p, e);
}

int pipeline_run(const struct pipeline_job *job, struct point_stats *stats, struct err *e)
{
	struct pipeline p = {.job = job, .stats = stats};
	unsigned workers = crew_cores();
	struct err why = {0};
	int rc;

	set_up(&p, workers);
	if (start(&p, workers, &why) < 0 || pack_all(&p, &why) < 0)
		crew_fail(p.crew, &why);
	rc = crew_join(p.crew, e);
	tear_down(&p);
	return rc;
}
