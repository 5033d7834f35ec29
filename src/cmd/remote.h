/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote.h: commands against a server. Each gets its client with remote_open(); most of them are
 * about one kind of thing, of which one table says where it is in the API and how it is shown.
 *
 * With -o json, what is printed is the API's own JSON: the object, or for a list an array of all
 * objects of its pages.
 *
 * Threads: the main thread's.
 */
#ifndef HF_CMD_REMOTE_H
#define HF_CMD_REMOTE_H

#include "client/client.h"
#include "cmd/cli.h"

/* ---- which server (remote_open.c) ---- */

/*
 * Does this command run straight against a target, or against a server? The command's options say,
 * else the environment, else the login. ERR_INVALID: options that do not go with that.
 */
int remote_side(struct cli *c, enum side *ret, struct err *e);
/* A client with the login's token and project. ERR_DENIED: nobody is logged in there. */
int remote_open(struct cli *c, struct err *e);
/* The host's file of certificates that options or the environment name, or NULL. */
const char *remote_ca_file(const struct cli *c);
/* A project by its name or id, among those of an identity (GET /v1/identity): the object. NULL as
 * `ref`: the only one. ERR_NOENT, ERR_INVALID: which ones there are. */
const json_t *remote_project(const json_t *identity, const char *ref, struct err *e);

/* ---- kinds of things (remote_kinds.c) ---- */

enum cell {
	CELL_TEXT,
	CELL_ID, /* enough of it to name it by */
	CELL_TIME,
	CELL_BYTES,
	CELL_COUNT, /* of an array */
	CELL_NUMBER,
	CELL_FLAG,
	CELL_REF,   /* the name of what has this id; `ref` is its noun */
	CELL_TOOK,  /* between `member` and `ref` */
	CELL_ABSENT /* "yes" where it is null: of no project, so of all */
};

struct remote_column {
	const char *title;
	const char *member; /* "properties.pattern" for one in an object */
	enum cell how;
	const char *ref;
};

struct remote_kind {
	const char *noun;  /* as it is typed */
	const char *path;  /* of the list, in the project or from "/" */
	const char *item;  /* what one is called in JSON */
	const char *items; /* what the list is called */
	const struct remote_column *columns;
	const char *filter;  /* the query that narrows a list to a name, or NULL */
	const char *made;    /* what the answer to POST is called, where that is not `item` */
	const char *args[3]; /* the members that are positional where one is made */
	bool listed;	     /* one cannot be asked for by itself */
};

/* The kind of that noun ("plan"); never NULL. */
const struct remote_kind *remote_kind(const char *noun);
/* The kind that the command's first word names. */
const struct remote_kind *remote_kind_of(const struct cli *c);
/* One, by its id, the first digits of it (at least four), or its name. The caller's. ERR_NOENT;
 * ERR_INVALID: there are several, with their ids. */
int remote_find(struct cli *c, const struct remote_kind *k, const char *ref, json_t **ret,
		struct err *e);
/* The same for its id alone. */
int remote_find_id(struct cli *c, const struct remote_kind *k, const char *ref, char **ret,
		   struct err *e);
/* The path of one: "plans/ID". The caller's. */
char *remote_path(const struct remote_kind *k, const char *id, const char *action);
/* Its name, or its id where it has none or cannot be seen. */
const char *remote_name(struct cli *c, const char *noun, const char *id);

/* ---- showing them (remote_show.c) ---- */

/* An array as a table, or as JSON; it is released. */
void remote_print(struct cli *c, const struct remote_column *columns, json_t *array);
/* One for people, all of it, or as JSON; it is released. */
void remote_print_one(struct cli *c, json_t *o);
/* A member, also one in an object ("progress.bytes_done"); NULL where there is none. */
const json_t *remote_member(const json_t *o, const char *path);

/* ---- making them (remote_make.c) ---- */

/* The members that the command's options say, by the rows of `noun`. */
int remote_take_options(struct cli *c, const char *noun, json_t *o, struct err *e);

/* ---- operations (remote_wait.c) ---- */

/* Has the person asked not to wait? */
bool remote_waits(const struct cli *c);
/*
 * Wait for an operation and show how it goes on. `what` is shown beside the progress; `stores`: as
 * for progress_begin(). ERR_IO: it failed, with its reason; ERR_CANCELLED: it was cancelled.
 */
int remote_wait(struct cli *c, const char *operation, const char *what, bool stores, struct err *e);
/* After something was started: wait, or say how to. `answer` has "operation_id". */
int remote_started(struct cli *c, const json_t *answer, const char *what, bool stores,
		   struct err *e);

/* ---- checkpoints (remote_points.c) ---- */

/* All of every provider (`query` may narrow that: "status=available"), oldest first; the caller's.
 */
int remote_points(struct cli *c, const char *query, json_t **ret, struct err *e);
/* One, named as against a target: by its id, the first digits of it, "latest", NAME@latest, where
 * NAME is a resource or a plan. The caller's. */
int remote_point(struct cli *c, const char *ref, json_t **ret, struct err *e);
/* Those that the arguments name, or with --all every one that is available; the caller's. */
int remote_chosen(struct cli *c, json_t **ret, struct err *e);
/* "providers/P/checkpoints/ID"; the caller's. */
char *remote_point_path(const json_t *point);

/* ---- commands ---- */

int remote_login(struct cli *c, struct err *e);
int remote_logout(struct cli *c, struct err *e);
int remote_status(struct cli *c, struct err *e);

int remote_list(struct cli *c, struct err *e);
int remote_show(struct cli *c, struct err *e);
/* The one that is named, looked for among things of one kind and shown as another has it. */
int remote_show_as(struct cli *c, const struct remote_kind *found, const struct remote_kind *shown,
		   struct err *e);
int remote_make(struct cli *c, struct err *e);
int remote_update(struct cli *c, struct err *e);
int remote_remove(struct cli *c, struct err *e);
/* POST …/ID/WORD, where WORD is the command's last. */
int remote_action(struct cli *c, struct err *e);

int remote_user_grants(struct cli *c, struct err *e);
int remote_user_grant(struct cli *c, struct err *e);
int remote_notification_test(struct cli *c, struct err *e);
int remote_notification_rotate(struct cli *c, struct err *e);
int remote_notification_deliveries(struct cli *c, struct err *e);
int remote_usage(struct cli *c, struct err *e);
int remote_search(struct cli *c, struct err *e);
int remote_target_history(struct cli *c, struct err *e);
int remote_resource_show(struct cli *c, struct err *e);
int remote_target_work(struct cli *c, struct err *e);
int remote_resource_list(struct cli *c, struct err *e);
int remote_resource_coverage(struct cli *c, struct err *e);
int remote_plan_run(struct cli *c, struct err *e);
int remote_protect_domain(struct cli *c, struct err *e);
int remote_restore_domain(struct cli *c, struct err *e);
int remote_checkpoint_list(struct cli *c, struct err *e);
int remote_checkpoint_show(struct cli *c, struct err *e);
int remote_checkpoint_verify(struct cli *c, struct err *e);
int remote_checkpoint_delete(struct cli *c, struct err *e);
int remote_checkpoint_hold(struct cli *c, struct err *e);
int remote_checkpoint_release(struct cli *c, struct err *e);
int remote_checkpoint_copy(struct cli *c, struct err *e);
int remote_operation_list(struct cli *c, struct err *e);
int remote_operation_log(struct cli *c, struct err *e);
int remote_operation_wait(struct cli *c, struct err *e);

#endif
