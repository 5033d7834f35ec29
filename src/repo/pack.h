/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack.h: packs, the large objects that hold sealed blocks and nodes (format section 7).
 *
 * A pack_writer takes payloads one by one. Blocks are sealed and written behind, so a pack never
 * lies in memory; nodes are kept until the end, so that they lie together there. Closing gives the
 * pack's name and the place of everything in it; making it durable (pack_finish) is a step of its
 * own, because it waits for the disk and may be done by another thread.
 *
 * Threads: a pack_writer and a pack_done belong to one thread at a time; reading is pure.
 */
#ifndef HF_REPO_PACK_H
#define HF_REPO_PACK_H

#include "repo/block.h"
#include "repo/keyring.h"
#include "repo/store.h"
#include "repo/write_behind.h"

#define PACK_HEAD 64
#define PACK_TRAILER 32
#define PACK_ENTRY 40
#define PACK_BASE 36
#define PACK_MAX ((uint64_t)1 << 30)
#define PACK_DIRECTORY_MAX ((size_t)64 << 20)

/* Where a block lies inside a pack. */
struct pack_entry {
	struct block_id id;
	uint32_t offset;
	uint32_t stored; /* with the tag */
	uint8_t kind, encoding;
	struct block_id base; /* of a delta; else zero */
};

struct pack_writer;

/* `parity`, unless NULL, becomes its own and gets the pack's bytes. */
struct pack_writer *pack_writer_new(const struct keyring *k, struct store_session *ss,
				    struct parity *parity, struct err *e);
/* Throw the pack away. NULL is fine. */
void pack_writer_free(struct pack_writer *p);
/* A delta's payload names its base. */
int pack_add(struct pack_writer *p, enum block_kind kind, enum block_encoding encoding,
	     const struct block_id *id, const void *payload, size_t n, struct err *e);
/* Bytes that the pack will have at least. */
uint64_t pack_writer_size(const struct pack_writer *p);

struct pack_done {
	struct write_behind *out;
	struct parity *parity; /* complete once the pack is finished; or NULL */
	uint8_t name[HASH_BYTES];
	uint64_t size;
	struct pack_entry *entries; /* blocks first, then nodes */
	size_t n;
};

/* Make its end; of it, up to WRITE_BEHIND_BUFFERS buffers are not written yet. Frees the writer,
 * also on failure. */
struct pack_done *pack_close(struct pack_writer *p, struct err *e);
/* Make it durable under its name. The entries stay. */
int pack_finish(struct pack_done *d, struct err *e);
/* Abandons the upload if it was not finished. NULL is fine. */
void pack_done_free(struct pack_done *d);

/* "packs/XX/NAME" */
void pack_key_name(const uint8_t name[HASH_BYTES], char out[STORE_KEY_MAX]);
/* The way back; false for what is no pack's name. */
bool pack_key_parse(const char *key, uint8_t ret_name[HASH_BYTES]);

/* ---- reading ---- */

/* The key of a pack from its first PACK_HEAD bytes. */
int pack_key(const struct keyring *k, const uint8_t head[PACK_HEAD], uint8_t ret_key[SEAL_KEY],
	     struct err *e);
/* Open a record of at->stored bytes, with the pack's key in `a`, into `payload` (at->stored -
 * SEAL_TAG bytes; may be `sealed`). False when these are not the bytes that were written for this
 * block. */
bool pack_open_record(struct aead *a, const struct pack_entry *at, const void *sealed,
		      uint8_t *payload);
/* Read the directory of a pack in a store. The caller frees *ret_entries. */
int pack_directory(struct store *s, const struct keyring *k, const uint8_t name[HASH_BYTES],
		   struct pack_entry **ret_entries, size_t *ret_n, struct err *e);

DEFINE_AUTO(pack_writer, pack_writer_free);
DEFINE_AUTO(pack_done, pack_done_free);

#endif
