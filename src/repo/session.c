/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer at work.
 *
 *   session_put ──> pack_writer ──(full)──> queue ──> finisher: flush to disk, give its name
 *                                                      (two packs at most wait there)
 *   session_put remembers ids; when a pack is closed, the places of its blocks are added to
 * `places`. When there are enough of them, all packs are waited for and one index run is written.
 *
 * A second thread raises the session's beats, so that a collector can see that the writer lives
 * even when its source is slow. Both threads belong to a crew: their failure fails the session.
 *
 * Order of what becomes durable, and what is left if it is interrupted after each step:
 *   1. sessions/ID         a session without a point: reclaimable
 *   2. packs               blocks that no run names: reclaimable, or found again by a later repair
 *   3. index runs          blocks that later sessions find and use: nothing was in vain
 *   4. points/ID           the checkpoint
 */
#include "repo/session.h"

#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/crew.h"
#include "base/log.h"
#include "base/queue.h"
#include "repo/epoch.h"
#include "repo/idset.h"
#include "repo/object.h"
#include "repo/parity_store.h"
#include "repo/presence.h"
#include "repo/record.h"

#define PACK_BYTES ((uint64_t)60 << 20)
#define RUN_ENTRIES ((size_t)256 << 10)
#define PUBLISH_MS 20000 /* what a backup that dies has to do again */
#define BEAT_S 20
#define FINISH_WAITING 1 /* beside the one that is being finished */

enum session_tag { S_STARTED = 1, S_HOST = 2, S_PID = 3, S_WRITER = 4, S_BEATS = 5 };

struct session {
	struct repo *repo;
	struct session_options o;
	struct uuid id;
	struct store_session *ss;
	struct codec *codec; /* of the owner's thread */
	struct pack_set condemned;
	struct presence *presence; /* NULL: what the index names is there */
	struct locker *locker;	   /* NULL: nothing is to be locked */
	struct pack_writer *pack;
	uint64_t stored;
	bool committed;

	pthread_rwlock_t ids_lock;
	struct idset ids; /* put in this session and in no run yet */

	struct run_entry *places; /* of blocks in closed packs that are in no run yet */
	size_t n_places, cap_places;
	uint8_t (*packs)[HASH_BYTES]; /* closed since the last run */
	size_t n_packs;
	uint64_t published_us; /* monotonic */

	struct crew *crew;
	struct queue *finish;
	pthread_mutex_t lock; /* of the three below */
	pthread_cond_t changed;
	size_t unfinished;
	bool ending;
	uint64_t started_us, beats;
};

/* ---- the session's object ---- */

static void encode_state(struct session *s, struct buf *out)
{
	AUTO_BUF body = BUF_INIT;
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	record_u64(&body, S_STARTED, s->started_us);
	record_text(&body, S_HOST, host);
	record_u32(&body, S_PID, (uint32_t)getpid());
	record_text(&body, S_WRITER, "holdfast " HF_VERSION);
	record_u64(&body, S_BEATS, s->beats);
	object_seal(repo_keys(s->repo), BOX_SESSION, &body, out);
}

static int beat(struct session *s, struct err *e)
{
	AUTO_BUF state = BUF_INIT;

	s->beats++;
	encode_state(s, &state);
	return s->ss->ops->renew(s->ss, state.data, state.len, e);
}

static int revoked(struct err *e)
{
	return err_set(e, ERR_CONFLICT,
		       "this backup was taken for dead and its session ended by somebody else; "
		       "start it again: what it stored is not stored twice");
}

static int note_keys(void *arg, const char *key, uint64_t size, struct err *e)
{
	(void)key;
	(void)size;
	(void)e;
	*(bool *)arg = true;
	return 0;
}

/* A write failed: where its place is gone, somebody revoked the session, or took the target away.
 */
static int write_failed(struct session *s, struct err *e)
{
	bool there = false;

	if (!e || e->kind != ERR_NOENT)
		return -1;
	if (store_list(repo_store(s->repo), "keys/", note_keys, &there, NULL) < 0 || !there)
		return -1;
	return revoked(e);
}

/* ---- background threads ---- */

/* Until the session ends: wait and beat. */
static int beat_loop(void *arg, struct err *e)
{
	struct session *s = arg;
	struct timespec until;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	while (!s->ending && rc == 0) {
		until = cond_in_ms(BEAT_S * 1000);
		if (pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
			continue;
		pthread_mutex_unlock(&s->lock);
		rc = beat(s, e);
		if (rc < 0)
			write_failed(s, e);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static int finish_loop(void *arg, struct err *e)
{
	struct session *s = arg;
	struct pack_done *d;
	int rc;

	while ((d = queue_take(s->finish)) != NULL) {
		rc = pack_finish(d, e);
		if (rc == 0 && d->parity)
			rc = parity_put(repo_store(s->repo), d->parity, d->name, e);
		pack_done_free(d);
		if (rc < 0)
			return write_failed(s, e); /* unfinished, so that nobody publishes it */
		pthread_mutex_lock(&s->lock);
		s->unfinished--;
		pthread_cond_broadcast(&s->changed);
		pthread_mutex_unlock(&s->lock);
	}
	return 0;
}

/* Somebody failed: wake all who wait. */
static void stop(void *arg)
{
	struct session *s = arg;

	queue_close(s->finish);
	pthread_mutex_lock(&s->lock);
	s->ending = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

/* The failure of a background thread. */
static int background_failed(struct session *s, struct err *e)
{
	return crew_join(s->crew, e) < 0 ? -1 : err_set(e, ERR_INTERNAL, "a session has ended");
}

/* ---- life ---- */

static void init_threads(struct session *s)
{

	pthread_rwlock_init(&s->ids_lock, NULL);
	pthread_mutex_init(&s->lock, NULL);
	cond_init(&s->changed);
	s->finish = queue_new(FINISH_WAITING);
	s->crew = crew_new(stop, s);
}

/* The order matters: see the format, section 11. */
static int start(struct session *s, struct err *e)
{
	AUTO_BUF state = BUF_INIT;
	char text[UUID_TEXT];

	encode_state(s, &state);
	s->ss = store_session_begin(repo_store(s->repo), uuid_text(&s->id, text), state.data,
				    state.len, e);
	if (!s->ss)
		return -1;
	if (s->locker)
		locker_begin(s->locker, s->ss);
	if (epoch_condemned(s->repo, &s->condemned, e) < 0 ||
	    index_renew(repo_index(s->repo), e) < 0)
		return -1;
	if (crew_add(s->crew, finish_loop, s, e) < 0 || crew_add(s->crew, beat_loop, s, e) < 0)
		return -1;
	return 0;
}

struct session *session_begin(struct repo *r, const struct session_options *o, struct err *e)
{
	struct session *s;

	if (repo_check_writable(r, e) < 0)
		return NULL;
	s = xcalloc(1, sizeof(*s));
	s->repo = r;
	if (o)
		s->o = *o;
	s->o.pack_bytes = s->o.pack_bytes ? s->o.pack_bytes : PACK_BYTES;
	s->o.run_entries = s->o.run_entries ? s->o.run_entries : RUN_ENTRIES;
	s->o.publish_ms = s->o.publish_ms ? s->o.publish_ms : PUBLISH_MS;
	s->published_us = clock_mono_us();
	s->o.level = s->o.level ? s->o.level : CODEC_LEVEL;
	s->id = uuid_random();
	s->started_us = clock_wall_us();
	s->codec = codec_new(repo_keys(r), s->o.level);
	init_threads(s);
	if (s->o.lock.mode)
		s->locker = locker_new(r, &s->o.lock, e);
	s->presence = repo_store(r)->late || s->locker ? presence_new(repo_store(r)) : NULL;
	if ((s->o.lock.mode && !s->locker) || start(s, e) < 0) {
		session_free(s);
		return NULL;
	}
	return s;
}

void session_free(struct session *s)
{
	struct pack_done *d;

	if (!s)
		return;
	stop(s);
	while ((d = queue_try(s->finish)) != NULL)
		pack_done_free(d);
	crew_free(s->crew);
	queue_free(s->finish);
	pack_writer_free(s->pack);
	store_session_end(s->ss);
	codec_free(s->codec);
	pack_set_done(&s->condemned);
	presence_free(s->presence);
	locker_free(s->locker);
	idset_done(&s->ids);
	free(s->places);
	free(s->packs);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	pthread_rwlock_destroy(&s->ids_lock);
	free(s);
}

const struct uuid *session_id(const struct session *s)
{
	return &s->id;
}

struct repo *session_repo(const struct session *s)
{
	return s->repo;
}

struct codec *session_codec(struct session *s)
{
	return s->codec;
}

int session_level(const struct session *s)
{
	return s->o.level;
}

bool session_deltas(const struct session *s)
{
	return s->o.deltas == DELTAS_ON ||
	       (s->o.deltas == DELTAS_AUTO && !repo_store(s->repo)->distant);
}

int session_sees(struct session *s, const struct uuid *point, struct err *e)
{
	char key[STORE_KEY_MAX];

	point_key_name(point, key);
	return store_has(repo_store(s->repo), key, e);
}

const struct pack_set *session_condemned(const struct session *s)
{
	return &s->condemned;
}

uint64_t session_stored(const struct session *s)
{
	return s->stored;
}

/* ---- blocks ---- */

/* Does the index know a place of it that is sure to stay for this session? 1, 0, -1. */
static int counts(struct session *s, const struct block_id *id, struct location *ret_l,
		  struct err *e)
{
	return index_counts(repo_index(s->repo), id, &s->condemned, s->presence, false, ret_l, e);
}

int session_knows(struct session *s, const struct block_id *id, struct err *e)
{
	struct location place;
	bool pending;

	pthread_rwlock_rdlock(&s->ids_lock);
	pending = idset_has(&s->ids, id);
	pthread_rwlock_unlock(&s->ids_lock);
	if (pending)
		return 1;
	return counts(s, id, &place, e);
}

int session_base(struct session *s, const struct block_id *id, struct block_id *ret_base,
		 struct err *e)
{
	struct location place;
	int rc = counts(s, id, &place, e);

	if (rc > 0)
		*ret_base = place.at.encoding == BLOCK_DELTA ? place.at.base : *id;
	return rc;
}

void session_takes(struct session *s, const struct uuid *point)
{
	if (s->locker)
		locker_took(s->locker, point);
}

static void add_places(struct session *s, const struct pack_done *d)
{
	s->packs = xreallocarray(s->packs, s->n_packs + 1, HASH_BYTES);
	memcpy(s->packs[s->n_packs], d->name, HASH_BYTES);
	for (size_t i = 0; i < d->n; i++) {
		const struct pack_entry *at = &d->entries[i];

		if (s->n_places == s->cap_places) {
			s->cap_places = s->cap_places ? s->cap_places * 2 : 4096;
			s->places = xreallocarray(s->places, s->cap_places, sizeof(*s->places));
		}
		s->places[s->n_places++] =
			(struct run_entry){at->id,   (uint32_t)s->n_packs, at->offset, at->stored,
					   at->kind, at->encoding,	   at->base};
	}
	s->n_packs++;
}

/* Close the pack that is being filled, if any, and hand it to the finisher. */
static int close_pack(struct session *s, struct err *e)
{
	struct pack_done *d;

	if (!s->pack)
		return 0;
	d = pack_close(steal(&s->pack), e);
	if (!d)
		return -1;
	s->stored += d->size;
	add_places(s, d);
	if (s->locker)
		locker_wrote(s->locker, d->name);
	pthread_mutex_lock(&s->lock);
	s->unfinished++;
	pthread_mutex_unlock(&s->lock);
	if (!queue_give(s->finish, d)) {
		pack_done_free(d);
		return background_failed(s, e);
	}
	return 0;
}

/* Wait until every closed pack is durable. */
static int wait_finished(struct session *s, struct err *e)
{
	bool done;

	pthread_mutex_lock(&s->lock);
	while (s->unfinished && !s->ending)
		pthread_cond_wait(&s->changed, &s->lock);
	done = s->unfinished == 0;
	pthread_mutex_unlock(&s->lock);
	return done && !crew_stopping(s->crew) ? 0 : background_failed(s, e);
}

/* Write a run of everything that is in none yet. */
int session_publish(struct session *s, struct err *e)
{
	if (close_pack(s, e) < 0 || wait_finished(s, e) < 0)
		return -1;
	if (index_add(repo_index(s->repo), s->ss, s->places, s->n_places,
		      (const uint8_t(*)[HASH_BYTES])s->packs, s->n_packs, e) < 0)
		return write_failed(s, e);
	s->stored += s->n_places * RUN_ENTRY;
	s->n_places = s->n_packs = 0;
	s->published_us = clock_mono_us();
	/* From here on the index knows them. */
	pthread_rwlock_wrlock(&s->ids_lock);
	idset_clear(&s->ids);
	pthread_rwlock_unlock(&s->ids_lock);
	return 0;
}

static bool note_id(struct session *s, const struct block_id *id)
{
	bool added;

	pthread_rwlock_wrlock(&s->ids_lock);
	added = idset_add(&s->ids, id);
	pthread_rwlock_unlock(&s->ids_lock);
	return added;
}

/* Is it time for a run? A backup that dies finds again only what runs name. */
static bool due(const struct session *s)
{
	return s->n_places >= s->o.run_entries ||
	       clock_mono_us() - s->published_us >= (uint64_t)s->o.publish_ms * 1000;
}

static int open_pack(struct session *s, struct err *e)
{
	unsigned percent = repo_parity(s->repo);

	s->pack = pack_writer_new(repo_keys(s->repo), s->ss,
				  percent ? parity_new(percent, s->o.pack_bytes) : NULL, e);
	return s->pack ? 0 : write_failed(s, e);
}

int session_put(struct session *s, enum block_kind kind, const struct block_id *id,
		enum block_encoding encoding, const void *payload, size_t n, size_t *ret_stored,
		struct err *e)
{
	if (ret_stored)
		*ret_stored = 0;
	if (crew_stopping(s->crew))
		return background_failed(s, e);
	if (!note_id(s, id))
		return 0;
	if (!s->pack && open_pack(s, e) < 0)
		return -1;
	if (pack_add(s->pack, kind, encoding, id, payload, n, e) < 0)
		return -1;
	if (ret_stored)
		*ret_stored = n + SEAL_TAG + PACK_ENTRY;
	if (pack_writer_size(s->pack) < s->o.pack_bytes)
		return 0;
	if (close_pack(s, e) < 0)
		return -1;
	return due(s) ? session_publish(s, e) : 0;
}

/* ---- for collectors ---- */

int session_tidy(struct session *s, struct err *e)
{
	return index_tidy(repo_index(s->repo), s->ss, &s->condemned, e);
}

int session_drop(struct session *s, const struct pack_set *drop, const struct pack_set *leave,
		 struct err *e)
{
	return index_drop(repo_index(s->repo), s->ss, drop, leave, e);
}

int session_replace(struct session *s, const uint8_t pack[HASH_BYTES], const struct buf *bytes,
		    struct err *e)
{
	struct store_upload *up = s->ss->ops->upload(s->ss, e);
	AUTO(write_behind) w = up ? write_behind_new(up, NULL) : NULL;
	char key[STORE_KEY_MAX];

	pack_key_name(pack, key);
	if (up)
		up->replaces = true;
	if (!w || write_behind_add(w, bytes->data, bytes->len, e) < 0 ||
	    write_behind_finish(w, key, e) < 0)
		return write_failed(s, e);
	return 0;
}

/* ---- commit ---- */

/* A checkpoint that no reader takes must not be acknowledged. */
static int check_readable(const struct buf *body, struct err *e)
{
	struct err why = {0};
	AUTO(point) back = point_decode(body->data, body->len, &why);

	return back ? 0
		    : err_set(e, ERR_LIMIT, "this cannot be kept as one checkpoint: %s", why.msg);
}

int session_heal_index(struct repo *r, struct err *e)
{
	AUTO(session) s = session_begin(r, NULL, e);

	if (!s || index_search_packs(repo_index(r), e) < 0)
		return -1;
	return session_tidy(s, e);
}

int session_commit(struct session *s, struct point *p, struct err *e)
{
	AUTO_BUF body = BUF_INIT;
	AUTO_BUF object = BUF_INIT;
	struct err why = {0};

	if (session_publish(s, e) < 0)
		return -1;
	/* Tidying makes lookups faster; a checkpoint does not depend on it. */
	if (session_tidy(s, &why) < 0)
		log_debug("tidying the index: %s", why.msg);
	if (crew_stopping(s->crew))
		return background_failed(s, e);
	p->id = s->id;
	p->complete_us = clock_wall_us();
	if (s->locker && locker_cover(s->locker, s->ss, &s->condemned, s->presence, p, e) < 0)
		return -1;
	if (!p->writer)
		p->writer = xstrdup("holdfast " HF_VERSION);
	p->stats.stored = s->stored;
	point_encode(p, &body);
	if (check_readable(&body, e) < 0)
		return -1;
	object_seal(repo_keys(s->repo), BOX_POINT, &body, &object);
	if (object.len > OBJECT_MAX)
		return err_set(e, ERR_LIMIT, "a checkpoint of %zu bytes is too large", object.len);
	if (s->ss->ops->commit(s->ss, object.data, object.len, &why) < 0) {
		write_failed(s, &why);
		if (e)
			*e = why;
		return -1;
	}
	s->stored += object.len;
	s->committed = true;
	sha256(object.data, object.len, p->hash);
	return s->locker ? locker_confirm(s->locker, p, e) : 0;
}
