/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/point.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "repo/object.h"

const char *consistency_name(enum consistency c)
{
	static const char *const names[] = {"off", "best-effort", "required"};

	return (size_t)c < ARRAY_LEN(names) ? names[c] : "unknown";
}

const char *achieved_name(enum achieved a)
{
	static const char *const names[] = {"unknown", "crash", "quiesced", "shut-off"};

	return (size_t)a < ARRAY_LEN(names) ? names[a] : "unknown";
}

/* ---- members ---- */

struct point *point_new(void)
{
	return xcalloc(1, sizeof(struct point));
}

typedef void text_fn(void *arg, char **text);

static void each_disk_text(struct point_resource *r, text_fn *fn, void *arg)
{
	for (size_t i = 0; i < r->n_disks; i++) {
		struct point_disk *d = &r->disks[i];

		fn(arg, &d->name);
		fn(arg, &d->source);
		fn(arg, &d->format);
		fn(arg, &d->tracking);
		fn(arg, &d->mode);
		fn(arg, &d->reason);
	}
}

static void each_text(struct point *p, text_fn *fn, void *arg)
{
	fn(arg, &p->writer);
	for (size_t i = 0; i < p->n_tags; i++)
		fn(arg, &p->tags[i]);
	for (size_t i = 0; i < p->n_warnings; i++)
		fn(arg, &p->warnings[i]);
	for (size_t i = 0; i < p->n_resources; i++) {
		struct point_resource *r = &p->resources[i];

		fn(arg, &r->type);
		fn(arg, &r->id);
		fn(arg, &r->name);
		fn(arg, &r->platform);
		fn(arg, &r->why_less);
		for (size_t k = 0; k < r->n_items; k++)
			fn(arg, &r->items[k].name);
		each_disk_text(r, fn, arg);
	}
}

static void free_text(void *arg, char **text)
{
	(void)arg;
	free(*text);
}

static void share_text(void *arg, char **text)
{
	char *own = *text;

	if (own)
		*text = intern(arg, own);
	free(own);
}

void point_drop_disks(struct point_resource *r)
{
	each_disk_text(r, free_text, NULL);
	r->n_disks = 0;
}

static void free_strings(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

void point_free(struct point *p)
{
	if (p && !p->in_list) {
		each_text(p, free_text, NULL);
		for (size_t i = 0; i < p->n_resources; i++) {
			free(p->resources[i].disks);
			free(p->resources[i].items);
		}
		free(p->resources);
		free(p->tags);
		free(p->warnings);
	}
	free(p);
}

struct point_resource *point_add_resource(struct point *p, const char *type, const char *id,
					  const char *name, const char *platform)
{
	struct point_resource *r;

	p->resources = xreallocarray(p->resources, p->n_resources + 1, sizeof(*r));
	r = &p->resources[p->n_resources++];
	*r = (struct point_resource){.type = xstrdup(type),
				     .id = xstrdup(id),
				     .name = xstrdup(name),
				     .platform = xstrdup(platform)};
	return r;
}

struct point_disk *point_add_disk(struct point_resource *r, const char *name)
{
	struct point_disk *d;

	r->disks = xreallocarray(r->disks, r->n_disks + 1, sizeof(*d));
	d = &r->disks[r->n_disks++];
	*d = (struct point_disk){.name = xstrdup(name)};
	return d;
}

struct point_item *point_add_item(struct point_resource *r, const char *name)
{
	struct point_item *it;

	r->items = xreallocarray(r->items, r->n_items + 1, sizeof(*it));
	it = &r->items[r->n_items++];
	*it = (struct point_item){.name = xstrdup(name)};
	return it;
}

static void add_string(char ***list, size_t *n, char *take)
{
	*list = xreallocarray(*list, *n + 1, sizeof(char *));
	(*list)[(*n)++] = take;
}

void point_add_tag(struct point *p, const char *tag)
{
	add_string(&p->tags, &p->n_tags, xstrdup(tag));
}

void point_add_warning(struct point *p, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add_string(&p->warnings, &p->n_warnings, xstrdup(text));
}

struct point_disk *point_find_disk(const struct point_resource *r, const char *name)
{
	for (size_t i = 0; i < r->n_disks; i++) {
		if (strcmp(r->disks[i].name, name) == 0)
			return &r->disks[i];
	}
	return NULL;
}

struct point_item *point_find_item(const struct point_resource *r, const char *name)
{
	for (size_t i = 0; i < r->n_items; i++) {
		if (strcmp(r->items[i].name, name) == 0)
			return &r->items[i];
	}
	return NULL;
}

int point_each_tree(const struct point *p, point_tree_fn *fn, void *arg, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < p->n_resources; i++) {
		const struct point_resource *r = &p->resources[i];

		for (size_t k = 0; k < r->n_items && rc == 0; k++)
			rc = fn(arg, r, r->items[k].name, &r->items[k].tree, e);
		for (size_t k = 0; k < r->n_disks && rc == 0; k++)
			rc = fn(arg, r, r->disks[k].name, &r->disks[k].tree, e);
	}
	return rc;
}

/* ---- in a repository ---- */

void point_key_name(const struct uuid *id, char out[STORE_KEY_MAX])
{
	char text[UUID_TEXT];

	snprintf(out, STORE_KEY_MAX, "points/%s", uuid_text(id, text));
}

bool point_key_parse(const char *key, struct uuid *ret_id)
{
	char same[STORE_KEY_MAX];

	if (strncmp(key, "points/", 7) != 0 || !uuid_parse(key + 7, ret_id))
		return false;
	point_key_name(ret_id, same);
	return strcmp(key, same) == 0;
}

struct point *point_load(struct repo *r, const struct uuid *id, struct err *e)
{
	AUTO_BUF body = BUF_INIT;
	uint8_t hash[HASH_BYTES];
	char key[STORE_KEY_MAX];
	AUTO(point) p = NULL;

	point_key_name(id, key);
	if (object_get(repo_store(r), repo_keys(r), key, BOX_POINT, &body, hash, e) < 0)
		return NULL;
	p = point_decode(body.data, body.len, e);
	if (p && !uuid_equal(&p->id, id))
		err_set(e, ERR_CORRUPT, "this is another checkpoint's point");
	if (!p || !uuid_equal(&p->id, id)) {
		err_wrap(e, "%s/%s", repo_store(r)->url, key);
		return NULL;
	}
	memcpy(p->hash, hash, HASH_BYTES);
	for (size_t i = 0; i < p->n_resources; i++) {
		for (size_t k = 0; k < p->resources[i].n_disks; k++)
			p->resources[i].disks[k].point = *id;
	}
	return steal(&p);
}

int point_is_there(struct repo *r, const struct uuid *id, struct err *e)
{
	char key[STORE_KEY_MAX];

	point_key_name(id, key);
	return store_has(repo_store(r), key, e);
}

int point_delete(struct repo *r, const struct uuid *id, struct err *e)
{
	char key[STORE_KEY_MAX];
	uint64_t size;

	point_key_name(id, key);
	if (store_size(store_behind(repo_store(r)), key, &size, e) < 0)
		return -1;
	return store_remove(repo_store(r), key, e);
}

struct ids {
	struct uuid *v;
	size_t n, cap;
};

static int note_id(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct ids *l = arg;
	struct uuid id;

	(void)size;
	(void)e;
	if (!point_key_parse(key, &id))
		return 0;
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 256;
		l->v = xreallocarray(l->v, l->cap, sizeof(*l->v));
	}
	l->v[l->n++] = id;
	return 0;
}

int point_list_ids(struct repo *r, struct uuid **ret_ids, size_t *ret_n, struct err *e)
{
	struct ids l = {0};

	if (store_list(repo_store(r), "points/", note_id, &l, e) < 0) {
		free(l.v);
		return -1;
	}
	*ret_ids = l.v;
	*ret_n = l.n;
	return 0;
}

struct listing {
	struct repo *repo;
	struct point_list *list;
};

/* Copy `n` bytes of an array to *at, which moves on, and free the original. */
static void *move_array(uint8_t **at, void *array, size_t n)
{
	void *copy = *at;

	if (n)
		memcpy(copy, array, n);
	free(array);
	*at += n;
	return copy;
}

/* In one piece, with the texts of `texts`: a hundred thousand checkpoints are loaded at once, and
 * most of what they say is what others say, too. */
static struct point *compact(struct point *p, struct intern *texts)
{
	size_t n = sizeof(*p) + p->n_resources * sizeof(*p->resources) +
		   (p->n_tags + p->n_warnings) * sizeof(char *);
	struct point *one;
	uint8_t *at;

	each_text(p, share_text, texts);
	for (size_t i = 0; i < p->n_resources; i++)
		n += p->resources[i].n_disks * sizeof(struct point_disk) +
		     p->resources[i].n_items * sizeof(struct point_item);
	at = xmalloc(n);
	one = move_array(&at, p, sizeof(*p));
	one->in_list = true;
	one->tags = move_array(&at, one->tags, one->n_tags * sizeof(char *));
	one->warnings = move_array(&at, one->warnings, one->n_warnings * sizeof(char *));
	one->resources =
		move_array(&at, one->resources, one->n_resources * sizeof(*one->resources));
	for (size_t i = 0; i < one->n_resources; i++) {
		struct point_resource *r = &one->resources[i];

		r->disks = move_array(&at, r->disks, r->n_disks * sizeof(*r->disks));
		r->items = move_array(&at, r->items, r->n_items * sizeof(*r->items));
	}
	return one;
}

void point_list_add(struct point_list *l, struct point *p)
{
	if (!l->texts)
		l->texts = intern_new();
	l->points = xreallocarray(l->points, l->n + 1, sizeof(struct point *));
	l->points[l->n++] = compact(p, l->texts);
}

static int load_one(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct listing *l = arg;
	struct err why = {0};
	struct point *p;
	struct uuid id;

	(void)size;
	if (!point_key_parse(key, &id))
		return 0;
	p = point_load(l->repo, &id, &why);
	if (p) {
		point_list_add(l->list, p);
		return 0;
	}
	if (why.kind == ERR_NOENT)
		return 0; /* deleted meanwhile */
	if (why.kind != ERR_CORRUPT && why.kind != ERR_VERSION && why.kind != ERR_LIMIT) {
		if (e)
			*e = why;
		return -1;
	}
	add_string(&l->list->damaged, &l->list->n_damaged, xstrdup(why.msg));
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct point *p = *(struct point *const *)a, *q = *(struct point *const *)b;

	if (p->instant_us != q->instant_us)
		return p->instant_us < q->instant_us ? -1 : 1;
	return memcmp(p->id.b, q->id.b, 16);
}

int point_list_load(struct repo *r, struct point_list *ret_l, struct err *e)
{
	struct point_list list = {0};
	struct listing l = {r, &list};

	if (store_list(repo_store(r), "points/", load_one, &l, e) < 0) {
		point_list_done(&list);
		return -1;
	}
	if (list.n)
		qsort(list.points, list.n, sizeof(struct point *), by_time);
	*ret_l = list;
	return 0;
}

void point_list_done(struct point_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		point_free(l->points[i]);
	free(l->points);
	free_strings(l->damaged, l->n_damaged);
	intern_free(l->texts);
	*l = (struct point_list){0};
}

static bool has_resource(const struct point *p, const char *name, size_t n)
{
	for (size_t i = 0; i < p->n_resources; i++) {
		const struct point_resource *r = &p->resources[i];

		if ((strlen(r->name) == n && strncmp(r->name, name, n) == 0) ||
		    (strlen(r->id) == n && strncmp(r->id, name, n) == 0))
			return true;
	}
	return false;
}

/* The newest one, of the named resource if `n` is not 0. */
static struct point *find_latest(const struct point_list *l, const char *name, size_t n,
				 struct err *e)
{
	for (size_t i = l->n; i-- > 0;) {
		if (n == 0 || has_resource(l->points[i], name, n))
			return l->points[i];
	}
	if (n == 0)
		err_set(e, ERR_NOENT, "there are no checkpoints yet");
	else
		err_set(e, ERR_NOENT,
			"there is no checkpoint of '%.*s': see 'holdfast checkpoint list'", (int)n,
			name);
	return NULL;
}

static bool prefix_matches(const struct uuid *id, const char *ref)
{
	char text[UUID_TEXT];

	uuid_text(id, text);
	for (size_t i = 0; ref[i]; i++) {
		if (i == UUID_TEXT - 1 || tolower((unsigned char)ref[i]) != text[i])
			return false;
	}
	return true;
}

#define REF_MIN 4
#define LATEST "latest"

char *point_resource_names(const struct point *p)
{
	AUTO_BUF b = BUF_INIT;

	for (size_t i = 0; i < p->n_resources; i++)
		buf_fmt(&b, "%s%s", i ? ", " : "", p->resources[i].name);
	return xstrdup(b.len ? buf_str(&b) : "nothing");
}

char *point_label(const struct point *p, const struct point_resource *r, const char *what)
{
	return p->n_resources > 1 ? xasprintf("%s:%s", r->name, what) : xstrdup(what);
}

bool point_is_called(const struct point *p, const struct point_resource *r, const char *what,
		     const char *name)
{
	AUTO_FREE char *label = point_label(p, r, what);

	return strcmp(label, name) == 0;
}

const char *point_disk_names(const struct point *p, char out[POINT_NAMES])
{
	size_t len = 0;

	snprintf(out, POINT_NAMES, "none");
	for (size_t i = 0; i < p->n_resources; i++) {
		const struct point_resource *r = &p->resources[i];

		for (size_t k = 0; k < r->n_disks && len < POINT_NAMES; k++) {
			AUTO_FREE char *label = point_label(p, r, r->disks[k].name);

			len += (size_t)snprintf(out + len, POINT_NAMES - len, "%s%s",
						len ? ", " : "", label);
		}
	}
	return out;
}

struct point *point_list_find(const struct point_list *l, const char *ref, struct err *e)
{
	const char *at = strrchr(ref, '@');
	struct point *found = NULL;

	if (strcmp(ref, LATEST) == 0)
		return find_latest(l, NULL, 0, e);
	if (at && at != ref && strcmp(at + 1, LATEST) == 0)
		return find_latest(l, ref, (size_t)(at - ref), e);
	if (strlen(ref) < REF_MIN) {
		err_set(e, ERR_INVALID,
			"checkpoint '%s': give at least %d digits of its id, 'latest', or "
			"NAME@latest",
			ref, REF_MIN);
		return NULL;
	}
	for (size_t i = 0; i < l->n; i++) {
		if (!prefix_matches(&l->points[i]->id, ref))
			continue;
		if (found) {
			err_set(e, ERR_INVALID,
				"checkpoint '%s' means more than one: give more digits", ref);
			return NULL;
		}
		found = l->points[i];
	}
	if (!found)
		err_set(e, ERR_NOENT, "there is no checkpoint '%s': see 'holdfast checkpoint list'",
			ref);
	return found;
}
