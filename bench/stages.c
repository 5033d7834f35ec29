/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stages IMAGE : what the stages of a first backup take at least: hashing, compressing and sealing
 * its blocks, by the functions that a backup uses, in memory, on all cores, and nothing else. No
 * backup can be faster than their sum.
 *
 * First all blocks are hashed; then those that come for the first time, as only these are stored,
 * are compressed and sealed. Prints JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crew.h"
#include "base/fio.h"
#include "repo/block.h"
#include "repo/keyring.h"
#include "repo/tree.h"

#define BLOCK ((size_t)1 << TREE_BLOCK_LOG)
#define SLICE 8 /* blocks that a thread takes at once, as a slot of the pipeline holds */

struct stages {
	struct keyring *keys;
	uint8_t *data;
	size_t n; /* blocks */
	struct block_id *ids;
	bool *fresh; /* of the blocks: to be stored */
	atomic_size_t next;
	/* of all threads together: */
	_Atomic uint64_t compress_us, seal_us, sealed_bytes;
	uint64_t hash_wall_us, store_wall_us;
};

/* ---- the data ---- */

/* The blocks of one range of data, behind those that are there. */
static int load_range(struct stages *s, int fd, const char *path, uint64_t from, uint64_t to,
		      struct err *e)
{
	uint8_t *at = s->data + s->n * BLOCK;
	ssize_t got = fio_pread(fd, at, to - from, from, path, e);

	if (got < 0)
		return -1;
	memset(at + got, 0, to - from - (size_t)got);
	s->n += (to - from) / BLOCK;
	return 0;
}

/* What is no hole. */
static int load(struct stages *s, const char *path, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t size, done = 0;

	if (fd < 0)
		return err_sys(e, errno, "open %s", path);
	if (fio_size(fd, path, &size, e) < 0)
		return -1;
	s->data = xmalloc_pages(DIV_UP(size, BLOCK) * BLOCK);
	while (done < size) {
		off_t from = lseek(fd, (off_t)done, SEEK_DATA);
		off_t to = from < 0 ? -1 : lseek(fd, from, SEEK_HOLE);

		if (to < 0)
			return errno == ENXIO ? 0 : err_sys(e, errno, "seek in %s", path);
		done = DIV_UP((uint64_t)to, BLOCK) * BLOCK;
		if (load_range(s, fd, path, (uint64_t)from / BLOCK * BLOCK, done, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- the stages ---- */

/* The next blocks for a thread; false when there are none. */
static bool take(struct stages *s, size_t *ret_first, size_t *ret_end)
{
	*ret_first = atomic_fetch_add(&s->next, SLICE);
	*ret_end = MIN(*ret_first + SLICE, s->n);
	return *ret_first < s->n;
}

static int hash(void *arg, struct err *e)
{
	struct stages *s = arg;
	AUTO(codec) codec = codec_new(s->keys, CODEC_LEVEL);
	size_t first, end;

	(void)e;
	while (take(s, &first, &end)) {
		for (size_t i = first; i < end; i++) {
			const uint8_t *data = s->data + i * BLOCK;

			if (!block_all_zero(data, BLOCK))
				codec_id(codec, BLOCK_DATA, data, BLOCK, &s->ids[i]);
		}
	}
	return 0;
}

struct storing {
	struct codec *codec;
	struct aead *aead;
	uint8_t *payload, *sealed;
	uint64_t compress_us, seal_us, sealed_bytes;
};

static void store_block(struct storing *t, const uint8_t *data, uint64_t nonce)
{
	enum block_encoding encoding;
	uint64_t start = clock_mono_us(), middle;
	size_t n = codec_encode(t->codec, data, BLOCK, t->payload, &encoding);

	middle = clock_mono_us();
	aead_seal(t->aead, nonce, NULL, 0, encoding == BLOCK_RAW ? data : t->payload, n, t->sealed);
	t->compress_us += middle - start;
	t->seal_us += clock_mono_us() - middle;
	t->sealed_bytes += n + SEAL_TAG;
}

static int store(void *arg, struct err *e)
{
	struct stages *s = arg;
	AUTO(codec) codec = codec_new(s->keys, CODEC_LEVEL);
	AUTO(aead) aead = aead_new(keyring_key(s->keys, keyring_generation(s->keys), e));
	AUTO_FREE uint8_t *payload = xmalloc(BLOCK);
	AUTO_FREE uint8_t *sealed = xmalloc(BLOCK + SEAL_TAG);
	struct storing t = {codec, aead, payload, sealed, 0, 0, 0};
	size_t first, end;

	while (take(s, &first, &end)) {
		for (size_t i = first; i < end; i++) {
			if (s->fresh[i])
				store_block(&t, s->data + i * BLOCK, i);
		}
	}
	atomic_fetch_add(&s->compress_us, t.compress_us);
	atomic_fetch_add(&s->seal_us, t.seal_us);
	atomic_fetch_add(&s->sealed_bytes, t.sealed_bytes);
	return 0;
}

static int on_all_cores(struct stages *s, crew_work_fn *work, uint64_t *ret_us, struct err *e)
{
	uint64_t start = clock_mono_us();
	AUTO(crew) crew = crew_new(NULL, NULL);

	atomic_store(&s->next, 0);
	for (unsigned i = 0; i < crew_cores(); i++) {
		if (crew_add(crew, work, s, e) < 0)
			return -1;
	}
	if (crew_join(crew, e) < 0)
		return -1;
	*ret_us = clock_mono_us() - start;
	return 0;
}

/* ---- what is stored ---- */

static int by_id(const void *a, const void *b, void *ids)
{
	const struct block_id *all = ids;

	return memcmp(&all[*(const size_t *)a], &all[*(const size_t *)b], sizeof(*all));
}

/* Of equal blocks one, and none of zeros. Returns how many. */
static size_t mark_fresh(struct stages *s)
{
	AUTO_FREE size_t *order = xcalloc(s->n + 1, sizeof(*order));
	size_t fresh = 0;

	for (size_t i = 0; i < s->n; i++)
		order[i] = i;
	qsort_r(order, s->n, sizeof(*order), by_id, s->ids);
	for (size_t i = 0; i < s->n; i++) {
		const struct block_id *id = &s->ids[order[i]];

		s->fresh[order[i]] = !block_id_is_zero(id) &&
				     (i == 0 || !block_id_equal(id, &s->ids[order[i - 1]]));
		fresh += s->fresh[order[i]];
	}
	return fresh;
}

static int run(struct stages *s, const char *path, size_t *ret_fresh, struct err *e)
{
	static const struct keyring_cost little = {.passes = 1, .memory_kib = 1024, .lanes = 1};
	AUTO(credential) c = credential_passphrase("bench", 5, e);

	s->keys = c ? keyring_new(&(struct uuid){0}, c, "bench", &little, e) : NULL;
	if (!s->keys || load(s, path, e) < 0)
		return -1;
	s->ids = xcalloc(s->n + 1, sizeof(*s->ids));
	s->fresh = xcalloc(s->n + 1, sizeof(*s->fresh));
	if (on_all_cores(s, hash, &s->hash_wall_us, e) < 0)
		return -1;
	*ret_fresh = mark_fresh(s);
	return on_all_cores(s, store, &s->store_wall_us, e);
}

static void show(struct stages *s, size_t fresh)
{
	double both = (double)(s->compress_us + s->seal_us);
	double share = both > 0 ? (double)s->compress_us / both : 0;
	double hash_s = (double)s->hash_wall_us / 1e6, store_s = (double)s->store_wall_us / 1e6;

	printf("{\"threads\": %u, \"bytes\": %zu, \"new_bytes\": %zu, \"sealed_bytes\": %llu, "
	       "\"hash\": %.6f, \"compress\": %.6f, \"seal\": %.6f, \"sum\": %.6f}\n",
	       crew_cores(), s->n * BLOCK, fresh * BLOCK, (unsigned long long)s->sealed_bytes,
	       hash_s, store_s * share, store_s * (1 - share), hash_s + store_s);
}

int main(int argc, char **argv)
{
	struct stages s = {0};
	struct err e = {0};
	size_t fresh;
	int rc = 2;

	if (argc != 2) {
		fprintf(stderr, "usage: stages IMAGE\n");
		return rc;
	}
	rc = run(&s, argv[1], &fresh, &e) < 0 ? 1 : 0;
	if (rc)
		fprintf(stderr, "stages: %s\n", e.msg);
	else
		show(&s, fresh);
	keyring_free(s.keys);
	free(s.data);
	free(s.ids);
	free(s.fresh);
	return rc;
}
