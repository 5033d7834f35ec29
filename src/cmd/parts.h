/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parts.h: the parts of holdfastd, each in its part_NAME.c; see daemon.h for what a part is.
 */
#ifndef HF_CMD_PARTS_H
#define HF_CMD_PARTS_H

#include "cmd/daemon.h"

extern const struct daemon_part part_state;	/* the folder of the state */
extern const struct daemon_part part_db;	/* gives d->db */
extern const struct daemon_part part_auth;	/* d->auth */
extern const struct daemon_part part_flow;	/* d->core */
extern const struct daemon_part part_scheduler; /* what is done by itself */
extern const struct daemon_part part_notify;	/* who is told of it; sets core->sends_mail */
extern const struct daemon_part part_api;	/* the REST API's routes */
extern const struct daemon_part part_conductor; /* the routes that movers use */
extern const struct daemon_part part_httpd;	/* after all that it serves */
extern const struct daemon_part part_mover;	/* last: it dials in */

struct keystone;
struct keystone_options;
/* What [keystone] says; *ret_k NULL: it names none. `as` (NULL: the service's user): user, project
 * and password to ask with. */
int part_auth_keystone(const struct config *c, const struct keystone_options *as,
		       struct keystone **ret_k, struct err *e);

extern const struct daemon_task holdfastd_tasks[];

#endif
