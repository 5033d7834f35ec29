/* SPDX-License-Identifier: Apache-2.0 */
#include "link/local_mover.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/spawn.h"
#include "link/movers.h"

#define NAME "local"
#define INVITED_US ((uint64_t)600 * 1000000)
#define TICK_MS 250
#define PAUSE_FIRST_MS 1000
#define PAUSE_MOST_MS 60000
#define GOOD_RUN_US ((uint64_t)60 * 1000000) /* who lived so long had a good start */

struct local_mover {
	struct db *db;
	char *program, *server, *ca, *state;
	unsigned slots;
	uint64_t drain_us;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool ending;
	unsigned end_ms; /* how long it may take then */
};

/* ---- starting it ---- */

static int invite(struct db_tx *t, void *arg, struct err *e)
{
	return mover_invite(t, NAME, "server", clock_wall_us(), INVITED_US, arg, e);
}

/* Its lines are ours: they have its level, but its own time. */
static void on_said(void *arg, const char *line)
{
	const char *text = line;
	int level = LOG_LEVEL_INFO;

	(void)arg;
	if (line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>') {
		level = line[1] <= '3'	 ? LOG_LEVEL_ERROR
			: line[1] == '4' ? LOG_LEVEL_WARN
			: line[1] == '7' ? LOG_LEVEL_DEBUG
					 : LOG_LEVEL_INFO;
		text = line + 3;
	}
	log_line((enum log_level)level, "local mover: %s", text);
}

static struct spawn *start(struct local_mover *m, struct err *e)
{
	AUTO_FREE char *server = xasprintf("server.url=%s", m->server);
	AUTO_FREE char *ca = xasprintf("server.ca=%s", m->ca ? m->ca : "");
	AUTO_FREE char *state = xasprintf("state.directory=%s", m->state);
	AUTO_FREE char *slots = xasprintf("mover.slots=%u", m->slots);
	AUTO_FREE char *drain =
		xasprintf("server.drain=%llus", (unsigned long long)(m->drain_us / 1000000));
	const char *argv[] = {m->program,
			      "--config",
			      "/dev/null",
			      "--set",
			      server,
			      "--set",
			      state,
			      "--set",
			      slots,
			      "--set",
			      drain,
			      "--set",
			      "server.invitation_file=/dev/stdin",
			      m->ca ? "--set" : NULL,
			      ca,
			      NULL};
	char word[TOKEN_TEXT];
	struct spawn *s = NULL;
	int in;

	if (db_write(m->db, invite, word, e) < 0)
		return NULL;
	in = spawn_input(word, strlen(word), "the invitation", e);
	secret_wipe(word, sizeof(word));
	if (in < 0)
		return NULL;
	s = spawn_start(argv, in, -1, e);
	close(in);
	if (s)
		spawn_listen(s, on_said, NULL);
	return s;
}

/* ---- watching over it ---- */

/* true: we are to end. */
static bool pause_for(struct local_mover *m, unsigned ms)
{
	uint64_t until = clock_mono_us() + (uint64_t)ms * 1000;
	struct timespec ts = {(time_t)(until / 1000000), (long)(until % 1000000 * 1000)};
	bool ending;

	pthread_mutex_lock(&m->lock);
	while (!m->ending && clock_mono_us() < until)
		pthread_cond_timedwait(&m->changed, &m->lock, &ts);
	ending = m->ending;
	pthread_mutex_unlock(&m->lock);
	return ending;
}

static void end_it(struct local_mover *m, struct spawn *s)
{
	uint64_t until = clock_mono_us() + (uint64_t)m->end_ms * 1000;
	struct err why = {0};

	kill(s->pid, SIGTERM);
	while (clock_mono_us() < until) {
		if (spawn_ended(s, &why))
			return;
		clock_sleep_ms(20);
	}
	log_warn("the local mover did not end in time: it is killed, and its steps are done again");
	kill(s->pid, SIGKILL);
}

/* From start to end; false: we are to end. */
static bool run_once(struct local_mover *m)
{
	struct err why = {0};
	AUTO(spawn) s = start(m, &why);

	if (!s) {
		log_error("the local mover cannot be started: %s", why.msg);
		return true;
	}
	while (!spawn_ended(s, &why)) {
		if (pause_for(m, TICK_MS)) {
			end_it(m, s);
			return false;
		}
	}
	log_warn("the local mover has ended%s%s", why.kind != ERR_NONE ? ": " : "", why.msg);
	return true;
}

static void *watch(void *arg)
{
	struct local_mover *m = arg;
	unsigned pause_ms = PAUSE_FIRST_MS;

	for (;;) {
		uint64_t began = clock_mono_us();

		if (!run_once(m))
			return NULL;
		if (clock_mono_us() - began > GOOD_RUN_US)
			pause_ms = PAUSE_FIRST_MS;
		if (pause_for(m, pause_ms))
			return NULL;
		pause_ms = MIN(2 * pause_ms, (unsigned)PAUSE_MOST_MS);
	}
}

/* ---- life ---- */

static void free_it(struct local_mover *m)
{
	pthread_cond_destroy(&m->changed);
	pthread_mutex_destroy(&m->lock);
	free(m->program);
	free(m->server);
	free(m->ca);
	free(m->state);
	free(m);
}

struct local_mover *local_mover_start(const struct local_mover_options *o, struct err *e)
{
	struct local_mover *m = xcalloc(1, sizeof(*m));
	int rc;

	m->db = o->db;
	m->program = xstrdup(o->program);
	m->server = xstrdup(o->server);
	m->ca = xstrdup0(o->ca);
	m->state = xstrdup(o->state);
	m->slots = o->slots;
	m->drain_us = o->drain_us;
	pthread_mutex_init(&m->lock, NULL);
	cond_init(&m->changed);
	rc = pthread_create(&m->thread, NULL, watch, m);
	if (rc == 0)
		return m;
	free_it(m);
	err_sys(e, rc, "start a thread");
	return NULL;
}

void local_mover_stop(struct local_mover *m, unsigned timeout_ms)
{
	if (!m)
		return;
	pthread_mutex_lock(&m->lock);
	m->ending = true;
	m->end_ms = timeout_ms;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
	pthread_join(m->thread, NULL);
	free_it(m);
}
