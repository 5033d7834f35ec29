/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/human.h"
#include "cmd/cli.h"

#define JSON_STYLE (JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(6))

void cli_json(json_t *j)
{
	json_dumpf(j, stdout, JSON_STYLE);
	putchar('\n');
	json_decref(j);
}

/* One level deeper. */
static int put_indented(const char *text, size_t n, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < n; i++) {
		putchar(text[i]);
		if (text[i] == '\n')
			fputs("  ", stdout);
	}
	return 0;
}

void cli_json_item(size_t i, json_t *item)
{
	fputs(i ? ",\n  " : "[\n  ", stdout);
	json_dump_callback(item, put_indented, NULL, JSON_STYLE);
	json_decref(item);
}

void cli_json_end(size_t n)
{
	puts(n ? "\n]" : "[]");
}

/* Names come from guests and other tenants: nothing of them may command a terminal. */
char *cli_safe(const char *s)
{
	char *copy = xstrdup(s ? s : "");

	for (char *p = copy; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	return copy;
}

void cli_field(const char *name, const char *fmt, ...)
{
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *shown = NULL;
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	text = xmalloc((size_t)n + 1);
	vsnprintf(text, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	shown = cli_safe(text);
	printf("%-14s %s\n", name, shown);
}

/* ---- tables ---- */

#define COLUMNS_MAX 12

struct table {
	size_t columns;
	char align[COLUMNS_MAX];
	size_t widths[COLUMNS_MAX];
	char **cells; /* row by row, the titles first */
	size_t n, cap;
};

/* Characters, not bytes, of UTF-8. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

void table_row(struct table *t, const char *const *cells)
{
	if (t->n + t->columns > t->cap) {
		t->cap = t->cap ? 2 * t->cap : 16 * t->columns;
		t->cells = xreallocarray(t->cells, t->cap, sizeof(char *));
	}
	for (size_t i = 0; i < t->columns; i++) {
		char *cell = cli_safe(cells[i]);

		t->widths[i] = MAX(t->widths[i], width(cell));
		t->cells[t->n++] = cell;
	}
}

struct table *table_new(const char *const *titles, const char *align)
{
	struct table *t = xcalloc(1, sizeof(*t));

	t->columns = strlen(align);
	memcpy(t->align, align, t->columns);
	table_row(t, titles);
	return t;
}

static void print_cell(const struct table *t, size_t column, const char *cell)
{
	int pad = (int)(t->widths[column] - width(cell));
	bool last = column + 1 == t->columns;

	if (t->align[column] == 'r')
		printf("%*s%s", pad, "", cell);
	else
		printf("%s%*s", cell, last ? 0 : pad, "");
	fputs(last ? "\n" : "  ", stdout);
}

void table_print(struct table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		print_cell(t, i % t->columns, t->cells[i]);
		free(t->cells[i]);
	}
	free(t->cells);
	free(t);
}

/* ---- checkpoints for people ---- */

void point_summary(const struct point *p)
{
	static const char *const titles[] = {"disk", "size", "how", "read", "new", "time", NULL};
	struct table *t = table_new(titles, "lrlrrr");
	char size[HUMAN_TEXT], read[HUMAN_TEXT], fresh[HUMAN_TEXT], spent[HUMAN_TEXT];

	for (size_t i = 0; i < p->n_resources; i++) {
		for (size_t k = 0; k < p->resources[i].n_disks; k++) {
			const struct point_disk *d = &p->resources[i].disks[k];
			AUTO_FREE char *label = point_label(p, &p->resources[i], d->name);
			const char *const cells[] = {label,
						     human_bytes(d->tree.size, size),
						     d->mode ? d->mode : "",
						     human_bytes(d->stats.read, read),
						     human_bytes(d->stats.fresh, fresh),
						     human_duration(d->stats.spent_us, spent)};

			table_row(t, cells);
		}
	}
	table_print(t);
}

static void show_resource(const struct point_resource *r)
{
	char took[HUMAN_TEXT], size[HUMAN_TEXT];

	cli_field("resource", "%s %s (%s)", r->type, r->name, r->id);
	cli_field("platform", "%s", r->platform);
	if (strcmp(r->type, "domain") == 0) {
		cli_field("consistency", "%s (asked for: %s)%s%s", achieved_name(r->achieved),
			  consistency_name(r->asked), r->why_less ? ": " : "",
			  r->why_less ? r->why_less : "");
		if (r->frozen_us)
			cli_field("frozen", "%s", human_duration(r->frozen_us, took));
	}
	for (size_t i = 0; i < r->n_disks; i++) {
		const struct point_disk *d = &r->disks[i];

		cli_field(i ? "" : "disks", "%s  %s  %s  %s%s%s", d->name,
			  human_bytes(d->tree.size, size), d->format ? d->format : "",
			  d->mode ? d->mode : "", d->reason ? ": " : "",
			  d->reason ? d->reason : "");
	}
	for (size_t i = 0; i < r->n_items; i++)
		cli_field(i ? "" : "items", "%s  %s", r->items[i].name,
			  human_bytes(r->items[i].tree.size, size));
}

void point_show(const struct point *p)
{
	char id[UUID_TEXT], when[CLOCK_TEXT];
	char content[HUMAN_TEXT], read[HUMAN_TEXT], fresh[HUMAN_TEXT], stored[HUMAN_TEXT];
	char took[HUMAN_TEXT];

	cli_field("checkpoint", "%s", uuid_text(&p->id, id));
	cli_field("time", "%s", clock_local(p->instant_us, when));
	if (p->n_resources > 1)
		cli_field("window", "%s, of %zu machines", human_duration(p->window_us, took),
			  p->n_resources);
	for (size_t i = 0; i < p->n_resources; i++)
		show_resource(&p->resources[i]);
	for (size_t i = 0; i < p->n_tags; i++)
		cli_field(i ? "" : "tags", "%s", p->tags[i]);
	if (!uuid_is_zero(&p->origin))
		cli_field("copy of", "%s", uuid_text(&p->origin, id));
	if (!uuid_is_zero(&p->parent))
		cli_field("compared with", "%s", uuid_text(&p->parent, id));
	if (p->lock.mode)
		cli_field("locked until", "%s, in %s mode", clock_local(p->lock.until_us, when),
			  lock_mode_name(p->lock.mode));
	cli_field("statistics", "%s of content, %s read, %s new, %s stored, %s",
		  human_bytes(p->stats.content, content), human_bytes(p->stats.read, read),
		  human_bytes(p->stats.fresh, fresh), human_bytes(p->stats.stored, stored),
		  human_duration(p->stats.spent_us, took));
	for (size_t i = 0; i < p->n_warnings; i++)
		cli_field(i ? "" : "warnings", "%s", p->warnings[i]);
	cli_field("written by", "%s", p->writer ? p->writer : "");
}
