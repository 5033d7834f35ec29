/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams and how they are cut.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

#include "base/fio.h"
#include "mover/backup.h"
#include "mover/chunker.h"
#include "writer.h"

enum { KiB = 1 << 10, MiB = 1 << 20, CHUNK_MIN = 32 * KiB, CHUNK_MAX = 512 * KiB };

/* ---- a pipe that is slow, silent and fails ---- */

static struct {
	int fd; /* the stream; other files are left alone. -1: none */
	unsigned reads, polls;
	unsigned fail_read;   /* the n-th fails, from 1; 0: none */
	int error;	      /* in this way, once */
	unsigned silent;      /* so many polls find nothing */
	struct cancel *raise; /* when a poll finds nothing */
	size_t most;	      /* a read gives at most so many bytes; 0: as it likes */
} sys = {.fd = -1};

ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n)
{
	if (fd != sys.fd)
		return __real_read(fd, p, n);
	if (++sys.reads == sys.fail_read) {
		errno = sys.error;
		return -1;
	}
	return __real_read(fd, p, sys.most ? MIN(n, sys.most) : n);
}

int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	if (n != 1 || fds[0].fd != sys.fd || sys.polls++ >= sys.silent)
		return __real_poll(fds, n, timeout);
	if (sys.raise)
		cancel_set(sys.raise);
	return 0;
}

/* ---- a stream from a file ---- */

struct bench {
	struct store *store;
	struct repo *r;
	struct random rnd;
	char *folder, *path;
	struct tree tree;
	struct uuid id; /* of the last checkpoint */
	/* What the next is compared with: a tree (NULL: nothing), and its checkpoint. */
	const struct tree *parent;
	const struct uuid *parent_point;
	enum session_deltas deltas;
	struct point_stats stats;
	struct progress progress;
	struct cancel cancel;
};

static void up(struct bench *b)
{
	memset(&sys, 0, sizeof(sys));
	sys.fd = -1;
	*b = (struct bench){.rnd = {random_seed()}, .folder = test_folder()};
	b->r = test_repo(&b->store);
	b->path = test_path(b->folder, "stream");
}

static void down(struct bench *b)
{
	sys.fd = -1;
	repo_free(b->r);
	store_free(b->store);
	free(b->path);
	test_folder_done(b->folder);
}

/* Back up what `fd` gives, as a checkpoint. */
static int back_up_fd(struct bench *b, int fd, struct err *e)
{
	struct session_options o = {.pack_bytes = MiB, .deltas = b->deltas};
	AUTO(session) s = session_begin(b->r, &o, e);
	AUTO(point) p = point_new();
	struct backup_stream job = {.fd = fd,
				    .name = "the stream",
				    .parent = b->parent,
				    .parent_point = b->parent_point,
				    .progress = &b->progress,
				    .cancel = &b->cancel};
	int rc;

	sys.fd = fd;
	sys.reads = sys.polls = 0;
	memset(&b->progress, 0, sizeof(b->progress));
	rc = s ? backup_stream(s, &job, &b->tree, &b->stats, e) : -1;
	sys.fd = -1;
	if (rc < 0)
		return -1;
	point_add_disk(point_add_resource(p, "stream", "", "s", ""), "stdin")->tree = b->tree;
	if (session_commit(s, p, e) < 0)
		return -1;
	b->id = p->id;
	return 0;
}

static int back_up(struct bench *b, const void *data, size_t n, struct err *e)
{
	AUTO_CLOSE int fd = -1;

	if (fio_replace(b->path, data, n, 0600, e) < 0)
		return -1;
	fd = open(b->path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return back_up_fd(b, fd, e);
}

static void assert_tree(struct bench *b, const void *data, size_t n)
{
	AUTO_BUF got = BUF_INIT;

	assert_int_equal(b->tree.type, TREE_SEQUENCE);
	assert_int_equal(b->tree.size, n);
	assert_int_equal(b->stats.content, n);
	assert_int_equal(b->stats.read, n);
	assert_int_equal(progress_get(&b->progress.passed), n);
	OK(read_tree(b->r, &b->tree, &got, e));
	assert_int_equal(got.len, n);
	if (n && memcmp(got.data, data, n) != 0)
		fail_msg("a stream reads back wrong");
}

/* Text, noise and zeros by turns, of any length. */
static uint8_t *make_content(struct random *rnd, size_t n)
{
	uint8_t *data = xcalloc(1, n + 1);

	for (size_t at = 0; at < n;) {
		size_t want = 1 + random_below(rnd, 700 * KiB), len = MIN(want, n - at);
		uint64_t kind = random_below(rnd, 3);

		if (kind)
			random_fill(rnd, data + at, len, kind == 1);
		at += len;
	}
	return data;
}

static void test_streams_of_any_length(void **state)
{
	static const size_t sizes[] = {0,
				       1,
				       CHUNK_MIN - 1,
				       CHUNK_MIN,
				       CHUNK_MIN + 1,
				       CHUNK_MAX - 1,
				       CHUNK_MAX,
				       CHUNK_MAX + 1,
				       2 * MiB - 1,
				       2 * MiB,
				       2 * MiB + 1,
				       9 * MiB + 12345};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		AUTO_FREE uint8_t *data = NULL;
		struct bench b;

		up(&b);
		data = make_content(&b.rnd, sizes[i]);
		OK(back_up(&b, data, sizes[i], e));
		assert_tree(&b, data, sizes[i]);
		/* Again, in small pieces: nothing new. */
		sys.most = sizes[i] > MiB ? 70001 : sizes[i] > CHUNK_MIN + 1 ? 997 : 13;
		OK(back_up(&b, data, sizes[i], e));
		assert_tree(&b, data, sizes[i]);
		assert_int_equal(b.stats.fresh, 0);
		down(&b);
	}
}

struct writer_thread {
	struct bench *b;
	const uint8_t *data;
	size_t n;
	int fds[2];
	atomic_uint failed;
};

static void write_or_back_up(void *arg, unsigned number)
{
	struct writer_thread *w = arg;

	if (number == 0) {
		w->failed += fio_write(w->fds[1], w->data, w->n, "a pipe", NULL) < 0;
		close(w->fds[1]);
	} else {
		struct err err = {0};

		w->failed += back_up_fd(w->b, w->fds[0], &err) < 0;
	}
}

static void test_from_a_pipe(void **state)
{
	AUTO_FREE uint8_t *data = NULL;
	struct writer_thread w = {.n = 5 * MiB + 7};
	struct bench b;

	(void)state;
	up(&b);
	data = make_content(&b.rnd, w.n);
	w.data = data;
	w.b = &b;
	assert_int_equal(pipe2(w.fds, O_CLOEXEC | O_NONBLOCK), 0);
	/* Our end never waits, so that it sees EAGAIN; the writer's does. */
	assert_int_equal(fcntl(w.fds[1], F_SETFL, 0), 0);
	sys.silent = 3;
	test_threads(2, write_or_back_up, &w);
	close(w.fds[0]);
	assert_int_equal(w.failed, 0);
	assert_tree(&b, data, w.n);
	down(&b);
}

/* A few bytes more at the start, or in the middle, cost a few blocks. */
static void test_shifted_content_is_known(void **state)
{
	AUTO_FREE uint8_t *data = xmalloc(16 * MiB + 100);
	AUTO_FREE uint8_t *shifted = xmalloc(16 * MiB + 100);
	struct bench b;

	(void)state;
	up(&b);
	random_fill(&b.rnd, data, 16 * MiB, true);
	OK(back_up(&b, data, 16 * MiB, e));
	assert_int_equal(b.stats.fresh, 16 * MiB);
	memcpy(shifted, "a few bytes", 11);
	memcpy(shifted + 11, data, 16 * MiB);
	OK(back_up(&b, shifted, 16 * MiB + 11, e));
	assert_tree(&b, shifted, 16 * MiB + 11);
	assert_true(b.stats.fresh <= 2 * CHUNK_MAX);
	memmove(data + 8 * MiB + 3, data + 8 * MiB, 8 * MiB);
	OK(back_up(&b, data, 16 * MiB + 3, e));
	assert_tree(&b, data, 16 * MiB + 3);
	assert_true(b.stats.fresh <= 3 * CHUNK_MAX);
	down(&b);
}

static void test_blocks_have_their_bounds(void **state)
{
	AUTO_FREE uint8_t *data = NULL;
	struct tree_piece piece;
	struct tree_walk *walk;
	struct fetch *f;
	uint64_t at = 0, n = 0, longest = 0;
	struct bench b;

	(void)state;
	up(&b);
	data = xmalloc(16 * MiB);
	random_fill(&b.rnd, data, 12 * MiB, true);
	/* Nothing to cut at: as long as blocks may be. */
	memset(data + 12 * MiB, 'x', 4 * MiB);
	OK(back_up(&b, data, 16 * MiB, e));
	f = fetch_new(b.r);
	walk = tree_walk_new(&b.tree, f);
	for (;; n++) {
		struct err err = {0};
		int rc = tree_walk_next(walk, &piece, &err);

		assert_true(rc >= 0);
		if (rc == 0)
			break;
		assert_int_equal(piece.offset, at);
		assert_true(piece.len <= CHUNK_MAX);
		at += piece.len;
		assert_true(piece.len >= CHUNK_MIN || at == 16 * MiB);
		longest = MAX(longest, piece.len);
	}
	assert_int_equal(at, 16 * MiB);
	assert_int_equal(longest, CHUNK_MAX);
	/* On average 128 KiB of noise; by far not all of the least or greatest length. */
	assert_true(n > 50 && n < 250);
	tree_walk_free(walk);
	fetch_free(f);
	down(&b);
}

/* ---- compared with what it gave before ---- */

/* A few bytes in every block, however it was cut. */
static void sprinkle(struct bench *b, uint8_t *data, size_t n)
{
	for (size_t at = 0; at + 10 * KiB <= n; at += 10 * KiB)
		random_fill(&b->rnd, data + at + random_below(&b->rnd, 9 * KiB), 20, true);
	/* The last one may be short. */
	random_fill(&b->rnd, data + n - 20, 20, true);
}

/* Noise, which takes as much as it is long, as the first checkpoint. */
static uint8_t *first_backup(struct bench *b, size_t n, struct tree *ret_tree)
{
	uint8_t *data = xmalloc(n);

	random_fill(&b->rnd, data, n, true);
	OK(back_up(b, data, n, e));
	*ret_tree = b->tree;
	return data;
}

static void test_changed_a_little(void **state)
{
	AUTO_FREE uint8_t *data = NULL;
	struct tree before;
	struct bench b;

	(void)state;
	up(&b);
	data = first_backup(&b, 8 * MiB, &before);
	b.parent = &before;
	/* The second time, what stood there before is deltas itself. */
	for (int day = 0; day < 2; day++) {
		uint64_t had = test_count_deltas(b.r);

		sprinkle(&b, data, 8 * MiB);
		OK(back_up(&b, data, 8 * MiB, e));
		assert_tree(&b, data, 8 * MiB);
		/* A cut may be gone: then part of a block has nothing to be compared with. */
		assert_true(b.stats.stored < 3 * MiB);
		assert_true(test_count_deltas(b.r) > had + 20);
		before = b.tree;
	}
	/* Nothing is new: neither stored nor looked for. */
	OK(back_up(&b, data, 8 * MiB, e));
	assert_tree(&b, data, 8 * MiB);
	assert_int_equal(b.stats.stored, 0);
	down(&b);
}

/* Moved as well: half a MiB is gone, a little came. */
static void test_changed_and_moved(void **state)
{
	AUTO_FREE uint8_t *data = NULL;
	struct tree before;
	struct bench b;

	(void)state;
	up(&b);
	data = first_backup(&b, 16 * MiB, &before);
	b.parent = &before;
	memmove(data + MiB, data + MiB + MiB / 2, 14 * MiB);
	memmove(data + 8 * MiB + 777, data + 8 * MiB, 6 * MiB);
	random_fill(&b.rnd, data + 8 * MiB, 777, true);
	/* From here on every block changed. */
	sprinkle(&b, data + 4 * MiB, 8 * MiB);
	OK(back_up(&b, data, 14 * MiB, e));
	assert_tree(&b, data, 14 * MiB);
	/* What is new as a whole lies around those places. */
	assert_true(b.stats.fresh > 7 * MiB);
	assert_true(b.stats.stored < 4 * MiB);
	down(&b);
}

/* Where deltas are not wanted, or nothing that was there before is sure to stay. */
static void test_not_compared(void **state)
{
	static const struct uuid nobody = {{1}};
	static const struct tree map = {.type = TREE_MAP, .block_log = 16, .fanout_log = 8};
	AUTO_FREE uint8_t *data = NULL;
	struct tree before;
	struct bench b;

	(void)state;
	up(&b);
	data = first_backup(&b, 2 * MiB, &before);
	for (int how = 0; how < 4; how++) {
		b.parent = how == 0 ? NULL : how == 1 ? &map : &before;
		b.parent_point = how == 2 ? &nobody : NULL;
		b.deltas = how == 3 ? DELTAS_OFF : DELTAS_AUTO;
		sprinkle(&b, data, 2 * MiB);
		OK(back_up(&b, data, 2 * MiB, e));
		assert_tree(&b, data, 2 * MiB);
		assert_int_equal(b.stats.fresh, 2 * MiB);
		assert_int_equal(test_count_deltas(b.r), 0);
	}
	b.deltas = DELTAS_AUTO;
	b.parent_point = &b.id;
	before = b.tree;
	sprinkle(&b, data, 2 * MiB);
	OK(back_up(&b, data, 2 * MiB, e));
	assert_true(test_count_deltas(b.r) > 0);
	down(&b);
}

/* What was there before is damaged, in its blocks or in its tree: whatever cannot be read is not
 * compared with. */
static void test_damaged_before(void **state)
{
	(void)state;
	for (size_t n = 0; n < 9; n++) {
		AUTO_FREE uint8_t *data = NULL;
		char key[STORE_KEY_MAX];
		struct tree before;
		struct bench b;
		uint8_t *bytes;
		size_t len;

		up(&b);
		data = first_backup(&b, 8 * MiB, &before);
		b.parent = &before;
		test_nth(b.store, "packs/", n % test_count(b.store, "packs/"), key);
		bytes = store_mem_bytes(b.store, key, &len);
		for (size_t at = 100; at < len; at += 1000)
			bytes[at] ^= 1;
		repo_free(b.r);
		b.r = test_reopen(b.store);
		sprinkle(&b, data, 8 * MiB);
		OK(back_up(&b, data, 8 * MiB, e));
		assert_tree(&b, data, 8 * MiB);
		down(&b);
	}
}

/* ---- what goes wrong ---- */

static void test_read_error(void **state)
{
	AUTO_FREE uint8_t *data = xcalloc(5, MiB);
	struct bench b;
	int fd;

	(void)state;
	up(&b);
	random_fill(&b.rnd, data, 5 * MiB, true);
	sys.most = 100 * KiB;
	for (unsigned at = 1; at < 50; at += 16) {
		struct err err = {0};

		sys.fail_read = at;
		sys.error = EIO;
		assert_int_equal(back_up(&b, data, 5 * MiB, &err), -1);
		assert_int_equal(err.kind, ERR_IO);
		assert_non_null(strstr(err.msg, "the stream"));
		/* Interrupted is no error. */
		sys.error = EINTR;
		OK(back_up(&b, data, 5 * MiB, e));
		assert_tree(&b, data, 5 * MiB);
	}
	sys.fail_read = 0;
	fd = open(b.folder, O_RDONLY | O_CLOEXEC);
	FAILS(ERR_INVALID, back_up_fd(&b, fd, e));
	close(fd);
	down(&b);
}

static void test_cancelled_while_it_is_silent(void **state)
{
	struct bench b;
	int fds[2];

	(void)state;
	up(&b);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], "something", 9), 9);
	sys.silent = UINT32_MAX;
	sys.raise = &b.cancel;
	FAILS(ERR_CANCELLED, back_up_fd(&b, fds[0], e));
	assert_int_equal(test_count(b.store, "points/"), 0);
	close(fds[0]);
	close(fds[1]);
	down(&b);
}

static void test_cancelled_before(void **state)
{
	struct bench b;

	(void)state;
	up(&b);
	cancel_set(&b.cancel);
	FAILS(ERR_CANCELLED, back_up(&b, "x", 1, e));
	down(&b);
}

/* ---- the chunker by itself ---- */

static void test_cuts(void **state)
{
	AUTO_FREE uint8_t *data = xmalloc(MiB);
	struct chunker c, other;
	struct bench b, b2;
	size_t cut;

	(void)state;
	up(&b);
	up(&b2);
	chunker_init(&c, repo_keys(b.r), 4 * KiB);
	chunker_init(&other, repo_keys(b2.r), 4 * KiB);
	assert_int_equal(c.min, KiB);
	assert_int_equal(c.max, 16 * KiB);
	random_fill(&b.rnd, data, MiB, true);
	for (size_t n = 0; n <= c.min; n += 128)
		assert_int_equal(chunker_cut(&c, data, n), n);
	cut = chunker_cut(&c, data, c.max);
	assert_true(cut > c.min && cut <= c.max);
	/* What follows the cut does not matter, nor how much is at hand. */
	assert_int_equal(chunker_cut(&c, data, MiB), cut);
	assert_int_equal(chunker_cut(&c, data, cut), cut);
	assert_int_equal(chunker_cut(&c, data, cut - 1), cut - 1);
	/* Another repository cuts elsewhere. */
	assert_memory_not_equal(c.gear, other.gear, sizeof(c.gear));
	memset(data, 0, MiB);
	assert_true(chunker_cut(&c, data, MiB) <= c.max);
	down(&b2);
	down(&b);
}

static void test_lengths_are_near_the_average(void **state)
{
	AUTO_FREE uint8_t *data = xmalloc(8 * MiB);
	size_t at = 0, n = 0;
	struct chunker c;
	struct bench b;

	(void)state;
	up(&b);
	chunker_init(&c, repo_keys(b.r), 4 * KiB);
	random_fill(&b.rnd, data, 8 * MiB, true);
	for (; at < 8 * MiB; n++)
		at += chunker_cut(&c, data + at, 8 * MiB - at);
	assert_int_equal(at, 8 * MiB);
	assert_true(8 * MiB / n > 3 * KiB && 8 * MiB / n < 6 * KiB);
	down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams_of_any_length),
		cmocka_unit_test(test_from_a_pipe),
		cmocka_unit_test(test_shifted_content_is_known),
		cmocka_unit_test(test_blocks_have_their_bounds),
		cmocka_unit_test(test_changed_a_little),
		cmocka_unit_test(test_changed_and_moved),
		cmocka_unit_test(test_not_compared),
		cmocka_unit_test(test_damaged_before),
		cmocka_unit_test(test_read_error),
		cmocka_unit_test(test_cancelled_while_it_is_silent),
		cmocka_unit_test(test_cancelled_before),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_lengths_are_near_the_average),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
