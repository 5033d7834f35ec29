/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h: what a daemon was told: a table of options, and their values from the defaults, the
 * configuration file, the environment and the command line, each going before those named earlier.
 *
 * One table makes the parser, the checks, --print-config, the manual page and the example file.
 * Whatever is wrong is collected as a list of problems, each with the place it was seen at
 * ("FILE:LINE:COLUMN: …"), so that one run tells them all.
 *
 * Threads: a config does not change once it is loaded and may then be read by any thread.
 */
#ifndef HF_BASE_CONFIG_H
#define HF_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"

enum config_type {
	CONFIG_TEXT,
	CONFIG_FILE,	 /* absolute; must exist and be readable when the daemon starts */
	CONFIG_SECRET,	 /* as CONFIG_FILE, and others may not read it; see config_secret() */
	CONFIG_PATH,	 /* absolute; of something that the daemon makes if it is not there */
	CONFIG_INT,	 /* decimal */
	CONFIG_SIZE,	 /* bytes: "64K", "1MiB" */
	CONFIG_DURATION, /* "30", "30s", "5m", "2h", "7d"; kept in microseconds */
	CONFIG_BOOL,	 /* yes, no, true, false, on, off, 1, 0 */
	CONFIG_URL,	 /* choices: the schemes */
	CONFIG_LIST,	 /* texts, separated by commas or line ends */
};

#define CONFIG_SECONDS(n) ((int64_t)(n)*1000000)
#define CONFIG_HOURS(n) (CONFIG_SECONDS(n) * 3600)
#define CONFIG_DAYS(n) (CONFIG_HOURS(n) * 24)

struct config_option {
	const char *section, *name;
	enum config_type type;
	const char *value;	    /* how its value is called in the manual; NULL: the type's */
	const char *fallback;	    /* the default, as it would be written; NULL: none, not set */
	int64_t min, max;	    /* INT, SIZE, DURATION: the range; LIST: of how many members */
	const char *const *choices; /* TEXT, LIST (of each member), URL: NULL-terminated, or NULL */
	/* Further looks at a text, or each member of a list: sets what is wrong. May be NULL. */
	int (*check)(const char *text, struct err *e);
	bool live;	  /* a reload makes it take effect; others need a restart */
	const char *help; /* sentences; the first begins with a small letter, the last without a
			     full stop */
};

struct config_section {
	const char *name, *help;
};

struct config_schema {
	const char *prefix;		       /* of variables of the environment: "HOLDFAST" */
	const struct config_section *sections; /* in order; ended by one without a name */
	const struct config_option *options;   /* of one section together; ended likewise */
};

/* ---- problems ---- */

#define CONFIG_PROBLEMS_MAX 100

struct config_problems {
	char **text;
	size_t n; /* more than CONFIG_PROBLEMS_MAX: the rest was only counted */
};
void config_problems_done(struct config_problems *p);
#define CONFIG_PROBLEMS(name)                                                                      \
	__attribute__((cleanup(config_problems_done), unused)) struct config_problems name = {0}

/* ---- loading ---- */

/* From the command line: "--listen" for [server] listen. */
struct config_given {
	const char *flag; /* for messages */
	const char *section, *name, *value;
};

struct config_source {
	const char *file; /* NULL: none */
	const char *text; /* what stands in it, if it is not to be read; NULL: it is */
	size_t text_len;
	bool may_lack;		    /* it is no problem if the file does not exist */
	const char *const *environ; /* as the third argument of main; NULL: none */
	const struct config_given *given;
	size_t n_given;
};

struct config;

/*
 * Read everything and check every value. Always returns a config; where there are problems it is
 * of no use but to be looked at further. The schema is borrowed for its life.
 */
struct config *config_load(const struct config_schema *schema, const struct config_source *src,
			   struct config_problems *p);
void config_free(struct config *c);
DEFINE_AUTO(config, config_free);

/* Look at the files that are named: FILE and SECRET. */
void config_check_files(const struct config *c, struct config_problems *p);

/*
 * For a reload: options of `c` that are not live get the values of `old` back. Calls `changed` for
 * each option that differs, with `kept` if it needs a restart. Returns how many there are.
 */
size_t config_take_over(struct config *c, const struct config *old,
			void (*changed)(const struct config_option *o, bool kept, void *arg),
			void *arg);

/* ---- values; to ask for an option that is not in the table, or of another type, is a defect ----
 */

/* TEXT, FILE, SECRET, PATH, URL; NULL: not set. Lives as long as the config. */
const char *config_text(const struct config *c, const char *section, const char *name);
int64_t config_int(const struct config *c, const char *section, const char *name);
uint64_t config_size(const struct config *c, const char *section, const char *name);
uint64_t config_us(const struct config *c, const char *section, const char *name);
bool config_bool(const struct config *c, const char *section, const char *name);
/* NULL-terminated; never NULL. */
const char *const *config_list(const struct config *c, const char *section, const char *name);
/* What the file of a SECRET holds, without a line end at its end; at most 64 KiB. NULL and no
 * error if it is not set: `*ret_s`. */
int config_secret(const struct config *c, const char *section, const char *name,
		  struct secret **ret_s, struct err *e);
/* "/etc/holdfast/holdfastd.conf:12:10", "environment HOLDFAST_SERVER_LISTEN", "--listen",
 * "default". */
const char *config_where(const struct config *c, const char *section, const char *name);

/* Add "WHERE: [section] name 'value': what" to the problems: for checks by who uses an option. */
void config_problem(const struct config *c, const char *section, const char *name,
		    struct config_problems *p, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* Add a problem that belongs to no option. */
void config_problem_add(struct config_problems *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * "HOST:PORT" as in the address of a listener: "127.0.0.1:8799", "[::1]:8799", "*:8799" (all
 * addresses; `ret_host` gets "*"). `ret_host` has `size` bytes. ERR_INVALID.
 */
int config_address(const char *text, char *ret_host, size_t size, uint16_t *ret_port,
		   struct err *e);
/* For `check` in a table: it is such an address. */
int config_check_address(const char *text, struct err *e);

/* ---- showing ---- */

/* The effective values as a file, with where each comes from; passwords in URLs are left out. */
void config_print(const struct config *c, FILE *out);
/* An example file: every option with its help and default, commented out. */
void config_print_example(const struct config_schema *schema, const char *title, FILE *out);
/* The options as a part of a manual page for scdoc(1). */
void config_print_manual(const struct config_schema *schema, FILE *out);

#endif
