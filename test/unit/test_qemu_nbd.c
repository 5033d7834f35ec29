/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A qemu-nbd of our own: the real one, and what could stand in its place.
 */
#include "mover/qemu_nbd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fio.h"
#include "images.h"

/* ---- what was started where; time that runs ahead ---- */

static struct {
	pid_t pid;
	char dir[100];
	bool no_folder, hurry;
	uint64_t ahead;
} sys;

struct spawn *__real_spawn_start(const char *const argv[], int in, int out, struct err *e);
struct spawn *__wrap_spawn_start(const char *const argv[], int in, int out, struct err *e);
struct spawn *__wrap_spawn_start(const char *const argv[], int in, int out, struct err *e)
{
	struct spawn *s = __real_spawn_start(argv, in, out, e);

	sys.pid = s ? s->pid : -1;
	return s;
}

char *__real_mkdtemp(char *path);
char *__wrap_mkdtemp(char *path);
char *__wrap_mkdtemp(char *path)
{
	char *made;

	if (sys.no_folder) {
		errno = ENOSPC;
		return NULL;
	}
	made = __real_mkdtemp(path);
	snprintf(sys.dir, sizeof(sys.dir), "%s", path);
	return made;
}

uint64_t __real_clock_mono_us(void);
uint64_t __wrap_clock_mono_us(void);
uint64_t __wrap_clock_mono_us(void)
{
	sys.ahead += sys.hurry ? 1000000 : 0;
	return __real_clock_mono_us() + sys.ahead;
}

void __real_clock_sleep_ms(unsigned ms);
void __wrap_clock_sleep_ms(unsigned ms);
void __wrap_clock_sleep_ms(unsigned ms)
{
	__real_clock_sleep_ms(sys.hurry ? 1 : ms);
}

/* ---- an image ---- */

struct bench {
	char *folder, *path;
	char *old_path; /* where programs are looked for */
};

static void up(struct bench *b)
{
	static const uint8_t data[1000] = "some data";

	need_qemu();
	memset(&sys, 0, sizeof(sys));
	*b = (struct bench){.folder = test_folder(), .old_path = xstrdup(getenv("PATH"))};
	b->path = test_path(b->folder, "disk.raw");
	image_raw(b->path, data, sizeof(data));
	sys.dir[0] = 0;
}

static void down(struct bench *b)
{
	setenv("PATH", b->old_path, 1);
	free(b->old_path);
	free(b->path);
	test_folder_done(b->folder);
}

/* Put a script in the place of qemu-nbd. */
static void replace_program(struct bench *b, const char *script)
{
	AUTO_FREE char *program = test_path(b->folder, "qemu-nbd");
	AUTO_FREE char *path = xasprintf("%s:%s", b->folder, b->old_path);

	OK(fio_replace(program, script, strlen(script), 0700, e));
	setenv("PATH", path, 1);
}

static void assert_all_gone(void)
{
	assert_true(sys.pid > 0);
	assert_int_equal(kill(sys.pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_true(sys.dir[0] != 0);
	assert_int_not_equal(access(sys.dir, F_OK), 0);
}

static void assert_not_started(struct bench *b, const char *path, const char *format,
			       enum err_kind want, const char *says)
{
	struct qemu_nbd_options o = {.format = format};
	struct err err = {0};

	(void)b;
	assert_null(qemu_nbd_start(path, &o, &err));
	assert_int_equal(err.kind, want);
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" is not in \"%s\"", says, err.msg);
	if (!strstr(err.msg, path))
		fail_msg("the image is not named in \"%s\"", err.msg);
}

static void test_serves_until_it_is_stopped(void **state)
{
	static const struct qemu_nbd_options options[] = {
		{.format = "raw"}, {.format = "raw", .writable = true, .clients = 3}, {0}};
	struct bench b;

	(void)state;
	up(&b);
	for (size_t i = 0; i < 2 * ARRAY_LEN(options); i++) {
		struct qemu_nbd *q = OK_PTR(qemu_nbd_start(b.path, &options[i / 2], e));
		struct stat st;

		assert_int_equal(stat(qemu_nbd_socket(q), &st), 0);
		assert_true(S_ISSOCK(st.st_mode));
		/* The folder is ours alone. */
		assert_int_equal(stat(sys.dir, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
		assert_int_equal(kill(sys.pid, 0), 0);
		if (i % 2)
			OK(qemu_nbd_stop(q, e));
		else
			qemu_nbd_free(q);
		assert_all_gone();
	}
	qemu_nbd_free(NULL);
	down(&b);
}

static void test_image_that_cannot_be_served(void **state)
{
	struct qemu_nbd_options raw = {.format = "raw"};
	AUTO_FREE char *nothing = NULL;
	struct bench b;

	(void)state;
	up(&b);
	nothing = test_path(b.folder, "nothing");
	FAILS_PTR(ERR_NOENT, qemu_nbd_start(nothing, &raw, e));
	assert_not_started(&b, b.path, "qcow2", ERR_IO, "not in qcow2 format");
	assert_all_gone();
	down(&b);
}

/* Its name is a name, whatever it looks like. */
static void test_image_with_a_strange_name(void **state)
{
	static const char *const names[] = {"a:b", "nbd:x", "json:{}", "-x", "a,b=c"};
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct qemu_nbd_options o = {.format = "raw"};
	struct bench b;

	(void)state;
	up(&b);
	assert_int_equal(chdir(b.folder), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct qemu_nbd *q;

		image_raw(names[i], "x", 1);
		q = OK_PTR(qemu_nbd_start(names[i], &o, e));
		OK(qemu_nbd_stop(q, e));
	}
	assert_int_equal(fchdir(here), 0);
	close(here);
	down(&b);
}

static void test_program_that_is_missing(void **state)
{
	struct bench b;

	(void)state;
	up(&b);
	setenv("PATH", b.folder, 1);
	assert_not_started(&b, b.path, "raw", ERR_NOENT, "install the package qemu-utils");
	assert_int_not_equal(access(sys.dir, F_OK), 0);
	down(&b);
}

static void test_program_that_ends_at_once(void **state)
{
	struct bench b;

	(void)state;
	up(&b);
	replace_program(&b, "#!/bin/sh\nexit 0\n");
	assert_not_started(&b, b.path, "raw", ERR_IO, "ended at once");
	assert_all_gone();
	replace_program(&b, "#!/bin/sh\necho it hurts >&2\nexit 1\n");
	assert_not_started(&b, b.path, "raw", ERR_IO, "it hurts");
	assert_all_gone();
	assert_null(qemu_nbd_start(b.path, &(struct qemu_nbd_options){0}, NULL));
	down(&b);
}

static void test_program_that_never_answers(void **state)
{
	struct bench b;

	(void)state;
	up(&b);
	replace_program(&b, "#!/bin/sh\nexec sleep 1000\n");
	sys.hurry = true;
	assert_not_started(&b, b.path, "raw", ERR_TIMEOUT, "did not start");
	assert_all_gone();
	down(&b);
}

static void test_no_folder_to_be_had(void **state)
{
	struct qemu_nbd_options o = {.format = "raw"};
	struct bench b;

	(void)state;
	up(&b);
	sys.no_folder = true;
	FAILS_PTR(ERR_NOSPACE, qemu_nbd_start(b.path, &o, e));
	down(&b);
}

static void test_killed_by_somebody(void **state)
{
	struct qemu_nbd_options o = {.format = "raw", .writable = true};
	struct qemu_nbd *q;
	struct bench b;

	(void)state;
	up(&b);
	q = OK_PTR(qemu_nbd_start(b.path, &o, e));
	kill(sys.pid, SIGKILL);
	FAILS(ERR_IO, qemu_nbd_stop(q, e));
	assert_all_gone();
	q = OK_PTR(qemu_nbd_start(b.path, &o, e));
	kill(sys.pid, SIGKILL);
	assert_int_equal(qemu_nbd_stop(q, NULL), -1);
	down(&b);
}

/* A server that does not close its image did not write all of it. */
static void test_does_not_end_when_asked(void **state)
{
	struct qemu_nbd_options o = {.format = "raw", .writable = true};
	struct qemu_nbd *q;
	struct bench b;

	(void)state;
	up(&b);
	q = OK_PTR(qemu_nbd_start(b.path, &o, e));
	kill(sys.pid, SIGSTOP);
	sys.hurry = true;
	FAILS(ERR_TIMEOUT, qemu_nbd_stop(q, e));
	assert_all_gone();
	down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_serves_until_it_is_stopped),
		cmocka_unit_test(test_image_that_cannot_be_served),
		cmocka_unit_test(test_image_with_a_strange_name),
		cmocka_unit_test(test_program_that_is_missing),
		cmocka_unit_test(test_program_that_ends_at_once),
		cmocka_unit_test(test_program_that_never_answers),
		cmocka_unit_test(test_no_folder_to_be_had),
		cmocka_unit_test(test_killed_by_somebody),
		cmocka_unit_test(test_does_not_end_when_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
