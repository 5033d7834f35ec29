/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store is listed twice: to know how much there is to read, and to hand every small object to a
 * worker. Packs and runs are put in order by the first list. What goes away meanwhile was removed
 * by somebody with a right to; what comes is the next run's.
 */
#include "repo/scrub.h"

#include <pthread.h>
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
enum proof { PROOF_NONE, PROOF_HEADER, PROOF_NAME, PROOF_END };

static enum proof proof_of(const char *key, uint8_t ret_name[HASH_BYTES])
{
	struct uuid id;

	if (strcmp(key, HEADER_KEY) == 0)
		return PROOF_HEADER;
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
	bool run;
	uint64_t size, when_us; /* of its last verification */
};

struct scrubbing {
	const struct scrub *s;
	struct crew *crew;
	struct queue *keys;
	uint64_t start_us;    /* monotonic */
	pthread_mutex_t lock; /* of the four below, and of s->bad */
	struct scrub_result result;
	uint64_t free_us;	    /* until then what was read keeps to the rate */
	struct verified found, bad; /* of packs and runs, by this run */
	/* of the thread that lists: */
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
		sc->s->read(sc->s->arg, (uint64_t)n);
		if (keep_to_rate(sc, (size_t)n, e) < 0)
			return -1;
	} while ((size_t)n == PIECE);
	digest_take(d, hash);
	return memcmp(hash, name, HASH_BYTES) == 0 ? 0 : damaged(sc, key, e);
}

static int check_small(struct scrubbing *sc, const char *key, enum proof proof, uint64_t *ret_len,
		       struct err *e)
{
	AUTO_BUF bytes = BUF_INIT;
	uint8_t hash[HASH_BYTES];
	struct header h;

	if (store_slurp(sc->s->store, key, OBJECT_MAX, &bytes, e) < 0)
		return -1;
	*ret_len = bytes.len;
	sc->s->read(sc->s->arg, bytes.len);
	if (proof == PROOF_HEADER)
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
	uint8_t name[HASH_BYTES];

	pthread_mutex_lock(&sc->lock);
	if (proof_of(key, name) == PROOF_NAME)
		verified_add(why ? &sc->bad : &sc->found, name, sc->now_us);
	sc->result.objects++;
	sc->result.bytes += len;
	if (why) {
		sc->result.damaged++;
		sc->s->bad(sc->s->arg, key, why);
	}
	pthread_mutex_unlock(&sc->lock);
}

/* Whatever is wrong with an object, the others are looked at; only a stop stops. */
static int check(struct scrubbing *sc, const char *key, uint8_t *piece, struct err *e)
{
	uint8_t name[HASH_BYTES];
	enum proof proof = proof_of(key, name);
	struct err why = {0};
	uint64_t len = 0;
	int rc;

	if (proof == PROOF_NAME && out_of_time(sc)) {
		pthread_mutex_lock(&sc->lock);
		sc->result.due++;
		pthread_mutex_unlock(&sc->lock);
		return 0;
	}
	rc = proof == PROOF_NAME ? check_name(sc, key, name, piece, &len, &why)
				 : check_small(sc, key, proof, &len, &why);

	if (rc < 0 && why.kind == ERR_CANCELLED) {
		if (e)
			*e = why;
		return -1;
	}
	/* A newer version's header is no damage, but none of ours to judge. */
	if (rc == 0 || why.kind == ERR_VERSION)
		count(sc, key, len, NULL);
	else if (why.kind != ERR_NOENT)
		count(sc, key, len, &why);
	return 0;
}

static int worker(void *arg, struct err *e)
{
	struct scrubbing *sc = arg;
	AUTO_FREE uint8_t *piece = xmalloc_pages(PIECE);
	char *key;
	int rc = 0;

	while (rc == 0 && (key = queue_take(sc->keys)) != NULL) {
		rc = check(sc, key, piece, e);
		free(key);
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

static int hand_over(struct scrubbing *sc, const char *key, struct err *e)
{
	char *copy;

	if (cancel_check(sc->s->cancel, e) < 0)
		return -1;
	copy = xstrdup(key);
	if (queue_give(sc->keys, copy))
		return 0;
	free(copy);
	return err_set(e, ERR_CANCELLED, "stopped"); /* a worker failed: its reason is shown */
}

static int hand_out(void *arg, const char *key, uint64_t size, struct err *e)
{
	uint8_t name[HASH_BYTES];

	(void)size;
	return proof_of(key, name) == PROOF_END ? hand_over(arg, key, e) : 0;
}

static int by_age(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	return x->when_us != y->when_us ? (x->when_us > y->when_us) - (x->when_us < y->when_us)
					: memcmp(x->name, y->name, HASH_BYTES);
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

		if (b->max_age_us && x->when_us && sc->now_us - x->when_us < b->max_age_us)
			break;
		if (b->bytes && n && bytes + x->size > b->bytes)
			break;
		bytes += x->size;
		n++;
	}
	for (size_t i = n; i < sc->n_named; i++) {
		bool young = b->max_age_us && sc->named[i].when_us &&
			     sc->now_us - sc->named[i].when_us < b->max_age_us;

		sc->result.passed += young;
		sc->result.due += !young;
	}
	sc->listed_bytes += bytes;
	sc->n_chosen = n;
}

static int hand_out_named(struct scrubbing *sc, struct err *e)
{
	char key[STORE_KEY_MAX];

	for (size_t i = 0; i < sc->n_chosen; i++) {
		if (sc->named[i].run)
			run_key_name(sc->named[i].name, key);
		else
			pack_key_name(sc->named[i].name, key);
		if (hand_over(sc, key, e) < 0)
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
	sc->s->total(sc->s->arg, sc->listed_bytes + size);
	return 0;
}

static void stop(void *arg)
{
	struct scrubbing *sc = arg;

	queue_close(sc->keys);
}

static int read_all(struct scrubbing *sc, struct err *e)
{
	for (unsigned i = crew_cores(); i; i--) {
		if (crew_add(sc->crew, worker, sc, e) < 0)
			return -1;
	}
	if (sc->has_header && hand_over(sc, HEADER_KEY, e) < 0)
		return -1;
	return list_all(sc, hand_out, e) < 0 ? -1 : hand_out_named(sc, e);
}

/* What is known afterwards of all that is there: for whoever asked to remember, and how old the
 * oldest of it is. */
static void remember(struct scrubbing *sc)
{
	struct verified *v = sc->s->verified;
	size_t n = 0;

	verified_sort(&sc->found);
	verified_sort(&sc->bad);
	for (size_t i = 0; i < sc->n_named; i++) {
		struct named *x = &sc->named[i];
		uint64_t now = verified_when(&sc->found, x->name, sc->now_us);

		x->when_us = MAX(x->when_us, now);
		/* What is damaged is never old enough to be passed over. */
		if (verified_when(&sc->bad, x->name, sc->now_us))
			x->when_us = 0;
		if (i == 0 || x->when_us < sc->result.oldest_us)
			sc->result.oldest_us = x->when_us;
	}
	if (!v)
		return;
	v->n = 0;
	for (; n < sc->n_named; n++) {
		if (sc->named[n].when_us)
			verified_add(v, sc->named[n].name, sc->named[n].when_us);
	}
	verified_sort(v);
}

int scrub_run(const struct scrub *s, struct scrub_result *ret, struct err *e)
{
	struct scrubbing sc = {.s = s,
			       .keys = queue_new(WAITING),
			       .start_us = clock_mono_us(),
			       .now_us = clock_wall_us()};
	struct err why = {0};
	char *key;
	int rc;

	pthread_mutex_init(&sc.lock, NULL);
	sc.crew = crew_new(stop, &sc);
	rc = look(&sc, &why);
	if (rc == 0)
		rc = read_all(&sc, &why);
	if (rc < 0)
		crew_fail(sc.crew, &why);
	queue_close(sc.keys);
	rc = crew_join(sc.crew, e);
	while ((key = queue_try(sc.keys)) != NULL)
		free(key);
	crew_free(sc.crew);
	queue_free(sc.keys);
	pthread_mutex_destroy(&sc.lock);
	remember(&sc);
	verified_done(&sc.found);
	verified_done(&sc.bad);
	free(sc.named);
	*ret = sc.result;
	return rc;
}
