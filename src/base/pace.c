/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pace.h"

#include "base/clock.h"
#include "base/mem.h"

void pace_init(struct pace *p, uint64_t bytes_per_s)
{
	*p = (struct pace){.bytes_per_s = bytes_per_s};
	pthread_mutex_init(&p->lock, NULL);
}

void pace_done(struct pace *p)
{
	pthread_mutex_destroy(&p->lock);
}

int pace_keep(struct pace *p, size_t n, const struct cancel *cancel, struct err *e)
{
	uint64_t now, until;

	if (!p->bytes_per_s)
		return 0;
	now = clock_mono_us();
	pthread_mutex_lock(&p->lock);
	p->free_us = MAX(p->free_us, now) + (uint64_t)n * 1000000 / p->bytes_per_s;
	until = p->free_us;
	pthread_mutex_unlock(&p->lock);
	for (; now < until; now = clock_mono_us()) {
		if (cancel_check(cancel, e) < 0)
			return -1;
		clock_sleep_ms((unsigned)MIN((until - now) / 1000 + 1, (uint64_t)100));
	}
	return 0;
}
