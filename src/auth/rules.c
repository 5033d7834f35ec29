/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/rules.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fio.h"
#include "base/text.h"

struct rules {
	struct rule *v;
	size_t n;
};

struct rules *rules_new(void)
{
	struct rules *r = xcalloc(1, sizeof(*r));
	const struct rule *table = rules_table(&r->n);

	r->v = xreallocarray(NULL, r->n, sizeof(*r->v));
	memcpy(r->v, table, r->n * sizeof(*r->v));
	return r;
}

void rules_free(struct rules *r)
{
	if (!r)
		return;
	free(r->v);
	free(r);
}

/* ---- reading a file ---- */

struct line {
	const char *file;
	unsigned number;
};

static int read_roles(const struct line *at, char *list, struct rule *ret, struct err *e)
{
	char *save = NULL;

	for (char *word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		bool everywhere = false;
		char *name = text_trim(word);
		size_t n = strlen(name);
		unsigned role;

		if (n > 2 && !strcmp(name + n - 2, "@*")) {
			everywhere = true;
			name[n - 2] = 0;
		}
		role = auth_role_of(name);
		if (!role)
			return err_set(e, ERR_INVALID,
				       "%s:%u: \"%.40s\" is no role: they are admin, operator, "
				       "member, viewer, backup-only, restore-only and mover",
				       at->file, at->number, name);
		if (everywhere)
			ret->everywhere |= role;
		else
			ret->roles |= role;
	}
	return 0;
}

/* Change all rules that `action` means. Returns how many. */
static size_t change(struct rules *r, const char *action, const struct rule *to)
{
	size_t n = strlen(action);
	bool all = n && action[n - 1] == '*';
	size_t found = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (all ? strncmp(r->v[i].action, action, n - 1) : strcmp(r->v[i].action, action))
			continue;
		r->v[i].roles = to->roles;
		r->v[i].everywhere = to->everywhere;
		found++;
	}
	return found;
}

/* Name those that begin with the same word. */
static int no_such_action(const struct rules *r, const struct line *at, const char *action,
			  struct err *e)
{
	size_t word = strcspn(action, ":");
	char like[300] = "";
	size_t n = 0;

	for (size_t i = 0; i < r->n && n < sizeof(like) - 1; i++)
		if (!strncmp(r->v[i].action, action, word) && r->v[i].action[word] == ':')
			n += (size_t)snprintf(like + n, sizeof(like) - n, "%s%s",
					      n ? ", " : "; there are ", r->v[i].action);
	return err_set(e, ERR_INVALID, "%s:%u: there is no action \"%.60s\"%s", at->file,
		       at->number, action, like);
}

static int read_line(struct rules *r, const struct line *at, char *text, struct err *e)
{
	struct rule to = {0};
	char *hash = strchr(text, '#');
	char *equals;
	char *action;

	if (hash)
		*hash = 0;
	action = text_trim(text);
	if (!*action)
		return 0;
	equals = strchr(action, '=');
	if (!equals)
		return err_set(e, ERR_INVALID,
			       "%s:%u: write \"action = role, role\", for example \"plan:delete = "
			       "operator\"",
			       at->file, at->number);
	*equals = 0;
	action = text_trim(action);
	if (read_roles(at, equals + 1, &to, e))
		return -1;
	return change(r, action, &to) ? 0 : no_such_action(r, at, action, e);
}

struct rules *rules_parse(const char *text, size_t n, const char *name, struct err *e)
{
	AUTO(rules) r = rules_new();
	struct line at = {name, 0};
	const char *end = text + n;

	if (n > RULES_FILE_MAX) {
		err_set(e, ERR_LIMIT, "%s: longer than %zu KiB", name, RULES_FILE_MAX >> 10);
		return NULL;
	}
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((stop ? stop : end) - text);
		char line[RULES_LINE_MAX];

		at.number++;
		if (len >= sizeof(line) || memchr(text, 0, len)) {
			err_set(e, ERR_INVALID, "%s:%u: the line has a NUL or is longer than %d",
				name, at.number, RULES_LINE_MAX - 1);
			return NULL;
		}
		memcpy(line, text, len);
		line[len] = 0;
		if (read_line(r, &at, line, e))
			return NULL;
		text += len + (stop != NULL);
	}
	return steal(&r);
}

struct rules *rules_load(const char *path, struct err *e)
{
	AUTO_BUF b = BUF_INIT;

	if (fio_slurp(path, RULES_FILE_MAX, &b, e))
		return NULL;
	return rules_parse(buf_str(&b), b.len, path, e);
}

/* ---- deciding ---- */

static int by_action(const void *key, const void *rule)
{
	return strcmp(key, ((const struct rule *)rule)->action);
}

const struct rule *rules_get(const struct rules *r, const char *action)
{
	return bsearch(action, r->v, r->n, sizeof(*r->v), by_action);
}

int rules_allow(const struct rules *r, const struct identity *id, const char *action,
		const char *project, struct err *e)
{
	const struct rule *rule = rules_get(r, action);
	char have[AUTH_ROLES_TEXT];
	char need[AUTH_ROLES_TEXT];
	bool here = project && !strcmp(project, id->project_id);

	if (!rule)
		return err_set(e, ERR_DENIED, "there is no rule \"%s\", so nobody may do it",
			       action);
	if (id->admin || (id->everywhere & (rule->roles | rule->everywhere)))
		return 0;
	if (here && (id->roles & rule->roles))
		return 0;
	if (project && !here)
		return err_set(e, ERR_DENIED,
			       "the rule \"%s\" does not let you do this in project %.64s", action,
			       project);
	auth_roles_text(rule->roles | rule->everywhere | AUTH_ADMIN, need);
	auth_roles_text(id->roles, have);
	return err_set(e, ERR_DENIED, "the rule \"%s\" asks for one of the roles %s%s; yours: %s",
		       action, need, rule->roles && here ? "" : " held everywhere",
		       *have ? have : "none");
}
