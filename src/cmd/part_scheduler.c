/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done by itself: triggers fire (core/scheduler.h), retention looks after plans, platforms
 * are listed anew, records that are old go. Any number of processes may do all of it.
 */
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cmd/parts.h"
#include "core/keep.h"
#include "core/keeper.h"
#include "core/upkeep.h"

#define ROUND_MS 5000
#define KEEP_EVERY_US UINT64_C(600000000)

static struct {
	struct daemon *daemon;
	struct scheduler *scheduler;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
	char host[256];
} work;

static bool rest(void)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ROUND_MS / 1000;
	pthread_mutex_lock(&work.lock);
	while (!work.stop && pthread_cond_timedwait(&work.wake, &work.lock, &until) == 0)
		;
	stop = work.stop;
	pthread_mutex_unlock(&work.lock);
	return stop;
}

static void keep(struct core *c)
{
	const struct keeper k = {.zones = c->zones, .delete = keeper_delete, .arg = c};
	struct keeper_report report = {0};
	struct err e = {ERR_NONE};

	if (keeper_run(c->db, &k, clock_wall_us(), &report, &e) < 0)
		log_warn("retention: %s", e.msg);
	else if (report.failed)
		log_warn("retention: %zu plans could not be looked after; plan %s: %s",
			 report.failed, report.plan, report.first.msg);
}

static void *look_after(void *arg)
{
	const uint64_t operations_us = config_us(work.daemon->config, "retention", "operations");
	struct core *c = work.daemon->core;
	uint64_t kept = clock_mono_us();
	struct err e = {ERR_NONE};

	(void)arg;
	do {
		if (upkeep_run(c, work.host, work.daemon->roles, clock_wall_us(), operations_us,
			       &e) < 0)
			log_warn("upkeep: %s", e.msg);
		if (clock_mono_us() - kept > KEEP_EVERY_US) {
			kept = clock_mono_us();
			keep(c);
		}
	} while (!rest());
	return NULL;
}

static int start(struct daemon *d, struct err *e)
{
	work.daemon = d;
	work.stop = false;
	pthread_mutex_init(&work.lock, NULL);
	pthread_cond_init(&work.wake, NULL);
	if (gethostname(work.host, sizeof(work.host) - 1) < 0)
		work.host[0] = 0;
	work.scheduler = scheduler_new(d->db, d->core->zones, keep_start, d->core);
	if (scheduler_begin(work.scheduler, e) < 0) {
		scheduler_free(work.scheduler);
		return -1;
	}
	if (pthread_create(&work.thread, NULL, look_after, NULL) == 0)
		return 0;
	scheduler_free(work.scheduler);
	return err_set(e, ERR_BUSY, "there are no more threads");
}

static void stop(struct daemon *d, unsigned timeout_ms)
{
	(void)d;
	(void)timeout_ms;
	pthread_mutex_lock(&work.lock);
	work.stop = true;
	pthread_cond_signal(&work.wake);
	pthread_mutex_unlock(&work.lock);
	pthread_join(work.thread, NULL);
	scheduler_free(work.scheduler);
	pthread_cond_destroy(&work.wake);
	pthread_mutex_destroy(&work.lock);
}

const struct daemon_part part_scheduler = {
	.name = "scheduler",
	.roles = ROLE_SCHEDULER,
	.start = start,
	.stop = stop,
};
