/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A zone is a list of changes of its offset. Between two changes local time runs with UTC; at a
 * change forward, local times are left out (a gap), at a change back they come twice (an overlap).
 *
 * zone_to_utc() is ascending except at gaps: with 02:00 to 03:00 left out, 02:45 becomes 03:45, and
 * 03:15 comes before it. zone_next() looks at as many local times as can be out of order.
 */
#include "sched/zone.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/fio.h"
#include "sched/civil.h"
#include "sched/zone_priv.h"

#define FOLDER "/usr/share/zoneinfo"
/* Zones that are kept; there are about 600 names. More are read each time. */
#define KEPT 700

struct zones {
	char *folder;
	pthread_mutex_t lock;
	struct zone *kept[KEPT];
	size_t n;
};

struct zone *zone_new(const char *name)
{
	struct zone *z = xcalloc(1, sizeof(*z));

	atomic_init(&z->refs, 1);
	snprintf(z->name, sizeof(z->name), "%s", name);
	return z;
}

void zone_add(struct zone *z, int64_t at, int32_t offset)
{
	if (z->n > 0 && z->changes[z->n - 1].at >= at)
		z->n--;
	if ((z->n > 0 ? z->changes[z->n - 1].offset : z->first) == offset)
		return;
	if (z->n == z->cap) {
		z->cap = MAX(64, z->cap * 2);
		z->changes = xreallocarray(z->changes, z->cap, sizeof(*z->changes));
	}
	z->changes[z->n++] = (struct zone_change){at, offset};
}

struct zone *zone_ref(struct zone *z)
{
	atomic_fetch_add(&z->refs, 1);
	return z;
}

void zone_unref(struct zone *z)
{
	if (!z || atomic_fetch_sub(&z->refs, 1) > 1)
		return;
	free(z->changes);
	free(z);
}

const char *zone_name(const struct zone *z)
{
	return z->name;
}

/* How many changes are at or before an instant. */
static size_t changes_until(const struct zone *z, int64_t utc_s)
{
	size_t low = 0, high = z->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (z->changes[middle].at <= utc_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int offset_of(const struct zone *z, size_t n)
{
	return n > 0 ? z->changes[n - 1].offset : z->first;
}

static struct zone_period nth_period(const struct zone *z, size_t n)
{
	return (struct zone_period){
		.from = n > 0 ? z->changes[n - 1].at : INT64_MIN,
		.until = n < z->n ? z->changes[n].at : INT64_MAX,
		.offset = offset_of(z, n),
		.offset_before = offset_of(z, n > 0 ? n - 1 : 0),
	};
}

struct zone_period zone_period(const struct zone *z, int64_t utc_s)
{
	return nth_period(z, changes_until(z, utc_s));
}

int64_t zone_to_local(const struct zone *z, int64_t utc_s)
{
	return utc_s + offset_of(z, changes_until(z, utc_s));
}

int64_t zone_to_utc(const struct zone *z, int64_t local_s)
{
	/* Two days before, it was certainly earlier. */
	size_t n = changes_until(z, local_s - 2 * CIVIL_DAY_S);

	for (;; n++) {
		struct zone_period p = nth_period(z, n);
		int64_t utc_s = local_s - p.offset;

		if (utc_s < p.until)
			return utc_s >= p.from ? utc_s : local_s - p.offset_before;
	}
}

bool zone_next(const struct zone *z, zone_next_fn *fn, const void *arg, int64_t utc_s,
	       int64_t *ret_s)
{
	struct zone_period p = zone_period(z, utc_s);
	int64_t local_s = utc_s + p.offset, best_s = INT64_MAX, end_s = INT64_MAX;

	/* Just after clocks went forward: times of the gap may be still to come. */
	if (p.offset > p.offset_before && utc_s < p.from + (p.offset - p.offset_before))
		local_s = utc_s + p.offset_before;
	while (local_s < end_s && fn(arg, local_s, &local_s)) {
		int64_t at_s = zone_to_utc(z, local_s);

		if (at_s <= utc_s || at_s >= best_s)
			continue;
		best_s = at_s;
		/* If it was in a gap, later local times may come before it. */
		p = zone_period(z, at_s);
		end_s = at_s + MAX(p.offset, p.offset_before);
	}
	if (best_s == INT64_MAX)
		return false;
	*ret_s = best_s;
	return true;
}

bool zone_next_shown(const struct zone *z, zone_next_fn *fn, const void *arg, int64_t utc_s,
		     int64_t *ret_s)
{
	for (size_t n = changes_until(z, utc_s);; n++) {
		struct zone_period p = nth_period(z, n);
		int64_t local_s;

		if (n > 0 && utc_s < p.from)
			utc_s = p.from - 1;
		if (!fn(arg, utc_s + p.offset, &local_s))
			return false;
		if (local_s - p.offset < p.until) {
			*ret_s = local_s - p.offset;
			return true;
		}
	}
}

struct zones *zones_new(const char *folder)
{
	struct zones *z = xcalloc(1, sizeof(*z));

	z->folder = xstrdup(folder ? folder : FOLDER);
	pthread_mutex_init(&z->lock, NULL);
	return z;
}

void zones_forget(struct zones *z)
{
	pthread_mutex_lock(&z->lock);
	while (z->n > 0)
		zone_unref(z->kept[--z->n]);
	pthread_mutex_unlock(&z->lock);
}

void zones_free(struct zones *z)
{
	if (!z)
		return;
	zones_forget(z);
	pthread_mutex_destroy(&z->lock);
	free(z->folder);
	free(z);
}

/* "Europe/Berlin", "Etc/GMT+5": words that cannot leave the folder. */
static bool is_name(const char *name)
{
	static const char *const not_here[] = {"posix/", "right/", "localtime", "posixrules"};
	size_t n =
		strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/");

	if (n == 0 || n >= ZONE_NAME_MAX || name[n] || name[0] == '/' || name[n - 1] == '/' ||
	    strstr(name, "//"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(not_here); i++)
		if (strncmp(name, not_here[i], strlen(not_here[i])) == 0)
			return false;
	return true;
}

static struct zone *load(const struct zones *z, const char *name, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/%s", z->folder, name);
	AUTO_BUF b = BUF_INIT;
	struct err why = {0};

	if (strcmp(name, "UTC") == 0)
		return zone_new(name);
	if (fio_slurp(path, ZONE_FILE_MAX, &b, &why) < 0) {
		if (why.kind != ERR_NOENT && why.sys != EISDIR) {
			err_set(e, why.kind, "time zone %s: %s", name, why.msg);
			return NULL;
		}
		err_set(e, ERR_INVALID,
			"there is no time zone \"%s\": give a name like Europe/Berlin (is the "
			"package "
			"tzdata installed?)",
			name);
		return NULL;
	}
	return zone_parse(name, b.data, b.len, e);
}

static struct zone *find(struct zones *z, const char *name)
{
	for (size_t i = 0; i < z->n; i++)
		if (strcmp(z->kept[i]->name, name) == 0)
			return zone_ref(z->kept[i]);
	return NULL;
}

struct zone *zones_get(struct zones *z, const char *name, struct err *e)
{
	struct zone *found, *other;

	if (!is_name(name)) {
		err_set(e, ERR_INVALID,
			"\"%.40s\" is not the name of a time zone: give one like Europe/Berlin",
			name);
		return NULL;
	}
	pthread_mutex_lock(&z->lock);
	found = find(z, name);
	pthread_mutex_unlock(&z->lock);
	if (found)
		return found;
	found = load(z, name, e);
	if (!found)
		return NULL;
	pthread_mutex_lock(&z->lock);
	other = find(z, name);
	if (!other && z->n < KEPT)
		z->kept[z->n++] = zone_ref(found);
	zone_unref(other);
	pthread_mutex_unlock(&z->lock);
	return found;
}
