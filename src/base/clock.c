/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static uint64_t now_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_mono_us(void)
{
	return now_us(CLOCK_MONOTONIC);
}

uint64_t clock_wall_us(void)
{
	return now_us(CLOCK_REALTIME);
}

#define JUMP_US INT64_C(3600000000)
#define TRUSTED_US UINT64_C(86400000000)

void clock_watch_init(struct clock_watch *w)
{
	*w = (struct clock_watch){clock_wall_us(), clock_mono_us(), 0};
}

int64_t clock_watch_drift(struct clock_watch *w)
{
	uint64_t wall_us = clock_wall_us(), mono_us = clock_mono_us();
	int64_t drift = (int64_t)(wall_us - w->wall_us) - (int64_t)(mono_us - w->mono_us);

	w->wall_us = wall_us;
	w->mono_us = mono_us;
	if (drift > JUMP_US || drift < -JUMP_US)
		w->jumped_us = mono_us;
	return drift;
}

bool clock_watch_trusted(struct clock_watch *w)
{
	clock_watch_drift(w);
	return w->jumped_us == 0 || w->mono_us - w->jumped_us >= TRUSTED_US;
}

char *clock_rfc3339(uint64_t wall_us, char *out)
{
	time_t t = (time_t)(wall_us / 1000000);
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(out, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm))
		out[0] = 0;
	return out;
}

/* `n` digits at `text`; -1: there are not as many. */
static int digits(const char *text, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		v = v * 10 + (text[i] - '0');
	}
	return v;
}

bool clock_parse_rfc3339(const char *text, uint64_t *ret_wall_us)
{
	static const char form[] = "0000-00-00T00:00:00";
	const char *end;
	struct tm tm = {0}, given;
	int second;
	time_t t;

	for (size_t i = 0; form[i]; i++) {
		if (form[i] == '0' ? digits(text + i, 1) < 0 : text[i] != form[i])
			return false;
	}
	tm.tm_year = digits(text, 4) - 1900;
	tm.tm_mon = digits(text + 5, 2) - 1;
	tm.tm_mday = digits(text + 8, 2);
	tm.tm_hour = digits(text + 11, 2);
	tm.tm_min = digits(text + 14, 2);
	second = digits(text + 17, 2); /* 60: a leap second, which is the next minute to us */
	end = text + strlen(form);
	if (*end == '.' && digits(end + 1, 1) >= 0)
		end += 1 + strspn(end + 1, "0123456789");
	given = tm;
	t = timegm(&tm);
	/* What is no date becomes another one. */
	if (strcmp(end, "Z") != 0 || second > 60 || t < 0 || tm.tm_min != given.tm_min ||
	    tm.tm_hour != given.tm_hour || tm.tm_mday != given.tm_mday || tm.tm_mon != given.tm_mon)
		return false;
	*ret_wall_us = ((uint64_t)t + (uint64_t)second) * 1000000;
	return true;
}

char *clock_local(uint64_t wall_us, char *out)
{
	time_t t = (time_t)(wall_us / 1000000);
	struct tm tm;

	if (!localtime_r(&t, &tm) || !strftime(out, CLOCK_TEXT, "%Y-%m-%d %H:%M:%S", &tm))
		out[0] = 0;
	return out;
}

void clock_sleep_ms(unsigned ms)
{
	struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}
