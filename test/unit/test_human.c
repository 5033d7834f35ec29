/* SPDX-License-Identifier: Apache-2.0 */
#include "base/human.h"

#include <string.h>

#include "testing.h"

static void test_bytes(void **state)
{
	static const struct {
		uint64_t v;
		const char *want;
	} rows[] = {
		{0, "0 B"},
		{1, "1 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1536, "1.5 KiB"},
		{1048524, "1023.9 KiB"},
		/* Never "1024.0 KiB". */
		{1048525, "1.0 MiB"},
		{1048576, "1.0 MiB"},
		{51170508, "48.8 MiB"},
		{(uint64_t)5 << 40, "5.0 TiB"},
		{UINT64_MAX, "16.0 EiB"},
	};
	char out[HUMAN_TEXT];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(human_bytes(rows[i].v, out), rows[i].want);
}

static void test_durations(void **state)
{
	static const struct {
		uint64_t us;
		const char *want;
	} rows[] = {
		{0, "0 ms"},
		{999, "0 ms"},
		{850000, "850 ms"},
		{999999, "999 ms"},
		{1000000, "1.0 s"},
		{3240000, "3.2 s"},
		{59900000, "59.9 s"},
		/* Never "60.0 s". */
		{59970000, "1 min 00 s"},
		{60000000, "1 min 00 s"},
		{245000000, "4 min 05 s"},
		{3599400000, "59 min 59 s"},
		{3599600000, "1 h 00 min"},
		{7380000000, "2 h 03 min"},
		{UINT64_MAX, "5124095576 h 01 min"},
	};
	char out[HUMAN_TEXT];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(human_duration(rows[i].us, out), rows[i].want);
}

static void test_reads_bytes(void **state)
{
	static const struct {
		const char *text;
		uint64_t want;
	} rows[] = {
		{"0", 0},
		{"64", 64},
		{"64b", 64},
		{"64K", 65536},
		{"64kib", 65536},
		{"64 KiB", 65536},
		{"1.5G", (uint64_t)3 << 29},
		{"2m", 2 << 20},
		{"2MiB", 2 << 20},
		{"3T", (uint64_t)3 << 40},
		{"1PiB", (uint64_t)1 << 50},
		{"16383p", (uint64_t)16383 << 50},
		{"4294967296", (uint64_t)1 << 32},
		{"0.5K", 512},
		{"7 ", 7},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t got = 1;

		if (!human_parse_bytes(rows[i].text, &got))
			fail_msg("%s was refused", rows[i].text);
		assert_true(got == rows[i].want);
	}
}

static void test_reads_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t want;
	} rows[] = {
		{"30", 30000000},	{"30s", 30000000},    {"500ms", 500000},
		{"5m", 300000000},	{"5 min", 300000000}, {"2h", 7200000000},
		{"1.5d", 129600000000}, {"2H", 7200000000},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t got = 1;

		if (!human_parse_duration(rows[i].text, &got))
			fail_msg("%s was refused", rows[i].text);
		assert_true(got == rows[i].want);
	}
}

static void test_refuses_anything_else(void **state)
{
	static const char *const bad[] = {
		"",    " 1",	"-1",  "+1",	 ".5",	 "K",	 "1x",	     "1 K x", "1KK",
		"1KB", "1e400", "inf", "16384p", "0x10", "0X1p", "infinity", "nan",   "1,5",
	};
	uint64_t v = 77;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (human_parse_bytes(bad[i], &v))
			fail_msg("%s was taken as bytes", bad[i]);
		if (strcmp(bad[i], "16384p") != 0 && human_parse_duration(bad[i], &v))
			fail_msg("%s was taken as a duration", bad[i]);
		assert_int_equal(v, 77);
	}
	assert_false(human_parse_duration("99999999999999d", &v));
	assert_false(human_parse_duration("5y", &v));
	assert_int_equal(v, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_reads_bytes),
		cmocka_unit_test(test_reads_durations),
		cmocka_unit_test(test_refuses_anything_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
