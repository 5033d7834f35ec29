/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option.h: the grammar of the command line, as tables: commands, their arguments and options. The
 * parser, --help, the man pages and shell completion all come from these.
 *
 * Threads: parsing is for the main thread.
 */
#ifndef HF_CMD_OPTION_H
#define HF_CMD_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct cli;

/* Where an option, or a command, is of use. */
enum side { SIDE_BOTH, SIDE_TARGET, SIDE_SERVER };

struct opt {
	const char *name; /* without the dashes */
	char letter;	  /* or 0 */
	const char *arg;  /* what its value is called; NULL: a flag */
	const char *help;
	const char *env;	    /* the environment variable that stands in, or NULL */
	const char *fallback;	    /* what holds when it is not given, for people; or NULL */
	const char *const *choices; /* NULL-terminated, or NULL: any value */
	bool many;		    /* may be given several times */
	enum side side;
};

struct command {
	const char *name;	/* "target key add" */
	const char *args;	/* "CHECKPOINT DISK" */
	int min_args, max_args; /* -1: any number */
	const char *summary;	/* one line, no full stop */
	const char *text;	/* paragraphs, separated by empty lines */
	const char *examples;	/* lines; those that start with "holdfast" are commands */
	const struct opt *opts; /* ended by one without a name; or NULL */
	int (*run)(struct cli *c, struct err *e); /* straight against a target, or without any */
	bool hidden;
	bool direct; /* it looks at the target itself, not at what is kept of it on this machine */
	int (*remote)(struct cli *c, struct err *e); /* against a server; NULL: it cannot */
};

/* What the command works against: one that has neither a target nor a server is SIDE_TARGET. */
enum side command_side(const struct command *c);

/* Is it shown among the commands that begin with these words (NULL: among all)? */
bool command_under(const struct command *c, const char *words);
/* The choices to be listed after the option's text, NULL-terminated; NULL: none, or the text names
 * them already. */
const char *const *opt_choices(const struct opt *o);

/* The tables of commands, in the order in which they are shown; each ended by one without a name.
 */
extern const struct command *const command_tables[];
/* The command after `c`, the first one after NULL; NULL at the end. */
const struct command *command_next(const struct command *c);
/* for each command */
#define COMMANDS_FOREACH(c)                                                                        \
	for (const struct command *c = command_next(NULL); c; c = command_next(c))
/* Options that every command takes. */
extern const struct opt global_opts[];
/* What a first word is for: "target" – "the place where checkpoints are stored". */
struct noun {
	const char *name, *summary;
};
extern const struct noun nouns[];

struct opt_value {
	const struct opt *opt;
	const char *text; /* "" for a flag */
};

struct parsed {
	const struct command *command; /* NULL: none was given */
	const char **args;	       /* n_args of them and a NULL */
	int n_args;
	struct opt_value *values;
	size_t n_values;
	bool help;
	const char *help_prefix; /* "target key": help on these commands; or NULL */
};

/* ERR_INVALID names what is wrong and what would be right. argv must outlive the result. */
int parse_args(int argc, char **argv, struct parsed *ret_p, struct err *e);
void parsed_done(struct parsed *p);

/* The last value given for an option, or its environment variable's, or NULL. */
const char *parsed_text(const struct parsed *p, const char *name);
/* The last value given as an option, whatever the environment says. */
const char *parsed_given(const struct parsed *p, const char *name);
bool parsed_flag(const struct parsed *p, const char *name);
/* All values, NULL-terminated; NULL when there are none. The caller frees the array. */
const char **parsed_list(const struct parsed *p, const char *name);

#endif
