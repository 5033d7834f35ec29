/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store is listed twice: to know how much there is to read, and to hand every small object to a
 * worker. Packs and runs are put in order by the first list. What goes away meanwhile was removed
 * by somebody with a right to; what comes is the next run's.
 */
#include "repo/scrub.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crew.h"
#include "base/queue.h"
#include "repo/epoch.h"
#include "repo/header.h"
#include "repo/object.h"
#include "repo/pack.h"
#include "repo/point.h"
#include "repo/run.h"

#define PIECE ((size_t)1 << 20)
#define WAITING 64

/* How an object says what it should be. */
enum proof { PROOF_NONE, PROOF_NAME, PROOF_END };

static enum proof proof_of(const char *key, uint8_t ret_name[HASH_BYTES])
{
	struct uuid id;

	if (pack_key_parse(key, ret_name) || run_key_parse(key, ret_name))
		return PROOF_NAME;
	if (point_key_parse(key, &id) || epoch_key_parse(key) || keyring_key_parse(key))
		return PROOF_END;
	return PROOF_NONE;
}

/* ---- one object ---- */

/* A pack or a run. */
struct named {
	uint8_t name[HASH_BYTES];
	bool run, bad;
	uint64_t size, when_us; /* of its last verification */
};

/* An object to be looked at. */
struct job {
	char key[STORE_KEY_MAX];
	struct named *named; /* NULL: a small one */
};

struct scrubbing {
	const struct scrub *s;
	struct crew *crew;
	struct queue *jobs;
	uint64_t start_us;    /* monotonic */
	pthread_mutex_t lock; /* of the two below, and of s->bad */
	struct scrub_result result;
	uint64_t free_us; /* until then what was read keeps to the rate */
	/* of the thread that lists; one that is read, of the worker that reads it: */
	struct named *named;
	size_t n_named, cap_named, n_chosen; /* the first of them are read */
	uint64_t listed_bytes, now_us;
	bool has_keys, has_header;
};

/* Stand still for as long as reading faster than allowed takes. */
static int keep_to_rate(struct scrubbing *sc, size_t n, struct err *e)
{
	uint64_t rate = sc->s->bounds.bytes_per_s, now = clock_mono_us(), until;

	if (!rate)
		return 0;
	pthread_mutex_lock(&sc->lock);
	sc->free_us = MAX(sc->free_us, now) + (uint64_t)n * 1000000 / rate;
	until = sc->free_us;
	pthread_mutex_unlock(&sc->lock);
	for (; now < until; now = clock_mono_us()) {
		if (cancel_check(sc->s->cancel, e) < 0)
			return -1;
		clock_sleep_ms((unsigned)MIN((until - now) / 1000 + 1, (uint64_t)100));
	}
	return 0;
}

static bool out_of_time(const struct scrubbing *sc)
{
	uint64_t most = sc->s->bounds.time_us;

	return most && clock_mono_us() - sc->start_us >= most;
}

static void was_read(struct scrubbing *sc, uint64_t bytes)
{
	progress_add(&sc->s->progress->read, bytes);
	progress_add(&sc->s->progress->passed, bytes);
}

static int damaged(struct scrubbing *sc, const char *key, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "%s/%s: its bytes are not those that were written",
		       sc->s->store->url, key);
}

static int check_name(struct scrubbing *sc, const char *key, const uint8_t name[HASH_BYTES],
		      uint8_t *piece, uint64_t *ret_len, struct err *e)
{
	AUTO(digest) d = digest_new();
	uint8_t hash[HASH_BYTES];
	ssize_t n;

	do {
		if (cancel_check(sc->s->cancel, e) < 0)
			return -1;
		n = store_get(sc->s->store, key, *ret_len, piece, PIECE, e);
		if (n < 0)
			return -1;
		digest_add(d, piece, (size_t)n);
		*ret_len += (size_t)n;
		was_read(sc, (uint64_t)n);
		if (keep_to_rate(sc, (size_t)n, e) < 0)
			return -1;
	} while ((size_t)n == PIECE);
	digest_take(d, hash);
	return memcmp(hash, name, HASH_BYTES) == 0 ? 0 : damaged(sc, key, e);
}

static int check_small(struct scrubbing *sc, const char *key, uint64_t *ret_len, struct err *e)
{
	AUTO_BUF bytes = BUF_INIT;
	uint8_t hash[HASH_BYTES];
	struct header h;

	if (store_slurp(sc->s->store, key, OBJECT_MAX, &bytes, e) < 0)
		return -1;
	*ret_len = bytes.len;
	was_read(sc, bytes.len);
	if (strcmp(key, HEADER_KEY) == 0)
		return header_decode(bytes.data, bytes.len, &h, e) < 0
			       ? err_wrap(e, "%s/%s", sc->s->store->url, key)
			       : 0;
	if (bytes.len <= HASH_BYTES)
		return damaged(sc, key, e);
	sha256(bytes.data, bytes.len - HASH_BYTES, hash);
	return memcmp(hash, bytes.data + bytes.len - HASH_BYTES, HASH_BYTES) == 0
		       ? 0
		       : damaged(sc, key, e);
}

static void count(struct scrubbing *sc, const char *key, uint64_t len, const struct err *why)
{
	pthread_mutex_lock(&sc->lock);
	sc->result.objects++;
	sc->result.bytes += len;
	if (why) {
		sc->result.damaged++;
		sc->s->bad(sc->s->arg, key, why);
	}
	pthread_mutex_unlock(&sc->lock);
}

/* What is damaged is never young enough to be passed over. */
static void judge(struct scrubbing *sc, const struct job *j, uint64_t len, const struct err *why)
{
	if (j->named) {
		j->named->bad = why != NULL;
		j->named->when_us = why ? 0 : sc->now_us;
	}
	count(sc, j->key, len, why);
}

/* Whatever is wrong with an object, the others are looked at; only a stop stops. */
static int check(struct scrubbing *sc, const struct job *j, uint8_t *piece, struct err *e)
{
	struct err why = {0};
	uint64_t len = 0;
	int rc = j->named ? check_name(sc, j->key, j->named->name, piece, &len, &why)
			  : check_small(sc, j->key, &len, &why);

	if (rc < 0 && why.kind == ERR_CANCELLED) {
		if (e)
			*e = why;
		return -1;
	}
	/* A newer version's header is no damage, but none of ours to judge. */
	if (rc == 0 || why.kind == ERR_VERSION)
		judge(sc, j, len, NULL);
	else if (why.kind != ERR_NOENT)
		judge(sc, j, len, &why);
	return 0;
}

static void leave(struct scrubbing *sc)
{
	pthread_mutex_lock(&sc->lock);
	sc->result.due++;
	pthread_mutex_unlock(&sc->lock);
}

static int worker(void *arg, struct err *e)
{
	struct scrubbing *sc = arg;
	AUTO_FREE uint8_t *piece = xmalloc_pages(PIECE);
	struct job *j;
	int rc = 0;

	while (rc == 0 && (j = queue_take(sc->jobs)) != NULL) {
		if (j->named && out_of_time(sc))
			leave(sc);
		else
			rc = check(sc, j, piece, e);
		free(j);
	}
	return rc;
}

/* ---- all objects ---- */

static void note_named(struct scrubbing *sc, const char *key, const uint8_t name[HASH_BYTES],
		       uint64_t size)
{
	struct named *n;

	if (sc->n_named == sc->cap_named) {
		sc->cap_named = sc->cap_named ? sc->cap_named * 2 : 256;
		sc->named = xreallocarray(sc->named, sc->cap_named, sizeof(*sc->named));
	}
	n = &sc->named[sc->n_named++];
	*n = (struct named){.size = size, .run = key[0] == 'i'};
	memcpy(n->name, name, HASH_BYTES);
	if (sc->s->verified)
		n->when_us = verified_when(sc->s->verified, name, sc->now_us);
}

static int measure(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct scrubbing *sc = arg;
	uint8_t name[HASH_BYTES];
	enum proof proof = proof_of(key, name);

	(void)e;
	if (proof == PROOF_NONE)
		sc->result.strange++;
	else if (proof == PROOF_NAME)
		note_named(sc, key, name, size);
	else
		sc->listed_bytes += size;
	sc->has_keys = sc->has_keys || strncmp(key, "keys/", 5) == 0;
	return 0;
}

static int hand_over(struct scrubbing *sc, const char *key, struct named *named, struct err *e)
{
	struct job *j;

	if (cancel_check(sc->s->cancel, e) < 0)
		return -1;
	j = xcalloc(1, sizeof(*j));
	snprintf(j->key, sizeof(j->key), "%s", key);
	j->named = named;
	if (queue_give(sc->jobs, j))
		return 0;
	free(j);
	return err_set(e, ERR_CANCELLED, "stopped"); /* a worker failed: its reason is shown */
}

static int hand_out(void *arg, const char *key, uint64_t size, struct err *e)
{
	uint8_t name[HASH_BYTES];

	(void)size;
	return proof_of(key, name) == PROOF_END ? hand_over(arg, key, NULL, e) : 0;
}

static int by_age(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return x->when_us != y->when_us ? (x->when_us > y->when_us) - (x->when_us < y->when_us)
					: memcmp(x->name, y->name, HASH_BYTES);
}

static bool is_young(const struct scrubbing *sc, const struct named *n)
{
	uint64_t most = sc->s->bounds.max_age_us;

	return most && n->when_us && sc->now_us - n->when_us < most;
}

/* In order of age; those that are young enough, and those beyond the bound, are cut off. */
static void choose(struct scrubbing *sc)
{
	const struct scrub_bounds *b = &sc->s->bounds;
	uint64_t bytes = 0;
	size_t n = 0;

	if (sc->n_named)
		qsort(sc->named, sc->n_named, sizeof(*sc->named), by_age);
	while (n < sc->n_named) {
		const struct named *x = &sc->named[n];

		if (is_young(sc, x) || (b->bytes && n && bytes + x->size > b->bytes))
			break;
		bytes += x->size;
		n++;
	}
	for (size_t i = n; i < sc->n_named; i++) {
		if (is_young(sc, &sc->named[i]))
			sc->result.passed++;
		else
			sc->result.due++;
	}
	sc->listed_bytes += bytes;
	sc->n_chosen = n;
}

static int hand_out_named(struct scrubbing *sc, struct err *e)
{
	char key[STORE_KEY_MAX];

	for (size_t i = 0; i < sc->n_chosen; i++) {
		struct named *n = &sc->named[i];

		if (n->run)
			run_key_name(n->name, key);
		else
			pack_key_name(n->name, key);
		if (hand_over(sc, key, n, e) < 0)
			return -1;
	}
	return 0;
}

static int list_all(struct scrubbing *sc, store_list_fn *fn, struct err *e)
{
	static const char *const prefixes[] = {"keys/", "points/", "epochs/", "index/", "packs/"};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		if (store_list(sc->s->store, prefixes[i], fn, sc, e) < 0)
			return -1;
	}
	return 0;
}

/* Without a header there may be a repository all the same: see the format, section 3. */
static int look(struct scrubbing *sc, struct err *e)
{
	struct store *s = sc->s->store;
	struct err missing;
	uint64_t size = 0;
	int there;

	if (list_all(sc, measure, e) < 0)
		return -1;
	choose(sc);
	there = store_has(s, HEADER_KEY, e);
	if (there < 0 || (there && store_size(s, HEADER_KEY, &size, e) < 0))
		return -1;
	if (!there && !sc->has_keys)
		return err_set(e, ERR_NOENT, "there is no repository in %s", s->url);
	if (!there) {
		err_set(&missing, ERR_CORRUPT, "%s/%s is missing", s->url, HEADER_KEY);
		count(sc, HEADER_KEY, 0, &missing);
	}
	sc->has_header = there;
	atomic_store(&sc->s->progress->total, sc->listed_bytes + size);
	return 0;
}

static void stop(void *arg)
{
	struct scrubbing *sc = arg;

	queue_close(sc->jobs);
}

static int read_all(struct scrubbing *sc, struct err *e)
{
	for (unsigned i = crew_cores(); i; i--) {
		if (crew_add(sc->crew, worker, sc, e) < 0)
			return -1;
	}
	if (sc->has_header && hand_over(sc, HEADER_KEY, NULL, e) < 0)
		return -1;
	return list_all(sc, hand_out, e) < 0 ? -1 : hand_out_named(sc, e);
}

/* What is known afterwards of all that is there, for who asked; and how old the oldest of it is. */
static void remember(struct scrubbing *sc)
{
	struct verified *v = sc->s->verified;
	struct pack_set *bad = sc->s->bad_packs;

	if (v)
		v->n = 0;
	for (size_t i = 0; i < sc->n_named; i++) {
		const struct named *x = &sc->named[i];

		if (i == 0 || x->when_us < sc->result.oldest_us)
			sc->result.oldest_us = x->when_us;
		if (v && x->when_us)
			verified_add(v, x->name, x->when_us);
		if (bad && x->bad && !x->run)
			pack_set_add(bad, x->name);
	}
	if (v)
		verified_sort(v);
	if (bad)
		pack_set_sort(bad);
}

int scrub_run(const struct scrub *s, struct scrub_result *ret, struct err *e)
{
	struct scrubbing sc = {.s = s,
			       .jobs = queue_new(WAITING),
			       .start_us = clock_mono_us(),
			       .now_us = clock_wall_us()};
	struct err why = {0};
	struct job *j;
	int rc;

	pthread_mutex_init(&sc.lock, NULL);
	sc.crew = crew_new(stop, &sc);
	rc = look(&sc, &why);
	if (rc == 0)
		rc = read_all(&sc, &why);
	if (rc < 0)
		crew_fail(sc.crew, &why);
	queue_close(sc.jobs);
	rc = crew_join(sc.crew, e);
	while ((j = queue_try(sc.jobs)) != NULL)
		free(j);
	crew_free(sc.crew);
	queue_free(sc.jobs);
	pthread_mutex_destroy(&sc.lock);
	remember(&sc);
	free(sc.named);
	*ret = sc.result;
	return rc;
}
