/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random disks, from every kind of source through a repository to every kind of sink, and back
 * again as they were; whole, and as increments over a real change tracking.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fio.h"
#include "images.h"
#include "mover/backup.h"
#include "mover/restore.h"
#include "writer.h"

enum { MiB = 1 << 20 };

struct bench {
	char *folder, *image, *back;
	struct store *store;
	struct repo *r;
	struct random rnd;
	uint8_t *data;
	uint64_t size;
	struct tree tree;
	struct point_stats stats;
	struct progress progress;
};

static void up(struct bench *b, uint64_t seed)
{
	need_qemu();
	*b = (struct bench){.folder = test_folder(), .rnd = {random_seed() ^ seed << 32}};
	b->image = test_path(b->folder, "disk");
	b->back = test_path(b->folder, "back");
	b->r = test_repo(&b->store);
	/* Sectors are what QEMU counts in. */
	b->size = 512 * (1 + random_below(&b->rnd, 12 * MiB / 512));
	b->data = xcalloc(1, b->size);
	for (uint64_t off = 0; off < b->size;) {
		uint64_t want = 1 + random_below(&b->rnd, MiB), n = MIN(want, b->size - off);
		uint64_t kind = random_below(&b->rnd, 3);

		if (kind)
			random_fill(&b->rnd, b->data + off, n, kind == 1);
		off += n;
	}
}

static void down(struct bench *b)
{
	repo_free(b->r);
	store_free(b->store);
	free(b->image);
	free(b->back);
	free(b->data);
	test_folder_done(b->folder);
}

/* Takes the source. */
static void back_up(struct bench *b, struct source *source, const struct tree *parent,
		    bool incremental)
{
	struct backup_disk job = {.source = source,
				  .parent = parent,
				  .incremental = incremental,
				  .progress = &b->progress};
	AUTO(point) p = point_new();
	struct session *s = OK_PTR(session_begin(b->r, NULL, e));

	memset(&b->progress, 0, sizeof(b->progress));
	OK(backup_disk(s, &job, &b->tree, &b->stats, e));
	OK(session_commit(s, p, e));
	session_free(s);
	source_free(source);
	assert_int_equal(b->tree.size, b->size);
	assert_int_equal(progress_get(&b->progress.passed), b->size);
}

/* Takes the sink. */
static void restore(struct bench *b, struct sink *sink)
{
	struct restore job = {
		.repo = b->r, .tree = &b->tree, .sink = sink, .progress = &b->progress};

	OK(restore_run(&job, e));
	sink_free(sink);
}

static void assert_image(struct bench *b, const char *path, const char *format)
{
	AUTO_FREE uint8_t *got = image_read(path, format, b->size);

	if (memcmp(got, b->data, b->size) != 0)
		fail_msg("a disk of %llu bytes came back wrong as %s", (unsigned long long)b->size,
			 format);
}

static void restore_everywhere(struct bench *b)
{
	struct server server = {0};

	restore(b, OK_PTR(sink_file_open(b->back, b->size, true, e)));
	assert_image(b, b->back, "raw");
	/* Over what is there: the same again, through NBD, from something else. */
	image_io(b->back, "raw", "write -P 0x77 0 512");
	SERVER(&server, b->folder, "-f", "raw", "--shared=8", b->back);
	restore(b, OK_PTR(sink_nbd_open(server.uri, b->size, restore_threads(b->r), e)));
	server_done(&server);
	assert_image(b, b->back, "raw");
	restore(b, OK_PTR(sink_qcow2_open(b->back, b->size, true, restore_threads(b->r), e)));
	assert_image(b, b->back, "qcow2");
}

static void test_raw_disks(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 3; seed++) {
		struct bench b;

		up(&b, seed);
		image_raw(b.image, b.data, b.size);
		back_up(&b, OK_PTR(source_file_open(b.image, e)), NULL, false);
		restore_everywhere(&b);
		down(&b);
	}
}

static void test_images(void **state)
{
	(void)state;
	for (uint64_t seed = 3; seed < 6; seed++) {
		struct block_id root;
		struct bench b;

		up(&b, seed);
		image_qcow2(b.image, b.data, b.size);
		back_up(&b, OK_PTR(source_image_open(b.image, "qcow2", NULL, e)), NULL, false);
		root = b.tree.root;
		restore_everywhere(&b);
		/* What came back is the same disk: nothing new, whatever the way to it. */
		back_up(&b, OK_PTR(source_image_open(b.back, NULL, NULL, e)), NULL, false);
		assert_int_equal(b.stats.fresh, 0);
		assert_true(block_id_equal(&root, &b.tree.root));
		down(&b);
	}
}

/* Change the image as a guest would: writes, zeros, and zeros by discard. */
static void change(struct bench *b)
{
	for (int i = 0; i < 6; i++) {
		uint64_t sectors = b->size / 512, first = random_below(&b->rnd, sectors);
		uint64_t most = MIN(sectors - first, (uint64_t)700);
		uint64_t off = first * 512, n = 512 * (1 + random_below(&b->rnd, most));
		uint64_t way = random_below(&b->rnd, 3);
		int byte = way == 0 ? (int)(1 + random_below(&b->rnd, 255)) : 0;
		char command[100];

		if (way == 0)
			snprintf(command, sizeof(command), "write -P %d %llu %llu", byte,
				 (unsigned long long)off, (unsigned long long)n);
		else
			snprintf(command, sizeof(command), "write -z %s %llu %llu",
				 way == 2 ? "-u" : "", (unsigned long long)off,
				 (unsigned long long)n);
		image_io(b->image, "qcow2", command);
		memset(b->data + off, byte, n);
	}
}

/* A chain of increments, each told by a bitmap of its own that QEMU kept. */
static void test_increments(void **state)
{
	struct bench b;

	(void)state;
	up(&b, 7);
	image_qcow2(b.image, b.data, b.size);
	back_up(&b, OK_PTR(source_image_open(b.image, "qcow2", NULL, e)), NULL, false);
	for (int i = 0; i < 3; i++) {
		struct tree parent = b.tree;
		char name[20];

		snprintf(name, sizeof(name), "since-%d", i);
		RUN("qemu-img", "bitmap", "--add", "-f", "qcow2", b.image, name);
		change(&b);
		back_up(&b, OK_PTR(source_image_open(b.image, "qcow2", name, e)), &parent, true);
		/* Six changes of up to 350 KiB, and the audit. */
		assert_true(b.stats.read <= (6 * 7 + 32 + 1) * BLOCK);
		restore(&b, OK_PTR(sink_file_open(b.back, b.size, true, e)));
		assert_image(&b, b.back, "raw");
	}
	down(&b);
}

/* A bitmap that started too late missed writes; the audit finds out, and a whole read is right. */
static void test_bitmap_that_lost_writes(void **state)
{
	struct progress progress = {0};
	struct backup_disk job = {.incremental = true, .progress = &progress};
	struct tree parent;
	struct session *s;
	struct bench b;

	(void)state;
	up(&b, 8);
	for (uint64_t off = 0; off < b.size; off += 512)
		put_le64(b.data + off, off + 1);
	image_qcow2(b.image, b.data, b.size);
	back_up(&b, OK_PTR(source_image_open(b.image, "qcow2", NULL, e)), NULL, false);
	parent = b.tree;
	for (uint64_t off = 0; off < b.size; off += 512)
		put_le64(b.data + off, off + 2);
	image_qcow2(b.image, b.data, b.size);
	RUN("qemu-img", "bitmap", "--add", "-f", "qcow2", b.image, "late");
	job.source = OK_PTR(source_image_open(b.image, "qcow2", "late", e));
	job.parent = &parent;
	s = OK_PTR(session_begin(b.r, NULL, e));
	FAILS(ERR_CONFLICT, backup_disk(s, &job, &b.tree, &b.stats, e));
	session_free(s);
	source_free(job.source);
	back_up(&b, OK_PTR(source_image_open(b.image, "qcow2", NULL, e)), &parent, false);
	restore(&b, OK_PTR(sink_file_open(b.back, b.size, true, e)));
	assert_image(&b, b.back, "raw");
	down(&b);
}

/* The image grew between two backups: QEMU's bitmap grows with it, and says that the rest changed
 * or not; it is read. */
static void test_resized_image(void **state)
{
	AUTO_FREE char *size = NULL;
	struct tree parent;
	struct bench b;

	(void)state;
	up(&b, 9);
	image_qcow2(b.image, b.data, b.size);
	back_up(&b, OK_PTR(source_image_open(b.image, "qcow2", NULL, e)), NULL, false);
	parent = b.tree;
	RUN("qemu-img", "bitmap", "--add", "-f", "qcow2", b.image, "since");
	size = xasprintf("%llu", (unsigned long long)b.size + 3 * MiB);
	RUN("qemu-img", "resize", "-q", "-f", "qcow2", b.image, size);
	b.data = xrealloc(b.data, b.size + 3 * MiB);
	memset(b.data + b.size, 0, 3 * MiB);
	b.size += 3 * MiB;
	change(&b);
	back_up(&b, OK_PTR(source_image_open(b.image, "qcow2", "since", e)), &parent, true);
	restore(&b, OK_PTR(sink_file_open(b.back, b.size, true, e)));
	assert_image(&b, b.back, "raw");
	down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw_disks),
		cmocka_unit_test(test_images),
		cmocka_unit_test(test_increments),
		cmocka_unit_test(test_bitmap_that_lost_writes),
		cmocka_unit_test(test_resized_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
