/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every step by which the directory store changes its directory, in turn: the process is killed
 * there (kill -9), or the system call fails. Who is to be killed is a child; its ledger lies in
 * memory that it shares with us, who look at what it left.
 */
#include "scenario.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum mode { MODE_COUNT, MODE_KILL, MODE_EIO, MODE_FULL, MODES };
static const char *const names[MODES] = {"count", "kill", "eio", "full"};

struct shared {
	atomic_uint steps;
	unsigned at;
	enum mode mode;
	struct ledger ledger;
};

static struct shared *shared;

static int step(void *arg, const char *what, const char *path, struct err *e)
{
	unsigned n = atomic_fetch_add(&shared->steps, 1) + 1;

	(void)arg;
	if (shared->mode == MODE_COUNT || n < shared->at ||
	    (n > shared->at && shared->mode != MODE_FULL))
		return 0;
	if (shared->mode == MODE_KILL) {
		kill(getpid(), SIGKILL);
		for (;;)
			pause();
	}
	/* Removing needs no room. */
	if (shared->mode == MODE_FULL && (what[0] == 'u' || strcmp(what, "rmdir") == 0))
		return 0;
	return err_sys(e, shared->mode == MODE_EIO ? EIO : ENOSPC, "%s %s (injected)", what, path);
}

/* The scenario, in a child when it is to be killed; how many steps it took. */
static unsigned run_scenario(const char *folder, enum mode mode, unsigned at)
{
	int status;
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	shared->mode = mode;
	shared->at = at;
	if (mode != MODE_KILL) {
		struct store *s = OK_PTR(store_dir_open(folder, true, step, NULL, e));

		scenario_run(s, true, &shared->ledger);
		store_free(s);
		return shared->steps;
	}
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *s = store_dir_open(folder, true, step, NULL, NULL);

		if (!s)
			_exit(1);
		scenario_run(s, false, &shared->ledger);
		store_free(s);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* The number of steps differs by a few from run to run: the last ones may not come. */
	if (shared->steps >= at)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	else
		assert_int_equal(status, 0);
	return shared->steps;
}

static const char *look_at(const char *folder)
{
	struct store *s = store_dir_open(folder, false, NULL, NULL, NULL);
	const char *wrong = s ? scenario_check(s, &shared->ledger) : "the folder is gone";

	if (!wrong && test_count(s, "sessions/"))
		wrong = "something is left of dead sessions";
	store_free(s);
	return wrong;
}

static void enumerate(enum mode mode, unsigned first, unsigned stride)
{
	unsigned steps, wrong = 0, points = 0;
	size_t failed = 0;
	char *folder = test_folder();

	steps = run_scenario(folder, MODE_COUNT, 0);
	assert_int_equal(shared->ledger.failed, 0);
	assert_null(look_at(folder));
	test_folder_done(folder);
	assert_true(steps > 200);
	for (unsigned at = first; at <= steps; at += stride, points++) {
		const char *what;

		folder = test_folder();
		run_scenario(folder, mode, at);
		failed += shared->ledger.failed;
		what = look_at(folder);
		wrong += what != NULL;
		if (what)
			print_error("%s at step %u of %u: %s\n", names[mode], at, steps, what);
		test_folder_done(folder);
	}
	printf("# %s: %u of %u steps, %zu scenario steps failed, %u wrong\n", names[mode], points,
	       steps, failed, wrong);
	assert_int_equal(wrong, 0);
}

struct part {
	enum mode mode;
	unsigned first, stride;
};

static void test_part(void **state)
{
	const struct part *p = *state;

	enumerate(p->mode, p->first, p->stride);
}

/* MODE FIRST STRIDE: from step FIRST on every STRIDE-th; parts run side by side. */
int main(int argc, char **argv)
{
	struct part parts[MODES];
	struct CMUnitTest tests[MODES];
	size_t n = 0;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return 1;
	for (enum mode mode = MODE_KILL; mode < MODES; mode++) {
		if (argc > 1 && strcmp(argv[1], names[mode]) != 0)
			continue;
		parts[n] = (struct part){mode, argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1,
					 argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1};
		tests[n] = (struct CMUnitTest){names[mode], test_part, NULL, NULL, &parts[n]};
		n++;
	}
	return _cmocka_run_group_tests("fault_steps", tests, n, NULL, NULL);
}
