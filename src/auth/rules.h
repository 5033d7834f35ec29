/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.h: which roles may do which action: a table in the program, and a file that changes it.
 *
 * The file has a line for each change:
 *
 *	# who may what; "name@*" counts only where the role is held everywhere
 *	plan:delete = operator
 *	quota:* = operator@*
 *	report:get =
 *
 * "quota:*" is every action that begins so; a later line wins over an earlier one. Nothing after
 * "=" leaves only administrators, who may do everything: so nobody can be locked out by a file.
 * What is not in the table is denied.
 *
 * Threads: rules are read-only once made.
 */
#ifndef HF_AUTH_RULES_H
#define HF_AUTH_RULES_H

#include "auth/identity.h"

#define RULES_FILE_MAX ((size_t)256 << 10)
#define RULES_LINE_MAX 1024

struct rule {
	const char *action;
	unsigned roles;	     /* held in the project, or everywhere */
	unsigned everywhere; /* held everywhere */
};

/* The table in the program, in the order of actions; for documents and the API. */
const struct rule *rules_table(size_t *ret_n);

struct rules;
/* As in the program. Never NULL. */
struct rules *rules_new(void);
void rules_free(struct rules *r);
DEFINE_AUTO(rules, rules_free);
/* `name` is told in messages: "policy.conf:3: …". ERR_INVALID, ERR_LIMIT. */
struct rules *rules_parse(const char *text, size_t n, const char *name, struct err *e);
struct rules *rules_load(const char *path, struct err *e);

/* NULL: there is no such action. */
const struct rule *rules_get(const struct rules *r, const char *action);
/* See auth_allow. */
int rules_allow(const struct rules *r, const struct identity *id, const char *action,
		const char *project, struct err *e);

#endif
