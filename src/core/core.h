/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h: what the rules of the model stand on: the database, operations, time zones, and who may
 * do what.
 *
 * Threads: thread-safe, as its parts are.
 */
#ifndef HF_CORE_CORE_H
#define HF_CORE_CORE_H

#include "auth/auth.h"
#include "db/db.h"
#include "flow/flow.h"
#include "sched/zone.h"

struct services;

struct core {
	struct db *db;
	struct auth *auth;
	struct flow *flow;
	struct zones *zones;
	struct services *services; /* of this process: service.h */
	bool sends_mail;	   /* notifications can be mailed: a mail server is configured */
};

#endif
