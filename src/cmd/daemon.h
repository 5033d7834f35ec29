/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon.h: what makes a program a good daemon: command line, configuration, signals, the service
 * manager, and its parts, which are started in order and stopped in reverse.
 *
 * A part is a file part_NAME.c with one `const struct daemon_part`, and a row in the program's
 * table. What a part offers to those after it, it puts into `struct daemon`.
 *
 * Life: everything that can be wrong with the configuration is told at once (table, files, check of
 * each part); then start of each part; READY. On SIGHUP the configuration is read anew: if anything
 * is wrong with it, it is told and nothing changes; else the parts get it. On SIGTERM or SIGINT
 * the parts are stopped; a second such signal ends the process at once, which must never do harm.
 *
 * Threads: all calls of a part are made by the main thread, but for health. Signals that the daemon
 * handles are blocked in every thread.
 */
#ifndef HF_CMD_DAEMON_H
#define HF_CMD_DAEMON_H

#include <stdbool.h>

#include "base/config.h"
#include "base/err.h"
#include "net/httpd.h"

struct db;
struct auth;
struct core;
struct api;

enum daemon_role {
	ROLE_API = 1 << 0,
	ROLE_SCHEDULER = 1 << 1,
	ROLE_WORKER = 1 << 2,
	ROLE_CONDUCTOR = 1 << 3,
};

struct daemon;

struct daemon_part {
	const char *name; /* in messages: "database" */
	unsigned roles;	  /* it is there if any of these is; 0: always */
	/*
	 * Look at `c` as far as that is possible without starting and without changing anything;
	 * tell what is wrong. Also before a reload. May be NULL.
	 */
	void (*check)(const struct config *c, struct config_problems *p);
	int (*start)(struct daemon *d, struct err *e);
	/* d->config is new, and only live options differ. What it cannot do it tells; the part goes
	 * on as it was. May be NULL. */
	int (*reload)(struct daemon *d, struct err *e);
	/* Called every hour or so: for what wears off, such as certificates. May be NULL. */
	void (*look_after)(struct daemon *d);
	/* Take no more work, end what runs within `timeout_ms`, and be gone. */
	void (*stop)(struct daemon *d, unsigned timeout_ms);
	/* Can it do its work now? Any thread, while it is started. May take as long as a read of
	 * the database. May be NULL. */
	int (*health)(struct daemon *d, struct err *e);
};

struct daemon {
	const struct daemon_program *program;
	/* For the parts' check, start, reload and stop: they copy what they need. */
	const struct config *config;
	unsigned roles;
	const char *name; /* of this process, unique among those alive: "host:4711:9f02c1aa" */
	_Atomic size_t started; /* how many parts; those from there on are not */

	struct db *db;	   /* part_db.c */
	struct auth *auth; /* part_auth.c */
	struct core *core; /* part_flow.c */
	struct api *api;   /* part_api.c */

	/* For part_httpd.c, by the parts before it: what it serves (daemon_add_routes), and the
	 * hooks before, refuse, after and their arg. */
	struct httpd_route *routes;
	size_t n_routes;
	struct httpd_options http;
	struct httpd **httpds; /* one for each address */
	size_t n_httpds;
};

/* An option of the command line ("--listen") that stands for one of the configuration. */
struct daemon_flag {
	const char *name, *value, *section, *option, *help;
};

/* Something that the program does once in place of running: "--reset-password[=USER]". */
struct daemon_task {
	const char *name, *value; /* value: "USER", what may be said after "="; NULL: nothing */
	const char *help;
	/* What has to be right before anything is started. May be NULL. */
	int (*check)(const struct config *c, struct err *e);
	const struct daemon_part *last; /* the parts up to this one are started; NULL: none */
	/* `value` may be NULL. What it says to people goes to standard output. */
	int (*run)(struct daemon *d, const char *value, struct err *e);
};

struct daemon_program {
	const char *name;	 /* "holdfastd" */
	const char *summary;	 /* a line for the manual */
	const char *config_file; /* where it lies if nobody says otherwise */
	const struct config_schema *schema;
	const struct daemon_flag *flags;		/* ended by one without a name */
	const struct daemon_part *const *parts;		/* in order of start; ended by NULL */
	const struct daemon_task *tasks;		/* ended by one without a name; or NULL */
	unsigned (*roles)(const struct config *config); /* NULL: it has none */
};

/* The whole program; returns its exit code. */
int daemon_main(const struct daemon_program *program, int argc, char **argv);

/* The first part that cannot do its work: -1, with its name. Any thread. */
int daemon_health(struct daemon *d, const char **ret_part, struct err *e);

/* The listeners serve these, too; copied, but for what they point to. Before part_httpd starts. */
void daemon_add_routes(struct daemon *d, const struct httpd_route *routes, size_t n);

/* What the command line said: daemon_args.c. */
enum daemon_action {
	DAEMON_RUN,
	DAEMON_CHECK,
	DAEMON_PRINT,
	DAEMON_EXAMPLE,
	DAEMON_TASK,
	DAEMON_DONE
};

struct daemon_args {
	enum daemon_action action;
	const char *config_file; /* NULL: the usual one, which may lack */
	const struct daemon_task *task;
	const char *task_value; /* may be NULL */
	struct config_given *given;
	size_t n_given;
};
/* --help and --version print and give DAEMON_DONE. ERR_INVALID. */
int daemon_args_parse(const struct daemon_program *program, int argc, char **argv,
		      struct daemon_args *ret_args, struct err *e);
void daemon_args_done(struct daemon_args *a);
/* The options as a part of a manual page for scdoc(1). */
void daemon_args_manual(const struct daemon_program *program);

extern const struct daemon_program holdfastd_program;
extern const struct config_schema holdfastd_schema;

#endif
