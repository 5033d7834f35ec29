/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.h: who did what and when, as a chain that shows what was changed afterwards.
 *
 * A line is written in the transaction of what it tells of; it is linked to the chain within
 * seconds by auth_look_after(), in whichever process comes first (ADR 25): the chain has one end,
 * and transactions would queue for it.
 *
 * Threads: as transactions.
 */
#ifndef HF_AUTH_AUDIT_H
#define HF_AUTH_AUDIT_H

#include "auth/auth.h"

struct audit_entry {
	const struct identity *who; /* NULL: the server itself */
	const char *address;	    /* NULL: none */
	const char *project;	    /* whose thing it is; NULL: nobody's */
	const char *action;	    /* "plan:delete", "login" */
	const char *subject;	    /* "plan 0ac1…"; NULL: none */
	const char *outcome;	    /* "done", "denied", "failed" */
	const char *detail;	    /* JSON or text for people; NULL: none. Never a secret */
};
int audit_add(struct auth *a, struct db_tx *t, const struct audit_entry *x, struct err *e);

struct audit_line {
	char id[AUTH_ID];
	uint64_t seq; /* 0: not linked yet */
	uint64_t at_us;
	char *project_id, *user_id, *user_name, *address, *action, *subject, *outcome, *detail;
	char hash[65]; /* hexadecimal; "": not linked yet */
};
struct audit_lines {
	struct audit_line *v;
	size_t n;
};
void audit_lines_free(struct audit_lines *l);
DEFINE_AUTO(audit_lines, audit_lines_free);

struct audit_filter {
	const char *project, *user_id, *outcome; /* NULL: any */
	const char *action;			 /* "plan:" at its end means: all that begin so */
	const char *subject;
	uint64_t since_us, until_us; /* 0: any; since <= at < until */
	const char *marker;	     /* after this line's id */
	size_t limit;
};
/* Newest first. */
struct audit_lines *audit_list(struct db_tx *t, const struct audit_filter *f, struct err *e);

struct audit_check {
	uint64_t lines;	  /* linked and right */
	uint64_t waiting; /* not linked yet; each is right by itself */
	uint64_t broken;  /* seq of the first that is not as it was written, 0: none */
	char why[160];	  /* "" or what is wrong with it */
	char head[65];	  /* hash of the last: to be kept elsewhere, and compared */
};
/* Walks the whole chain in many short transactions. -1: could not look. */
int audit_verify(struct auth *a, struct audit_check *ret, struct err *e);

/* Link what waits now, at most `most` lines; *ret_n may be NULL. For auth_look_after and tests. */
int audit_link(struct auth *a, size_t most, size_t *ret_n, struct err *e);

#endif
