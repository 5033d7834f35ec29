/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations under way in many threads of several flows, while others cancel and retry them; and in
 * several processes that are killed at any moment (PostgreSQL). In the end the logs tell that every
 * step settled once in each run, and was taken back where it had to be.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow_check.h"

#define MOST 2 /* of "host:h": the steps of kind "once" */
#define OPERATIONS 60
#define CHILDREN 3
#define THREADS 4

static atomic_uint limited, too_many, runs;

static unsigned chance(unsigned n)
{
	uint32_t r;

	random_bytes(&r, sizeof(r));
	return r % n;
}

static int act(const struct flow_run *r, json_t **ret_result, struct err *e)
{
	bool counts = strcmp(r->step->kind, "once") == 0 && !r->step->undo;
	unsigned ms = chance(12);
	int rc = 0;

	atomic_fetch_add(&runs, 1);
	if (counts && atomic_fetch_add(&limited, 1) + 1 > MOST)
		atomic_store(&too_many, 1);
	for (unsigned i = 0; i < ms && rc == 0; i++) {
		clock_sleep_ms(1);
		rc = cancel_check(r->cancel, e);
	}
	if (counts)
		atomic_fetch_sub(&limited, 1);
	if (rc < 0)
		return -1;
	if (chance(10) == 0)
		return err_set(e, ERR_UNREACHABLE, "bad luck");
	if (chance(40) == 0)
		return err_set(e, ERR_DENIED, "very bad luck");
	*ret_result = json_pack("{s:i}", "ms", (int)ms);
	return 0;
}

#define HOOKS .run = act, .settle = flow_fixture_settle, .failed = flow_fixture_failed
static const struct flow_kind plain = {.name = "plain", HOOKS, .lease_s = 2};
static const struct flow_kind undo = {
	.name = "undo", .undo = act, .undone = flow_fixture_undone, HOOKS, .lease_s = 2};
static const struct flow_kind once = {.name = "once", HOOKS, .lease_s = 10};
static const struct flow_kind adds = {.name = "adds",
				      .run = act,
				      .settle = flow_fixture_settle_more,
				      .failed = flow_fixture_failed,
				      .undone = flow_fixture_undone,
				      .lease_s = 2};
static const struct flow_kind *const kinds[] = {&plain, &undo, &once, &adds, NULL};

static struct flow *flow_of(struct db *d, const char *name)
{
	struct flow *f = OK_PTR(flow_new(d, name, kinds, flow_fixture_operations, e));

	f->pause_first_us = 10000;
	f->pause_most_us = 100000;
	return f;
}

/* ---- what is asked for meanwhile ---- */

static char *random_graph(struct random *rnd)
{
	static const char *const of[] = {"", "/undo", "/undo", "/once#host:h", "/adds"};
	unsigned n = 1 + (unsigned)random_below(rnd, 6);
	char *text = xstrdup("");

	for (unsigned i = 0; i < n; i++) {
		char *longer =
			xasprintf("%s %c%s", text, 'a' + i, of[random_below(rnd, ARRAY_LEN(of))]);
		char between = '<';

		free(text);
		text = longer;
		for (unsigned j = 0; j < i; j++) {
			if (random_below(rnd, 3))
				continue;
			longer = xasprintf("%s%c%c", text, between, 'a' + j);
			free(text);
			text = longer;
			between = ',';
		}
	}
	return text;
}

struct asking {
	struct flow *f;
	int (*fn)(struct flow *f, struct db_tx *t, const char *operation, struct err *e);
	const char *id;
};

static int ask(struct db_tx *t, void *arg, struct err *e)
{
	struct asking *a = arg;

	return a->fn(a->f, t, a->id, e);
}

struct people {
	struct flow_fixture *x;
	struct random rnd;
	char ids[OPERATIONS][UUID_TEXT];
	unsigned n;
};

/* Somebody starts, cancels or retries something. */
static void somebody(struct people *p)
{
	static const char *const projects[] = {"p", "q", "r"};
	struct flow_operation_new o = {
		.kind = "op", .project = projects[random_below(&p->rnd, 3)], .subject = "subject"};
	struct asking a = {.f = p->x->f, .fn = random_below(&p->rnd, 3) ? flow_retry : flow_cancel};
	struct err e = {0};

	if (p->n < OPERATIONS && (p->n < 5 || random_below(&p->rnd, 2))) {
		AUTO_FREE char *graph = random_graph(&p->rnd);

		flow_fixture_start_as(p->x, &o, graph, p->ids[p->n++]);
		return;
	}
	a.id = p->ids[random_below(&p->rnd, p->n)];
	if (db_write(p->x->db.db, ask, &a, &e) < 0 && e.kind != ERR_CONFLICT)
		fail_msg("%s", e.msg);
}

static void wait_for_all(struct flow_fixture *x)
{
	uint64_t since = clock_mono_us();

	while (flow_check_live(x->db.db) > 0) {
		if (clock_mono_us() - since > UINT64_C(120000000))
			fail_msg("%u operations do not end", flow_check_live(x->db.db));
		clock_sleep_ms(100);
	}
}

static int up(void **state)
{
	struct flow_fixture *x = xcalloc(1, sizeof(*x));

	assert_true(db_fixture_new(&x->db, *state ? *state : "sqlite"));
	db_fixture_reopen(&x->db);
	x->f = flow_of(x->db.db, "people");
	*state = x;
	return 0;
}

#define CRASH_TEST(fn) cmocka_unit_test_setup_teardown(fn, up, flow_fixture_down)

/* ---- threads ---- */

static void test_threads_of_flows(void **state)
{
	struct flow_fixture *x = *state;
	struct people p = {.x = x, .rnd = {random_seed()}};
	struct flow *flows[CHILDREN];

	print_message("# HF_SEED=%llu\n", (unsigned long long)random_seed());
	flow_fixture_limit(x, "host:h", MOST);
	flow_fixture_limit(x, "project", 5);
	limited = too_many = 0;
	for (int i = 0; i < CHILDREN; i++) {
		AUTO_FREE char *name = xasprintf("flow %d", i);

		flows[i] = flow_of(x->db.db, name);
		OK(flow_workers(flows[i], THREADS, e));
	}
	for (int i = 0; i < 2 * OPERATIONS; i++) {
		somebody(&p);
		clock_sleep_ms((unsigned)random_below(&p.rnd, 30));
		flow_check_tables(x->db.db, "host:h", MOST);
		flow_check_tables(x->db.db, "project:p", 5);
	}
	wait_for_all(x);
	for (int i = 0; i < CHILDREN; i++)
		flow_free(flows[i]);
	flow_check_logs(x->db.db);
	flow_check_tables(x->db.db, "host:h", 0);
	assert_int_equal(too_many, 0);
}

/* ---- processes ---- */

/* What a child does, until it is killed. */
static int child(const char *url, const char *name)
{
	struct err e = {0};
	struct db *d = db_open(url, &e);
	struct flow *f;

	if (!d)
		return 1;
	f = flow_of(d, name);
	if (flow_workers(f, THREADS, &e) < 0)
		return 1;
	for (;;)
		clock_sleep_ms(1000);
}

static pid_t launch(const struct flow_fixture *x, unsigned number)
{
	char name[32];
	char self[] = "/proc/self/exe", word[] = "child";
	char *argv[] = {self, word, x->db.url, name, NULL};
	pid_t pid;

	snprintf(name, sizeof(name), "child %u", number);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv(self, argv);
		_exit(127);
	}
	assert_true(pid > 0);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_killed(void **state)
{
	struct flow_fixture *x = *state;
	struct people p = {.x = x, .rnd = {random_seed()}};
	pid_t pids[CHILDREN];
	unsigned number = 0;

	if (strcmp(x->db.kind, "sqlite") == 0)
		return; /* it belongs to one process */
	flow_fixture_limit(x, "host:h", MOST);
	for (int i = 0; i < CHILDREN; i++)
		pids[i] = launch(x, number++);
	for (int i = 0; i < 2 * OPERATIONS; i++) {
		somebody(&p);
		clock_sleep_ms((unsigned)random_below(&p.rnd, 100));
		flow_check_tables(x->db.db, "host:h", MOST);
		if (random_below(&p.rnd, 8) == 0) {
			unsigned which = (unsigned)random_below(&p.rnd, CHILDREN);

			end(pids[which]);
			pids[which] = launch(x, number++);
		}
	}
	print_message("# %u processes were killed\n", number - CHILDREN);
	wait_for_all(x);
	for (int i = 0; i < CHILDREN; i++)
		end(pids[i]);
	flow_check_logs(x->db.db);
	flow_check_tables(x->db.db, "host:h", 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CRASH_TEST(test_threads_of_flows),
		CRASH_TEST(test_killed),
	};

	log_set_level(LOG_LEVEL_WARN);
	if (argc == 4 && strcmp(argv[1], "child") == 0)
		return child(argv[2], argv[3]);
	return flow_fixture_run(tests, ARRAY_LEN(tests));
}
