/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-sent events: the format as browsers take it, in pieces of any size, and back.
 */
#include "testing.h"

#include <stdlib.h>
#include <string.h>

#include "net/sse.h"

static int note(void *arg, const struct sse_event *event, struct err *e)
{
	struct buf *b = arg;

	if (strcmp(event->type, "fail") == 0)
		return err_set(e, ERR_BUSY, "no more");
	assert_int_equal(event->data[event->len], 0);
	buf_fmt(b, "%s/%s/", event->type, event->id);
	buf_add(b, event->data, event->len);
	buf_text(b, ";");
	return 0;
}

static int feed(const char *text, size_t len, size_t step, struct buf *out, struct err *e)
{
	AUTO(sse) p = sse_new(64, note, out);

	for (size_t i = 0; i < len; i += step) {
		if (sse_feed(p, text + i, MIN(step, len - i), e) < 0)
			return -1;
	}
	return 0;
}

static void test_format(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"data: a\n\n", "message//a;"},
		{"data:a\ndata:  b\n\n", "message//a\n b;"},
		{"data\n\ndata\ndata\n\ndata:", "message//;message//\n;"},
		{"data: a\r\rdata: b\r\n\r\ndata: c\n\r\n", "message//a;message//b;message//c;"},
		{"\xef\xbb\xbf"
		 "data: a\n\n",
		 "message//a;"},
		{"data: a\n\n\xef\xbb\xbf"
		 "data: b\n\n",
		 "message//a;"},
		{": comment\n\ndata: a\n:\n\n", "message//a;"},
		{"event: call\nid: 7\ndata: {}\n\ndata: x\n\n", "call/7/{};message/7/x;"},
		{"id: 7\ndata: a\n\nid\ndata: b\n\n", "message/7/a;message//b;"},
		{"event: lost\n\ndata: a\n\n", "message//a;"},
		{"event:\ndata: a\n\n", "message//a;"},
		{"other: x\nDATA: x\ndata : x\ndata: a\n\n", "message//a;"},
		{"data: never ends\n", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t step = 1; step < 20; step++) {
			AUTO_BUF b = BUF_INIT;

			OK(feed(rows[i].text, strlen(rows[i].text), step, &b, e));
			assert_string_equal(buf_str(&b), rows[i].want);
		}
	}
}

static void test_limits(void **state)
{
	AUTO_BUF b = BUF_INIT;
	AUTO_BUF out = BUF_INIT;

	(void)state;
	buf_fill(&b, 'x', 65);
	FAILS(ERR_LIMIT, feed((char *)b.data, b.len, 10, &out, e));
	b.len = 0;
	for (int i = 0; i < 17; i++)
		buf_text(&b, "data:xxx\n");
	FAILS(ERR_LIMIT, feed((char *)b.data, b.len, 10, &out, e));
	b.len -= 9;
	OK(feed((char *)b.data, b.len, 10, &out, e));
	FAILS(ERR_BUSY, feed("event: fail\ndata: 1\n\n", 21, 3, &out, e));
	/* A zero byte: not in an id. */
	out.len = 0;
	OK(feed("id: 1\nid: a\0b\ndata: x\0y\n\n", 25, 25, &out, e));
	assert_memory_equal(out.data, "message/1/x\0y;", 14);
}

static void test_retry(void **state)
{
	AUTO_BUF b = BUF_INIT;
	AUTO(sse) p = sse_new(64, note, &b);

	(void)state;
	assert_int_equal(sse_retry_ms(p), 0);
	OK(sse_feed(p, "retry: 1500\nretry: 1x\nretry\n", 28, e));
	assert_int_equal(sse_retry_ms(p), 1500);
	OK(sse_feed(p, "retry: 99999999999999999999\nid: z\n", 34, e));
	assert_int_equal(sse_retry_ms(p), 3600000);
	assert_string_equal(sse_last_id(p), "z");
}

struct round {
	const char *want;
	size_t len;
	int n;
};

static int same(void *arg, const struct sse_event *event, struct err *e)
{
	struct round *r = arg;

	(void)e;
	assert_string_equal(event->type, "t");
	assert_string_equal(event->id, "i");
	assert_int_equal(event->len, r->len);
	assert_memory_equal(event->data, r->want, r->len);
	r->n++;
	return 0;
}

/* What is written is read back, whatever it is and however it is cut. */
static void test_round_trip(void **state)
{
	static const char letters[] = {'a', ' ', ':', '\n', '\r', 0, '\xc3'};
	struct random rnd = {random_seed()};

	(void)state;
	for (int i = 0; i < 2000; i++) {
		char text[40], want[40];
		size_t len = random_below(&rnd, sizeof(text)), n = 0, step;
		struct round r = {want, 0, 0};
		AUTO(sse) p = sse_new(200, same, &r);
		AUTO_BUF b = BUF_INIT;

		for (size_t k = 0; k < len; k++) {
			text[k] = letters[random_below(&rnd, sizeof(letters))];
			if (text[k] == '\n' && k && text[k - 1] == '\r')
				continue;
			want[n++] = text[k] == '\r' ? '\n' : text[k];
		}
		r.len = n;
		sse_write(&b, "t", "i", text, len);
		sse_write_comment(&b);
		step = 1 + random_below(&rnd, 20);
		for (size_t k = 0; k < b.len; k += step)
			OK(sse_feed(p, b.data + k, MIN(step, b.len - k), e));
		assert_int_equal(r.n, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_retry),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
