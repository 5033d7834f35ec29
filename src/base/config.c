/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values are set in the order of their rank: defaults, file, environment, command line; each
 * replaces the one before. A value that is wrong is told even if a higher rank replaces it.
 */
#include "base/config_priv.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fio.h"
#include "base/ini.h"

#define SECRET_MAX 65536u

/* ---- problems ---- */

void config_problems_done(struct config_problems *p)
{
	for (size_t i = 0; i < p->n && i < CONFIG_PROBLEMS_MAX; i++)
		free(p->text[i]);
	free(p->text);
	*p = (struct config_problems){0};
}

void config_problem_add(struct config_problems *p, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (p->n++ >= CONFIG_PROBLEMS_MAX)
		return;
	p->text = xreallocarray(p->text, p->n, sizeof(char *));
	p->text[p->n - 1] = xstrdup(text);
}

/* A value in a message: one line of it, not too long, and no password. */
static char *for_message(const struct config_option *o, const char *text)
{
	AUTO_FREE char *shown = config_value_shown(o, text ? text : "");
	size_t n = strcspn(shown, "\n");
	size_t cut = n > 80 ? 80 : n;

	return xasprintf("%.*s%s", (int)cut, shown, shown[cut] ? "…" : "");
}

/* ---- the table ---- */

static const struct config_option *find(const struct config_schema *s, const char *section,
					const char *name)
{
	for (const struct config_option *o = s->options; o->name; o++) {
		if (strcmp(o->section, section) == 0 && strcmp(o->name, name) == 0)
			return o;
	}
	return NULL;
}

static bool has_section(const struct config_schema *s, const char *name)
{
	for (const struct config_section *i = s->sections; i->name; i++) {
		if (strcmp(i->name, name) == 0)
			return true;
	}
	return false;
}

/* How many letters must be changed, put in or left out (Levenshtein); rows of at most 64. */
static size_t distance(const char *a, const char *b)
{
	size_t row[INI_NAME_MAX + 1], n = strlen(b);

	if (n > INI_NAME_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[n];
}

/* Keep in *best the name that is nearer to `word`, if it is near at all. */
static void nearer(const char *word, const char *name, const char **best, size_t *best_distance)
{
	size_t d = distance(word, name);

	if (d < *best_distance && d <= 1 + strlen(name) / 4) {
		*best = name;
		*best_distance = d;
	}
}

static const char *nearest_section(const struct config_schema *s, const char *word)
{
	const char *best = NULL;
	size_t d = SIZE_MAX;

	for (const struct config_section *i = s->sections; i->name; i++)
		nearer(word, i->name, &best, &d);
	return best;
}

static const char *nearest_option(const struct config_schema *s, const char *section,
				  const char *word)
{
	const char *best = NULL;
	size_t d = SIZE_MAX;

	for (const struct config_option *o = s->options; o->name; o++) {
		if (strcmp(o->section, section) == 0)
			nearer(word, o->name, &best, &d);
	}
	return best;
}

/* The section that has an option of this name, if it is one only. */
static const char *section_of(const struct config_schema *s, const char *name)
{
	const char *section = NULL;

	for (const struct config_option *o = s->options; o->name; o++) {
		if (strcmp(o->name, name) != 0)
			continue;
		if (section)
			return NULL;
		section = o->section;
	}
	return section;
}

static void no_such_option(const struct config_schema *s, struct config_problems *p,
			   const char *where, const char *section, const char *name)
{
	const char *near = nearest_option(s, section, name), *other = section_of(s, name);

	if (near)
		config_problem_add(p, "%s: [%s] has no option '%s': did you mean '%s'?", where,
				   section, name, near);
	else if (other)
		config_problem_add(p, "%s: [%s] has no option '%s': it belongs in [%s]", where,
				   section, name, other);
	else
		config_problem_add(p, "%s: [%s] has no option '%s'", where, section, name);
}

char *config_variable(const struct config_schema *s, const struct config_option *o)
{
	char *name = xasprintf("%s_%s_%s", s->prefix, o->section, o->name);

	for (char *c = name; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return name;
}

/* ---- loading ---- */

struct loading {
	struct config *c;
	struct config_problems *p;
	const char *file;
	unsigned *lines; /* where in the file each option was set; 0: it was not */
};

/* `place`: what to name when the value is wrong; `where` is kept. */
static void set(struct loading *l, const struct config_option *o, const char *text,
		const char *place, const char *where)
{
	struct config_value *v = &l->c->values[o - l->c->schema->options];
	AUTO_FREE char *shown = for_message(o, text);
	struct err e = {0};

	if (config_value_set(v, o, text, &e) < 0) {
		config_problem_add(l->p, "%s: [%s] %s '%s': %s", place, o->section, o->name, shown,
				   e.msg);
		return;
	}
	v->where = xstrdup0(where);
}

static void set_defaults(struct loading *l)
{
	for (const struct config_option *o = l->c->schema->options; o->name; o++)
		set(l, o, o->fallback, "default", NULL);
}

static void on_section(void *arg, const struct ini_entry *i)
{
	struct loading *l = arg;
	const char *near = nearest_section(l->c->schema, i->section);

	if (has_section(l->c->schema, i->section))
		return;
	config_problem_add(l->p, "%s:%u:%u: there is no section [%s]%s%s%s", l->file, i->line,
			   i->column, i->section, near ? ": did you mean [" : "", near ? near : "",
			   near ? "]?" : "");
}

static void on_entry(void *arg, const struct ini_entry *i)
{
	struct loading *l = arg;
	const struct config_option *o = find(l->c->schema, i->section, i->name);
	AUTO_FREE char *name_at = xasprintf("%s:%u:%u", l->file, i->line, i->column);
	AUTO_FREE char *value_at = xasprintf("%s:%u:%u", l->file, i->line,
					     i->value_column ? i->value_column : i->column);
	unsigned *line;

	if (!has_section(l->c->schema, i->section))
		return; /* told at its head */
	if (!o) {
		no_such_option(l->c->schema, l->p, name_at, i->section, i->name);
		return;
	}
	line = &l->lines[o - l->c->schema->options];
	if (*line) {
		config_problem_add(l->p, "%s: [%s] %s is set already in line %u", name_at,
				   i->section, i->name, *line);
		return;
	}
	*line = i->line;
	set(l, o, i->value, value_at, value_at);
}

static void on_problem(void *arg, unsigned line, unsigned column, const char *what)
{
	struct loading *l = arg;

	config_problem_add(l->p, "%s:%u:%u: %s", l->file, line, column, what);
}

static void read_file(struct loading *l, const struct config_source *src)
{
	struct ini_handler h = {on_section, on_entry, on_problem, l};
	AUTO_BUF text = BUF_INIT;
	struct err e = {0};

	if (src->text)
		ini_read(src->text, src->text_len, &h);
	else if (fio_slurp(l->file, INI_FILE_MAX, &text, &e) == 0)
		ini_read((const char *)text.data, text.len, &h);
	else if (e.kind != ERR_NOENT || !src->may_lack)
		config_problem_add(l->p, "%s", e.msg);
}

/* A variable that begins as ours do, with a section: is its option there? */
static void check_variable(struct loading *l, const char *variable)
{
	const struct config_schema *s = l->c->schema;
	size_t prefix = strlen(s->prefix);
	AUTO_FREE char *lower = xstrndup(variable, strcspn(variable, "="));

	if (strncmp(variable, s->prefix, prefix) != 0 || variable[prefix] != '_')
		return;
	for (char *c = lower; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	for (const struct config_section *i = s->sections; i->name; i++) {
		const char *rest = lower + prefix + 1;
		size_t n = strlen(i->name);
		AUTO_FREE char *where = xasprintf("environment %.*s", (int)strlen(lower), variable);

		if (strncmp(rest, i->name, n) == 0 && rest[n] == '_' && rest[n + 1] &&
		    strlen(rest + n + 1) <= INI_NAME_MAX && !find(s, i->name, rest + n + 1))
			no_such_option(s, l->p, where, i->name, rest + n + 1);
	}
}

static void read_environment(struct loading *l, const char *const *environment)
{
	for (const char *const *v = environment; v && *v; v++)
		check_variable(l, *v);
	for (const struct config_option *o = l->c->schema->options; o->name; o++) {
		AUTO_FREE char *name = config_variable(l->c->schema, o);
		AUTO_FREE char *where = xasprintf("environment %s", name);
		size_t n = strlen(name);

		for (const char *const *v = environment; v && *v; v++) {
			if (strncmp(*v, name, n) == 0 && (*v)[n] == '=')
				set(l, o, *v + n + 1, where, where);
		}
	}
}

struct config *config_load(const struct config_schema *schema, const struct config_source *src,
			   struct config_problems *p)
{
	struct config *c = xcalloc(1, sizeof(*c));
	struct loading l = {c, p, src->file, NULL};

	c->schema = schema;
	while (schema->options[c->n].name)
		c->n++;
	c->values = xcalloc(c->n + 1, sizeof(*c->values));
	l.lines = xcalloc(c->n + 1, sizeof(*l.lines));
	set_defaults(&l);
	if (src->file)
		read_file(&l, src);
	read_environment(&l, src->environ);
	for (size_t i = 0; i < src->n_given; i++) {
		const struct config_given *g = &src->given[i];
		const struct config_option *o = find(schema, g->section, g->name);

		if (o)
			set(&l, o, g->value, g->flag, g->flag);
		else
			no_such_option(schema, p, g->flag, g->section, g->name);
	}
	free(l.lines);
	return c;
}

void config_free(struct config *c)
{
	for (size_t i = 0; c && i < c->n; i++)
		config_value_done(&c->values[i]);
	if (c)
		free(c->values);
	free(c);
}

/* ---- files ---- */

static void check_file(const struct config *c, const struct config_option *o, const char *path,
		       struct config_problems *p)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct err e = {0};
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err_sys(&e, errno, "it cannot be read");
		config_problem(c, o->section, o->name, p, "%s", e.msg);
	} else if (!S_ISREG(st.st_mode)) {
		config_problem(c, o->section, o->name, p, "it is no file");
	} else if (o->type == CONFIG_SECRET && (st.st_mode & S_IRWXO)) {
		config_problem(c, o->section, o->name, p,
			       "everybody on this machine may read it: chmod o-rwx '%s'", path);
	}
}

void config_check_files(const struct config *c, struct config_problems *p)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct config_option *o = &c->schema->options[i];

		if ((o->type == CONFIG_FILE || o->type == CONFIG_SECRET) && c->values[i].text)
			check_file(c, o, c->values[i].text, p);
	}
}

int config_secret(const struct config *c, const char *section, const char *name,
		  struct secret **ret_s, struct err *e)
{
	const char *path = config_text(c, section, name);
	AUTO_CLOSE int fd = -1;
	AUTO(secret) s = NULL;
	ssize_t n;

	if (!path) {
		*ret_s = NULL;
		return 0;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, errno, "open '%s' ([%s] %s)", path, section, name);
	s = secret_new(SECRET_MAX + 1);
	n = fio_read(fd, s->data, SECRET_MAX + 1, path, e);
	if (n < 0)
		return -1;
	if ((size_t)n > SECRET_MAX)
		return err_set(e, ERR_LIMIT, "'%s' ([%s] %s) has more than %u bytes", path, section,
			       name, SECRET_MAX);
	if (n > 0 && s->data[n - 1] == '\n')
		n--;
	if (n > 0 && s->data[n - 1] == '\r')
		n--;
	if (n == 0)
		return err_set(e, ERR_INVALID, "'%s' ([%s] %s) is empty", path, section, name);
	*ret_s = secret_of(s->data, (size_t)n);
	return 0;
}

/* ---- values ---- */

static const struct config_value *value_of(const struct config *c, const char *section,
					   const char *name, unsigned types)
{
	const struct config_option *o = find(c->schema, section, name);

	if (!o || !(types & 1u << o->type))
		abort(); /* a defect: the table and its reader do not fit */
	return &c->values[o - c->schema->options];
}

#define TEXTS                                                                                      \
	(1u << CONFIG_TEXT | 1u << CONFIG_FILE | 1u << CONFIG_SECRET | 1u << CONFIG_PATH |         \
	 1u << CONFIG_URL)

const char *config_text(const struct config *c, const char *section, const char *name)
{
	return value_of(c, section, name, TEXTS)->text;
}

int64_t config_int(const struct config *c, const char *section, const char *name)
{
	return value_of(c, section, name, 1u << CONFIG_INT)->number;
}

uint64_t config_size(const struct config *c, const char *section, const char *name)
{
	return (uint64_t)value_of(c, section, name, 1u << CONFIG_SIZE)->number;
}

uint64_t config_us(const struct config *c, const char *section, const char *name)
{
	return (uint64_t)value_of(c, section, name, 1u << CONFIG_DURATION)->number;
}

bool config_bool(const struct config *c, const char *section, const char *name)
{
	return value_of(c, section, name, 1u << CONFIG_BOOL)->number != 0;
}

const char *const *config_list(const struct config *c, const char *section, const char *name)
{
	static const char *const none[] = {NULL};
	const struct config_value *v = value_of(c, section, name, 1u << CONFIG_LIST);

	return v->list ? (const char *const *)v->list : none;
}

const char *config_where(const struct config *c, const char *section, const char *name)
{
	const struct config_value *v = value_of(c, section, name, ~0u);

	return v->where ? v->where : "default";
}

void config_problem(const struct config *c, const char *section, const char *name,
		    struct config_problems *p, const char *fmt, ...)
{
	const struct config_option *o = find(c->schema, section, name);
	AUTO_FREE char *shown = for_message(o, value_of(c, section, name, ~0u)->text);
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	config_problem_add(p, "%s: [%s] %s '%s': %s", config_where(c, section, name), section, name,
			   shown, what);
}

/* ---- reloading ---- */

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

size_t config_take_over(struct config *c, const struct config *old,
			void (*changed)(const struct config_option *o, bool kept, void *arg),
			void *arg)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct config_option *o = &c->schema->options[i];
		const struct config_value *was = &old->values[i];

		if (same(c->values[i].text, was->text))
			continue;
		n++;
		changed(o, !o->live, arg);
		if (o->live)
			continue;
		config_value_set(&c->values[i], o, was->text, NULL);
		c->values[i].where = xstrdup0(was->where);
	}
	return n;
}
