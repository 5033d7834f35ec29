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
#include "repo/parity_store.h"
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
	bool run, bad, has_parity, bad_parity;
	uint64_t size;	  /* with its parity */
	uint64_t when_us; /* of its last verification */
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
	uint64_t start_us; /* monotonic */
	struct pace pace;
	pthread_mutex_t lock; /* of the result, and of s->bad */
	struct scrub_result result;
	/* of the thread that lists; one that is read, of the worker that reads it: */
	struct named *named;
	size_t n_named, cap_named, n_chosen; /* the first of them are read */
	uint64_t listed_bytes, now_us;
	bool has_keys, has_header;
};

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

/* The SHA-256 of an object's first `until` bytes. */
static int digest_object(struct scrubbing *sc, const char *key, uint64_t until, uint8_t *piece,
			 uint64_t *ret_len, uint8_t ret_hash[HASH_BYTES], struct err *e)
{
	AUTO(digest) d = digest_new();
	size_t want;
	ssize_t n;

	do {
		if (cancel_check(sc->s->cancel, e) < 0)
			return -1;
		want = (size_t)MIN((uint64_t)PIECE, until - *ret_len);
		n = store_get(sc->s->store, key, *ret_len, piece, want, e);
		if (n < 0)
			return -1;
		digest_add(d, piece, (size_t)n);
		*ret_len += (size_t)n;
		was_read(sc, (uint64_t)n);
		if (pace_keep(&sc->pace, (size_t)n, sc->s->cancel, e) < 0)
			return -1;
	} while ((size_t)n == want && *ret_len < until);
	digest_take(d, ret_hash);
	return 0;
}

static int check_name(struct scrubbing *sc, const char *key, const uint8_t name[HASH_BYTES],
		      uint8_t *piece, uint64_t *ret_len, struct err *e)
{
	uint8_t hash[HASH_BYTES];

	if (digest_object(sc, key, UINT64_MAX, piece, ret_len, hash, e) < 0)
		return -1;
	return memcmp(hash, name, HASH_BYTES) == 0 ? 0 : damaged(sc, key, e);
}

/* A large object that ends with the SHA-256 of what is before. */
static int check_end(struct scrubbing *sc, const char *key, uint8_t *piece, uint64_t *ret_len,
		     struct err *e)
{
	uint8_t hash[HASH_BYTES], end[HASH_BYTES];
	uint64_t size;

	if (store_size(sc->s->store, key, &size, e) < 0)
		return -1;
	if (size <= HASH_BYTES)
		return damaged(sc, key, e);
	if (digest_object(sc, key, size - HASH_BYTES, piece, ret_len, hash, e) < 0 ||
	    store_get_all(sc->s->store, key, size - HASH_BYTES, end, HASH_BYTES, e) < 0)
		return -1;
	*ret_len += HASH_BYTES;
	was_read(sc, HASH_BYTES);
	return memcmp(hash, end, HASH_BYTES) == 0 ? 0 : damaged(sc, key, e);
}

static int check_header(struct scrubbing *sc, const struct buf *text, struct err *e)
{
	struct header h = {0};

	if (header_decode(text->data, text->len, &h, e) < 0)
		return err_wrap(e, "%s/%s", sc->s->store->url, HEADER_KEY);
	pthread_mutex_lock(&sc->lock);
	sc->result.parity = h.parity;
	pthread_mutex_unlock(&sc->lock);
	return 0;
}

static int check_small(struct scrubbing *sc, const char *key, uint64_t *ret_len, struct err *e)
{
	AUTO_BUF bytes = BUF_INIT;
	uint8_t hash[HASH_BYTES];

	if (store_slurp(sc->s->store, key, OBJECT_MAX, &bytes, e) < 0)
		return -1;
	*ret_len = bytes.len;
	was_read(sc, bytes.len);
	if (strcmp(key, HEADER_KEY) == 0)
		return check_header(sc, &bytes, e);
	if (bytes.len <= HASH_BYTES)
		return damaged(sc, key, e);
	sha256(bytes.data, bytes.len - HASH_BYTES, hash);
	return memcmp(hash, bytes.data + bytes.len - HASH_BYTES, HASH_BYTES) == 0
		       ? 0
		       : damaged(sc, key, e);
}

static void count(struct scrubbing *sc, const char *key, uint64_t len, const struct err *why,
		  enum scrub_parity parity)
{
	struct scrub_finding f = {key, why, parity};

	pthread_mutex_lock(&sc->lock);
	sc->result.objects++;
	sc->result.bytes += len;
	if (why) {
		sc->result.damaged++;
		sc->s->bad(sc->s->arg, &f);
	}
	pthread_mutex_unlock(&sc->lock);
}

/* What was found out of an object: true when it is damaged. Of one that is gone there is nothing to
 * say, and a newer version's header is no damage, but none of ours to judge. */
static bool is_bad(int rc, const struct err *why)
{
	return rc < 0 && why->kind != ERR_VERSION && why->kind != ERR_NOENT;
}

static bool stopped(int rc, const struct err *why, struct err *e)
{
	if (rc == 0 || why->kind != ERR_CANCELLED)
		return false;
	if (e)
		*e = *why;
	return true;
}

static int check_parity(struct scrubbing *sc, struct named *n, uint8_t *piece, struct err *e)
{
	struct err why = {0};
	char key[STORE_KEY_MAX];
	uint64_t len = 0;
	int rc;

	parity_key_name(n->name, key);
	rc = check_end(sc, key, piece, &len, &why);
	if (stopped(rc, &why, e))
		return -1;
	n->bad_parity = is_bad(rc, &why);
	if (rc == 0 || n->bad_parity)
		count(sc, key, len, n->bad_parity ? &why : NULL, PARITY_NONE);
	return 0;
}

static int check_named(struct scrubbing *sc, const char *key, struct named *n, uint8_t *piece,
		       struct err *e)
{
	enum scrub_parity parity = PARITY_NONE;
	struct err why = {0};
	uint64_t len = 0;
	int rc = check_name(sc, key, n->name, piece, &len, &why);

	if (stopped(rc, &why, e))
		return -1;
	n->bad = is_bad(rc, &why);
	if (n->bad && n->has_parity)
		parity = parity_mends(sc->s->store, n->name, NULL) > 0 ? PARITY_MENDS : PARITY_LOST;
	if (rc == 0 || n->bad)
		count(sc, key, len, n->bad ? &why : NULL, parity);
	if (n->has_parity && check_parity(sc, n, piece, e) < 0)
		return -1;
	/* What is damaged is never young enough to be passed over. */
	if (rc == 0 || n->bad)
		n->when_us = n->bad || n->bad_parity ? 0 : sc->now_us;
	return 0;
}

/* Whatever is wrong with an object, the others are looked at; only a stop stops. */
static int check(struct scrubbing *sc, const struct job *j, uint8_t *piece, struct err *e)
{
	struct err why = {0};
	uint64_t len = 0;
	int rc;

	if (j->named)
		return check_named(sc, j->key, j->named, piece, e);
	rc = check_small(sc, j->key, &len, &why);
	if (stopped(rc, &why, e))
		return -1;
	if (rc == 0 || why.kind != ERR_NOENT)
		count(sc, j->key, len, is_bad(rc, &why) ? &why : NULL, PARITY_NONE);
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

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return memcmp(x->name, y->name, HASH_BYTES);
}

/* What has no pack goes with the next collection. */
static int note_parity(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct scrubbing *sc = arg;
	struct named want, *n;

	(void)e;
	if (!parity_key_parse(key, want.name)) {
		sc->result.strange++;
		return 0;
	}
	n = sc->n_named ? bsearch(&want, sc->named, sc->n_named, sizeof(*n), by_name) : NULL;
	if (n) {
		n->has_parity = true;
		n->size += size;
	}
	return 0;
}

/* After the packs: what is put is put after its pack. */
static int list_parity(struct scrubbing *sc, struct err *e)
{
	if (sc->n_named)
		qsort(sc->named, sc->n_named, sizeof(*sc->named), by_name);
	if (store_list(sc->s->store, "parity/", note_parity, sc, e) < 0)
		return -1;
	for (size_t i = 0; i < sc->n_named; i++) {
		const struct named *n = &sc->named[i];

		sc->result.bare += !n->run && !n->has_parity && n->size <= PARITY_PACK_MAX;
	}
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

	if (list_all(sc, measure, e) < 0 || list_parity(sc, e) < 0)
		return -1;
	choose(sc);
	there = store_has(s, HEADER_KEY, e);
	if (there < 0 || (there && store_size(s, HEADER_KEY, &size, e) < 0))
		return -1;
	if (!there && !sc->has_keys)
		return err_set(e, ERR_NOENT, "there is no repository in %s", s->url);
	if (!there) {
		err_set(&missing, ERR_CORRUPT, "%s/%s is missing", s->url, HEADER_KEY);
		count(sc, HEADER_KEY, 0, &missing, PARITY_NONE);
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
	struct pack_set *bad = sc->s->bad_packs, *bad_parity = sc->s->bad_parity;

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
		if (bad_parity && x->bad_parity)
			pack_set_add(bad_parity, x->name);
	}
	if (v)
		verified_sort(v);
	if (bad)
		pack_set_sort(bad);
	if (bad_parity)
		pack_set_sort(bad_parity);
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
	pace_init(&sc.pace, s->bounds.bytes_per_s);
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
	pace_done(&sc.pace);
	remember(&sc);
	free(sc.named);
	*ret = sc.result;
	return rc;
}
