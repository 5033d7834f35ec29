/* SPDX-License-Identifier: Apache-2.0 */
/* Private folders: they are ours alone, go with what is in them, and what killed processes left
 * goes when the next is made, but nobody else's. */
#include "mover/nbd_folder.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "testing.h"

static void put_file(const char *folder)
{
	AUTO_FREE char *path = xasprintf("%s/s", folder);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void test_life(void **state)
{
	struct nbd_folder a, b, none = {.path = ""};
	char was[NBD_FOLDER];
	struct stat st;

	(void)state;
	OK(nbd_folder_make(&a, e));
	put_file(a.path);
	OK(nbd_folder_make(&b, e));
	assert_string_not_equal(a.path, b.path);
	assert_true(is_there(a.path) && is_there(b.path));
	assert_int_equal(stat(a.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(was, sizeof(was), "%s", a.path);
	nbd_folder_remove(&a);
	assert_false(is_there(was));
	assert_string_equal(a.path, "");
	nbd_folder_remove(&a);
	nbd_folder_remove(&none);
	assert_true(is_there(b.path));
	nbd_folder_remove(&b);
}

static void test_what_the_dead_left(void **state)
{
	char left[NBD_FOLDER] = "";
	struct nbd_folder f;
	int fds[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct nbd_folder mine;

		if (nbd_folder_make(&mine, NULL) == 0)
			put_file(mine.path);
		if (write(fds[1], mine.path, sizeof(mine.path)) < 0)
			_exit(1);
		pause();
		_exit(1);
	}
	assert_int_equal(read(fds[0], left, sizeof(left)), (ssize_t)sizeof(left));
	/* Its maker lives. */
	OK(nbd_folder_make(&f, e));
	assert_true(is_there(left));
	nbd_folder_remove(&f);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(is_there(left));
	OK(nbd_folder_make(&f, e));
	assert_false(is_there(left));
	nbd_folder_remove(&f);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_what_the_dead_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
