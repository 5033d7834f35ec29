/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done by itself: triggers fire (core/scheduler.h), retention looks after plans, platforms
 * are listed anew, records that are old go. Any number of processes may do all of it.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/ticker.h"
#include "cmd/parts.h"
#include "core/duties.h"
#include "core/keep.h"
#include "core/keeper.h"
#include "core/service.h"
#include "core/upkeep.h"

#define ROUND_MS 5000
#define KEEP_EVERY_US UINT64_C(600000000)

static struct {
	struct core *core;
	struct scheduler *scheduler;
	struct ticker *ticker;
	uint64_t operations_us; /* how long those that have ended can be looked at */
	uint64_t kept;		/* when retention was looked after */
	struct clock_watch clock;
} work;

static void tell(const char *what, const struct plan_walk *w)
{
	if (w->failed)
		log_warn("%s: %zu plans could not be looked after; plan %s: %s", what, w->failed,
			 w->plan, w->first.msg);
}

static void keep(struct core *c)
{
	const struct keeper k = {.zones = c->zones, .delete = keeper_delete, .arg = c};
	struct keeper_report report = {0};
	struct err e = {ERR_NONE};

	if (keeper_run(c->db, &k, clock_wall_us(), &report, &e) < 0)
		log_warn("retention: %s", e.msg);
	else
		tell("retention", &report.walk);
}

static void see_to_duties(struct core *c)
{
	struct duties_report report = {0};
	struct err e = {ERR_NONE};

	if (duties_run(c, clock_wall_us(), &report, &e) < 0)
		log_warn("copies and verifications: %s", e.msg);
	else
		tell("copies and verifications", &report.walk);
}

static void look_after(void *arg)
{
	uint64_t goes = clock_watch_trusted(&work.clock) ? work.operations_us : UPKEEP_NOTHING;
	struct err e = {ERR_NONE};

	(void)arg;
	if (!services_may(work.core->services, SERVICE_SCHEDULER))
		return;
	if (upkeep_run(work.core, clock_wall_us(), goes, &e) < 0)
		log_warn("upkeep: %s", e.msg);
	if (clock_mono_us() - work.kept > KEEP_EVERY_US) {
		work.kept = clock_mono_us();
		keep(work.core);
		see_to_duties(work.core);
	}
}

static int start(struct daemon *d, struct err *e)
{
	work.core = d->core;
	work.operations_us = config_us(d->config, "retention", "operations");
	work.kept = clock_mono_us();
	clock_watch_init(&work.clock);
	work.scheduler = scheduler_new(d->db, d->core->zones, keep_start, d->core);
	scheduler_obey(work.scheduler, d->core->services);
	if (scheduler_begin(work.scheduler, e) == 0)
		work.ticker = ticker_start(look_after, NULL, ROUND_MS, e);
	if (work.ticker)
		return 0;
	scheduler_free(work.scheduler);
	return -1;
}

static void stop(struct daemon *d, unsigned timeout_ms)
{
	(void)d;
	(void)timeout_ms;
	ticker_stop(steal(&work.ticker));
	scheduler_free(work.scheduler);
}

const struct daemon_part part_scheduler = {
	.name = "scheduler",
	.roles = ROLE_SCHEDULER,
	.start = start,
	.stop = stop,
};
