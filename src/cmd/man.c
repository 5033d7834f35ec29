/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfast-man PAGE: writes the source of a manual page, for scdoc(1), from the grammar of the
 * command line. PAGE is "holdfast" for the overview, or the first word of commands ("target"). Used
 * while building; not installed.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cli.h"

/* scdoc takes these for markup. */
static void text(const char *s)
{
	for (; *s; s++) {
		if (strchr("\\_*`", *s))
			putchar('\\');
		putchar(*s);
	}
}

static void option(const struct opt *o)
{
	const char *const *choices = opt_choices(o);

	if (o->letter)
		printf("*-%c*, ", o->letter);
	printf("*--%s*", o->name);
	if (o->arg)
		printf(" _%s_", o->arg);
	printf("\n\t");
	text(o->help);
	for (size_t i = 0; choices && choices[i]; i++)
		printf("%s%s", i ? ", " : ": ", choices[i]);
	putchar('.');
	if (o->many)
		printf(" May be given several times.");
	if (o->fallback) {
		printf(" Default: ");
		text(o->fallback);
		putchar('.');
	}
	if (o->env) {
		printf(" The environment variable *");
		text(o->env);
		printf("* stands in for it.");
	}
	printf("\n\n");
}

static void options(const char *title, const struct opt *list)
{
	if (!list || !list->name)
		return;
	printf("%s\n\n", title);
	for (const struct opt *o = list; o->name; o++)
		option(o);
}

static void examples(const char *lines)
{
	if (!lines)
		return;
	printf("Examples:\n\n```\n%s```\n\n", lines);
}

static void command(const struct command *c)
{
	printf("## holdfast %s", c->name);
	if (c->args[0])
		printf(" %s", c->args);
	printf("\n\n");
	text(c->text);
	printf("\n\n");
	options("Options:", c->opts);
	examples(c->examples);
}

static void head(const char *page, const char *summary)
{
	printf("%s(1)\n\n# NAME\n\n%s - %s\n\n", page, page, summary);
}

static void see_also(const char *but)
{
	printf("# SEE ALSO\n\n");
	if (but)
		printf("*holdfast*(1)");
	for (const struct noun *n = nouns; n->name; n++) {
		if (!but || strcmp(but, n->name) != 0)
			printf("%s*holdfast-%s*(1)", but || n != nouns ? ", " : "", n->name);
	}
	printf("\n");
}

static void noun_page(const struct noun *n)
{
	char page[64];

	snprintf(page, sizeof(page), "holdfast-%s", n->name);
	head(page, n->summary);
	printf("# COMMANDS\n\n");
	COMMANDS_FOREACH(c)
	{
		if (command_under(c, n->name))
			command(c);
	}
	options("# OPTIONS OF EVERY COMMAND", global_opts);
	see_also(n->name);
}

static void exit_codes(void)
{
	printf("# EXIT STATUS\n\n"
	       "The numbers do not change from version to version. With *--output json* an error "
	       "is "
	       "one line of JSON on standard error, with the name below, a message, and whether "
	       "the "
	       "same call may succeed later.\n\n");
	for (int kind = ERR_NONE; kind < ERR_KINDS; kind++) {
		const struct err_info *info = err_info((enum err_kind)kind);

		printf("*%d* (%s)\n\t", info->exit_code, info->name);
		text(exit_meaning((enum err_kind)kind));
		printf(".\n\n");
	}
}

static void environment(void)
{
	printf("# ENVIRONMENT\n\n");
	for (const struct opt *o = global_opts; o->name; o++) {
		if (!o->env)
			continue;
		printf("*");
		text(o->env);
		printf("*\n\tStands in for *--%s*.\n\n", o->name);
	}
}

static void overview(void)
{
	head("holdfast", "backup for virtual machines, volumes and databases in private clouds");
	printf("# SYNOPSIS\n\n*holdfast* [_OPTION_]... _COMMAND_ [_ARGUMENT_]...\n\n"
	       "# DESCRIPTION\n\n"
	       "Makes consistent, incremental, deduplicated, encrypted checkpoints of virtual "
	       "machines, disks and streams, in a repository in a target, and brings them back. "
	       "Every "
	       "checkpoint restores alone, whatever else was deleted.\n\n"
	       "A repository is opened with a key: a key file (*--key-file*), or a passphrase, "
	       "which "
	       "is asked for or read from a file. Without a key nothing in a target can be "
	       "read.\n\n"
	       "# COMMANDS\n\n");
	COMMANDS_FOREACH(c)
	{
		if (c->hidden)
			continue;
		printf("*%s*", c->name);
		if (c->args[0])
			printf(" %s", c->args);
		printf("\n\t%c", toupper((unsigned char)c->summary[0]));
		text(c->summary + 1);
		printf(".\n\n");
	}
	options("# OPTIONS OF EVERY COMMAND", global_opts);
	environment();
	exit_codes();
	see_also(NULL);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "holdfast") == 0) {
		overview();
		return 0;
	}
	for (const struct noun *n = nouns; argc == 2 && n->name; n++) {
		if (strcmp(n->name, argv[1]) == 0) {
			noun_page(n);
			return 0;
		}
	}
	fprintf(stderr, "usage: holdfast-man PAGE\n");
	return 2;
}
