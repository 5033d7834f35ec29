/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.h: reading no faster than allowed.
 *
 * Threads: thread-safe; all who share a pace keep to it together.
 */
#ifndef HF_BASE_PACE_H
#define HF_BASE_PACE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cancel.h"

struct pace {
	pthread_mutex_t lock;
	uint64_t bytes_per_s; /* 0: as fast as it goes */
	uint64_t free_us;     /* until then what was read keeps to it */
};

void pace_init(struct pace *p, uint64_t bytes_per_s);
void pace_done(struct pace *p);
/* `n` bytes were read: stand still for as long as reading faster than allowed takes. `cancel` may
 * be NULL. */
int pace_keep(struct pace *p, size_t n, const struct cancel *cancel, struct err *e);

#endif
