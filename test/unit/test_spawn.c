/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helper programs. Where a test waits for something that another process does, it waits for the
 * event itself (the end of a pipe, of a process), not for a time.
 */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "testing.h"

/* ---- time, which is not spent ---- */

static atomic_uint naps;
static bool skip_naps;
static struct cancel *raise_in_nap;

void __real_clock_sleep_ms(unsigned ms);
void __wrap_clock_sleep_ms(unsigned ms);
void __wrap_clock_sleep_ms(unsigned ms)
{
	naps++;
	if (raise_in_nap)
		cancel_set(raise_in_nap);
	if (!skip_naps)
		__real_clock_sleep_ms(ms);
}

static int failing_pipe; /* the n-th pipe2 from now on fails; 0: none */

int __real_pipe2(int fds[2], int flags);
int __wrap_pipe2(int fds[2], int flags);
int __wrap_pipe2(int fds[2], int flags)
{
	if (failing_pipe == 0 || --failing_pipe != 0)
		return __real_pipe2(fds, flags);
	errno = EMFILE;
	return -1;
}

#define SH(script) ((const char *const[]){"sh", "-c", script, NULL})

/* ---- running to the end ---- */

static void test_gives_what_was_printed(void **state)
{
	AUTO_BUF out = BUF_INIT;

	(void)state;
	OK(spawn_run(SH("echo one; echo two; echo noise >&2"), 100, &out, NULL, e));
	assert_string_equal(buf_str(&out), "one\ntwo\n");
	OK(spawn_run(SH("echo ignored"), 100, NULL, NULL, e));
}

static void test_no_shell_is_in_the_way(void **state)
{
	AUTO_BUF out = BUF_INIT;

	(void)state;
	OK(spawn_run((const char *const[]){"printf", "%s|", "$HOME; ls", "a b", "", NULL}, 100,
		     &out, NULL, e));
	assert_string_equal(buf_str(&out), "$HOME; ls|a b||");
}

static void test_a_lot_of_output(void **state)
{
	AUTO_BUF out = BUF_INIT;

	(void)state;
	OK(spawn_run(SH("head -c 1000000 /dev/zero"), 1000000, &out, NULL, e));
	assert_int_equal(out.len, 1000000);
	buf_done(&out);
	FAILS(ERR_LIMIT, spawn_run(SH("head -c 1000001 /dev/zero"), 1000000, &out, NULL, e));
	assert_null(out.data);
}

static void test_standard_input_is_empty(void **state)
{
	AUTO_BUF out = BUF_INIT;

	(void)state;
	OK(spawn_run(SH("cat; echo end"), 100, &out, NULL, e));
	assert_string_equal(buf_str(&out), "end\n");
}

static void assert_says(const char *const argv[], enum err_kind want, const char *text)
{
	struct err err = {0};

	assert_int_equal(spawn_run(argv, 100, NULL, NULL, &err), -1);
	assert_int_equal(err.kind, want);
	if (!strstr(err.msg, text))
		fail_msg("\"%s\" is not in \"%s\"", text, err.msg);
}

static void test_failure_comes_with_its_reason(void **state)
{
	(void)state;
	assert_says(SH("echo first >&2; echo the disk is gone >&2; exit 3"), ERR_IO,
		    "sh failed: first the disk is gone");
	assert_says(SH("exit 1"), ERR_IO, "it gave no reason");
	assert_says(SH("echo help >&2; kill -KILL $$"), ERR_IO, "killed by signal 9: help");
	assert_int_equal(spawn_run(SH("exit 1"), 100, NULL, NULL, NULL), -1);
}

/* The reason stands at the end of what a program says, however much that is. */
static void test_failure_after_many_words(void **state)
{
	(void)state;
	assert_says(SH("i=0; while [ $i -lt 20000 ]; do echo warning $i >&2; i=$((i+1)); done;"
		       "echo no space left >&2; exit 1"),
		    ERR_IO, "warning 19999 no space left");
}

static void test_chatter_does_not_block(void **state)
{
	AUTO_BUF out = BUF_INIT;

	(void)state;
	/* More than a pipe holds, before, and after standard output ends. */
	OK(spawn_run(SH("head -c 300000 /dev/zero >&2; echo done; exec >&-;"
			"head -c 300000 /dev/zero >&2"),
		     100, &out, NULL, e));
	assert_string_equal(buf_str(&out), "done\n");
}

static void test_program_that_is_not_there(void **state)
{
	char *folder = test_folder();
	AUTO_FREE char *path = test_path(folder, "script");
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	assert_says((const char *const[]){"no-such-program", NULL}, ERR_NOENT,
		    "no-such-program is not installed: install the package no-such-program");
	assert_says((const char *const[]){"qemu-none", NULL}, ERR_NOENT, "package qemu-utils");
	/* There, but not a program. */
	assert_true(fd >= 0);
	close(fd);
	assert_says((const char *const[]){path, NULL}, ERR_DENIED, path);
	test_folder_done(folder);
}

static void test_no_pipes_to_be_had(void **state)
{
	(void)state;
	for (int i = 1; i <= 3; i++) {
		failing_pipe = i;
		FAILS(ERR_LIMIT, spawn_run(SH("exit 0"), 100, NULL, NULL, e));
		failing_pipe = 0;
	}
}

/* ---- what a child is given ---- */

static void test_input_is_all_there(void **state)
{
	static const size_t sizes[] = {0, 1, 65536, 65537, 1 << 20};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		AUTO_FREE char *text = xcalloc(sizes[i] + 1, 1);
		AUTO_CLOSE int in = -1;
		size_t n = 0;

		memset(text, 'x', sizes[i]);
		in = spawn_input(text, sizes[i], "the job", NULL);
		assert_true(in >= 0);
		for (ssize_t got; (got = read(in, text, sizes[i] + 1)) > 0;)
			n += (size_t)got;
		assert_int_equal(n, sizes[i]);
	}
	failing_pipe = 1;
	FAILS(ERR_LIMIT, spawn_input("x", 1, "the job", e));
	failing_pipe = 0;
}

/* ---- what a child starts with ---- */

static void test_signals_are_as_at_birth(void **state)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
	sigset_t block, was;

	(void)state;
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &block, &was);
	sigaction(SIGUSR2, &ignore, &old);
	assert_says(SH("kill -USR1 $$; exit 0"), ERR_IO, "signal 10");
	assert_says(SH("kill -USR2 $$; exit 0"), ERR_IO, "signal 12");
	sigaction(SIGUSR2, &old, NULL);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
}

/* A program that was started with its standard files closed has pipes in their places. */
static void test_standard_files_closed(void **state)
{
	AUTO_BUF out = BUF_INIT;
	struct err err = {0};
	int saved[3], rc;

	(void)state;
	for (int closed = 1; closed < 8; closed++) {
		buf_done(&out);
		for (int i = 0; i < 3; i++)
			saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
		for (int i = 0; i < 3; i++) {
			if (closed & 1 << i)
				close(i);
		}
		rc = spawn_run(SH("cat && echo out && echo err >&2"), 100, &out, NULL, &err);
		for (int i = 0; i < 3; i++) {
			dup2(saved[i], i);
			close(saved[i]);
		}
		if (rc < 0)
			fail_msg("without %d: %s", closed, err.msg);
		assert_string_equal(buf_str(&out), "out\n");
	}
}

/* ---- one that goes on ---- */

/* A `cat` with both ends in hand. */
struct cat {
	struct spawn *s;
	pid_t pid;
	int in, out;
};

static void cat_start(struct cat *c, const char *const argv[])
{
	int in[2], out[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	c->s = OK_PTR(spawn_start(argv, in[0], out[1], e));
	c->pid = c->s->pid;
	close(in[0]);
	close(out[1]);
	c->in = in[1];
	c->out = out[0];
}

static void cat_echo(struct cat *c)
{
	char b[4];

	assert_int_equal(write(c->in, "ping", 4), 4);
	assert_int_equal(read(c->out, b, 4), 4);
	assert_memory_equal(b, "ping", 4);
}

static void cat_close(struct cat *c)
{
	close(c->in);
	close(c->out);
}

static const char *const cat_argv[] = {"cat", NULL};

static void test_runs_until_it_is_stopped(void **state)
{
	struct cat c;

	(void)state;
	cat_start(&c, cat_argv);
	cat_echo(&c);
	assert_int_equal(spawn_ended(c.s, NULL), 0);
	assert_int_equal(getpgid(c.pid), c.pid);
	spawn_stop(c.s);
	assert_int_equal(kill(c.pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	cat_close(&c);
	spawn_stop(NULL);
}

static void test_ends_by_itself(void **state)
{
	struct err err = {0};
	struct cat c;

	(void)state;
	cat_start(&c, cat_argv);
	cat_echo(&c);
	cat_close(&c);
	while (!spawn_ended(c.s, &err))
		__real_clock_sleep_ms(1);
	assert_int_equal(err.kind, ERR_NONE);
	spawn_stop(c.s);
}

static void test_reaped_by_somebody_else(void **state)
{
	struct err err = {0};
	struct cat c;

	(void)state;
	cat_start(&c, cat_argv);
	cat_close(&c);
	assert_int_equal(waitpid(c.pid, NULL, 0), c.pid);
	assert_int_equal(spawn_ended(c.s, &err), 1);
	assert_int_equal(err.kind, ERR_IO);
	spawn_stop(c.s);
}

/* It is asked first, and killed when it does not listen. */
static void test_stop_of_one_that_does_not_listen(void **state)
{
	struct cat c;

	(void)state;
	cat_start(&c, SH("trap '' TERM; while :; do read x && echo $x; done"));
	assert_int_equal(write(c.in, "ping\n", 5), 5);
	{
		char b[5];

		/* It lives, and has set its trap. */
		assert_int_equal(read(c.out, b, 5), 5);
	}
	naps = 0;
	skip_naps = true;
	spawn_stop(c.s);
	skip_naps = false;
	assert_true(naps >= 100);
	assert_int_equal(kill(c.pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	cat_close(&c);
}

static void test_released_goes_on(void **state)
{
	struct cat c;
	int status;

	(void)state;
	cat_start(&c, cat_argv);
	spawn_release(c.s);
	cat_echo(&c);
	cat_close(&c);
	assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	spawn_release(NULL);
}

/* ---- cancelled ---- */

static void test_cancelled_before(void **state)
{
	struct cancel c = {0};

	(void)state;
	cancel_set(&c);
	FAILS(ERR_CANCELLED,
	      spawn_run((const char *const[]){"sleep", "1000", NULL}, 100, NULL, &c, e));
	/* No child is left. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* Nothing more will be printed, but the program goes on. */
static void test_cancelled_after_its_output(void **state)
{
	struct cancel c = {0};

	(void)state;
	raise_in_nap = &c;
	FAILS(ERR_CANCELLED, spawn_run(SH("exec >&-; exec sleep 1000"), 100, NULL, &c, e));
	raise_in_nap = NULL;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* ---- it ends with us ---- */

static void start_and_leave(void *arg, unsigned number)
{
	struct cat *c = arg;

	(void)number;
	c->s = spawn_start(cat_argv, c->in, -1, NULL);
}

static void test_dies_with_the_thread_that_started_it(void **state)
{
	int in[2], status;
	struct cat c;

	(void)state;
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	c.in = in[0];
	test_threads(1, start_and_leave, &c);
	assert_non_null(c.s);
	assert_int_equal(waitpid(c.s->pid, &status, 0), c.s->pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	spawn_release(c.s);
	close(in[0]);
	close(in[1]);
}

static void take_line(void *arg, const char *line)
{
	char *all = arg;

	snprintf(all + strlen(all), 1000 - strlen(all), "%.20s|", line);
}

/* Lines as they are ended; what is too long is cut. */
static void test_listening(void **state)
{
	char all[1000] = "";
	struct spawn *s;

	(void)state;
	s = OK_PTR(
		spawn_start(SH("echo one >&2; echo >&2; head -c 5000 /dev/zero | tr '\\0' x >&2; "
			       "echo >&2; printf rest >&2"),
			    -1, -1, e));
	spawn_listen(s, take_line, all);
	while (!spawn_ended(s, NULL))
		__real_clock_sleep_ms(1);
	assert_string_equal(all, "one||xxxxxxxxxxxxxxxxxxxx|");
	spawn_stop(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listening),
		cmocka_unit_test(test_gives_what_was_printed),
		cmocka_unit_test(test_no_shell_is_in_the_way),
		cmocka_unit_test(test_a_lot_of_output),
		cmocka_unit_test(test_standard_input_is_empty),
		cmocka_unit_test(test_failure_comes_with_its_reason),
		cmocka_unit_test(test_failure_after_many_words),
		cmocka_unit_test(test_chatter_does_not_block),
		cmocka_unit_test(test_program_that_is_not_there),
		cmocka_unit_test(test_no_pipes_to_be_had),
		cmocka_unit_test(test_input_is_all_there),
		cmocka_unit_test(test_signals_are_as_at_birth),
		cmocka_unit_test(test_standard_files_closed),
		cmocka_unit_test(test_runs_until_it_is_stopped),
		cmocka_unit_test(test_ends_by_itself),
		cmocka_unit_test(test_reaped_by_somebody_else),
		cmocka_unit_test(test_stop_of_one_that_does_not_listen),
		cmocka_unit_test(test_released_goes_on),
		cmocka_unit_test(test_cancelled_before),
		cmocka_unit_test(test_cancelled_after_its_output),
		cmocka_unit_test(test_dies_with_the_thread_that_started_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
