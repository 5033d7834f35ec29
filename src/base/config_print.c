/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table and its values as text for people.
 */
#include "base/config_priv.h"

#include <string.h>

/* ---- files ---- */

/* Text as a comment, broken between words at 96 columns. */
static void comment(FILE *out, const char *prefix, const char *text)
{
	size_t column = 0;

	for (const char *p = text; *p;) {
		size_t n = strcspn(p, " ");

		if (column > 0 && column + 1 + n > 96) {
			fputc('\n', out);
			column = 0;
		}
		column += (size_t)fprintf(out, "%s%.*s", column ? " " : prefix, (int)n, p);
		p += n;
		p += strspn(p, " ");
	}
	fputc('\n', out);
}

/* What begins with a capital letter and ends with a full stop. */
static char *sentence(const char *text)
{
	char *s = xasprintf("%s.", text);

	if (s[0] >= 'a' && s[0] <= 'z')
		s[0] = (char)(s[0] - 'a' + 'A');
	return s;
}

/* Quotes where spaces at the ends would be lost, or quotes be taken off. */
static void write_value(FILE *out, const char *text)
{
	size_t n = strlen(text);
	bool quote = n > 0 && (text[0] == ' ' || text[n - 1] == ' ' ||
			       (n > 1 && text[0] == '"' && text[n - 1] == '"'));

	for (const char *p = text; *p; p++) {
		if (p == text && quote)
			fputc('"', out);
		fputc(*p, out);
		if (*p == '\n')
			fputs("    ", out);
	}
	if (quote)
		fputc('"', out);
}

void config_print(const struct config *c, FILE *out)
{
	const struct config_schema *s = c->schema;
	const char *section = NULL;

	for (size_t i = 0; i < c->n; i++) {
		const struct config_option *o = &s->options[i];
		const struct config_value *v = &c->values[i];
		AUTO_FREE char *shown = config_value_shown(o, v->text ? v->text : "");

		if (!section || strcmp(section, o->section) != 0)
			fprintf(out, "%s[%s]\n", section ? "\n" : "", o->section);
		section = o->section;
		fprintf(out, "# %s\n%s%s =%s", v->where ? v->where : "default", v->text ? "" : "#",
			o->name, v->text ? " " : "");
		write_value(out, shown);
		fputc('\n', out);
	}
}

void config_print_example(const struct config_schema *schema, const char *title, FILE *out)
{
	const char *section = NULL;

	fprintf(out, "# %s\n", title);
	for (const struct config_option *o = schema->options; o->name; o++) {
		AUTO_FREE char *help = sentence(o->help);

		if (!section || strcmp(section, o->section) != 0)
			fprintf(out, "\n[%s]\n", o->section);
		section = o->section;
		fputc('\n', out);
		comment(out, "# ", help);
		fprintf(out, "#%s =%s%s\n", o->name, o->fallback ? " " : "",
			o->fallback ? o->fallback : "");
	}
}

/* ---- the manual ---- */

/* scdoc takes these for markup. */
static void manual_text(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (strchr("\\_*`", *s))
			fputc('\\', out);
		fputc(*s, out);
	}
}

static void manual_choices(const struct config_option *o, FILE *out)
{
	if (!o->choices || o->type == CONFIG_URL)
		return;
	fputs(o->type == CONFIG_LIST ? " Any of: " : " One of: ", out);
	for (const char *const *c = o->choices; *c; c++) {
		fputs(c == o->choices ? "" : ", ", out);
		manual_text(out, *c);
	}
	fputc('.', out);
}

static void manual_option(const struct config_schema *s, const struct config_option *o, FILE *out)
{
	AUTO_FREE char *variable = config_variable(s, o);
	AUTO_FREE char *help = sentence(o->help);

	fputc('*', out);
	manual_text(out, o->name);
	fputs("* = _", out);
	manual_text(out, config_value_word(o));
	fputs("_\n\t", out);
	manual_text(out, help);
	manual_choices(o, out);
	if (o->fallback) {
		fputs(" Default: ", out);
		manual_text(out, o->fallback);
		fputc('.', out);
	}
	fputs(o->live ? " Reload." : "", out);
	fputs(" Environment: *", out);
	manual_text(out, variable);
	fputs("*.\n\n", out);
}

void config_print_manual(const struct config_schema *schema, FILE *out)
{
	for (const struct config_section *i = schema->sections; i->name; i++) {
		AUTO_FREE char *help = sentence(i->help);

		fprintf(out, "## [%s]\n\n", i->name);
		manual_text(out, help);
		fputs("\n\n", out);
		for (const struct config_option *o = schema->options; o->name; o++) {
			if (strcmp(o->section, i->name) == 0)
				manual_option(schema, o, out);
		}
	}
}
