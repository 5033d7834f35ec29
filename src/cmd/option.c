/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/option.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- finding ---- */

static const struct opt *find_opt(const struct opt *list, const char *name)
{
	for (const struct opt *o = list; o && o->name; o++) {
		if (strcmp(o->name, name) == 0)
			return o;
	}
	return NULL;
}

const struct command *command_next(const struct command *c)
{
	const struct command *const *t = command_tables;

	if (!c)
		return *t;
	if (c[1].name)
		return c + 1;
	/* The end of which table? */
	for (; *t; t++) {
		const struct command *end = *t;

		while (end->name)
			end++;
		if (c + 1 == end)
			return t[1];
	}
	return NULL;
}

enum side command_side(const struct command *c)
{
	if (c->remote)
		return c->run ? SIDE_BOTH : SIDE_SERVER;
	return SIDE_TARGET;
}

bool command_under(const struct command *c, const char *words)
{
	size_t n = words ? strlen(words) : 0;

	if (c->hidden || n == 0)
		return !c->hidden;
	return strncmp(c->name, words, n) == 0 && (c->name[n] == 0 || c->name[n] == ' ');
}

const char *const *opt_choices(const struct opt *o)
{
	return o->choices && !strstr(o->help, o->choices[0]) ? o->choices : NULL;
}

/* Do the words argv[0], argv[1] … spell the command? Its number of words, else 0. */
static int spells(const char *name, char *const *argv, int argc)
{
	int words = 0;

	for (const char *p = name; *p; words++) {
		size_t n = strcspn(p, " ");

		if (words == argc || strlen(argv[words]) != n || strncmp(argv[words], p, n) != 0)
			return 0;
		p += n;
		p += *p == ' ';
	}
	return words;
}

static const struct command *find_command(char *const *argv, int argc, int *ret_words)
{
	const struct command *best = NULL;

	*ret_words = 0;
	COMMANDS_FOREACH(c)
	{
		int words = spells(c->name, argv, argc);

		if (words > *ret_words) {
			*ret_words = words;
			best = c;
		}
	}
	return best;
}

/* Is there a command that starts with these words? */
static bool is_prefix(const char *prefix)
{
	size_t n = strlen(prefix);

	COMMANDS_FOREACH(c)
	{
		if (!c->hidden && strncmp(c->name, prefix, n) == 0 &&
		    (c->name[n] == ' ' || c->name[n] == 0))
			return true;
	}
	return false;
}

/* ---- parsing ---- */

#define OPTS_MAX 64
#define LONG_BASE 1000 /* values of long options for getopt, beyond any letter */

struct getopt_tables {
	const struct opt *opts[OPTS_MAX];
	struct option longs[OPTS_MAX + 1];
	char shorts[2 * OPTS_MAX + 4];
	size_t n;
};

static void add_opts(struct getopt_tables *t, const struct opt *list)
{
	for (const struct opt *o = list; o && o->name && t->n < OPTS_MAX; o++) {
		char letter[3] = {o->letter, o->arg ? ':' : 0, 0};

		t->longs[t->n] = (struct option){o->name, o->arg ? required_argument : no_argument,
						 NULL, LONG_BASE + (int)t->n};
		t->opts[t->n++] = o;
		if (o->letter)
			strncat(t->shorts, letter, sizeof(t->shorts) - strlen(t->shorts) - 1);
	}
}

static const struct opt *opt_of(const struct getopt_tables *t, int got)
{
	if (got >= LONG_BASE)
		return t->opts[got - LONG_BASE];
	for (size_t i = 0; i < t->n; i++) {
		if (t->opts[i]->letter == got)
			return t->opts[i];
	}
	return NULL;
}

static int check_choice(const struct opt *o, const char *value, struct err *e)
{
	char all[256] = "";

	for (const char *const *c = o->choices; c && *c; c++) {
		if (strcmp(*c, value) == 0)
			return 0;
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", all[0] ? ", " : "",
			 *c);
	}
	if (!o->choices)
		return 0;
	return err_set(e, ERR_INVALID, "--%s '%s': it is one of %s", o->name, value, all);
}

static int take_value(struct parsed *p, const struct opt *o, const char *value, struct err *e)
{
	if (o->arg && check_choice(o, value, e) < 0)
		return -1;
	for (size_t i = 0; i < p->n_values && !o->many; i++) {
		if (p->values[i].opt == o) {
			p->values[i].text = value;
			return 0;
		}
	}
	p->values = xreallocarray(p->values, p->n_values + 1, sizeof(*p->values));
	p->values[p->n_values++] = (struct opt_value){o, value};
	return 0;
}

static int bad_option(const struct parsed *p, int got, const char *word, struct err *e)
{
	const char *where = p->command ? p->command->name : "";

	if (got == ':')
		return err_set(e, ERR_INVALID, "option %s needs a value: see 'holdfast help %s'",
			       word, where);
	return err_set(e, ERR_INVALID, "there is no option %s here: see 'holdfast help %s'", word,
		       where);
}

/* Parse options from argv[1] on; stops at the first other word if `stop`. */
static int parse_opts(struct parsed *p, int argc, char **argv, bool stop, struct err *e)
{
	struct getopt_tables t = {.n = 0};
	int got;

	/* "+": stop at the first word; ":": tell a missing value from an unknown option. */
	snprintf(t.shorts, sizeof(t.shorts), "%s", stop ? "+:" : ":");
	add_opts(&t, global_opts);
	add_opts(&t, p->command ? p->command->opts : NULL);
	opterr = 0;
	optind = 0;
	while ((got = getopt_long(argc, argv, t.shorts, t.longs, NULL)) != -1) {
		const struct opt *o = got == '?' || got == ':' ? NULL : opt_of(&t, got);

		if (!o)
			return bad_option(p, got, argv[optind - 1], e);
		if (strcmp(o->name, "help") == 0)
			p->help = true;
		else if (take_value(p, o, o->arg ? optarg : "", e) < 0)
			return -1;
	}
	return 0;
}

static int count_args(const struct parsed *p, struct err *e)
{
	const struct command *c = p->command;

	if (p->help)
		return 0;
	if (p->n_args < c->min_args)
		return err_set(e, ERR_INVALID, "'holdfast %s' needs %s: see 'holdfast help %s'",
			       c->name, c->args, c->name);
	if (c->max_args >= 0 && p->n_args > c->max_args)
		return err_set(e, ERR_INVALID, "'%s' is one word too many: see 'holdfast help %s'",
			       p->args[c->max_args], c->name);
	return 0;
}

static int no_such_command(char *const *argv, int argc, struct err *e)
{
	char words[128] = "";

	for (int i = 0; i < argc && i < 3 && argv[i][0] != '-'; i++)
		snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s", i ? " " : "",
			 argv[i]);
	if (is_prefix(words))
		return err_set(e, ERR_INVALID, "'holdfast %s' lacks a word: see 'holdfast help %s'",
			       words, words);
	return err_set(e, ERR_INVALID, "there is no command 'holdfast %s': see 'holdfast help'",
		       words);
}

/* "help target key": help on everything that starts so. */
static int take_help(struct parsed *p, char *const *argv, int argc, struct err *e)
{
	static char prefix[128];

	p->help = true;
	p->command = NULL;
	prefix[0] = 0;
	for (int i = 0; i < argc; i++)
		snprintf(prefix + strlen(prefix), sizeof(prefix) - strlen(prefix), "%s%s",
			 i ? " " : "", argv[i]);
	p->help_prefix = prefix;
	if (prefix[0] && !is_prefix(prefix))
		return no_such_command(argv, argc, e);
	return 0;
}

int parse_args(int argc, char **argv, struct parsed *ret_p, struct err *e)
{
	struct parsed p = {0};
	int words, rc;

	rc = parse_opts(&p, argc, argv, true, e);
	argv += optind - 1;
	argc -= optind - 1;
	if (rc == 0 && argc > 1 && strcmp(argv[1], "help") == 0) {
		rc = take_help(&p, argv + 2, argc - 2, e);
	} else if (rc == 0 && argc > 1) {
		p.command = find_command(argv + 1, argc - 1, &words);
		if (!p.command && p.help)
			rc = take_help(&p, argv + 1, argc - 1, e);
		else if (!p.command)
			rc = no_such_command(argv + 1, argc - 1, e);
		else
			rc = parse_opts(&p, argc - words, argv + words, false, e);
		if (rc == 0 && p.command) {
			p.args = (const char **)(argv + words + optind);
			p.n_args = argc - words - optind;
			rc = count_args(&p, e);
		}
	}
	if (rc < 0)
		parsed_done(&p);
	else
		*ret_p = p;
	return rc;
}

void parsed_done(struct parsed *p)
{
	free(p->values);
	*p = (struct parsed){0};
}

/* ---- values ---- */

const char *parsed_given(const struct parsed *p, const char *name)
{
	for (size_t i = p->n_values; i-- > 0;) {
		if (strcmp(p->values[i].opt->name, name) == 0)
			return p->values[i].text;
	}
	return NULL;
}

const char *parsed_text(const struct parsed *p, const char *name)
{
	const struct opt *o = find_opt(p->command ? p->command->opts : NULL, name);
	const char *given = parsed_given(p, name);

	if (given)
		return given;
	if (!o)
		o = find_opt(global_opts, name);
	if (o && o->env) {
		const char *value = getenv(o->env);

		return value && value[0] ? value : NULL;
	}
	return NULL;
}

bool parsed_flag(const struct parsed *p, const char *name)
{
	return parsed_text(p, name) != NULL;
}

const char **parsed_list(const struct parsed *p, const char *name)
{
	const char **list = NULL;
	size_t n = 0;

	for (size_t i = 0; i < p->n_values; i++) {
		if (strcmp(p->values[i].opt->name, name) != 0)
			continue;
		list = xreallocarray(list, n + 2, sizeof(char *));
		list[n++] = p->values[i].text;
		list[n] = NULL;
	}
	return list;
}
