/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dbload URL THREADS SECONDS : transactions on the server's database, as an accepted operation
 * makes them: one row with some text, two that refer to it, a counter, somebody woken. Prints how
 * many a second, and how long the middle one and the slowest of a hundred took. It makes tables of
 * its own (dbload_…), anew each time.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "db/db.h"

#define SAMPLES 200000 /* of each thread */

struct load {
	struct db *db;
	uint64_t until_us;
	atomic_uint failed;
};

struct worker {
	struct load *load;
	pthread_t thread;
	uint32_t *took_us;
	size_t n;
};

static const char text[] = "{\"resource\": \"1e0a6f4c\", \"target\": \"archive\", \"keep\": "
			   "{\"daily\": 7, \"weekly\": 4, \"monthly\": 12}, \"requested_by\": "
			   "\"9d1c3a52-6b1f-4bb5-9f0e-1f0a3c3c1a77\"}";

static int make_tables(struct db_tx *t, void *arg, struct err *e)
{
	static const char *const all[] = {
		"DROP TABLE IF EXISTS dbload_steps",
		"DROP TABLE IF EXISTS dbload_operations",
		"DROP TABLE IF EXISTS dbload_projects",
		"CREATE TABLE dbload_operations (id TEXT PRIMARY KEY, state TEXT NOT NULL, input "
		"TEXT NOT NULL, created_at BIGINT NOT NULL)",
		"CREATE TABLE dbload_steps (id TEXT PRIMARY KEY, operation TEXT NOT NULL "
		"REFERENCES dbload_operations (id), state TEXT NOT NULL)",
		"CREATE INDEX dbload_steps_of ON dbload_steps (operation)",
		"CREATE TABLE dbload_projects (id TEXT PRIMARY KEY, used BIGINT NOT NULL)",
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (db_exec(t, NULL, e, all[i]) < 0)
			return -1;
	}
	return 0;
}

static int add_step(struct db_tx *t, const char *operation, struct err *e)
{
	struct uuid id = uuid_random();
	char name[UUID_TEXT];

	return db_exec(t, NULL, e,
		       "INSERT INTO dbload_steps (id, operation, state) VALUES ($1, $2, $3)",
		       db_t(uuid_text(&id, name)), db_t(operation), db_t("ready"));
}

static int accept_one(struct db_tx *t, void *arg, struct err *e)
{
	const unsigned *project = arg;
	struct uuid id = uuid_random();
	char operation[UUID_TEXT], owner[24];

	uuid_text(&id, operation);
	snprintf(owner, sizeof(owner), "project-%u", *project);
	if (db_exec(t, NULL, e,
		    "INSERT INTO dbload_operations (id, state, input, created_at) VALUES ($1, $2, "
		    "$3, $4)",
		    db_t(operation), db_t("queued"), db_t(text), db_i(clock_wall_us())) < 0 ||
	    add_step(t, operation, e) < 0 || add_step(t, operation, e) < 0 ||
	    db_exec(t, NULL, e,
		    "INSERT INTO dbload_projects (id, used) VALUES ($1, 1) ON CONFLICT (id) DO "
		    "UPDATE SET used = dbload_projects.used + 1",
		    db_t(owner)) < 0)
		return -1;
	return db_wake(t, "steps", e);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct err e = {0};
	uint64_t began;
	unsigned project;

	while ((began = clock_mono_us()) < w->load->until_us && w->n < SAMPLES) {
		random_bytes(&project, sizeof(project));
		project %= 100;
		if (db_write(w->load->db, accept_one, &project, &e) < 0) {
			if (w->load->failed++ == 0)
				fprintf(stderr, "dbload: %s\n", e.msg);
			continue;
		}
		w->took_us[w->n++] = (uint32_t)(clock_mono_us() - began);
	}
	return NULL;
}

static int by_time(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report(const struct worker *w, unsigned threads, double seconds)
{
	size_t n = 0;

	for (unsigned i = 0; i < threads; i++)
		n += w[i].n;
	AUTO_FREE uint32_t *all = xcalloc(n + 1, sizeof(*all));
	n = 0;
	for (unsigned i = 0; i < threads; i++) {
		memcpy(all + n, w[i].took_us, w[i].n * sizeof(*all));
		n += w[i].n;
	}
	qsort(all, n, sizeof(*all), by_time);
	printf("%u threads: %.0f transactions/s, half within %.2f ms, 99 %% within %.2f ms\n",
	       threads, (double)n / seconds, all[n / 2] / 1e3, all[n * 99 / 100] / 1e3);
}

int main(int argc, char **argv)
{
	unsigned threads = argc == 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	double seconds = argc == 4 ? strtod(argv[3], NULL) : 0;
	struct err e = {0};
	struct load load = {0};

	if (!threads || threads > 1000 || seconds <= 0) {
		fprintf(stderr, "usage: dbload URL THREADS SECONDS\n");
		return 2;
	}
	AUTO(db) d = db_open(argv[1], &e);
	if (!d || db_write(d, make_tables, NULL, &e) < 0) {
		fprintf(stderr, "dbload: %s\n", e.msg);
		return 1;
	}
	AUTO_FREE struct worker *w = xcalloc(threads, sizeof(*w));
	load.db = d;
	load.until_us = clock_mono_us() + (uint64_t)(seconds * 1e6);
	for (unsigned i = 0; i < threads; i++) {
		w[i] = (struct worker){.load = &load};
		w[i].took_us = xcalloc(SAMPLES, sizeof(*w[i].took_us));
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(w[i].thread, NULL);
	report(w, threads, seconds);
	for (unsigned i = 0; i < threads; i++)
		free(w[i].took_us);
	return load.failed != 0;
}
