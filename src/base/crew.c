/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crew.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

struct member {
	struct crew *crew;
	crew_work_fn *work;
	void *arg;
	pthread_t thread;
	struct member *next;
};

struct crew {
	pthread_mutex_t lock;
	struct err first;
	atomic_bool stopping;
	crew_stop_fn *stop;
	void *arg;
	struct member *members; /* of the owner's thread only */
};

struct crew *crew_new(crew_stop_fn *stop, void *arg)
{
	struct crew *c = xcalloc(1, sizeof(*c));

	pthread_mutex_init(&c->lock, NULL);
	c->stop = stop;
	c->arg = arg;
	return c;
}

void crew_fail(struct crew *c, const struct err *e)
{
	bool first;

	pthread_mutex_lock(&c->lock);
	first = c->first.kind == ERR_NONE;
	if (first)
		c->first = *e;
	pthread_mutex_unlock(&c->lock);
	if (!first)
		return;
	atomic_store(&c->stopping, true);
	if (c->stop)
		c->stop(c->arg);
}

static void *run(void *arg)
{
	struct member *m = arg;
	struct err e = {0};

	if (m->work(m->arg, &e) < 0)
		crew_fail(m->crew, &e);
	return NULL;
}

int crew_add(struct crew *c, crew_work_fn *work, void *arg, struct err *e)
{
	struct member *m = xcalloc(1, sizeof(*m));
	sigset_t all, old;
	int rc;

	*m = (struct member){.crew = c, .work = work, .arg = arg, .next = c->members};
	/* Signals are for the main thread: members never see them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&m->thread, NULL, run, m);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc) {
		free(m);
		return err_sys(e, rc, "start a thread");
	}
	c->members = m;
	return 0;
}

bool crew_stopping(const struct crew *c)
{
	return atomic_load_explicit(&c->stopping, memory_order_relaxed);
}

int crew_join(struct crew *c, struct err *e)
{
	while (c->members) {
		struct member *m = c->members;

		pthread_join(m->thread, NULL);
		c->members = m->next;
		free(m);
	}
	if (c->first.kind == ERR_NONE)
		return 0;
	if (e)
		*e = c->first;
	return -1;
}

void crew_free(struct crew *c)
{
	if (!c)
		return;
	crew_join(c, NULL);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

unsigned crew_cores(void)
{
	cpu_set_t set;
	int n = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	return n > 0 ? (unsigned)n : 1;
}
