/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h: a writer at work (format section 11): it takes blocks that the repository does not
 * have, packs them, and ends with a commit, which makes a checkpoint, or without one, which leaves
 * only reclaimable space.
 *
 * What was packed is made durable in the background, and published in index runs from time to time,
 * so that a session that dies half-way has not worked in vain: the next one finds its blocks.
 *
 * Threads: what says so may be called by many threads; everything else by one thread at a time.
 * After a failure only session_free() makes sense.
 */
#ifndef HF_REPO_SESSION_H
#define HF_REPO_SESSION_H

#include "repo/lock.h"
#include "repo/point.h"
#include "repo/repo.h"
#include "repo/tree.h"

struct session;

/* Whether changed blocks are stored as deltas: where the store gives single blocks at once. */
enum session_deltas { DELTAS_AUTO, DELTAS_ON, DELTAS_OFF };

/* How a session packs; zero members mean the defaults. */
struct session_options {
	uint64_t pack_bytes; /* a pack is closed when it has so many: 60 MiB */
	size_t run_entries;  /* an index run is published after so many blocks: 256 Ki */
	unsigned publish_ms; /* and when the last one is so old: 20 s */
	int level;	     /* zstd: 1 */
	enum session_deltas deltas;
	struct lock_ask lock; /* none */
};

/* NULL options: the defaults. */
struct session *session_begin(struct repo *r, const struct session_options *o, struct err *e);
/* Without a commit: abort. NULL is fine. */
void session_free(struct session *s);
/*
 * Put the bytes of a pack back under its name, where they are damaged (parity_store.h). It has to
 * be there, and in no epoch that the session found: so while the session lives no collector removes
 * it, and once the session is revoked it is not made anew.
 */
int session_replace(struct session *s, const uint8_t pack[HASH_BYTES], const struct buf *bytes,
		    struct err *e);
/* The id that the checkpoint will have. */
const struct uuid *session_id(const struct session *s);
struct repo *session_repo(const struct session *s);
int session_level(const struct session *s);
/* For ids and payloads, in the thread of its owner. */
struct codec *session_codec(struct session *s);
bool session_deltas(const struct session *s);
/* Packs named in the epochs that were there when it began: no block is taken from them. */
const struct pack_set *session_condemned(const struct session *s);
/* Is this checkpoint there? If so, what it reaches stays for as long as this session. 1, 0, -1. */
int session_sees(struct session *s, const struct uuid *point, struct err *e);

/* Does the repository have this block, or will it once this session is durable? 1, 0, -1.
 * Thread-safe. */
int session_knows(struct session *s, const struct block_id *id, struct err *e);
/* What a delta against this block can name as its base: the block itself, or where that is a delta,
 * what it is a delta of. 1; 0: nothing; -1. Thread-safe. */
int session_base(struct session *s, const struct block_id *id, struct block_id *ret_base,
		 struct err *e);
/* Its checkpoint takes blocks of this one without asking session_knows() for each; NULL: of one
 * that the caller cannot name. */
void session_takes(struct session *s, const struct uuid *point);
/* Store a block; `payload` and `encoding` come from codec_encode. One that is known by now is
 * passed over; *ret_stored (may be NULL) is how many bytes it took, 0 if it was known. */
int session_put(struct session *s, enum block_kind kind, const struct block_id *id,
		enum block_encoding encoding, const void *payload, size_t n, size_t *ret_stored,
		struct err *e);
/* Store a node as it is: a tree_node_fn for trees that are made in this session (`arg` is it). */
int session_put_node(void *arg, const struct block_id *id, const uint8_t *bytes, size_t n,
		     struct err *e);
/* Store a buffer as a sequence: for items of a resource. */
int session_put_item(struct session *s, const void *data, size_t n, struct tree *ret_t,
		     struct err *e);

/* ---- for collectors: see collect.h ---- */

/* Make what was put durable, and known to others, without a checkpoint. */
int session_publish(struct session *s, struct err *e);
/* A run is damaged or lost: have the packs say what it held, in a session of its own. */
int session_heal_index(struct repo *r, struct err *e);
/* index_tidy() and index_drop() in this session. */
int session_tidy(struct session *s, struct err *e);
int session_drop(struct session *s, const struct pack_set *drop, const struct pack_set *leave,
		 struct err *e);

/* Bytes sent to the store so far (packs and runs). */
uint64_t session_stored(const struct session *s);

/* Make everything durable, then the checkpoint. `p->id` and times are filled in. */
int session_commit(struct session *s, struct point *p, struct err *e);

DEFINE_AUTO(session, session_free);

#endif
