/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial_priv.h: what the three threads of a dial share: dial_children.c, dial_calls.c,
 * dial_events.c.
 *
 * A slot goes round: free, taken (the caller put a job in), running (a child has it), over (its
 * report is in the spool), told or dropped, free. Only the thread named at a state moves it on.
 */
#ifndef HF_LINK_DIAL_PRIV_H
#define HF_LINK_DIAL_PRIV_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/cancel.h"
#include "base/uuid.h"
#include "link/child.h"
#include "link/dial.h"
#include "link/identity.h"
#include "net/http.h"

enum slot_state {
	SLOT_FREE,    /* calls */
	SLOT_TAKEN,   /* children: start it */
	SLOT_RUNNING, /* children: hear it */
	SLOT_OVER,    /* calls: tell its report */
	SLOT_NONE,    /* it was there for what an earlier run left, and takes nothing */
};

struct slot {
	enum slot_state state;
	char step[UUID_TEXT];
	uint64_t fence;
	char *job;		  /* taken: text, with secrets */
	struct child *child;	  /* running; the children's thread's */
	json_t *progress, *notes; /* running: what the child said, to be told; or NULL */
	json_t *report;		  /* over: to be told */
	uint64_t due_us;	  /* running: the next report on it */
	bool stop;		  /* the server wants it to stop */
	bool lost;		  /* it is not ours any more: nothing is to be told */
	bool left;		  /* by an earlier run */
};

struct dial {
	/* As dial_options, copied. */
	char *server, *ca, *state, *invitation, *program, *host;
	json_t *kinds;
	unsigned capacity, look_s;
	unsigned n_slots; /* of them; and what an earlier run left */

	pthread_t children, calls, events;
	bool has_children, has_calls, has_events;
	struct cancel hang_up; /* for who listens to events */

	pthread_mutex_t lock;	/* of all below; not held while anything is waited for */
	pthread_cond_t changed; /* for the callers' thread, and dial_check */
	int poke;		/* eventfd: for the children's thread */
	struct slot *slots;
	struct identity me; /* changed by the calls' thread only */
	bool known;	    /* `me` is registered */
	bool look;	    /* for steps, now */
	bool report;	    /* on all that runs, now */
	bool beat;	    /* a heartbeat, now */
	bool draining;	    /* take no more */
	bool stop_children; /* all */
	bool ending;	    /* the threads are to end */
	struct err fatal;
	uint64_t reached_us; /* the server answered */
};

void *dial_children(void *arg);
void *dial_calls(void *arg);
void *dial_events(void *arg);

/* Wake the children's thread. */
void dial_poke(struct dial *d);
/* With the lock: wait for a change, until `until_us` by the clock that never goes back. */
void dial_wait(struct dial *d, uint64_t until_us);
/* With the lock. */
unsigned dial_count(const struct dial *d, enum slot_state s);

/* The pause after the n-th failure in a row: random, up to some growing length. */
uint64_t dial_pause_us(unsigned failures);

#endif
