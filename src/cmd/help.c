/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cmd/cli.h"
#include "cmd/wrap.h"

#define OPTION_COLUMN 30

static void print_option(const struct opt *o)
{
	const char *const *choices = opt_choices(o);
	char head[64] = "  ", help[512];

	if (o->letter)
		snprintf(head, sizeof(head), "  -%c, ", o->letter);
	snprintf(head + strlen(head), sizeof(head) - strlen(head), "%s--%s%s%s",
		 o->letter ? "" : "    ", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
	snprintf(help, sizeof(help), "%s", o->help);
	for (size_t i = 0; choices && choices[i]; i++)
		snprintf(help + strlen(help), sizeof(help) - strlen(help), "%s%s", i ? ", " : ": ",
			 choices[i]);
	if (o->fallback)
		snprintf(help + strlen(help), sizeof(help) - strlen(help), " (default: %s)",
			 o->fallback);
	if (o->env)
		snprintf(help + strlen(help), sizeof(help) - strlen(help), " [$%s]", o->env);
	if (o->many)
		snprintf(help + strlen(help), sizeof(help) - strlen(help), "; may be repeated");
	printf("%-*s", OPTION_COLUMN, head);
	if (strlen(head) >= OPTION_COLUMN)
		printf("\n%*s", OPTION_COLUMN, "");
	wrap_print(help, OPTION_COLUMN, OPTION_COLUMN);
}

static void print_options(const char *title, const struct opt *list)
{
	if (!list || !list->name)
		return;
	printf("\n%s\n", title);
	for (const struct opt *o = list; o->name; o++)
		print_option(o);
}

static void print_command(const struct command *c)
{
	printf("holdfast %s%s%s: %s\n\n", c->name, c->args[0] ? " " : "", c->args, c->summary);
	wrap_print(c->text, 0, 0);
	print_options("Options", c->opts);
	print_options("Options of every command", global_opts);
	if (c->examples)
		printf("\nExamples\n");
	for (const char *p = c->examples; p && *p;) {
		size_t n = strcspn(p, "\n");

		printf("  %.*s\n", (int)n, p);
		p += n + (p[n] == '\n');
	}
}

static void print_list(const char *prefix)
{
	COMMANDS_FOREACH(c)
	{
		char head[64];

		if (!command_under(c, prefix))
			continue;
		snprintf(head, sizeof(head), "  %s%s%s", c->name, c->args[0] ? " " : "", c->args);
		printf("%-36s", head);
		if (strlen(head) >= 36)
			printf("\n%36s", "");
		wrap_print(c->summary, 36, 36);
	}
}

static const struct command *only_one(const char *prefix)
{
	COMMANDS_FOREACH(c)
	{
		if (prefix && strcmp(c->name, prefix) == 0)
			return c;
	}
	return NULL;
}

void help_print(const struct command *c, const char *prefix)
{
	if (!c)
		c = only_one(prefix);
	if (c) {
		print_command(c);
		return;
	}
	if (!prefix || !prefix[0])
		printf("holdfast: backup for virtual machines, volumes and databases in private "
		       "clouds\n\n"
		       "usage: holdfast [OPTION]… COMMAND [ARGUMENT]…\n\nCommands\n");
	else
		printf("Commands\n");
	print_list(prefix && prefix[0] ? prefix : NULL);
	print_options("Options of every command", global_opts);
	printf("\n'holdfast help COMMAND' tells more about one.\n");
}
