/* SPDX-License-Identifier: Apache-2.0 */
#include "net/sse.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define RETRY_MAX 3600000u /* an hour; what is longer is not believed */

struct sse {
	size_t max;
	sse_fn *fn;
	void *arg;
	struct buf line, data;
	char *type; /* of the event that is coming; NULL: not said */
	char *id;
	unsigned retry_ms;
	bool started; /* behind a byte order mark */
	bool after_cr;
	bool has_data;
};

struct sse *sse_new(size_t max, sse_fn *fn, void *arg)
{
	struct sse *p = xcalloc(1, sizeof(*p));

	p->max = max;
	p->fn = fn;
	p->arg = arg;
	p->id = xstrdup("");
	return p;
}

void sse_free(struct sse *p)
{
	if (!p)
		return;
	buf_done(&p->line);
	buf_done(&p->data);
	free(p->type);
	free(p->id);
	free(p);
}

const char *sse_last_id(const struct sse *p)
{
	return p->id;
}

unsigned sse_retry_ms(const struct sse *p)
{
	return p->retry_ms;
}

static int too_long(const struct sse *p, struct err *e)
{
	return err_set(e, ERR_LIMIT, "an event has more than %zu bytes", p->max);
}

static int dispatch(struct sse *p, struct err *e)
{
	struct sse_event event;
	int r = 0;

	if (p->has_data) {
		p->data.len--; /* the line break behind the last line */
		event.data = buf_str(&p->data);
		event.len = p->data.len;
		event.type = p->type && p->type[0] ? p->type : "message";
		event.id = p->id;
		r = p->fn(p->arg, &event, e);
	}
	p->data.len = 0;
	p->has_data = false;
	free(p->type);
	p->type = NULL;
	return r;
}

static void set_retry(struct sse *p, const char *value, size_t n)
{
	unsigned ms = 0;

	for (size_t i = 0; i < n; i++) {
		if (value[i] < '0' || value[i] > '9')
			return;
		ms = MIN(ms * 10 + (unsigned)(value[i] - '0'), RETRY_MAX);
	}
	if (n)
		p->retry_ms = ms;
}

static bool is_field(const char *line, size_t n, const char *name)
{
	return n == strlen(name) && memcmp(line, name, n) == 0;
}

static int take_field(struct sse *p, const char *line, size_t n, struct err *e)
{
	const char *colon = memchr(line, ':', n);
	size_t name = colon ? (size_t)(colon - line) : n;
	const char *value = colon ? colon + 1 : line + n;
	size_t len = (size_t)(line + n - value);

	if (len && value[0] == ' ') {
		value++;
		len--;
	}
	if (is_field(line, name, "data")) {
		if (p->data.len + len + 1 > p->max)
			return too_long(p, e);
		buf_add(&p->data, value, len);
		buf_u8(&p->data, '\n');
		p->has_data = true;
	} else if (is_field(line, name, "event") && !memchr(value, 0, len)) {
		free(p->type);
		p->type = xstrndup(value, len);
	} else if (is_field(line, name, "id") && !memchr(value, 0, len)) {
		free(p->id);
		p->id = xstrndup(value, len);
	} else if (is_field(line, name, "retry")) {
		set_retry(p, value, len);
	}
	return 0;
}

static int take_line(struct sse *p, struct err *e)
{
	static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
	const char *line = buf_str(&p->line);
	size_t n = p->line.len;

	if (!p->started && n >= sizeof(mark) && memcmp(line, mark, sizeof(mark)) == 0) {
		line += sizeof(mark);
		n -= sizeof(mark);
	}
	p->started = true;
	p->line.len = 0;
	return n ? take_field(p, line, n, e) : dispatch(p, e);
}

int sse_feed(struct sse *p, const void *data, size_t n, struct err *e)
{
	const char *s = data;

	while (n) {
		size_t len = 0;

		if (p->after_cr && *s == '\n') {
			p->after_cr = false;
			s++;
			n--;
			continue;
		}
		p->after_cr = false;
		while (len < n && s[len] != '\n' && s[len] != '\r')
			len++;
		if (p->line.len + len > p->max)
			return too_long(p, e);
		buf_add(&p->line, s, len);
		if (len == n)
			return 0;
		p->after_cr = s[len] == '\r';
		s += len + 1;
		n -= len + 1;
		if (take_line(p, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- writing ---- */

static void write_field(struct buf *b, const char *name, const char *value, size_t n)
{
	buf_text(b, name);
	buf_text(b, ": ");
	buf_add(b, value, n);
	buf_u8(b, '\n');
}

void sse_write(struct buf *b, const char *type, const char *id, const void *data, size_t len)
{
	const char *s = data;

	assert(!type || !strpbrk(type, "\r\n"));
	assert(!id || !strpbrk(id, "\r\n"));
	if (type)
		write_field(b, "event", type, strlen(type));
	if (id)
		write_field(b, "id", id, strlen(id));
	for (;;) {
		size_t n = 0;

		while (n < len && s[n] != '\n' && s[n] != '\r')
			n++;
		write_field(b, "data", s, n);
		if (n == len)
			break;
		n += n + 1 < len && s[n] == '\r' && s[n + 1] == '\n' ? 2 : 1;
		s += n;
		len -= n;
	}
	buf_u8(b, '\n');
}

void sse_write_comment(struct buf *b)
{
	buf_text(b, ":\n\n");
}
