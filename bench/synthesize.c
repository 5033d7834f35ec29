/* SPDX-License-Identifier: Apache-2.0 */
/*
 * synthesize DIRECTORY KEYFILE BLOCKS CHECKPOINTS
 *
 * Makes a repository that has the metadata of a large one: BLOCKS blocks of 64 KiB and CHECKPOINTS
 * checkpoints of machines that change a little each day. Index, nodes and points are real; of the
 * blocks there are only the ids, and packs of data are holes of the right size. Everything but
 * reading such a block works as it does in a repository that was filled for years. Nothing is
 * flushed to disk.
 *
 * A machine has a hundred checkpoints or more: half of the blocks are of first backups, the rest
 * lie in a few stretches of each later one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hex.h"
#include "repo/object.h"
#include "repo/session.h"
#include "repo/tree.h"

#define BLOCK ((uint64_t)64 << 10)
#define STORED 33000 /* bytes of a block in a pack */
#define PACK_BLOCKS 1900
#define RUN_ENTRIES ((size_t)4 << 20)
#define FANOUT ((size_t)1 << TREE_FANOUT_LOG)
#define STRETCHES 2 /* in which an increment lies */
#define START_US 1700000000000000ULL
#define DAY_US 86400000000ULL

static struct err problem;

static void die(const char *what)
{
	fprintf(stderr, "synthesize: %s: %s\n", what, problem.msg);
	exit(1);
}

static uint64_t seed = 88172645463325252ULL;

/* xorshift64 (Marsaglia). */
static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void random_hash(uint8_t out[HASH_BYTES])
{
	for (int i = 0; i < HASH_BYTES; i += 8)
		put_le64(out + i, next_random());
}

/* ---- files, put where a directory has them; flushing a hundred thousand takes minutes ---- */

static void make_folder(const char *folder, const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	mkdir(path, 0700);
}

/* With these bytes and a hole up to `size`. */
static void make_file(const char *folder, const char *key, const struct buf *bytes, uint64_t size)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, key);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, bytes->data, bytes->len) != (ssize_t)bytes->len ||
	    ftruncate(fd, (off_t)size) < 0) {
		err_sys(&problem, errno, "write");
		die(path);
	}
	close(fd);
}

/* ---- blocks: entries of the index, and packs that are holes ---- */

struct blocks {
	const char *folder;
	struct index *index;
	struct store_session *session;
	struct run_entry *entries;
	size_t n;
	uint8_t (*packs)[HASH_BYTES];
	size_t n_packs;
	size_t in_pack;
	bool begin; /* a new pack */
};

/* The last pack has all that it will have: a hole of that size. */
static void make_pack(const struct blocks *b)
{
	static const struct buf none = BUF_INIT;
	char key[STORE_KEY_MAX], xx[16];

	if (b->n_packs == 0)
		return;
	pack_key_name(b->packs[b->n_packs - 1], key);
	snprintf(xx, sizeof(xx), "%.*s", (int)(strrchr(key, '/') - key), key);
	make_folder(b->folder, xx);
	make_file(b->folder, key, &none, 64 + STORED * b->in_pack);
}

static void write_run(struct blocks *b)
{
	if (b->n && index_add(b->index, b->session, b->entries, b->n,
			      (const uint8_t(*)[HASH_BYTES])b->packs, b->n_packs, &problem) < 0)
		die("writing an index run");
	make_pack(b);
	b->n = b->n_packs = b->in_pack = 0;
}

/* A new block of data; every checkpoint begins a pack of its own. */
static struct block_id new_block(struct blocks *b)
{
	struct run_entry *r;
	struct block_id id;

	if (b->n == RUN_ENTRIES)
		write_run(b);
	if (b->n_packs == 0 || b->begin || b->in_pack == PACK_BLOCKS) {
		make_pack(b);
		b->packs = xreallocarray(b->packs, b->n_packs + 1, HASH_BYTES);
		random_hash(b->packs[b->n_packs++]);
		b->in_pack = 0;
		b->begin = false;
	}
	random_hash(id.b);
	r = &b->entries[b->n++];
	*r = (struct run_entry){.id = id,
				.pack = (uint32_t)(b->n_packs - 1),
				.offset = (uint32_t)(64 + b->in_pack++ * STORED),
				.stored = STORED,
				.kind = BLOCK_DATA,
				.encoding = BLOCK_ZSTD};
	return id;
}

/* ---- machines: their trees in memory ---- */

struct level {
	struct block_id *ids;
	size_t n;
	bool *changed;
	size_t *list; /* of those that changed */
	size_t n_changed;
};

struct machine {
	struct level levels[TREE_LEVELS_MAX + 1]; /* 0: blocks; above, nodes */
	unsigned n_levels;			  /* of nodes */
	struct uuid last;
	uint64_t checkpoints;
};

static void machine_init(struct machine *m, size_t blocks)
{
	size_t n = blocks;

	for (m->n_levels = 0; m->n_levels == 0 || n > 1; m->n_levels++) {
		m->levels[m->n_levels].n = n;
		n = DIV_UP(n, FANOUT);
	}
	m->levels[m->n_levels].n = 1;
	for (unsigned i = 0; i <= m->n_levels; i++) {
		m->levels[i].ids = xcalloc(m->levels[i].n, sizeof(struct block_id));
		m->levels[i].changed = xcalloc(m->levels[i].n, sizeof(bool));
		m->levels[i].list = xcalloc(m->levels[i].n, sizeof(size_t));
	}
}

/* A node is to be stored. */
static void touch(struct level *l, size_t at)
{
	if (!l->changed[at])
		l->list[l->n_changed++] = at;
	l->changed[at] = true;
}

static void change(struct machine *m, struct blocks *b, size_t from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = (from + i) % m->levels[0].n;

		m->levels[0].ids[at] = new_block(b);
		touch(&m->levels[1], at / FANOUT);
	}
}

/* In stretches that do not overlap. */
static void change_some(struct machine *m, struct blocks *b, size_t n)
{
	size_t from = next_random() % m->levels[0].n;

	for (size_t k = 0; k < STRETCHES; k++)
		change(m, b, from + k * (m->levels[0].n / STRETCHES), n / STRETCHES);
}

static void put_node(struct session *s, struct codec *c, struct machine *m, unsigned level,
		     size_t at)
{
	static uint8_t bytes[NODE_MAX];
	static struct block_print prints[FANOUT];
	const struct level *below = &m->levels[level];
	size_t from = at * FANOUT, n = MIN(FANOUT, below->n - from);
	struct node node = {TREE_MAP, level, n, below->ids + from, NULL, prints};
	struct block_id *id = &m->levels[level + 1].ids[at];
	size_t len;

	/* As little to be compressed as real ones; nobody has the blocks to compare them with. */
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < PRINT_BYTES; k++)
			prints[i].b[k] = node.ids[i].b[k] ^ node.ids[i].b[HASH_BYTES - 1 - k];
	}
	len = node_encode(&node, bytes);
	codec_id(c, BLOCK_NODE, bytes, len, id);
	if (session_put_node(s, id, bytes, len, &problem) < 0)
		die("storing a node");
}

/* Store the nodes above what changed. */
static void put_nodes(struct session *s, struct codec *c, struct machine *m)
{
	for (unsigned level = 1; level <= m->n_levels; level++) {
		struct level *l = &m->levels[level];

		for (size_t i = 0; i < l->n_changed; i++) {
			put_node(s, c, m, level - 1, l->list[i]);
			if (level < m->n_levels)
				touch(&m->levels[level + 1], l->list[i] / FANOUT);
			l->changed[l->list[i]] = false;
		}
		l->n_changed = 0;
	}
}

/* ---- points ---- */

static struct point *make_point(struct machine *m, size_t number, uint64_t at, uint64_t fresh)
{
	struct point *p = point_new();
	char name[64], id[64], path[128];
	struct point_resource *r;
	struct point_disk *d;

	snprintf(name, sizeof(name), "machine-%zu", number);
	snprintf(id, sizeof(id), "%08zx-0000-4000-8000-000000000000", number);
	snprintf(path, sizeof(path), "/var/lib/libvirt/images/%s.qcow2", name);
	p->id = uuid_random();
	p->instant_us = p->complete_us = START_US + at * DAY_US / 24;
	p->writer = xstrdup("holdfast synthesize");
	p->parent = m->last;
	p->stats = (struct point_stats){m->levels[0].n * BLOCK, fresh * BLOCK, fresh * BLOCK,
					fresh * STORED, 1000000};
	r = point_add_resource(p, "domain", id, name, "host.example qemu:///system");
	d = point_add_disk(r, "vda");
	d->source = xstrdup(path);
	d->format = xstrdup("qcow2");
	d->mode = xstrdup(m->checkpoints ? "incremental" : "full");
	d->stats = p->stats;
	d->tree = (struct tree){TREE_MAP,    TREE_BLOCK_LOG,	     TREE_FANOUT_LOG,
				m->n_levels, m->levels[0].n * BLOCK, m->levels[m->n_levels].ids[0]};
	m->last = p->id;
	m->checkpoints++;
	return p;
}

static void put_point(struct repo *r, const char *folder, const struct point *p)
{
	AUTO_BUF body = BUF_INIT;
	AUTO_BUF object = BUF_INIT;
	char key[STORE_KEY_MAX];

	point_encode(p, &body);
	object_seal(repo_keys(r), BOX_POINT, &body, &object);
	point_key_name(&p->id, key);
	make_file(folder, key, &object, object.len);
}

/* ---- all of it ---- */

static void fill(struct repo *r, struct blocks *b, size_t n_blocks, size_t n_points)
{
	const size_t n_machines = MAX(n_points / 1000, (size_t)10);
	const size_t first = n_blocks / 2 / n_machines;
	const size_t each = (n_blocks - first * n_machines) / MAX(n_points - n_machines, (size_t)1);
	struct session *s = session_begin(r, NULL, &problem);
	struct codec *c = codec_new(repo_keys(r), CODEC_LEVEL);
	struct machine *all = xcalloc(n_machines, sizeof(*all));

	if (!s)
		die("beginning a session");
	for (size_t i = 0; i < n_points; i++) {
		struct machine *m = &all[i % n_machines];
		AUTO(point) p = NULL;

		b->begin = true;
		if (!m->checkpoints) {
			machine_init(m, first);
			change(m, b, 0, first);
		} else {
			change_some(m, b, each);
		}
		put_nodes(s, c, m);
		p = make_point(m, i % n_machines, i, m->checkpoints ? each : first);
		put_point(r, b->folder, p);
	}
	write_run(b);
	if (session_publish(s, &problem) < 0 || session_tidy(s, &problem) < 0)
		die("publishing");
	session_free(s);
	codec_free(c);
}

static size_t number(const char *text, const char *what)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (*end || n < 100) {
		fprintf(stderr, "synthesize: %s '%s': give a number of at least 100\n", what, text);
		exit(2);
	}
	return (size_t)n;
}

int main(int argc, char **argv)
{
	struct uuid id = uuid_random();
	struct credential *key;
	struct blocks b = {0};
	char text[UUID_TEXT];
	struct store *s;
	struct repo *r;

	if (argc != 5) {
		fprintf(stderr, "usage: synthesize DIRECTORY KEYFILE BLOCKS CHECKPOINTS\n");
		return 2;
	}
	s = store_dir_open(argv[1], true, NULL, NULL, &problem);
	key = s ? credential_make_file(argv[2], &problem) : NULL;
	if (!key || repo_create(s, key, "synthesize", NULL, &problem) < 0)
		die(argv[1]);
	r = repo_open(s, key, &problem);
	b.session = r ? store_session_begin(s, uuid_text(&id, text), "x", 1, &problem) : NULL;
	if (!b.session)
		die(argv[1]);
	b.folder = argv[1];
	make_folder(b.folder, "packs");
	make_folder(b.folder, "points");
	b.index = repo_index(r);
	b.entries = xcalloc(RUN_ENTRIES, sizeof(*b.entries));
	fill(r, &b, number(argv[3], "BLOCKS"), number(argv[4], "CHECKPOINTS"));
	store_session_end(b.session);
	free(b.entries);
	free(b.packs);
	repo_free(r);
	credential_free(key);
	store_free(s);
	return 0;
}
