/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conductor.h: the server's side of the link to movers: the only part of it that talks to them.
 *
 * Movers dial out. A stream of events goes down to each (it only ever says "look"), and they send
 * requests up:
 *
 *	POST register	{invitation, token, host, version, kinds, capacity}
 *			→ {id}
 *	GET  events	server-sent events: hello, steps, stops, revoked
 *	POST heartbeat	{host, version, kinds, capacity, room, running}
 *			→ {drain, again_s}
 *	POST steps/take	{room, running}
 *			→ {steps: [{step, fence, attempt, kind, undo, input, result}]}
 *	POST steps/ID/progress	{fence, progress, notes}
 *				→ {stop, again_s}
 *	POST steps/ID/result	{fence, notes, and result or error: {kind, message}}
 *				→ {}
 *
 * all under /mover/v1/. The last two are refused with 409 if the step is not the mover's any more.
 *
 * All but the first with "Authorization: Bearer TOKEN"; errors are {"error": {"kind", "message"}},
 * 401 where the token is nobody's. The database is the truth: a conductor remembers only who is
 * connected to it, and there may be any number of them.
 *
 * Threads: thread-safe. It has three of its own, however many movers there are.
 */
#ifndef HF_LINK_CONDUCTOR_H
#define HF_LINK_CONDUCTOR_H

#include "db/db.h"
#include "flow/flow.h"
#include "net/httpd.h"

struct conductor;

struct conductor_options {
	struct db *db;
	struct flow *flow;
	/*
	 * What a mover is given as the input of a step: secrets are put in here, and are not in the
	 * database. In a transaction that reads. NULL: the step's input as it is.
	 */
	int (*fill)(void *arg, struct db_tx *t, const struct flow_step *s, json_t **ret_input,
		    struct err *e);
	void *arg;
	/* Asked before a mover is given a step: false, it is given none now. Quick. NULL: always.
	 */
	bool (*may)(void *may_arg);
	void *may_arg;
	unsigned heartbeat_s; /* 0: 30 */
};

struct conductor *conductor_new(const struct conductor_options *o, struct err *e);
/* For httpd_start(); they live as long as the conductor. */
const struct httpd_route *conductor_routes(const struct conductor *c, size_t *ret_n);
/* How many movers are connected to this one. */
size_t conductor_connected(struct conductor *c);
/* After httpd_stop(). */
void conductor_free(struct conductor *c);
DEFINE_AUTO(conductor, conductor_free);

#endif
