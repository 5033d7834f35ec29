/* SPDX-License-Identifier: Apache-2.0 */
/* words.h: a schedule as people say it. Pure; any thread. */
#ifndef HF_SCHED_WORDS_H
#define HF_SCHED_WORDS_H

#include "sched/schedule.h"

/*
 * "every day at 02:30 (Europe/Berlin)", in English. What has no simple words is said by `pattern`,
 * the text that the schedule was read from. The caller frees it.
 */
char *schedule_words(const struct schedule *s, const char *pattern);

#endif
