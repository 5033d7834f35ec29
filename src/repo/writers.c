/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/writers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "repo/object.h"

#define POLL_MS 200 /* at first; in a bucket each look costs money */
#define POLL_MAX_MS 2000

struct one {
	char id[UUID_TEXT];
	bool there;
	uint8_t state[HASH_BYTES]; /* of its object, when it was last seen to change */
	unsigned changes;	   /* of that; the first is that it is seen at all */
	uint64_t silent_us;
};

struct writers {
	struct one *v;
	size_t n;
	bool add;	  /* the first listing */
	unsigned poll_ms; /* until the next */
};

/* "sessions/UUID", or "sessions/UUID.revoked" where a revocation was interrupted: it is there until
 * that is gone, too. */
static int note(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct writers *w = arg;
	struct uuid id;
	char text[UUID_TEXT];

	(void)size;
	(void)e;
	if (strlen(key) < strlen("sessions/") + UUID_TEXT - 1)
		return 0;
	memcpy(text, key + strlen("sessions/"), UUID_TEXT - 1);
	text[UUID_TEXT - 1] = 0;
	if (!uuid_parse(text, &id))
		return 0;
	for (size_t i = 0; i < w->n; i++) {
		if (strcmp(w->v[i].id, text) == 0) {
			w->v[i].there = true;
			return 0;
		}
	}
	if (!w->add)
		return 0;
	w->v = xreallocarray(w->v, w->n + 1, sizeof(*w->v));
	w->v[w->n] = (struct one){.there = true};
	memcpy(w->v[w->n++].id, text, UUID_TEXT);
	return 0;
}

/* List again; forget those that are gone. */
static int look(struct store *s, struct writers *w, struct err *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->n; i++)
		w->v[i].there = false;
	if (store_list(s, "sessions/", note, w, e) < 0)
		return -1;
	for (size_t i = 0; i < w->n; i++) {
		if (w->v[i].there)
			w->v[kept++] = w->v[i];
	}
	w->n = kept;
	return 0;
}

/* All that are there now. */
static int list_now(struct store *s, struct writers *ret_w, struct err *e)
{
	int rc;

	*ret_w = (struct writers){.add = true, .poll_ms = POLL_MS};
	rc = store_list(s, "sessions/", note, ret_w, e);
	ret_w->add = false;
	return rc;
}

/* Did its owner write its object anew? What cannot be read did not change. */
static bool stirred(struct store *s, struct one *o)
{
	AUTO_BUF bytes = BUF_INIT;
	char key[STORE_KEY_MAX];
	uint8_t hash[HASH_BYTES];

	snprintf(key, sizeof(key), "sessions/%s", o->id);
	if (store_slurp(s, key, OBJECT_MAX, &bytes, NULL) < 0)
		return false;
	sha256(bytes.data, bytes.len, hash);
	if (memcmp(hash, o->state, HASH_BYTES) == 0)
		return false;
	memcpy(o->state, hash, HASH_BYTES);
	o->changes++;
	return true;
}

/* 1: it is dead, 0, -1. */
static int judge(struct store *s, struct one *o, uint64_t passed_us, uint64_t dead_after_us,
		 struct err *e)
{
	o->silent_us = stirred(s, o) ? 0 : o->silent_us + passed_us;
	if (o->silent_us < dead_after_us)
		return 0;
	return store_session_revoke(s, o->id, e) < 0 ? -1 : 1;
}

/* Judge them all, by the time since `*last`, which is set to now. Returns how many were revoked. */
static int judge_all(struct store *s, struct writers *w, uint64_t *last, uint64_t dead_after_us,
		     const struct cancel *cancel, struct err *e)
{
	uint64_t now = clock_mono_us();
	/* A pause of this process must not count as silence of another: no more than a poll or two.
	 */
	uint64_t passed = MIN(now - *last, 2000ULL * w->poll_ms);
	int revoked = 0;

	if (cancel_check(cancel, e) < 0)
		return -1;
	*last = now;
	for (size_t i = 0; i < w->n; i++) {
		int dead = judge(s, &w->v[i], passed, dead_after_us, e);

		if (dead < 0)
			return -1;
		revoked += dead;
	}
	return revoked;
}

static void pause_before_look(struct writers *w)
{
	if (w->n)
		clock_sleep_ms(w->poll_ms);
	w->poll_ms = MIN(w->poll_ms + w->poll_ms / 4, POLL_MAX_MS);
}

static int wait_for(struct store *s, struct writers *w, uint64_t dead_after_us,
		    void (*waiting)(void *arg, size_t n), void *arg, const struct cancel *cancel,
		    struct err *e)
{
	uint64_t last = clock_mono_us();
	size_t told = 0;

	while (w->n) {
		if (judge_all(s, w, &last, dead_after_us, cancel, e) < 0 || look(s, w, e) < 0)
			return -1;
		if (waiting && w->n && w->n != told)
			waiting(arg, told = w->n);
		pause_before_look(w);
	}
	return 0;
}

int writers_count(struct store *s, size_t *ret_n, struct err *e)
{
	struct writers w;
	int rc = list_now(s, &w, e);

	*ret_n = w.n;
	free(w.v);
	return rc;
}

static void forget_living(struct writers *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->n; i++) {
		if (w->v[i].changes < 2)
			w->v[kept++] = w->v[i];
	}
	w->n = kept;
}

int writers_bury(struct store *s, uint64_t dead_after_us, const struct cancel *cancel,
		 size_t *ret_n, struct err *e)
{
	struct writers w;
	uint64_t last = clock_mono_us();
	int rc = list_now(s, &w, e);

	*ret_n = 0;
	while (rc == 0 && w.n) {
		rc = judge_all(s, &w, &last, dead_after_us, cancel, e);
		*ret_n += rc > 0 ? (size_t)rc : 0;
		rc = rc < 0 ? -1 : look(s, &w, e);
		forget_living(&w);
		if (rc == 0)
			pause_before_look(&w);
	}
	free(w.v);
	return rc;
}

int writers_wait(struct store *s, uint64_t dead_after_us, void (*waiting)(void *arg, size_t n),
		 void *arg, const struct cancel *cancel, struct err *e)
{
	struct writers w;
	int rc = list_now(s, &w, e);

	if (rc == 0)
		rc = wait_for(s, &w, dead_after_us, waiting, arg, cancel, e);
	free(w.v);
	return rc;
}

/* ---- standing back ---- */

#define SLICE_US 20000
#define LOOK_DISTANT_US 2000000 /* in a bucket each look costs money */
#define NAP_MS 50

void yielding_init(struct yielding *y, struct store *s)
{
	*y = (struct yielding){.store = s, .since_us = clock_mono_us()};
}

/* Where they cannot be listed, whatever else the caller does will say so. */
static bool others_at_work(struct yielding *y, uint64_t now)
{
	size_t n;

	if (y->looked_us && y->store->distant && now - y->looked_us < LOOK_DISTANT_US)
		return y->others;
	y->looked_us = now;
	y->others = writers_count(y->store, &n, NULL) == 0 && n > 1;
	return y->others;
}

int yielding_pause(struct yielding *y, const struct cancel *cancel, struct err *e)
{
	uint64_t now = clock_mono_us(), worked = now - y->since_us;
	uint64_t until = now + worked * YIELDING_TIMES;

	if (worked < SLICE_US)
		return cancel_check(cancel, e);
	while (now < until && others_at_work(y, now)) {
		if (cancel_check(cancel, e) < 0)
			return -1;
		clock_sleep_ms((unsigned)MIN((until - now) / 1000 + 1, (uint64_t)NAP_MS));
		now = clock_mono_us();
	}
	y->since_us = now;
	return cancel_check(cancel, e);
}
