/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of a daemon: a few options of its own, and those of the program that stand for
 * options of the configuration.
 */
#include "cmd/daemon.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cmd/wrap.h"

#define FLAGS_MAX 32
#define HELP_COLUMN 34
#define LONG_BASE 1000 /* values of long options for getopt, beyond any letter */

/* What every daemon has. */
static const struct {
	const char *name, *value, *help;
	char letter;
} own[] = {
	{"config", "FILE", "read this configuration file; it must exist", 'c'},
	{"set", "SECTION.OPTION=VALUE",
	 "set any option of the configuration; may be given several times", 's'},
	{"check", NULL,
	 "look at the configuration and what it names, tell everything that is wrong, and end: "
	 "with status 0 if nothing is",
	 0},
	{"print-config", NULL,
	 "print what holds, from defaults, file, environment and command line, and end", 0},
	{"example-config", NULL, "print a configuration file with every option, and end", 0},
	{"version", NULL, "print the version, and end", 0},
	{"help", NULL, "print this, and end", 'h'},
};

enum { OWN_CONFIG, OWN_SET, OWN_CHECK, OWN_PRINT, OWN_EXAMPLE, OWN_VERSION, OWN_HELP };

static void print_option(const char *letter, const char *name, const char *value, const char *help)
{
	char head[64];

	snprintf(head, sizeof(head), "%s--%s%s%s", letter, name, value ? " " : "",
		 value ? value : "");
	printf("  %-*s", HELP_COLUMN - 2, head);
	if (strlen(head) > HELP_COLUMN - 3)
		printf("\n%*s", HELP_COLUMN, "");
	wrap_print(help, HELP_COLUMN, HELP_COLUMN);
}

/* "reset-password[=USER]" */
static char *task_name(const struct daemon_task *t)
{
	return xasprintf("%s%s%s%s", t->name + 2, t->value ? "[=" : "", t->value ? t->value : "",
			 t->value ? "]" : "");
}

static void print_help(const struct daemon_program *program)
{
	printf("usage: %s [OPTION]...\n\n%s\n\nOptions:\n", program->name, program->summary);
	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		char letter[8] = "";

		if (own[i].letter)
			snprintf(letter, sizeof(letter), "-%c, ", own[i].letter);
		print_option(letter, own[i].name, own[i].value, own[i].help);
	}
	for (const struct daemon_flag *f = program->flags; f->name; f++)
		print_option("", f->name + 2, f->value, f->help);
	for (const struct daemon_task *t = program->tasks; t && t->name; t++) {
		AUTO_FREE char *name = task_name(t);

		print_option("", name, NULL, t->help);
	}
	printf("\nSignals: SIGHUP reads the configuration anew, SIGTERM ends.\n"
	       "Manual: %s(8), %s.conf(5)\n",
	       program->name, program->name);
}

static void give(struct daemon_args *a, const char *flag, const char *section, const char *name,
		 const char *value)
{
	a->given = xreallocarray(a->given, a->n_given + 1, sizeof(*a->given));
	a->given[a->n_given++] = (struct config_given){flag, section, name, value};
}

/* "SECTION.OPTION=VALUE", cut in place. */
static int take_set(struct daemon_args *a, char *text, struct err *e)
{
	char *equals = strchr(text, '='), *dot = strchr(text, '.');

	if (!equals || !dot || dot > equals || dot == text || dot + 1 == equals)
		return err_set(e, ERR_INVALID,
			       "--set '%s': SECTION.OPTION=VALUE is expected, such as "
			       "log.level=debug",
			       text);
	*equals = 0;
	*dot = 0;
	give(a, "--set", text, dot + 1, equals + 1);
	return 0;
}

static int take_own(const struct daemon_program *program, struct daemon_args *a, int which,
		    char *value, struct err *e)
{
	switch (which) {
	case OWN_CONFIG:
		a->config_file = value;
		return 0;
	case OWN_SET:
		return take_set(a, value, e);
	case OWN_CHECK:
		a->action = DAEMON_CHECK;
		return 0;
	case OWN_PRINT:
		a->action = DAEMON_PRINT;
		return 0;
	case OWN_EXAMPLE:
		a->action = DAEMON_EXAMPLE;
		return 0;
	case OWN_VERSION:
		printf("%s %s\n", program->name, HF_VERSION);
		a->action = DAEMON_DONE;
		return 0;
	default:
		print_help(program);
		a->action = DAEMON_DONE;
		return 0;
	}
}

/* The same order in `longs`: what every daemon has, then the program's. */
static void fill_tables(const struct daemon_program *program, struct option longs[], char letters[])
{
	int n = 0;

	for (size_t i = 0; i < ARRAY_LEN(own); i++, n++) {
		longs[n] =
			(struct option){own[i].name, own[i].value ? required_argument : no_argument,
					NULL, own[i].letter ? own[i].letter : LONG_BASE + n};
		if (own[i].letter)
			snprintf(letters + strlen(letters), 3, "%c%s", own[i].letter,
				 own[i].value ? ":" : "");
	}
	for (const struct daemon_flag *f = program->flags; f->name && n < FLAGS_MAX; f++, n++)
		longs[n] = (struct option){f->name + 2, required_argument, NULL, LONG_BASE + n};
	for (const struct daemon_task *t = program->tasks; t && t->name && n < FLAGS_MAX; t++, n++)
		longs[n] = (struct option){t->name + 2, t->value ? optional_argument : no_argument,
					   NULL, LONG_BASE + n};
}

static size_t count_flags(const struct daemon_program *program)
{
	size_t n = 0;

	while (program->flags[n].name)
		n++;
	return n;
}

static int take(const struct daemon_program *program, struct daemon_args *a,
		const struct option *longs, int got, struct err *e)
{
	const struct daemon_flag *f;
	size_t which = 0, n = count_flags(program);

	while (longs[which].val != got)
		which++;
	if (which < ARRAY_LEN(own))
		return take_own(program, a, (int)which, optarg, e);
	which -= ARRAY_LEN(own);
	if (which >= n) {
		a->action = DAEMON_TASK;
		a->task = &program->tasks[which - n];
		a->task_value = optarg;
		return 0;
	}
	f = &program->flags[which];
	give(a, f->name, f->section, f->option, optarg);
	return 0;
}

int daemon_args_parse(const struct daemon_program *program, int argc, char **argv,
		      struct daemon_args *ret_args, struct err *e)
{
	struct daemon_args a = {.action = DAEMON_RUN};
	struct option longs[FLAGS_MAX + 1] = {0};
	char letters[32] = ":"; /* tells a missing value from an unknown option */
	int got, rc = 0;

	fill_tables(program, longs, letters);
	opterr = 0;
	optind = 0;
	while (rc == 0 && a.action != DAEMON_DONE &&
	       (got = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const char *word = argv[optind - 1];

		if (got == ':')
			rc = err_set(e, ERR_INVALID, "option %s needs a value: see '%s --help'",
				     word, program->name);
		else if (got == '?')
			rc = err_set(e, ERR_INVALID, "there is no option %s: see '%s --help'", word,
				     program->name);
		else
			rc = take(program, &a, longs, got, e);
	}
	if (rc == 0 && a.action != DAEMON_DONE && optind < argc)
		rc = err_set(e, ERR_INVALID, "'%s' is one word too many: see '%s --help'",
			     argv[optind], program->name);
	if (rc < 0)
		daemon_args_done(&a);
	else
		*ret_args = a;
	return rc;
}

void daemon_args_done(struct daemon_args *a)
{
	free(a->given);
	*a = (struct daemon_args){0};
}

/* ---- the manual ---- */

/* scdoc takes these for markup. */
static void manual_text(const char *s)
{
	for (; *s; s++) {
		if (strchr("\\_*`", *s))
			putchar('\\');
		putchar(*s);
	}
}

static void manual_option(char letter, const char *name, const char *value, const char *help)
{
	if (letter)
		printf("*-%c*, ", letter);
	printf("*--%s*", name);
	if (value) {
		printf(" _");
		manual_text(value);
		printf("_");
	}
	printf("\n\t%c", help[0] >= 'a' && help[0] <= 'z' ? help[0] - 'a' + 'A' : help[0]);
	manual_text(help + 1);
	printf(".\n\n");
}

void daemon_args_manual(const struct daemon_program *program)
{
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		manual_option(own[i].letter, own[i].name, own[i].value, own[i].help);
	for (const struct daemon_flag *f = program->flags; f->name; f++)
		manual_option(0, f->name + 2, f->value, f->help);
	for (const struct daemon_task *t = program->tasks; t && t->name; t++) {
		AUTO_FREE char *name = task_name(t);

		manual_option(0, name, NULL, t->help);
	}
}
