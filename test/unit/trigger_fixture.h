/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trigger_fixture.h: a database of its own with a project "p" that has a plan, and a scheduler
 * whose start writes down what it was told, in the table "started", so that what is started twice
 * stands there twice.
 */
#ifndef HF_TEST_TRIGGER_FIXTURE_H
#define HF_TEST_TRIGGER_FIXTURE_H

#include "core/scheduler.h"
#include "core/trigger.h"
#include "db_fixture.h"

#define S UINT64_C(1000000)
/* 2026-11-22 00:00:00 UTC, a Sunday */
#define NOW (UINT64_C(1795305600) * S)
#define PLAN "00000000-0000-4000-8000-000000000001"
#define PROVIDER "00000000-0000-4000-8000-000000000002"

struct trigger_fixture {
	struct db_fixture db;
	struct zones *zones;
	struct scheduler *scheduler;
	uint64_t now_us;
};

int trigger_fixture_up(void **state);
int trigger_fixture_down(void **state);
#define TRIGGER_TEST(fn)                                                                           \
	cmocka_unit_test_setup_teardown(fn, trigger_fixture_up, trigger_fixture_down)
#define TRIGGER_TEST_OF(kind, fn)                                                                  \
	cmocka_unit_test_prestate_setup_teardown(fn, trigger_fixture_up, trigger_fixture_down, kind)
int trigger_fixture_run(const struct CMUnitTest *tests, size_t n);

/* The project's things, and the table; in a database that is open. */
void trigger_fixture_fill(struct db *d);
scheduler_start_fn trigger_fixture_start;
/* Fail to start the scheduled operation of this name, with this kind. */
extern const char *trigger_fixture_bad;
extern enum err_kind trigger_fixture_kind;

/* A trigger with these properties (JSON with ' for "). -1: error. */
int try_trigger(struct trigger_fixture *x, const char *type, const char *properties,
		char ret_id[UUID_TEXT], char ret_token[TRIGGER_TOKEN], struct err *e);
void new_trigger(struct trigger_fixture *x, const char *properties, char ret_id[UUID_TEXT]);
/* A scheduled operation of it that protects the plan. */
void new_scheduled(struct trigger_fixture *x, const char *trigger, const char *name,
		   char ret_id[UUID_TEXT]);
/* Run the scheduler at x->now_us; its counts. */
struct scheduler_counts run_scheduler(struct trigger_fixture *x, uint64_t *ret_next_us);

/* The first column of the first row as a number. */
int64_t ask_number(struct db *d, const char *sql);
/* All rows of one column of text, joined by '|'. The caller's. */
char *ask_texts(struct db *d, const char *sql);
void tell_db(struct db *d, const char *sql);

#endif
