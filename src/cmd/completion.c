/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion rules for shells, printed from the grammar. All three ask one question of the words
 * typed so far: which commands go on from here, and which options does the command take.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/cli.h"

static void print_opts(const struct opt *list, const char *before, const char *after)
{
	for (const struct opt *o = list; o && o->name; o++)
		printf("%s--%s%s", before, o->name, after);
}

/* The words that may follow `prefix` (of n bytes) in any command. */
static void print_next(const char *prefix, size_t n)
{
	char seen[1024] = " ";

	COMMANDS_FOREACH(c)
	{
		const char *rest = c->name + n + (n > 0);
		char word[32]; /* with a space on both sides, as they are in `seen` */

		if (c->hidden || strncmp(c->name, prefix, n) != 0 || (n && c->name[n] != ' '))
			continue;
		snprintf(word, sizeof(word), " %.*s ", (int)strcspn(rest, " "), rest);
		if (strstr(seen, word))
			continue;
		strncat(seen, word + 1, sizeof(seen) - strlen(seen) - 1);
		fputs(word + 1, stdout);
	}
}

/* One case for every command and every prefix of one. */
static void bash_cases(void)
{
	const struct command *last = NULL;

	printf("\t'') words='");
	print_next("", 0);
	printf("help';;\n");
	COMMANDS_FOREACH(c)
	{
		const char *space = strchr(c->name, ' ');

		/* "target key" is printed once, before its first command. */
		for (; !c->hidden && space; space = strchr(space + 1, ' ')) {
			size_t n = (size_t)(space - c->name);
			bool before = last && strncmp(last->name, c->name, n) == 0 &&
				      last->name[n] == ' ';

			if (before)
				continue;
			printf("\t'%.*s') words='", (int)n, c->name);
			print_next(c->name, n);
			printf("';;\n");
		}
		if (c->hidden)
			continue;
		last = c;
		printf("\t'%s') opts='", c->name);
		print_opts(c->opts, "", " ");
		printf("'");
		if (strcmp(c->name, "completion") == 0)
			printf("; words='bash zsh fish'");
		printf(";;\n");
	}
}

static void print_bash(void)
{
	printf("# bash completion for holdfast\n"
	       "_holdfast() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} cmd='' words='' opts='' i w\n"
	       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "\t\tw=${COMP_WORDS[i]}\n"
	       "\t\tcase $w in\n"
	       "\t\t-t|-k|-o|-s|-p|-c|-n|-r|--target|--key-file|--output|--server|--project) "
	       "((i++));;\n"
	       "\t\t-*) ;;\n"
	       "\t\t*) _holdfast_known \"${cmd:+$cmd }$w\" && cmd=${cmd:+$cmd }$w;;\n"
	       "\t\tesac\n"
	       "\tdone\n"
	       "\t_holdfast_known \"$cmd\"\n"
	       "\tif [[ $cur == -* ]]; then\n"
	       "\t\tCOMPREPLY=($(compgen -W \"$opts");
	print_opts(global_opts, " ", "");
	printf("\" -- \"$cur\"))\n"
	       "\telif [[ -n $words ]]; then\n"
	       "\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	       "\telse\n"
	       "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n"
	       "\tfi\n"
	       "}\n"
	       "_holdfast_known() {\n"
	       "\twords='' opts=''\n"
	       "\tcase $1 in\n");
	bash_cases();
	printf("\t*) return 1;;\n\tesac\n}\ncomplete -o filenames -F _holdfast holdfast\n");
}

static void print_zsh(void)
{
	printf("#compdef holdfast\n# zsh completion for holdfast, by way of its bash rules\n"
	       "autoload -U +X bashcompinit && bashcompinit\n");
	print_bash();
}

/* A fish condition: these words of the command have been typed. */
static void fish_seen(const char *name, size_t n)
{
	printf("'string match -q -- \"%.*s*\" (__holdfast_words)'", (int)n, name);
}

static void print_fish(void)
{
	printf("# fish completion for holdfast\n"
	       "function __holdfast_words\n"
	       "\tset -l words (commandline -opc)\n"
	       "\tstring match -v -- '-*' $words[2..-1] | string join ' '\n"
	       "end\n");
	for (const struct noun *n = nouns; n->name; n++)
		printf("complete -c holdfast -n 'test -z (__holdfast_words)' -f -a %s -d '%s'\n",
		       n->name, n->summary);
	COMMANDS_FOREACH(c)
	{
		const char *space = strrchr(c->name, ' ');

		if (c->hidden)
			continue;
		if (space) {
			printf("complete -c holdfast -n ");
			fish_seen(c->name, (size_t)(space - c->name));
			printf(" -f -a %s -d '%s'\n", space + 1, c->summary);
		}
		for (const struct opt *o = c->opts; o && o->name; o++) {
			printf("complete -c holdfast -n ");
			fish_seen(c->name, strlen(c->name));
			printf(" -l %s%s\n", o->name, o->arg ? " -r" : "");
		}
	}
	for (const struct opt *o = global_opts; o->name; o++)
		printf("complete -c holdfast -l %s%s\n", o->name, o->arg ? " -r" : "");
}

int cmd_completion(struct cli *c, struct err *e)
{
	static const struct {
		const char *shell;
		void (*print)(void);
	} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

	for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
		if (strcmp(c->p.args[0], shells[i].shell) == 0) {
			shells[i].print();
			return 0;
		}
	}
	return err_set(e, ERR_INVALID, "no completion for the shell '%s': bash, zsh or fish",
		       c->p.args[0]);
}
