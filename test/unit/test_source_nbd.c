/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading disks through NBD, from real servers.
 */
#include <errno.h>
#include <libnbd.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "images.h"
#include "mover/backup.h"
#include "writer.h"

enum { MiB = 1 << 20 };

/* ---- servers that can do less, and calls that fail ---- */

static struct {
	bool no_allocation, no_handle, no_size, no_extents;
} sys;

struct nbd_handle *__real_nbd_create(void);
struct nbd_handle *__wrap_nbd_create(void);
struct nbd_handle *__wrap_nbd_create(void)
{
	return sys.no_handle ? NULL : __real_nbd_create();
}

int64_t __real_nbd_get_size(struct nbd_handle *h);
int64_t __wrap_nbd_get_size(struct nbd_handle *h);
int64_t __wrap_nbd_get_size(struct nbd_handle *h)
{
	return sys.no_size ? -1 : __real_nbd_get_size(h);
}

int __real_nbd_can_meta_context(struct nbd_handle *h, const char *name);
int __wrap_nbd_can_meta_context(struct nbd_handle *h, const char *name);
int __wrap_nbd_can_meta_context(struct nbd_handle *h, const char *name)
{
	if (sys.no_allocation && strcmp(name, "base:allocation") == 0)
		return 0;
	return __real_nbd_can_meta_context(h, name);
}

int __real_nbd_block_status(struct nbd_handle *h, uint64_t n, uint64_t off, nbd_extent_callback cb,
			    uint32_t flags);
int __wrap_nbd_block_status(struct nbd_handle *h, uint64_t n, uint64_t off, nbd_extent_callback cb,
			    uint32_t flags);
int __wrap_nbd_block_status(struct nbd_handle *h, uint64_t n, uint64_t off, nbd_extent_callback cb,
			    uint32_t flags)
{
	return sys.no_extents ? 0 : __real_nbd_block_status(h, n, off, cb, flags);
}

/* ---- a disk with some data, text and noise, and wide holes ---- */

struct bench {
	char *folder, *raw, *qcow2;
	uint8_t *data;
	uint64_t size;
	struct random rnd;
	struct server server;
};

static void up(struct bench *b, uint64_t size)
{
	need_qemu();
	memset(&sys, 0, sizeof(sys));
	*b = (struct bench){.folder = test_folder(), .size = size, .rnd = {random_seed()}};
	b->raw = test_path(b->folder, "disk.raw");
	b->qcow2 = test_path(b->folder, "disk.qcow2");
	b->data = xcalloc(1, size + 1);
	for (uint64_t off = 0; off + 3 * MiB < size; off += 3 * MiB)
		random_fill(&b->rnd, b->data + off, 200000 + random_below(&b->rnd, MiB), off % 2);
}

static void down(struct bench *b)
{
	memset(&sys, 0, sizeof(sys));
	server_done(&b->server);
	free(b->raw);
	free(b->qcow2);
	free(b->data);
	test_folder_done(b->folder);
}

struct counts {
	uint64_t bytes[3];	     /* of each kind */
	enum extent_kind at_mib[64]; /* of the byte at each MiB */
};

/* Ask for the whole map; zeros must be zeros. */
static struct counts whole_map(struct bench *b, struct source *s)
{
	struct extent_list l = {0};
	struct counts c = {0};
	uint64_t off = 0;

	while (off < b->size) {
		uint64_t was = off;

		l.n = 0;
		OK(s->ops->map(s, off, b->size - off, &l, e));
		for (size_t i = 0; i < l.n; i++) {
			struct extent x = l.v[i];

			assert_true(x.len > 0);
			if (x.kind == EXTENT_ZERO || x.kind == EXTENT_CLEAN_ZERO)
				assert_true(block_all_zero(b->data + off, x.len));
			if (x.kind == EXTENT_CLEAN_ZERO)
				x.kind = EXTENT_CLEAN;
			c.bytes[x.kind] += x.len;
			for (uint64_t m = DIV_UP(off, MiB); m * MiB < off + x.len; m++)
				c.at_mib[m] = x.kind;
			off += x.len;
		}
		assert_true(off > was);
	}
	assert_int_equal(off, b->size);
	extent_done(&l);
	return c;
}

static void assert_reads(struct bench *b, struct source *s)
{
	AUTO_FREE uint8_t *got = xmalloc(b->size + 1);

	assert_int_equal(s->size, b->size);
	OK(read_source(s, got, e));
	if (memcmp(got, b->data, b->size) != 0)
		fail_msg("a disk reads back wrong");
}

static void test_images_of_both_formats(void **state)
{
	struct bench b;

	(void)state;
	up(&b, 40 * MiB);
	image_raw(b.raw, b.data, b.size);
	image_qcow2(b.qcow2, b.data, b.size);
	for (int way = 0; way < 3; way++) {
		static const char *const formats[] = {"raw", "qcow2", NULL};
		struct source *s =
			OK_PTR(source_image_open(way ? b.qcow2 : b.raw, formats[way], NULL, e));
		struct counts c = whole_map(&b, s);

		assert_false(s->tracks);
		assert_true(s->in_flight > 1);
		assert_true(c.bytes[EXTENT_ZERO] > b.size / 3);
		assert_int_equal(c.bytes[EXTENT_CLEAN], 0);
		assert_reads(&b, s);
		source_free(s);
	}
	down(&b);
}

static void test_an_image_is_locked_while_it_is_read(void **state)
{
	struct source *s;
	struct bench b;

	(void)state;
	up(&b, MiB);
	image_qcow2(b.qcow2, b.data, b.size);
	s = OK_PTR(source_image_open(b.qcow2, "qcow2", NULL, e));
	FAILS(ERR_IO, spawn_run((const char *const[]){"qemu-io", "-f", "qcow2", "-c", "write 0 64k",
						      b.qcow2, NULL},
				1000, NULL, NULL, e));
	source_free(s);
	image_io(b.qcow2, "qcow2", "write 0 64k");
	down(&b);
}

static void test_images_that_cannot_be_opened(void **state)
{
	struct bench b;

	(void)state;
	up(&b, MiB);
	FAILS_PTR(ERR_NOENT, source_image_open(b.raw, "raw", NULL, e));
	image_qcow2(b.qcow2, b.data, b.size);
	/* A bitmap that is not there. */
	FAILS_PTR(ERR_IO, source_image_open(b.qcow2, "qcow2", "none", e));
	down(&b);
}

/* ---- change tracking ---- */

static void test_bitmap_tells_what_changed(void **state)
{
	struct source *s;
	struct counts c;
	struct bench b;

	(void)state;
	up(&b, 40 * MiB);
	image_qcow2(b.qcow2, b.data, b.size);
	RUN("qemu-img", "bitmap", "--add", "-f", "qcow2", b.qcow2, "changed");
	image_io(b.qcow2, "qcow2", "write -P 0x11 5M 64k");
	memset(b.data + 5 * MiB, 0x11, 65536);
	image_io(b.qcow2, "qcow2", "write -P 0x22 20M 2M");
	memset(b.data + 20 * MiB, 0x22, 2 * MiB);
	/* Given back: changed, and zeros. */
	image_io(b.qcow2, "qcow2", "write -z -u 30M 1M");
	memset(b.data + 30 * MiB, 0, MiB);
	s = OK_PTR(source_image_open(b.qcow2, "qcow2", "changed", e));
	assert_true(s->tracks);
	c = whole_map(&b, s);
	assert_int_equal(c.bytes[EXTENT_DATA], 65536 + 2 * MiB);
	assert_int_equal(c.bytes[EXTENT_ZERO], MiB);
	for (int i = 0; i < 40; i++)
		assert_int_equal(c.at_mib[i], i == 5 || i == 20 || i == 21 ? EXTENT_DATA
					      : i == 30			   ? EXTENT_ZERO
									   : EXTENT_CLEAN);
	assert_reads(&b, s);
	source_free(s);
	/* Without allocation, a bitmap alone will do. */
	sys.no_allocation = true;
	s = OK_PTR(source_image_open(b.qcow2, "qcow2", "changed", e));
	c = whole_map(&b, s);
	assert_int_equal(c.bytes[EXTENT_DATA], 65536 + 3 * MiB);
	assert_int_equal(c.bytes[EXTENT_ZERO], 0);
	source_free(s);
	down(&b);
}

static void test_bitmap_that_the_server_has_not(void **state)
{
	struct bench b;

	(void)state;
	up(&b, MiB);
	image_qcow2(b.qcow2, b.data, b.size);
	SERVER(&b.server, b.folder, "-r", "-f", "qcow2", b.qcow2);
	FAILS_PTR(ERR_NOENT,
		  source_nbd_open(b.server.socket, "", "qemu:dirty-bitmap:changed", "disk vda", e));
	down(&b);
}

static void test_server_that_tells_nothing(void **state)
{
	struct source *s;
	struct bench b;

	(void)state;
	up(&b, 10 * MiB);
	image_raw(b.raw, b.data, b.size);
	sys.no_allocation = true;
	s = OK_PTR(source_image_open(b.raw, "raw", NULL, e));
	assert_int_equal(whole_map(&b, s).bytes[EXTENT_DATA], b.size);
	assert_reads(&b, s);
	source_free(s);
	down(&b);
}

/* ---- what goes wrong ---- */

static void assert_not_opened(const char *socket, const char *export_name, enum err_kind want)
{
	struct err err = {0};

	assert_null(source_nbd_open(socket, export_name, NULL, "disk vda", &err));
	assert_int_equal(err.kind, want);
	assert_non_null(strstr(err.msg, "disk vda"));
}

static void test_exports_that_cannot_be_opened(void **state)
{
	AUTO_FREE char *nothing = NULL;
	struct source *s;
	struct bench b;

	(void)state;
	up(&b, MiB);
	nothing = test_path(b.folder, "nothing");
	assert_not_opened(nothing, "", ERR_IO);
	image_raw(b.raw, b.data, b.size);
	SERVER(&b.server, b.folder, "-r", "-f", "raw", "-x", "vda", b.raw);
	assert_not_opened(b.server.socket, "vdb", ERR_IO);
	sys.no_size = true;
	assert_not_opened(b.server.socket, "vda", ERR_IO);
	sys.no_size = false;
	sys.no_handle = true;
	assert_not_opened(b.server.socket, "vda", ERR_LIMIT);
	sys.no_handle = false;
	s = OK_PTR(source_nbd_open(b.server.socket, "vda", NULL, "disk vda", e));
	assert_reads(&b, s);
	source_free(s);
	/* The socket is there, but nobody behind it. */
	server_kill(&b.server);
	assert_not_opened(b.server.socket, "vda", ERR_UNREACHABLE);
	down(&b);
}

static void test_server_that_gives_no_extents(void **state)
{
	struct extent_list l = {0};
	struct source *s;
	struct bench b;

	(void)state;
	up(&b, MiB);
	image_raw(b.raw, b.data, b.size);
	s = OK_PTR(source_image_open(b.raw, "raw", NULL, e));
	sys.no_extents = true;
	FAILS(ERR_IO, s->ops->map(s, 0, MiB, &l, e));
	assert_int_equal(l.n, 0);
	source_free(s);
	down(&b);
}

/* Gone while something was read: that is said, with the disk's name. */
static void assert_lost(const struct err *err)
{
	if (err->kind != ERR_UNREACHABLE || !strstr(err->msg, "disk vda") ||
	    !(strstr(err->msg, "closed the connection") || strstr(err->msg, "is gone")))
		fail_msg("%s: %s", err_info(err->kind)->name, err->msg);
}

static void test_sector_that_cannot_be_read(void **state)
{
	AUTO_FREE uint8_t *got = xmalloc(MiB);
	AUTO_FREE char *options = NULL;
	struct err err = {0};
	struct source *s;
	struct bench b;

	(void)state;
	up(&b, MiB);
	random_fill(&b.rnd, b.data, b.size, true);
	image_raw(b.raw, b.data, b.size);
	options = xasprintf("driver=raw,file.driver=blkdebug,file.image.driver=file,"
			    "file.image.filename=%s,file.inject-error.0.event=none,"
			    "file.inject-error.0.iotype=read,file.inject-error.0.sector=1025,"
			    "file.inject-error.0.errno=5",
			    b.raw);
	SERVER(&b.server, b.folder, "-r", "--image-opts", options);
	s = OK_PTR(source_nbd_open(b.server.socket, "", NULL, "disk vda", e));
	assert_int_equal(read_source(s, got, &err), -1);
	/* QEMU hangs up in place of an answer; another server may answer. */
	if (err.kind != ERR_IO)
		assert_lost(&err);
	source_free(s);
	down(&b);
}

static void test_server_killed_with_reads_in_flight(void **state)
{
	AUTO_FREE uint8_t *got = xmalloc(8 * MiB);
	struct source_read r[8] = {0};
	struct extent_list l = {0};
	struct err err = {0};
	struct source *s;
	struct bench b;

	(void)state;
	up(&b, 8 * MiB);
	image_raw(b.raw, b.data, b.size);
	SERVER(&b.server, b.folder, "-r", "-f", "raw", b.raw);
	s = OK_PTR(source_nbd_open(b.server.socket, "", NULL, "disk vda", e));
	kill(b.server.s->pid, SIGSTOP);
	for (unsigned i = 0; i < 8; i++) {
		r[i] = (struct source_read){got + (size_t)i * MiB, MiB, (uint64_t)i * MiB};
		OK(s->ops->start(s, &r[i], e));
	}
	server_kill(&b.server);
	while (s->ops->wait(s, 100, &err) == 0)
		;
	assert_lost(&err);
	err = (struct err){0};
	assert_int_equal(s->ops->start(s, &r[0], &err), -1);
	assert_true(err.kind == ERR_IO || err.kind == ERR_UNREACHABLE);
	assert_int_equal(s->ops->map(s, 0, MiB, &l, NULL), -1);
	source_free(s);
	down(&b);
}

/* Kill the server when the backup is half-way. */
struct assassin {
	struct server *server;
	struct progress *progress;
	atomic_bool over;
	struct session *s;
	struct source *source;
	struct err err;
	int rc;
};

static void kill_or_back_up(void *arg, unsigned number)
{
	struct assassin *a = arg;

	if (number == 0) {
		while (progress_get(&a->progress->passed) == 0 && !a->over)
			usleep(100);
		kill(a->server->s->pid, SIGKILL);
	} else {
		struct backup_disk job = {.source = a->source, .progress = a->progress};
		struct point_stats stats;
		struct tree t;

		a->rc = backup_disk(a->s, &job, &t, &stats, &a->err);
		a->over = true;
	}
}

static void test_server_killed_during_a_backup(void **state)
{
	struct progress progress = {0};
	struct assassin a = {.progress = &progress};
	struct store *store;
	struct repo *r;
	struct bench b;

	(void)state;
	up(&b, 8 * MiB);
	random_fill(&b.rnd, b.data, b.size, true);
	image_raw(b.raw, b.data, b.size);
	r = test_repo(&store);
	/* So slow that it cannot be over before. */
	RUN("truncate", "-s", "4G", b.raw);
	SERVER(&b.server, b.folder, "-r", "-f", "raw", b.raw);
	sys.no_allocation = true;
	a.server = &b.server;
	a.source = OK_PTR(source_nbd_open(b.server.socket, "", NULL, "disk vda", e));
	a.s = OK_PTR(session_begin(r, NULL, e));
	test_threads(2, kill_or_back_up, &a);
	assert_int_equal(a.rc, -1);
	assert_int_not_equal(a.err.kind, ERR_NONE);
	assert_non_null(strstr(a.err.msg, "disk vda"));
	assert_true(progress_get(&progress.passed) < a.source->size);
	session_free(a.s);
	assert_int_equal(test_count(store, "points/"), 0);
	source_free(a.source);
	repo_free(r);
	store_free(store);
	down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_images_of_both_formats),
		cmocka_unit_test(test_an_image_is_locked_while_it_is_read),
		cmocka_unit_test(test_images_that_cannot_be_opened),
		cmocka_unit_test(test_bitmap_tells_what_changed),
		cmocka_unit_test(test_bitmap_that_the_server_has_not),
		cmocka_unit_test(test_server_that_tells_nothing),
		cmocka_unit_test(test_exports_that_cannot_be_opened),
		cmocka_unit_test(test_server_that_gives_no_extents),
		cmocka_unit_test(test_sector_that_cannot_be_read),
		cmocka_unit_test(test_server_killed_with_reads_in_flight),
		cmocka_unit_test(test_server_killed_during_a_backup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
