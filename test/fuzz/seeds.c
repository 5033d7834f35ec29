/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seeds DIR: writes the seeds of the fuzz targets that are binary, made by the code that writes the
 * formats, into DIR/TARGET/. Those that are text lie in test/fuzz/seeds.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fio.h"
#include "repo/box.h"
#include "repo/epoch.h"
#include "repo/header.h"
#include "repo/keyring_priv.h"
#include "repo/parity.h"
#include "repo/point.h"
#include "repo/run.h"
#include "repo/tree.h"
#include "repo/verified.h"

static void put(const char *dir, const char *target, const char *name, const struct buf *b)
{
	AUTO_FREE char *folder = xasprintf("%s/%s", dir, target);
	AUTO_FREE char *path = xasprintf("%s/%s", folder, name);
	struct err e = {0};

	mkdir(folder, 0700);
	if (fio_replace(path, b->data, b->len, 0600, &e) < 0)
		fprintf(stderr, "seeds: %s\n", e.msg);
}

static void seed_point(const char *dir)
{
	AUTO(point) p = point_new();
	struct point_resource *r;
	struct point_disk *d;
	AUTO_BUF b = BUF_INIT;

	p->id = uuid_random();
	p->parent = uuid_random();
	p->lock = (struct point_lock){LOCK_COMPLIANCE, 1, 2};
	point_add_tag(p, "a=b");
	point_add_warning(p, "warned");
	r = point_add_resource(p, "domain", "id", "name", "platform");
	d = point_add_disk(r, "vda");
	d->tree = (struct tree){TREE_MAP, 16, 8, 1, 65536, {{1}}};
	d->source = xstrdup("/a/b");
	point_add_item(r, "domain.xml")->tree = (struct tree){.type = TREE_SEQUENCE};
	point_encode(p, &b);
	put(dir, "point", "one", &b);
}

static void seed_nodes(const char *dir)
{
	AUTO_FREE uint8_t *out = xmalloc(NODE_MAX);
	struct block_id ids[4] = {{{1}}, {{2}}, {{0}}, {{4}}};
	uint64_t lengths[4] = {1, 65536, 3, 4};
	struct tree t = {TREE_MAP, 16, 8, 2, 1 << 30, {{1}}};
	struct block_print prints[4] = {{{5}}, {{6}}, {{0}}, {{7}}};
	struct node leaf = {TREE_MAP, 0, 4, ids, NULL, prints};
	struct node upper = {TREE_MAP, 1, 4, ids, NULL, NULL};
	struct node sequence = {TREE_SEQUENCE, 1, 4, ids, lengths, NULL};
	struct buf b = {out, 0, 0};

	b.len = node_encode(&leaf, out);
	put(dir, "node", "map", &b);
	b.len = node_encode(&upper, out);
	put(dir, "node", "upper", &b);
	b.len = node_encode(&sequence, out);
	put(dir, "node", "sequence", &b);
	tree_encode(&t, out);
	b.len = TREE_DESC;
	put(dir, "node", "tree", &b);
}

static void seed_keys(const char *dir)
{
	static const uint8_t key[SEAL_KEY];
	struct credential c = {CREDENTIAL_KEY_FILE, secret_of(key, sizeof(key))};
	struct uuid id = {{1}};
	AUTO(keyring) k = keyring_new(&id, &c, "seed", NULL, NULL);
	AUTO_BUF ring = BUF_INIT;
	AUTO_BUF header = BUF_INIT;

	keyring_encode(k, &ring);
	put(dir, "keyring", "object", &ring);
	header_encode(&(struct header){.id = id, .parity = 5}, &header);
	put(dir, "header", "one", &header);
	secret_free(c.secret);
}

static void seed_box(const char *dir)
{
	static const uint8_t key[SEAL_KEY];
	AUTO_BUF b = BUF_INIT;

	box_seal(key, 1, BOX_POINT, "hello", 5, &b);
	put(dir, "box", "point", &b);
}

/* Two groups, of one and of two deltas. */
static void seed_run_of_deltas(const char *dir)
{
	uint8_t head[64] = {1, 0, 0, 0, 2}, raw[RUN_ENTRY];
	struct run_entry r = {{{1}}, 0, 64, 100, BLOCK_DATA, BLOCK_DELTA};
	AUTO_BUF b = BUF_INIT;

	put_le64(head + 8, 3);
	put_le32(head + 16, 1);
	put_le64(head + 32, 3);
	buf_add(&b, head, sizeof(head));
	buf_fill(&b, 0xaa, HASH_BYTES);
	buf_fill(&b, 1, 16);
	buf_u64(&b, 0);
	buf_u64(&b, 2);
	for (uint8_t i = 1; i <= 3; i++) {
		r.id.b[0] = i;
		run_entry_encode(&r, raw);
		buf_add(&b, raw, sizeof(raw));
	}
	for (uint16_t i = 0; i < 3; i++) {
		buf_u16(&b, i % 2);
		buf_fill(&b, 0xbb, HASH_BYTES);
	}
	put(dir, "run", "deltas", &b);
}

static void seed_run(const char *dir)
{
	uint8_t head[64] = {1, 0, 0, 0, 2};
	struct run_entry r = {{{1}}, 0, 64, 100, BLOCK_DATA, BLOCK_ZSTD};
	uint8_t raw[RUN_ENTRY];
	AUTO_BUF b = BUF_INIT;

	put_le64(head + 8, 3);
	put_le32(head + 16, 1);
	buf_add(&b, head, sizeof(head));
	buf_fill(&b, 0xaa, HASH_BYTES);
	buf_fill(&b, 1, 16);
	for (uint8_t i = 1; i <= 3; i++) {
		r.id.b[0] = i;
		run_entry_encode(&r, raw);
		buf_add(&b, raw, sizeof(raw));
	}
	put(dir, "run", "three", &b);
	seed_run_of_deltas(dir);
}

static void seed_others(const char *dir)
{
	uint8_t names[2][HASH_BYTES] = {{1}, {2}};
	struct pack_set set = {names, 2};
	static const uint8_t zstd[] = {1, 0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x05, 0x29,
				       0, 0,	'h',  'e',  'l',  'l',	'o'};
	struct verified v = {0};
	AUTO_BUF b = BUF_INIT;

	epoch_encode(7, &set, &b);
	put(dir, "epoch", "two", &b);
	b.len = 0;
	verified_add(&v, names[0], 1000);
	verified_encode(&v, &b);
	put(dir, "verified", "one", &b);
	verified_done(&v);
	b.len = 0;
	buf_add(&b, zstd, sizeof(zstd));
	put(dir, "block", "zstd", &b);
	b.len = 0;
	buf_u16(&b, 100);
	buf_u16(&b, 1);
	buf_fill(&b, 7, PACK_ENTRY - 4);
	buf_u32(&b, 100);
	put(dir, "pack", "directory", &b);
}

/* The parity of a pack of a few cells, and what the target needs of it: see fuzz_parity.c. */
static void seed_parity(const char *dir)
{
	static const uint8_t pack[3 * PARITY_CELL + 100] = {1, 2, 3}, name[HASH_BYTES] = {1};
	AUTO(parity) p = parity_new(25, 0);
	AUTO_BUF b = BUF_INIT;

	parity_add(p, pack, sizeof(pack));
	parity_end(p, name, &b);
	put(dir, "parity", "one", &b);
	b.len = PARITY_FIXED + 4 * 5;
	put(dir, "parity", "head", &b);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: seeds DIR\n");
		return 2;
	}
	mkdir(argv[1], 0700);
	seed_point(argv[1]);
	seed_nodes(argv[1]);
	seed_keys(argv[1]);
	seed_box(argv[1]);
	seed_run(argv[1]);
	seed_others(argv[1]);
	seed_parity(argv[1]);
	return 0;
}
