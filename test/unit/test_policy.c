/* SPDX-License-Identifier: Apache-2.0 */
#include "core/policy.h"

#include <string.h>

#include "sched/civil.h"
#include "testing.h"

#define SECOND_US 1000000ULL
#define DAY_US (86400 * SECOND_US)
#define P1 "6f9619ff-8b86-d011-b42d-00cf4fc964ff"
#define P2 "7f9619ff-8b86-d011-b42d-00cf4fc964ff"

static struct zones *zones;

/* A moment of UTC. */
static uint64_t at(int year, int month, int day, int hour, int minute)
{
	struct civil c = {year, month, day, hour, minute, 0};

	return (uint64_t)civil_seconds(&c) * SECOND_US;
}

static uint64_t now(void)
{
	return at(2026, 11, 22, 10, 0); /* a Sunday */
}

static struct policy *parse(const char *text, struct err *e)
{
	return policy_parse_text(text, strlen(text), zones, now(), e);
}

static struct policy *good(const char *text)
{
	return OK_PTR(parse(text, e));
}

static char *document(const struct policy *p)
{
	json_t *o = policy_json(p);
	char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	return text;
}

static void test_one_form(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: the same */
	} rows[] = {
		{"{}", NULL},
		{"{\"schedules\":[],\"minimum\":1,\"failed\":{\"days\":7},\"limits\":{},"
		 "\"copy\":[],\"verify\":null}",
		 NULL},
		{"{\"schedules\":[{\"name\":\"nightly\",\"trigger\":{\"pattern\":\"0 2 * * *\","
		 "\"format\":\"crontab\"},\"retention\":{\"daily\":7,\"weekly\":0,\"last\":\"all\""
		 "}}],\"timezone\":\"Europe/Berlin\"}",
		 "{\"schedules\":[{\"name\":\"nightly\",\"trigger\":{\"pattern\":\"0 2 * * *\","
		 "\"format\":\"crontab\",\"timezone\":\"Europe/Berlin\"},\"retention\":{\"last\":"
		 "\"all\",\"daily\":7}}],\"timezone\":\"Europe/Berlin\"}"},
		{"{\"schedules\":[{\"name\":\"c\",\"full\":true,\"trigger\":{\"format\":"
		 "\"calendar\",\"pattern\":\"RRULE:FREQ=DAILY;BYHOUR=2\"}},{\"name\":\"gone\","
		 "\"full\":false,\"retention\":{\"days\":3}}]}",
		 "{\"schedules\":[{\"name\":\"c\",\"trigger\":{\"format\":\"calendar\","
		 "\"pattern\":\"RRULE:FREQ=DAILY;BYHOUR=2\",\"start_time\":\"2026-11-22 10:00:00\""
		 ",\"timezone\":\"UTC\"},\"full\":true},{\"name\":\"gone\",\"retention\":{"
		 "\"days\":3}}]}"},
		{"{\"copy\":{\"retention\":{\"yearly\":10},\"provider_id\":\""
		 "6F9619FF-8B86-D011-B42D-00CF4FC964FF\"},\"verify\":{\"every_days\":30},"
		 "\"limits\":{\"bandwidth\":\"100MiB\",\"concurrent\":2},\"window\":{\"end\":"
		 "\"06:00\",\"start\":\"22:00\"},\"consistency\":\"required\",\"timezone\":\"UTC\""
		 ",\"rpo\":\"1d\",\"failed\":{\"days\":0},\"keep_verified\":true,\"minimum\":2,"
		 "\"others\":{"
		 "\"days\":30},\"manual\":{\"last\":3}}",
		 "{\"manual\":{\"last\":3},\"others\":{\"days\":30},\"minimum\":2,"
		 "\"keep_verified\":true,\"failed\":{\"days\":0},\"timezone\":\"UTC\","
		 "\"consistency\":\"required\",\"window\":{\"start\":\"22:00\",\"end\":\"06:00\"},"
		 "\"limits\":{\"bandwidth\":104857600,\"concurrent\":2},\"verify\":{"
		 "\"every_days\":30},\"rpo\":86400,\"copy\":{\"provider_id\":\"" P1
		 "\",\"retention\":{\"yearly\":10}}}"},
		{"{\"window\":{\"start\":\"00:00\",\"end\":\"24:00\",\"days\":[\"sun\",\"mon\"]},"
		 "\"copy\":[{\"provider_id\":\"" P1 "\"},{\"provider_id\":\"" P2 "\"}]}",
		 "{\"window\":{\"start\":\"00:00\",\"end\":\"24:00\",\"days\":[\"mon\",\"sun\"]},"
		 "\"copy\":[{\"provider_id\":\"" P1 "\"},{\"provider_id\":\"" P2 "\"}]}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *want = rows[i].want ? rows[i].want : "{}";
		AUTO(policy) p = NULL;
		AUTO(policy) again = NULL;
		AUTO_FREE char *once = NULL;
		AUTO_FREE char *twice = NULL;

		p = good(rows[i].text);
		once = document(p);
		assert_string_equal(once, want);
		again = good(once);
		twice = document(again);
		assert_string_equal(twice, once);
	}
}

#define S(fields) "{\"schedules\":[{\"name\":\"a\"},{" fields "}]}"
#define CRON "\"trigger\":{\"format\":\"crontab\",\"pattern\":"

static const struct {
	const char *text, *want; /* how the message begins */
} wrong[] = {
	{"", "document: line 1: "},
	{"[]", "document: give an object"},
	{"{\"minimum\":1,\"minimum\":2}", "document: line 1: duplicate"},
	{"{\"schedule\":[]}", "schedule: there is no such field; did you mean \"schedules\"?"},
	{"{\"schedules\":{}}", "schedules: give an array"},
	{"{\"schedules\":[7]}", "schedules[0]: give an object"},
	{S("\"name\":\"a\""), "schedules[1].name: another schedule is called \"a\""},
	{S("\"full\":true"), "schedules[1].name: it is missing"},
	{S("\"name\":\"a/b\""), "schedules[1].name: only letters"},
	{S("\"name\":\"manual\""), "schedules[1].name: \"manual\" is what people make"},
	{S("\"name\":\"b\",\"full\":1"), "schedules[1].full: 1 is not true or false"},
	{S("\"name\":\"b\",\"retention\":{\"dayly\":1}"),
	 "schedules[1].retention.dayly: there is no such field; did you mean \"daily\"?"},
	{S("\"name\":\"b\",\"retention\":{\"daily\":-1}"),
	 "schedules[1].retention.daily: -1 is not a whole number from 0 to 100000"},
	{S("\"name\":\"b\",\"retention\":{\"daily\":\"7\"}"),
	 "schedules[1].retention.daily: \"7\" is neither a number nor \"all\""},
	{S("\"name\":\"b\",\"retention\":{\"daily\":0}"),
	 "schedules[1].retention: it keeps nothing; to keep"},
	{S("\"name\":\"b\",\"retention\":{}"), "schedules[1].retention: it keeps nothing"},
	{S("\"name\":\"b\",\"trigger\":[]"), "schedules[1].trigger: give an object"},
	{S("\"name\":\"b\"," CRON "\"61 * * * *\"}"), "schedules[1].trigger: pattern: "},
	{S("\"name\":\"b\"," CRON "\"0 2 * * *\",\"timezone\":\"Mars/Base\"}"),
	 "schedules[1].trigger: timezone: "},
	{S("\"name\":\"b\"," CRON "\"0 2 * * *\",\"widow\":900}"), "schedules[1].trigger: widow: "},
	{"{\"manual\":{}}", "manual: it keeps nothing"},
	{"{\"others\":7}", "others: give an object"},
	{"{\"minimum\":0}", "minimum: 0 is not a whole number from 1 to 1000"},
	{"{\"timezone\":\"Mars/Base\"}", "timezone: "},
	{"{\"consistency\":\"application\"}",
	 "consistency: \"application\" is not one of required, best-effort, off"},
	{"{\"failed\":{\"day\":1}}", "failed.day: there is no such field; did you mean \"days\"?"},
	{"{\"window\":{\"start\":\"22:00\"}}", "window.end: it is missing"},
	{"{\"window\":{\"start\":\"24:00\",\"end\":\"06:00\"}}", "window.start: there is no such"},
	{"{\"window\":{\"start\":\"22:60\",\"end\":\"06:00\"}}", "window.start: there is no such"},
	{"{\"window\":{\"start\":\"2:00\",\"end\":\"06:00\"}}", "window.start: \"2:00\" is not"},
	{"{\"window\":{\"start\":\"22:00\",\"end\":\"22:00\"}}", "window.end: it is the same"},
	{"{\"window\":{\"start\":\"22:00\",\"end\":\"23:00\",\"days\":[\"mo\"]}}",
	 "window.days[0]: give mon"},
	{"{\"window\":{\"start\":\"22:00\",\"end\":\"23:00\",\"days\":\"mon\"}}",
	 "window.days: give an array"},
	{"{\"window\":{\"start\":\"22:00\",\"end\":\"23:00\",\"days\":[]}}",
	 "window.days: give at least one"},
	{"{\"limits\":{\"bandwidth\":\"1\"}}", "limits.bandwidth: give bytes a second"},
	{"{\"limits\":{\"bandwidth\":-5}}", "limits.bandwidth: give bytes a second"},
	{"{\"limits\":{\"concurrent\":0}}", "limits.concurrent: 0 is not"},
	{"{\"rpo\":59}", "rpo: give seconds"},
	{"{\"rpo\":\"often\"}", "rpo: give seconds"},
	{"{\"rpo\":[1]}", "rpo: give seconds"},
	{"{\"verify\":{\"every_days\":0}}", "verify.every_days: 0 is not"},
	{"{\"copy\":{}}", "copy.provider_id: give the id of a provider"},
	{"{\"copy\":[{\"provider_id\":\"" P1 "\"},{\"provider_id\":\"" P1 "\"}]}",
	 "copy[1].provider_id: copies go to this provider already"},
};

static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct err e = {0};

		assert_null(parse(wrong[i].text, &e));
		if (strncmp(e.msg, wrong[i].want, strlen(wrong[i].want)) != 0)
			fail_msg("%s: %s", wrong[i].text, e.msg);
		assert_int_equal(e.kind, ERR_INVALID);
	}
}

static void test_limits(void **state)
{
	AUTO_BUF b = BUF_INIT;
	struct err e = {0};

	(void)state;
	buf_text(&b, "{\"schedules\":[");
	for (unsigned i = 0; i <= POLICY_SCHEDULES; i++)
		buf_fmt(&b, "%s{\"name\":\"s%u\"}", i ? "," : "", i);
	buf_text(&b, "]}");
	assert_null(parse(buf_str(&b), &e));
	assert_int_equal(e.kind, ERR_LIMIT);
	buf_fill(&b, ' ', POLICY_SIZE_MAX);
	assert_null(parse(buf_str(&b), &e));
	assert_string_equal(err_info(e.kind)->name, err_info(ERR_LIMIT)->name);
	assert_non_null(strstr(e.msg, "at most 65536"));
}

static void test_retention_of_it(void **state)
{
	AUTO(policy)
	p = good("{\"schedules\":[{\"name\":\"a\",\"retention\":{\"last\":2}},"
		 "{\"name\":\"b\"}],\"others\":{\"days\":9},\"minimum\":3,"
		 "\"copy\":{\"provider_id\":\"" P1 "\",\"retention\":{\"last\":5}}}");
	struct retention r = policy_retention(p, NULL);

	(void)state;
	assert_int_equal(r.n_sets, 4);
	assert_int_equal(r.minimum, 3);
	assert_int_equal(r.failed_days, 7);
	assert_string_equal(r.sets[0].maker, "a");
	assert_int_equal(r.sets[0].keep[RETENTION_LAST], 2);
	assert_false(r.sets[0].forever);
	assert_true(r.sets[1].forever);
	assert_string_equal(r.sets[2].maker, RETENTION_MANUAL);
	assert_true(r.sets[2].forever);
	assert_int_equal(r.sets[3].scope, RETENTION_OF_OTHERS);
	r = policy_retention(p, P1);
	assert_int_equal(r.n_sets, 1);
	assert_int_equal(r.sets[0].scope, RETENTION_OF_EVERY);
	assert_int_equal(r.sets[0].keep[RETENTION_LAST], 5);
	assert_int_equal(policy_retention(p, P2).n_sets, 4);
}

static void test_foretell(void **state)
{
	AUTO(policy)
	p = good("{\"timezone\":\"Europe/Berlin\",\"schedules\":["
		 "{\"name\":\"hours\"," CRON "\"0 * * * *\"}},"
		 "{\"name\":\"none\"},{\"name\":\"days\"," CRON "\"30 1 * * *\"}}]}");
	struct retention_firing *f;
	size_t n;

	(void)state;
	f = policy_foretell(p, now(), now() + 20 * DAY_US, 10000, &n);
	assert_int_equal(n, 20 * 25);
	assert_int_equal(f[0].instant_us, now() + 3600 * SECOND_US);
	assert_string_equal(f[0].maker, "hours");
	assert_int_equal(f[14].instant_us, at(2026, 11, 23, 0, 30)); /* 01:30 in Berlin */
	for (size_t i = 1; i < n; i++)
		assert_true(f[i - 1].instant_us <= f[i].instant_us);
	free(f);
	f = policy_foretell(p, now(), now() + 20 * DAY_US, 7, &n);
	assert_int_equal(n, 7);
	assert_int_equal(f[6].instant_us, now() + 7 * 3600 * SECOND_US);
	free(f);
}

static void test_window(void **state)
{
	AUTO(policy) none = good("{}");
	AUTO(policy)
	p = good("{\"timezone\":\"Europe/Berlin\",\"window\":{\"start\":\"22:00\","
		 "\"end\":\"06:00\",\"days\":[\"fri\",\"sat\"]}}");
	static const struct {
		int day, hour, minute, opens_day, opens_hour;
	} rows[] = {
		{22, 10, 0, 27, 21}, /* Sunday: on Friday at 22:00, which is 21:00 UTC */
		{22, 4, 59, 22, 4},  /* Sunday 05:59: still Saturday's */
		{22, 5, 0, 27, 21},  {27, 20, 59, 27, 21}, {27, 21, 0, 27, 21},
		{28, 4, 0, 28, 4},   {28, 12, 0, 28, 21},
	};

	(void)state;
	assert_int_equal(policy_window_opens(none, now()), now());
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t from = at(2026, 11, rows[i].day, rows[i].hour, rows[i].minute);
		uint64_t opens = policy_window_opens(p, from);

		if (rows[i].day == rows[i].opens_day && rows[i].hour == rows[i].opens_hour)
			assert_int_equal(opens, from);
		else
			assert_int_equal(opens,
					 at(2026, 11, rows[i].opens_day, rows[i].opens_hour, 0));
	}
}

static void test_merge(void **state)
{
	AUTO(policy)
	own = good("{\"schedules\":[{\"name\":\"daily\",\"retention\":{\"last\":1}}],"
		   "\"manual\":{\"days\":1},\"rpo\":3600,\"consistency\":\"off\",\"limits\":{"
		   "\"bandwidth\":"
		   "\"10MiB\"},\"timezone\":\"America/New_York\",\"copy\":{\"provider_id\":\"" P1
		   "\",\"retention\":{\"last\":1}},\"failed\":{\"days\":1}}");
	AUTO(policy)
	law = good("{\"schedules\":[{\"name\":\"daily\"," CRON
		   "\"0 3 * * *\"},\"retention\":{\"daily\":30}}],\"minimum\":5,\"consistency\":"
		   "\"best-effort\",\"limits\":{\"bandwidth\":\"20MiB\",\"concurrent\":3},"
		   "\"timezone\":\"Europe/Berlin\",\"copy\":{\"provider_id\":\"" P1
		   "\"},\"rpo\":7200,\"verify\":{\"every_days\":7}}");
	struct policy_mandatory m = {"ID", law};
	AUTO(policy) p = policy_merge(own, &m, 1);
	AUTO(policy) nothing = policy_merge(NULL, NULL, 0);
	AUTO(policy) only = policy_merge(NULL, &m, 1);
	struct retention r = policy_retention(p, NULL);

	(void)state;
	assert_int_equal(p->n_schedules, 2);
	assert_int_equal(p->rpo_s, 3600);
	assert_string_equal(p->schedules[0].name, "daily");
	assert_string_equal(p->schedules[1].name, "ID/daily");
	assert_non_null(p->schedules[1].times);
	assert_string_equal(r.sets[0].maker, "daily");
	assert_int_equal(r.sets[0].keep[RETENTION_LAST], 1);
	assert_int_equal(r.sets[1].keep[RETENTION_DAYS], 1); /* manual */
	assert_string_equal(r.sets[2].maker, "ID/daily");
	assert_int_equal(r.sets[2].group, 1);
	assert_int_equal(r.minimum, 5);
	assert_int_equal(r.failed_days, 7);
	assert_string_equal(p->consistency, "best-effort");
	assert_int_equal(p->bandwidth, 10 << 20);
	assert_int_equal(p->concurrent, 3);
	assert_int_equal(p->verify_days, 7);
	assert_string_equal(zone_name(p->zone), "Europe/Berlin");
	/* The law's copies stay as long as its checkpoints. */
	assert_int_equal(p->n_copies, 1);
	r = policy_retention(p, P1);
	assert_int_equal(r.n_sets, 1 + p->n_sets);
	/* Without a policy nothing goes; of manual points the law says nothing. */
	r = policy_retention(nothing, NULL);
	assert_true(r.n_sets == 1 && r.sets[0].forever);
	assert_int_equal(r.failed_days, 7);
	assert_int_equal(policy_zone(nothing).offset_s(policy_zone(nothing).arg, 0), 0);
	r = policy_retention(only, NULL);
	assert_true(r.sets[r.n_sets - 1].forever);
	assert_string_equal(r.sets[r.n_sets - 1].maker, RETENTION_MANUAL);
}

static int up(void **state)
{
	(void)state;
	zones = zones_new(NULL);
	return 0;
}

static int down(void **state)
{
	(void)state;
	zones_free(zones);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_form), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_limits),	 cmocka_unit_test(test_retention_of_it),
		cmocka_unit_test(test_foretell), cmocka_unit_test(test_window),
		cmocka_unit_test(test_merge),
	};

	return cmocka_run_group_tests(tests, up, down);
}
