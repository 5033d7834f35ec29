/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power cuts. All that the directory store does to its directory in a repository's life is
 * recorded: names that come and go, and flushes. Then the power fails after each operation in turn,
 * and what was not flushed is lost, or not, in many combinations, whatever the order it was done
 * in. In each of these states what was acknowledged must restore bit for bit, and the rest be
 * reclaimable.
 *
 * What a file system may do (POSIX promises no more): a name is durable once its directory was
 * flushed after it came or went, a file's content once the file was flushed. Anything else may be
 * there or not, each for itself, whatever else is. A rename is one thing: there as a whole or not.
 * Content that was not flushed is lost, the file then empty.
 */
#include "scenario.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fio.h"
#include "repo/seal.h"

enum { NODES_MAX = 4000, OPS_MAX = 8000, NAME = 128, LATEST = 3 };

enum kind { ADD, MOVE, REMOVE, FLUSH };

struct op {
	enum kind kind;
	unsigned node;
	unsigned dir, to_dir; /* numbers of nodes */
	char name[NAME], to_name[NAME];
	struct buf content;   /* of a file that is flushed */
	struct ledger ledger; /* as it was when this was done */
};

struct inode {
	ino_t inode; /* 0: gone */
	bool is_dir;
};

/* Node 0 is the repository's folder. */
static struct {
	bool on;
	pthread_mutex_t lock;
	struct ledger *ledger;
	struct inode nodes[NODES_MAX];
	unsigned n_nodes;
	struct op *ops;
	size_t n;
	bool lost; /* something could not be recorded */
} rec = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- recording ---- */

static unsigned node_of(const struct stat *st)
{
	for (unsigned i = 0; i < rec.n_nodes; i++) {
		if (rec.nodes[i].inode == st->st_ino)
			return i;
	}
	rec.lost = true;
	return 0;
}

static unsigned new_node(const struct stat *st)
{
	for (unsigned i = 0; i < rec.n_nodes; i++) {
		if (rec.nodes[i].inode == st->st_ino)
			rec.nodes[i].inode = 0; /* the number is used again */
	}
	if (rec.n_nodes == NODES_MAX) {
		rec.lost = true;
		return 0;
	}
	rec.nodes[rec.n_nodes] = (struct inode){st->st_ino, S_ISDIR(st->st_mode)};
	return rec.n_nodes++;
}

/* The folder of a path, and its name there; false when it is not in the repository. */
static bool place(int fd, const char *path, unsigned *ret_dir, char ret_name[NAME])
{
	char copy[256], *name;
	struct stat st;

	snprintf(copy, sizeof(copy), "%s", path);
	name = strrchr(copy, '/');
	snprintf(ret_name, NAME, "%s", name ? name + 1 : copy);
	if (name)
		*name = 0;
	if (fstatat(fd, name ? copy : ".", &st, 0) < 0)
		return false;
	for (unsigned i = 0; i < rec.n_nodes; i++) {
		if (rec.nodes[i].inode == st.st_ino && rec.nodes[i].is_dir) {
			*ret_dir = i;
			return true;
		}
	}
	return false;
}

static struct op *new_op(enum kind kind)
{
	struct op *o = &rec.ops[rec.n];

	if (rec.n + 1 == OPS_MAX)
		rec.lost = true;
	else
		rec.n++;
	o->kind = kind;
	o->ledger = *rec.ledger;
	return o;
}

static void note_add(int fd, const char *path)
{
	char name[NAME];
	struct stat st;
	unsigned dir;
	struct op *o;

	if (!place(fd, path, &dir, name) || fstatat(fd, path, &st, 0) < 0)
		return;
	o = new_op(ADD);
	o->dir = dir;
	memcpy(o->name, name, NAME);
	/* A link's file is known already. */
	o->node = st.st_nlink > 1 && !S_ISDIR(st.st_mode) ? node_of(&st) : new_node(&st);
}

int __real_mkdirat(int fd, const char *path, mode_t mode);
int __wrap_mkdirat(int fd, const char *path, mode_t mode);
int __wrap_mkdirat(int fd, const char *path, mode_t mode)
{
	int rc;

	pthread_mutex_lock(&rec.lock);
	rc = __real_mkdirat(fd, path, mode);
	if (rec.on && rc == 0)
		note_add(fd, path);
	pthread_mutex_unlock(&rec.lock);
	return rc;
}

int __real_openat64(int fd, const char *path, int flags, mode_t mode);
int __wrap_openat64(int fd, const char *path, int flags, mode_t mode);
int __wrap_openat64(int fd, const char *path, int flags, mode_t mode)
{
	bool was_there;
	int rc;

	if (!rec.on || !(flags & O_CREAT))
		return __real_openat64(fd, path, flags, mode);
	pthread_mutex_lock(&rec.lock);
	was_there = faccessat(fd, path, F_OK, 0) == 0;
	rc = __real_openat64(fd, path, flags, mode);
	if (rc >= 0 && !was_there)
		note_add(fd, path);
	pthread_mutex_unlock(&rec.lock);
	return rc;
}

int __real_linkat(int a, const char *from, int b, const char *to, int flags);
int __wrap_linkat(int a, const char *from, int b, const char *to, int flags);
int __wrap_linkat(int a, const char *from, int b, const char *to, int flags)
{
	int rc;

	pthread_mutex_lock(&rec.lock);
	rc = __real_linkat(a, from, b, to, flags);
	if (rec.on && rc == 0)
		note_add(b, to);
	pthread_mutex_unlock(&rec.lock);
	return rc;
}

int __real_renameat(int a, const char *from, int b, const char *to);
int __wrap_renameat(int a, const char *from, int b, const char *to);
int __wrap_renameat(int a, const char *from, int b, const char *to)
{
	char name[NAME], to_name[NAME];
	unsigned dir = 0, to_dir = 0;
	struct stat st;
	bool inside;
	int rc;

	pthread_mutex_lock(&rec.lock);
	inside = rec.on && place(a, from, &dir, name);
	rc = __real_renameat(a, from, b, to);
	if (rc == 0 && inside && place(b, to, &to_dir, to_name) && fstatat(b, to, &st, 0) == 0) {
		struct op *o = new_op(MOVE);

		o->node = node_of(&st);
		o->dir = dir;
		o->to_dir = to_dir;
		memcpy(o->name, name, NAME);
		memcpy(o->to_name, to_name, NAME);
	}
	pthread_mutex_unlock(&rec.lock);
	return rc;
}

int __real_unlinkat(int fd, const char *path, int flags);
int __wrap_unlinkat(int fd, const char *path, int flags);
int __wrap_unlinkat(int fd, const char *path, int flags)
{
	char name[NAME];
	unsigned dir = 0;
	bool inside;
	int rc;

	pthread_mutex_lock(&rec.lock);
	inside = rec.on && place(fd, path, &dir, name);
	rc = __real_unlinkat(fd, path, flags);
	if (rc == 0 && inside) {
		struct op *o = new_op(REMOVE);

		o->dir = dir;
		memcpy(o->name, name, NAME);
	}
	pthread_mutex_unlock(&rec.lock);
	return rc;
}

static void note_flush(int fd)
{
	struct stat st;
	char path[64];
	struct op *o;

	if (fstat(fd, &st) < 0)
		return;
	for (unsigned i = 0; i < rec.n_nodes; i++) {
		if (rec.nodes[i].inode != st.st_ino)
			continue;
		o = new_op(FLUSH);
		o->node = i;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (!rec.nodes[i].is_dir && fio_slurp(path, 64 << 20, &o->content, NULL) < 0)
			rec.lost = true;
		return;
	}
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	int rc;

	pthread_mutex_lock(&rec.lock);
	rc = __real_fsync(fd);
	if (rec.on && rc == 0)
		note_flush(fd);
	pthread_mutex_unlock(&rec.lock);
	return rc;
}

/* Were runs merged? Before the first pack goes, only runs have such names and go. */
static bool merged(void)
{
	for (size_t i = 0; i < rec.n && !rec.ops[i].ledger.damaging; i++) {
		if (rec.ops[i].kind == REMOVE && strlen(rec.ops[i].name) == 2 * HASH_BYTES)
			return true;
	}
	return false;
}

static void record(struct ledger *l)
{
	char *folder = test_folder();
	struct stat st;
	struct store *s;

	rec.ops = xcalloc(OPS_MAX, sizeof(*rec.ops));
	rec.ledger = l;
	assert_int_equal(stat(folder, &st), 0);
	rec.nodes[rec.n_nodes++] = (struct inode){st.st_ino, true};
	s = OK_PTR(store_dir_open(folder, false, NULL, NULL, e));
	rec.on = true;
	scenario_run(s, true, l);
	rec.on = false;
	store_free(s);
	assert_int_equal(l->failed, 0);
	assert_true(merged() && l->rotated && l->repaired);
	assert_false(rec.lost);
	test_folder_done(folder);
}

/* ---- what a power cut leaves ---- */

struct entry {
	unsigned dir, node;
	const char *name;
};

struct state {
	struct entry v[NODES_MAX];
	size_t n;
	struct buf told; /* paths and contents, to know states that were seen */
};

static void take_away(struct state *s, unsigned dir, const char *name)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].dir == dir && strcmp(s->v[i].name, name) == 0) {
			s->v[i] = s->v[--s->n];
			return;
		}
	}
}

static void put_there(struct state *s, unsigned dir, const char *name, unsigned node)
{
	take_away(s, dir, name);
	assert_true(s->n < NODES_MAX);
	s->v[s->n++] = (struct entry){dir, node, name};
}

static void apply(struct state *s, const struct op *o)
{
	if (o->kind == ADD)
		put_there(s, o->dir, o->name, o->node);
	if (o->kind == MOVE || o->kind == REMOVE)
		take_away(s, o->dir, o->name);
	if (o->kind == MOVE)
		put_there(s, o->to_dir, o->to_name, o->node);
}

/* Was it flushed before the end? */
static bool durable(size_t i, size_t end)
{
	unsigned dir = rec.ops[i].kind == MOVE ? rec.ops[i].to_dir : rec.ops[i].dir;

	for (size_t k = i + 1; k < end; k++) {
		if (rec.ops[k].kind == FLUSH && rec.ops[k].node == dir)
			return true;
	}
	return false;
}

static const struct buf *content_of(unsigned node, size_t end)
{
	static const struct buf nothing;

	for (size_t k = end; k-- > 0;) {
		if (rec.ops[k].kind == FLUSH && rec.ops[k].node == node)
			return &rec.ops[k].content;
	}
	return &nothing;
}

/* Make what is in a folder; with `fd` -1 only tell of it. */
static void make(struct state *s, unsigned dir, int fd, const char *path, size_t end)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct entry *at = &s->v[i];
		char below[512];

		if (at->dir != dir)
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, at->name);
		buf_text(&s->told, below);
		if (rec.nodes[at->node].is_dir) {
			if (fd >= 0)
				assert_int_equal(mkdirat(fd, below + 1, 0700), 0);
			make(s, at->node, fd, below, end);
		} else {
			const struct buf *c = content_of(at->node, end);

			buf_u64(&s->told, (uint64_t)(uintptr_t)c);
			if (fd >= 0) {
				AUTO_CLOSE int out =
					openat(fd, below + 1, O_CREAT | O_WRONLY, 0600);

				OK(fio_write(out, c->data, c->len, below, e));
			}
		}
	}
}

struct counts {
	size_t states, wrong;
	uint8_t (*seen)[HASH_BYTES];
};

static bool seen_before(struct counts *c, const uint8_t hash[HASH_BYTES])
{
	for (size_t i = 0; i < c->states; i++) {
		if (memcmp(c->seen[i], hash, HASH_BYTES) == 0)
			return true;
	}
	c->seen = xreallocarray(c->seen, c->states + 1, HASH_BYTES);
	memcpy(c->seen[c->states++], hash, HASH_BYTES);
	return false;
}

static void check(struct state *s, size_t end, struct counts *c)
{
	struct ledger l = rec.ops[end - 1].ledger;
	uint8_t hash[HASH_BYTES];
	const char *wrong;
	struct store *store;
	char *folder;
	int fd;

	s->told.len = 0;
	make(s, 0, -1, "", end);
	buf_add(&s->told, &l, sizeof(l));
	sha256(s->told.data, s->told.len, hash);
	if (seen_before(c, hash))
		return;
	folder = test_folder();
	fd = open(folder, O_RDONLY | O_DIRECTORY);
	make(s, 0, fd, "", end);
	close(fd);
	store = OK_PTR(store_dir_open(folder, false, NULL, NULL, e));
	wrong = scenario_check(store, &l);
	store_free(store);
	test_folder_done(folder);
	if (wrong)
		print_error("power cut after operation %zu of %zu: %s\n", end, rec.n, wrong);
	c->wrong += wrong != NULL;
}

/* Which of what was not flushed is there: all, nothing, all but one or only one of the last few, or
 * any. `age` counts from the last one. */
static bool chosen(size_t way, size_t age, struct random *rnd)
{
	if (way < 2)
		return way == 0;
	if (way < 2 + LATEST)
		return age != way - 2;
	if (way < 2 + 2 * LATEST)
		return age == way - 2 - LATEST;
	return random_below(rnd, 2);
}

static void cut(size_t end, size_t any, struct random *rnd, struct counts *c)
{
	AUTO_FREE bool *safe = xcalloc(end, sizeof(bool));
	AUTO_FREE struct state *s = xcalloc(1, sizeof(*s));
	size_t pending = 0;

	for (size_t i = 0; i < end; i++) {
		safe[i] = durable(i, end);
		pending += !safe[i] && rec.ops[i].kind != FLUSH;
	}
	for (size_t way = 0; way < 2 + 2 * LATEST + any; way++) {
		size_t age = pending;

		s->n = 0;
		for (size_t i = 0; i < end; i++) {
			if (rec.ops[i].kind == FLUSH)
				continue;
			if (safe[i] || chosen(way, --age, rnd))
				apply(s, &rec.ops[i]);
		}
		check(s, end, c);
	}
	buf_done(&s->told);
}

/* The operations FIRST, FIRST + STRIDE …, with so many random combinations each. */
static size_t first = 1, stride = 1, combinations = 1;

static void test_power_cuts(void **state)
{
	struct random rnd = {random_seed() + first};
	struct ledger ledger = {0};
	struct counts c = {0};

	(void)state;
	record(&ledger);
	for (size_t end = first; end <= rec.n; end += stride)
		cut(end, combinations, &rnd, &c);
	printf("# %zu operations, %zu different states, %zu wrong\n", rec.n, c.states, c.wrong);
	assert_int_equal(c.wrong, 0);
	assert_true(c.states > rec.n / stride);
	for (size_t i = 0; i < rec.n; i++)
		buf_done(&rec.ops[i].content);
	free(rec.ops);
	free(c.seen);
}

/* FIRST STRIDE: parts run side by side. HF_POWER_CUTS: more random combinations for each. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_power_cuts)};
	const char *more = getenv("HF_POWER_CUTS");

	first = argc > 1 ? strtoul(argv[1], NULL, 10) : first;
	stride = argc > 2 ? strtoul(argv[2], NULL, 10) : stride;
	combinations = more ? strtoul(more, NULL, 10) : combinations;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
