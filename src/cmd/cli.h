/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h: what every command of the command line has: its parsed words, an open repository if it
 * asks for one, ways to show results, progress and notes.
 *
 * Threads: the main thread's, but for the progress display's own thread.
 */
#ifndef HF_CMD_CLI_H
#define HF_CMD_CLI_H

#include <jansson.h>

#include "base/cancel.h"
#include "base/log.h"
#include "base/progress.h"
#include "cmd/option.h"
#include "repo/credential.h"
#include "repo/lock.h"
#include "repo/point.h"
#include "repo/point_json.h"
#include "repo/repo.h"

struct client;

struct cli {
	struct parsed p;
	bool json, quiet;
	char *self; /* path of this program */
	struct cancel cancel;
	struct progress progress;
	struct store *store;
	struct repo *repo;
	struct credential *credential; /* that opened it */
	struct client *client;	       /* of the server, if one is used */
	json_t *names;		       /* remote_name()'s: noun → id → name */
};

/* ---- opening (open.c) ---- */

/* Open the target, without its repository. */
int cli_open_target(struct cli *c, bool create, struct err *e);
/* Open the target's repository with the key that was given, or ask for a passphrase. */
int cli_open(struct cli *c, struct err *e);
/* The same once the target is open. */
int cli_open_repo(struct cli *c, struct err *e);
/* The credential that options, environment or a prompt give. */
struct credential *cli_credential(struct cli *c, struct err *e);
/* Ask for a new passphrase twice. */
struct credential *cli_ask_new(const char *prompt, struct err *e);
/*
 * A secret, asked for at the terminal without echo, its first `*ret_n` bytes. `otherwise` is what
 * is wrong where there is no terminal.
 */
struct secret *cli_ask(const char *prompt, const char *otherwise, size_t *ret_n, struct err *e);
/* "yes" from the terminal; -1 with ERR_INVALID where nobody can answer and `--yes` was not given.
 */
int cli_confirm(struct cli *c, const char *question, struct err *e);

/* A further repository beside the target's. */
struct other {
	struct store *store;
	struct credential *credential;
	struct repo *repo;
};
/* `key_file` NULL: ask for its passphrase. */
int cli_open_other(struct cli *c, const char *target, const char *key_file, struct other *ret_o,
		   struct err *e);
void other_done(struct other *o);

/* ---- which checkpoints (points.c) ---- */

/* Open the repository and load its points; damaged ones are told. */
int cli_load_points(struct cli *c, struct point_list *ret_l, struct err *e);
/* Those that the command's arguments name, or with --all every one: each once, oldest first; the
 * caller frees the array. */
int cli_choose_points(struct cli *c, const struct point_list *l, const struct point ***ret_v,
		      size_t *ret_n, struct err *e);

/* ---- locks (cmd_lock.c) ---- */

/* What --lock and --lock-mode say. */
int cli_lock(const struct cli *c, struct lock_ask *ret, struct err *e);
/* ERR_DENIED: something could not be locked. */
int cli_locks_kept(const struct lock_kept *k, struct err *e);
/* How the point is locked now. */
int cli_lock_of(struct cli *c, const struct point *p, struct store_lock *ret, struct err *e);
/* ERR_DENIED: it is locked, until when and how. */
int cli_may_delete(struct cli *c, const struct point *p, struct err *e);
/* Delete one that may be deleted. */
int cli_delete_point(struct cli *c, const struct point *p, struct err *e);

/* ---- showing (show.c) ---- */

/* Print JSON to standard output and release it. */
void cli_json(json_t *j);
/* The same of a long array, item by item: number `i` is released, and after all `n` the end. */
void cli_json_item(size_t i, json_t *item);
void cli_json_end(size_t n);
/* A table: columns are titles, rows are cells; text is made safe for a terminal. */
struct table;
/* `right`: one letter for each column, 'l' or 'r'. */
struct table *table_new(const char *const *titles, const char *align);
void table_row(struct table *t, const char *const *cells);
void table_print(struct table *t); /* and free */
/* Text in which nothing commands a terminal; the caller's. */
char *cli_safe(const char *text);
/* "name: value" lines, aligned; the value is made safe for a terminal. */
void cli_field(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A checkpoint for people, with its disks. */
void point_show(const struct point *p);
/* What a run read, stored and took: a row for each disk. */
void point_summary(const struct point *p);

/* ---- progress (progress_bar.c) ---- */

struct progress_bar;
/* Show c->progress until it is ended: a bar on a terminal, a line now and then otherwise. `stores`:
 * a backup, which stores; else a restore. */
struct progress_bar *progress_begin(struct cli *c, const char *what, bool stores);
void progress_end(struct progress_bar *b);
/* A platform_note_fn that prints to standard error; its argument is the cli. */
void cli_note(void *arg, enum log_level level, const char *text);

/* ---- help (help.c) ---- */

/* Help on one command, on all that start with a prefix, or an overview (NULL). */
void help_print(const struct command *c, const char *prefix);

/* ---- commands (cmd_*.c) ---- */

int cmd_target_init(struct cli *c, struct err *e);
int cmd_target_show(struct cli *c, struct err *e);
int cmd_target_verify(struct cli *c, struct err *e);
int cmd_target_collect(struct cli *c, struct err *e);
int cmd_target_arbiter(struct cli *c, struct err *e);
int cmd_target_parity(struct cli *c, struct err *e);
int cmd_target_repair(struct cli *c, struct err *e);
int cmd_target_unhide(struct cli *c, struct err *e);
int cmd_key_list(struct cli *c, struct err *e);
int cmd_key_add(struct cli *c, struct err *e);
int cmd_key_remove(struct cli *c, struct err *e);
int cmd_key_rotate(struct cli *c, struct err *e);
int cmd_protect_domain(struct cli *c, struct err *e);
int cmd_protect_disk(struct cli *c, struct err *e);
int cmd_protect_stdin(struct cli *c, struct err *e);
int cmd_checkpoint_list(struct cli *c, struct err *e);
int cmd_checkpoint_show(struct cli *c, struct err *e);
int cmd_checkpoint_diff(struct cli *c, struct err *e);
int cmd_checkpoint_verify(struct cli *c, struct err *e);
int cmd_checkpoint_delete(struct cli *c, struct err *e);
int cmd_checkpoint_hold(struct cli *c, struct err *e);
int cmd_checkpoint_release(struct cli *c, struct err *e);
int cmd_checkpoint_cat(struct cli *c, struct err *e);
int cmd_checkpoint_copy(struct cli *c, struct err *e);
int cmd_checkpoint_serve(struct cli *c, struct err *e);
int cmd_restore_domain(struct cli *c, struct err *e);
int cmd_restore_disk(struct cli *c, struct err *e);
int cmd_resource_list(struct cli *c, struct err *e);
int cmd_completion(struct cli *c, struct err *e);
int cmd_version(struct cli *c, struct err *e);
int cmd_freeze_guard(struct cli *c, struct err *e);

/* What the command line and the man pages share about exit codes: one row for each kind of error.
 */
const char *exit_meaning(enum err_kind kind);

/* Parse an option's value; ERR_INVALID names option and value. `ret` keeps its value when not
 * given. */
int cli_bytes(const struct cli *c, const char *name, uint64_t *ret, struct err *e);
int cli_duration(const struct cli *c, const char *name, uint64_t *ret_us, struct err *e);
/* A number of per cent, 1 to `most`. */
int cli_percent(const struct cli *c, const char *name, unsigned most, unsigned *ret, struct err *e);
/* Straight against a target, no name is given: ERR_INVALID. */
int cli_nameless(const struct cli *c, struct err *e);

#endif
