/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schedulers: what fires, what is missed, what cannot start; many at once, in threads and processes
 * that are killed; and ten thousand triggers in one second.
 */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "trigger_fixture.h"

#define HOURLY "{'format': 'crontab', 'pattern': '0 * * * *'}"
#define MINUTE (60 * S)
#define HOUR (3600 * S)

static void test_fires_when_it_is_time(void **state)
{
	struct trigger_fixture *x = *state;
	char id[UUID_TEXT];
	uint64_t next_us;

	new_trigger(x, HOURLY, id);
	new_scheduled(x, id, "a", NULL);
	new_scheduled(x, id, "b", NULL);
	assert_int_equal(run_scheduler(x, &next_us).fired, 0);
	assert_true(next_us == NOW + HOUR);
	x->now_us = NOW + HOUR - 1;
	assert_int_equal(run_scheduler(x, &next_us).fired, 0);
	for (int i = 1; i < 4; i++) {
		struct scheduler_counts c;

		x->now_us = NOW + (uint64_t)i * HOUR + 3 * S;
		c = run_scheduler(x, &next_us);
		assert_int_equal(c.fired, 1);
		assert_int_equal(c.started, 2);
		assert_true(next_us == NOW + (uint64_t)(i + 1) * HOUR);
		assert_int_equal(run_scheduler(x, NULL).fired, 0);
	}
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM started"), 6);
	assert_int_equal(ask_number(x->db.db, "SELECT count(DISTINCT at) FROM started"), 3);
	assert_int_equal(ask_number(x->db.db,
				    "SELECT count(*) FROM firings WHERE state = 'fired' AND "
				    "reason = '' AND operations LIKE '%scheduled_operation_id%'"),
			 3);
}

static void test_missed_are_recorded_and_made_up_for(void **state)
{
	static const struct {
		const char *misfire;
		unsigned fired, missed;
	} rows[] = {{"skip", 0, 5}, {"once", 1, 4}, {"all", 5, 0}};
	struct trigger_fixture *x = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *p =
			xasprintf("{'format': 'crontab', 'pattern': '0 * * * *', 'misfire': "
				  "'%s'}",
				  rows[i].misfire);
		struct scheduler_counts c;
		char id[UUID_TEXT];

		x->now_us = NOW;
		new_trigger(x, p, id);
		new_scheduled(x, id, rows[i].misfire, NULL);
		/* Twenty minutes after the fifth: its window is over. */
		x->now_us = NOW + 5 * HOUR + 20 * MINUTE;
		c = run_scheduler(x, NULL);
		assert_int_equal(c.fired, rows[i].fired);
		assert_int_equal(c.missed, rows[i].missed);
		tell_db(x->db.db, "UPDATE triggers SET enabled = 0");
	}
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM started"), 6);
}

static void test_what_does_not_start_is_told_and_holds_up_nothing(void **state)
{
	struct trigger_fixture *x = *state;
	struct scheduler_counts c;
	AUTO_FREE char *states = NULL;
	char id[3][UUID_TEXT];

	for (int i = 0; i < 3; i++)
		new_trigger(x, HOURLY, id[i]);
	new_scheduled(x, id[0], "a", NULL);
	new_scheduled(x, id[0], "bad", NULL);
	new_scheduled(x, id[1], "bad", NULL);
	trigger_fixture_bad = "bad";
	x->now_us = NOW + HOUR;
	c = run_scheduler(x, NULL);
	assert_int_equal(c.fired, 1);
	assert_int_equal(c.failed, 1);
	assert_int_equal(c.skipped, 1);
	assert_int_equal(c.started, 1);
	states = ask_texts(x->db.db, "SELECT state FROM firings ORDER BY state");
	assert_string_equal(states, "failed|fired|skipped");
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM firings WHERE operations LIKE "
					      "'%it will not start%'"),
			 2);
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM started"), 1);
}

static void test_what_may_start_later_is_tried_again(void **state)
{
	struct trigger_fixture *x = *state;
	struct scheduler_counts c = {0};
	char id[2][UUID_TEXT];
	uint64_t next_us;

	for (int i = 0; i < 2; i++)
		new_trigger(x, HOURLY, id[i]);
	new_scheduled(x, id[0], "bad", NULL);
	new_scheduled(x, id[1], "good", NULL);
	trigger_fixture_bad = "bad";
	trigger_fixture_kind = ERR_UNREACHABLE;
	x->now_us = NOW + HOUR;
	FAILS(ERR_UNREACHABLE, scheduler_run(x->scheduler, x->now_us, &c, &next_us, e));
	assert_int_equal(c.fired, 1);
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM firings"), 1);
	trigger_fixture_bad = NULL;
	/* Its mark has not run out. */
	assert_int_equal(run_scheduler(x, NULL).fired, 0);
	x->now_us += 16 * S;
	assert_int_equal(run_scheduler(x, NULL).fired, 1);
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM started"), 2);
}

static void test_a_schedule_that_broke_is_told(void **state)
{
	struct trigger_fixture *x = *state;
	char id[UUID_TEXT];
	uint64_t next_us;

	new_trigger(x, HOURLY, id);
	new_scheduled(x, id, "a", NULL);
	tell_db(x->db.db,
		"UPDATE triggers SET properties = '{\"format\": \"crontab\", \"pattern\": \"0 * "
		"* * *\", \"timezone\": \"Mars/Olympus\"}'");
	x->now_us = NOW + HOUR;
	assert_int_equal(run_scheduler(x, &next_us).failed, 1);
	assert_true(next_us == x->now_us + HOUR);
	assert_int_equal(ask_number(x->db.db,
				    "SELECT count(*) FROM firings WHERE state = 'failed' AND "
				    "reason LIKE '%Mars/Olympus%'"),
			 1);
}

static void test_a_wrong_clock_fires_nothing_twice(void **state)
{
	struct trigger_fixture *x = *state;
	char id[UUID_TEXT];

	new_trigger(x, HOURLY, id);
	new_scheduled(x, id, "a", NULL);
	x->now_us = NOW + HOUR;
	assert_int_equal(run_scheduler(x, NULL).fired, 1);
	/* Backwards, and another scheduler that goes behind. */
	x->now_us = NOW;
	assert_int_equal(run_scheduler(x, NULL).fired, 0);
	tell_db(x->db.db, "UPDATE triggers SET next_at = 0, last_at = 0");
	x->now_us = NOW + HOUR + 5 * S;
	run_scheduler(x, NULL);
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM started"), 1);
}

static void test_old_firings_go(void **state)
{
	struct trigger_fixture *x = *state;
	char id[UUID_TEXT];

	new_trigger(x, "{'format': 'crontab', 'pattern': '*/10 * * * *'}", id);
	for (int i = 0; i < 70; i++) {
		x->now_us += 10 * MINUTE;
		run_scheduler(x, NULL);
	}
	OK(scheduler_prune(x->scheduler, x->now_us, e));
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM firings"), 70);
	OK(scheduler_prune(x->scheduler, x->now_us + 48 * HOUR, e));
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM firings"), 50);
	OK(scheduler_prune(x->scheduler, 5, e));
}

static void test_the_thread_fires_by_itself(void **state)
{
	struct trigger_fixture *x = *state;
	char id[UUID_TEXT];

	OK(scheduler_begin(x->scheduler, e));
	x->now_us = clock_wall_us();
	new_trigger(x, "{'format': 'crontab', 'pattern': '0 0 1 1 *'}", id);
	new_scheduled(x, id, "a", NULL);
	/* As if that time had been last year. */
	tell_db(x->db.db, "UPDATE triggers SET next_at = 1, last_at = last_at - 31622400000000, "
			  "properties = '{\"format\": \"crontab\", \"pattern\": \"0 0 1 1 *\", "
			  "\"start_time\": \"2020-01-01 00:00:00\"}'");
	x->now_us = clock_wall_us();
	new_trigger(x, HOURLY, id);
	for (int i = 0; i < 200 && ask_number(x->db.db, "SELECT count(*) FROM started") == 0; i++)
		clock_sleep_ms(50);
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM started"), 1);
	scheduler_stop(x->scheduler);
}

/* ---- many ---- */

static void fill_many(struct trigger_fixture *x, unsigned n)
{
	char id[UUID_TEXT];
	AUTO_FREE char *sql = NULL;

	new_trigger(x, HOURLY, id);
	/* Copies of one; the database makes them faster than we. */
	sql = xasprintf(
		"INSERT INTO triggers SELECT 'trigger-' || n, project_id, name, type, properties, "
		"token_hash, enabled, last_at, next_at, claim, claim_until, created_by, "
		"created_at, updated_at FROM triggers, (WITH RECURSIVE c(n) AS (SELECT 1 UNION "
		"ALL SELECT n + 1 FROM c WHERE n < %u) SELECT n FROM c) AS numbers",
		n);
	tell_db(x->db.db, sql);
	tell_db(x->db.db, "DELETE FROM triggers WHERE id NOT LIKE 'trigger-%'");
	tell_db(x->db.db,
		"INSERT INTO scheduled_operations SELECT id, 'p', id, NULL, 'protect', id, "
		"'" PLAN "', '{}', 1, 'me', 0, 0 FROM triggers");
}

static void check_each_once(struct db *d, int64_t n)
{
	assert_int_equal(ask_number(d, "SELECT count(*) FROM started"), n);
	assert_int_equal(
		ask_number(d, "SELECT count(*) FROM (SELECT DISTINCT scheduled, at FROM started) "
			      "AS s"),
		n);
	assert_int_equal(ask_number(d, "SELECT count(*) FROM firings WHERE state = 'fired'"), n);
}

struct crowd {
	struct trigger_fixture *x;
	atomic_ullong fired;
	atomic_uint wrong;
};

static void run_one_of_many(void *arg, unsigned number)
{
	struct crowd *c = arg;
	AUTO(scheduler) s = scheduler_new(c->x->db.db, c->x->zones, trigger_fixture_start, NULL);
	struct scheduler_counts counts = {0};
	uint64_t next_us;

	(void)number;
	if (scheduler_run(s, c->x->now_us, &counts, &next_us, NULL) < 0)
		c->wrong++;
	c->fired += counts.fired;
}

static void test_many_threads_fire_each_once(void **state)
{
	struct trigger_fixture *x = *state;
	struct crowd c = {.x = x};

	fill_many(x, 1000);
	x->now_us = NOW + HOUR;
	test_threads(4, run_one_of_many, &c);
	assert_int_equal(c.wrong, 0);
	/* What another one had marked when the last of them looked is done by then. */
	assert_int_equal(c.fired, 1000);
	check_each_once(x->db.db, 1000);
}

static void test_ten_thousand_in_one_second(void **state)
{
	struct trigger_fixture *x = *state;
	uint64_t begun_us;
	struct scheduler_counts c;

	fill_many(x, 10000);
	x->now_us = NOW + HOUR;
	begun_us = clock_mono_us();
	c = run_scheduler(x, NULL);
	assert_int_equal(c.fired, 10000);
	print_message("# %s: 10000 triggers fired in %.1f s\n", x->db.kind,
		      (double)(clock_mono_us() - begun_us) / 1e6);
	check_each_once(x->db.db, 10000);
}

/* gcc defines the one, clang has the other. */
#ifdef __has_feature
#define WITH_TSAN __has_feature(thread_sanitizer)
#elif defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#else
#define WITH_TSAN 0
#endif

#if WITH_TSAN
/* Children of a process with threads start threads of their own. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}
#endif

/* A process with a scheduler of its own, at "times" that go on while it lives. */
static pid_t start_process(const char *url, unsigned number, uint64_t begun_us)
{
	pid_t pid = fork();

	if (pid == 0) {
		AUTO_FREE char *who = xasprintf("%u", number);
		struct zones *zones = zones_new(NULL);
		struct db *d = db_open(url, NULL);
		struct scheduler *s = scheduler_new(d, zones, trigger_fixture_start, who);
		uint64_t next_us;

		if (!d)
			_exit(1);
		/* A minute in 20 ms, so that marks run out soon. */
		for (;;) {
			uint64_t now_us = NOW + HOUR + (clock_mono_us() - begun_us) * 3000;

			scheduler_run(s, now_us, NULL, &next_us, NULL);
			clock_sleep_ms(5);
		}
	}
	assert_true(pid > 0);
	return pid;
}

static void end_process(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Every firing and what it starts exist together, or neither does, whoever is killed when. */
static void test_processes_that_are_killed(void **state)
{
	struct trigger_fixture *x = *state;
	struct random r = {random_seed()};
	uint64_t begun_us = clock_mono_us();
	pid_t pids[3];
	unsigned number = 0, kills = 0;

	fill_many(x, 300);
	for (size_t i = 0; i < ARRAY_LEN(pids); i++)
		pids[i] = start_process(x->db.url, number++, begun_us);
	for (; clock_mono_us() - begun_us < 8 * S; kills++) {
		size_t victim = random_below(&r, ARRAY_LEN(pids));

		clock_sleep_ms((unsigned)random_below(&r, 400));
		end_process(pids[victim]);
		pids[victim] = start_process(x->db.url, number++, begun_us);
	}
	for (size_t i = 0; i < ARRAY_LEN(pids); i++)
		end_process(pids[i]);
	/* What the last of them left. */
	x->now_us = NOW + 100 * HOUR;
	run_scheduler(x, NULL);
	assert_int_equal(
		ask_number(x->db.db,
			   "SELECT count(*) FROM triggers WHERE next_at <= 1795310000000000"),
		0);
	print_message("# %u kills, %lld firings\n", kills,
		      (long long)ask_number(x->db.db, "SELECT count(*) FROM started"));
	check_each_once(x->db.db, ask_number(x->db.db, "SELECT count(*) FROM started"));
	assert_true(ask_number(x->db.db, "SELECT count(DISTINCT who) FROM started") > 3);
	/* No time of any trigger was left out: fired or missed, hour by hour. */
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM (SELECT trigger_id FROM "
					      "firings GROUP BY trigger_id HAVING "
					      "count(*) < (SELECT max(n) FROM (SELECT count(*) AS "
					      "n FROM firings GROUP BY "
					      "trigger_id) AS m)) AS less"),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TRIGGER_TEST(test_fires_when_it_is_time),
		TRIGGER_TEST(test_missed_are_recorded_and_made_up_for),
		TRIGGER_TEST(test_what_does_not_start_is_told_and_holds_up_nothing),
		TRIGGER_TEST(test_what_may_start_later_is_tried_again),
		TRIGGER_TEST(test_a_schedule_that_broke_is_told),
		TRIGGER_TEST(test_a_wrong_clock_fires_nothing_twice),
		TRIGGER_TEST(test_old_firings_go),
		TRIGGER_TEST(test_the_thread_fires_by_itself),
		TRIGGER_TEST(test_many_threads_fire_each_once),
		TRIGGER_TEST(test_ten_thousand_in_one_second),
		TRIGGER_TEST_OF("postgresql", test_processes_that_are_killed),
	};

	return trigger_fixture_run(tests, ARRAY_LEN(tests));
}
