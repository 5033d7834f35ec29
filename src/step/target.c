/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/uuid.h"
#include "net/fields.h"
#include "repo/collect.h"
#include "repo/parity.h"
#include "repo/scrub.h"
#include "step/kinds.h"
#include "step/open.h"

#define FINDINGS_MAX 100

/* ---- init ---- */

/* Who made it at the same moment did the same. */
static int create_or_open(struct step_target *t, const char *label, unsigned parity,
			  bool *ret_created, struct err *e)
{
	const struct repo_options o = {.parity = parity};
	struct err why = {0};

	*ret_created = false;
	t->repo = repo_open(t->store, t->key, &why);
	if (!t->repo && why.kind == ERR_NOENT) {
		why = (struct err){0};
		*ret_created = repo_create(t->store, t->key, label, &o, &why) == 0;
		if (*ret_created || why.kind == ERR_EXISTS)
			t->repo = repo_open(t->store, t->key, &why);
	} else if (t->repo && store_has(t->store, HEADER_KEY, NULL) == 0) {
		/* Keys without a header: an attempt that died. */
		*ret_created = repo_create(t->store, t->key, label, &o, NULL) == 0;
	}
	if (t->repo)
		return 0;
	if (e)
		*e = why;
	if (why.kind == ERR_KEY)
		return err_wrap(e, "%s holds a repository with another key", t->store->url);
	return err_wrap(e, "%s", t->store->url);
}

int step_target_init(const struct step *s, json_t **ret, struct err *e)
{
	const json_t *target = NULL;
	const char *label = "holdfast";
	struct step_target t = {0};
	char id[UUID_TEXT];
	int64_t parity = 0;
	bool created;
	const struct field f[] = {
		{"target", FIELD_OBJECT, &target, .needed = true},
		{"label", FIELD_TEXT, &label, .most = KEYRING_LABEL_MAX},
		{"parity", FIELD_NUMBER, &parity, .most = PARITY_PERCENT_MAX},
	};

	if (fields_take(s->input, "", f, ARRAY_LEN(f), e) < 0 ||
	    step_open_store(s, target, "target", true, &t, e) < 0)
		return -1;
	if (create_or_open(&t, label, (unsigned)parity, &created, e) < 0) {
		step_target_done(&t);
		return -1;
	}
	*ret = json_pack("{s:s,s:s,s:b}", "id", uuid_text(keyring_repo_id(repo_keys(t.repo)), id),
			 "url", t.store->url, "created", created);
	step_target_done(&t);
	return 0;
}

/* ---- check ---- */

struct usage {
	const struct step *s;
	uint64_t packs, pack_bytes, other_bytes, points;
};

static int count(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct usage *u = arg;

	if (strncmp(key, "packs/", 6) == 0) {
		u->packs++;
		u->pack_bytes += size;
	} else {
		u->other_bytes += size;
	}
	u->points += strncmp(key, "points/", 7) == 0;
	return cancel_check(u->s->watch.cancel, e);
}

static int measure(struct store *s, struct usage *u, struct err *e)
{
	static const char *const prefixes[] = {"packs/", "index/", "points/", "parity/"};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		if (store_list(store_behind(s), prefixes[i], count, u, e) < 0)
			return -1;
	}
	return 0;
}

/* Of a directory's file system; a bucket has no end that is known. */
static void room(const char *url, json_t **ret_total, json_t **ret_free)
{
	struct statvfs v;

	if (strncmp(url, "dir:", 4) == 0 && statvfs(url + 4, &v) == 0) {
		*ret_total = json_integer((json_int_t)(v.f_blocks * v.f_frsize));
		*ret_free = json_integer((json_int_t)(v.f_bavail * v.f_frsize));
	} else {
		*ret_total = json_null();
		*ret_free = json_null();
	}
}

static json_t *usage_json(const struct step_target *t, const struct usage *u)
{
	json_t *total, *free_bytes;
	char id[UUID_TEXT];

	room(t->store->url, &total, &free_bytes);
	return json_pack("{s:s,s:s,s:i,s:o,s:o,s:I,s:I,s:I,s:I,s:i}", "id",
			 uuid_text(keyring_repo_id(repo_keys(t->repo)), id), "url", t->store->url,
			 "format", 1, "total_bytes", total, "free_bytes", free_bytes,
			 "stored_bytes", (json_int_t)(u->pack_bytes + u->other_bytes), "packs",
			 (json_int_t)u->packs, "pack_bytes", (json_int_t)u->pack_bytes, "points",
			 (json_int_t)u->points, "parity_percent", (int)repo_parity(t->repo));
}

/* The file system of a directory that is not there yet is that of the folder that it will be in. */
static void room_of(const char *url, json_t **ret_total, json_t **ret_free)
{
	AUTO_FREE char *at = xstrdup(url);
	char *slash;

	while (strncmp(at, "dir:/", 5) == 0 && access(at + 4, F_OK) < 0 &&
	       (slash = strrchr(at, '/')) && slash > at + 4)
		*slash = 0;
	room(at, ret_total, ret_free);
}

/* One repository, without its key. What was never `made` holds nothing; what was and is not there
 * lies on a file system that is not mounted, or is lost. */
static int measure_one(const struct step *s, const json_t *target, const char *url, bool made,
		       struct usage *u, struct err *e)
{
	json_t *spec = json_pack("{s:s, s:O?}", "url", url, "credentials",
				 json_object_get(target, "credentials"));
	struct err why = {0};
	struct store *store = step_open_bare(s, spec, "target", &why);
	int rc = 0;

	json_decref(spec);
	if (store)
		rc = measure(store, u, e);
	else if (made || why.kind != ERR_NOENT)
		rc = -1;
	if (!store && rc < 0 && e)
		*e = why;
	if (!store && rc < 0 && made && why.kind == ERR_NOENT)
		err_wrap(e, "a repository is gone; is its file system mounted?");
	store_free(store);
	return rc;
}

int step_target_measure(const struct step *s, json_t **ret, struct err *e)
{
	struct usage u = {.s = s};
	const json_t *target = NULL, *list = NULL, *v;
	json_t *total, *free_bytes;
	const struct field f[] = {
		{"target", FIELD_OBJECT, &target, .needed = true},
		{"repositories", FIELD_LIST, &list, .needed = true},
	};
	size_t i;

	if (fields_take(s->input, "", f, ARRAY_LEN(f), e) < 0 ||
	    measure_one(s, target, json_string_value(json_object_get(target, "url")), false, &u,
			e) < 0)
		return -1;
	json_array_foreach((json_t *)list, i, v)
	{
		if (json_is_string(v) &&
		    measure_one(s, target, json_string_value(v), true, &u, e) < 0)
			return -1;
	}
	room_of(json_string_value(json_object_get(target, "url")), &total, &free_bytes);
	*ret = json_pack("{s:o,s:o,s:I}", "total_bytes", total, "free_bytes", free_bytes,
			 "stored_bytes", (json_int_t)(u.pack_bytes + u.other_bytes));
	return 0;
}

int step_target_check(const struct step *s, json_t **ret, struct err *e)
{
	struct usage u = {.s = s};
	struct step_target t = {0};
	const json_t *target = NULL;
	const struct field f[] = {{"target", FIELD_OBJECT, &target, .needed = true}};
	int rc;

	if (fields_take(s->input, "", f, ARRAY_LEN(f), e) < 0 ||
	    step_open_target(s, target, "target", &t, e) < 0)
		return -1;
	rc = measure(t.store, &u, e);
	if (rc == 0)
		*ret = usage_json(&t, &u);
	step_target_done(&t);
	return rc;
}

/* ---- collect ---- */

static void on_doing(void *arg, const char *what)
{
	const struct step *s = arg;

	s->watch.note(s->watch.arg, LOG_LEVEL_DEBUG, what);
}

static void on_waiting(void *arg, size_t n)
{
	const struct step *s = arg;

	platform_note(&s->watch, LOG_LEVEL_DEBUG, "waiting until %zu writers have ended", n);
}

static json_t *collected_json(const struct collect_result *r, bool dry_run)
{
	return json_pack("{s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "dry_run", dry_run,
			 "checkpoints", (json_int_t)r->checkpoints, "packs", (json_int_t)r->packs,
			 "pack_bytes", (json_int_t)r->bytes, "needed_bytes", (json_int_t)r->needed,
			 "removed_packs", (json_int_t)r->dropped, "removed_bytes",
			 (json_int_t)r->dropped_bytes, "copied_bytes", (json_int_t)r->copied,
			 "kept_packs", (json_int_t)r->kept, "unfinished_packs",
			 (json_int_t)r->unfinished, "locked_packs", (json_int_t)r->locked,
			 "unlocked_objects", (json_int_t)r->locks.failed);
}

int step_target_collect(const struct step *s, json_t **ret, struct err *e)
{
	struct collect_result sum;
	struct step_target t = {0};
	const json_t *target = NULL;
	bool dry_run = false;
	int64_t waste = 0;
	const struct field f[] = {
		{"target", FIELD_OBJECT, &target, .needed = true},
		{"waste", FIELD_NUMBER, &waste, .most = 100},
		{"dry_run", FIELD_FLAG, &dry_run},
	};
	struct collect_options o = {.dead_after_us = COLLECT_DEAD_AFTER_US,
				    .cancel = s->watch.cancel,
				    .doing = on_doing,
				    .waiting = on_waiting,
				    .arg = (void *)s};
	int rc;

	if (fields_take(s->input, "", f, ARRAY_LEN(f), e) < 0 ||
	    step_open_target(s, target, "target", &t, e) < 0)
		return -1;
	o.dry_run = dry_run;
	o.waste_percent = (unsigned)waste;
	rc = collect_all(t.repo, &o, &sum, e);
	if (rc == 0)
		*ret = collected_json(&sum, dry_run);
	step_target_done(&t);
	return rc;
}

/* ---- verify ---- */

struct scrubbing {
	const struct step *s;
	json_t *findings;
};

static void on_bad(void *arg, const struct scrub_finding *f)
{
	struct scrubbing *b = arg;

	b->s->watch.note(b->s->watch.arg, LOG_LEVEL_ERROR, f->why->msg);
	if (json_array_size(b->findings) < FINDINGS_MAX)
		json_array_append_new(b->findings, json_pack("{s:s,s:s,s:b}", "object", f->key,
							     "message", f->why->msg, "parity_mends",
							     f->parity == PARITY_MENDS));
}

static json_t *scrubbed_json(const struct scrub_result *r, json_t *findings)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:O}", "objects", (json_int_t)r->objects,
			 "read_bytes", (json_int_t)r->bytes, "damaged_objects",
			 (json_int_t)r->damaged, "passed_objects", (json_int_t)r->passed,
			 "due_objects", (json_int_t)r->due, "packs_without_parity",
			 (json_int_t)r->bare, "oldest_us", (json_int_t)r->oldest_us, "findings",
			 findings);
}

/* What was read is remembered however it ended, so that an attempt that is stopped is not in vain.
 */
static int scrub(struct scrubbing *b, struct store *store, const struct scrub_bounds *bounds,
		 json_t **ret, struct err *e)
{
	struct verified verified = {0};
	struct scrub job = {.store = store,
			    .cancel = b->s->watch.cancel,
			    .progress = b->s->watch.progress,
			    .bad = on_bad,
			    .arg = b,
			    .bounds = *bounds,
			    .verified = &verified};
	struct scrub_result r;
	struct err why = {0};
	int rc;

	if (verified_load(store, &verified, e) < 0)
		return -1;
	rc = scrub_run(&job, &r, e);
	if (verified_save(store, &verified, &why) < 0)
		platform_note(&b->s->watch, LOG_LEVEL_WARN,
			      "what was verified could not be noted: %s", why.msg);
	verified_done(&verified);
	if (rc == 0)
		*ret = scrubbed_json(&r, b->findings);
	return rc;
}

/* The depths that need the key are those of checkpoints: of all that there are. */
static int verify_points(const struct step *s, const char *depth, json_t **ret, struct err *e)
{
	struct step all = *s;
	int rc;

	all.input = json_pack("{s:O, s:b, s:s, s:O*}", "target",
			      json_object_get(s->input, "target"), "every", 1, "depth", depth,
			      "bytes_per_s", json_object_get(s->input, "bytes_per_s"));
	rc = step_checkpoint_verify(&all, ret, e);
	json_decref((json_t *)all.input);
	return rc;
}

static int verify_stored(const struct step *s, const json_t *target,
			 const struct scrub_bounds *bounds, json_t **ret, struct err *e)
{
	struct scrubbing b = {.s = s};
	struct step_target t = {0};
	int rc;

	if (step_open_store(s, target, "target", false, &t, e) < 0)
		return -1;
	b.findings = json_array();
	rc = scrub(&b, t.store, bounds, ret, e);
	json_decref(b.findings);
	step_target_done(&t);
	return rc;
}

int step_target_verify(const struct step *s, json_t **ret, struct err *e)
{
	static const char *const depths[] = {"stored", "structure", "content", NULL};
	int64_t bytes = 0, seconds = 0, max_age_s = 0, bytes_per_s = 0;
	const char *depth = depths[0];
	const json_t *target = NULL;
	const struct field f[] = {
		{"target", FIELD_OBJECT, &target, .needed = true},
		{"depth", FIELD_TEXT, &depth, .among = depths},
		{"bytes", FIELD_NUMBER, &bytes, .most = INT64_MAX},
		{"seconds", FIELD_NUMBER, &seconds, .most = INT32_MAX},
		{"max_age_s", FIELD_NUMBER, &max_age_s, .most = INT32_MAX},
		{"bytes_per_s", FIELD_NUMBER, &bytes_per_s, .most = INT64_MAX},
	};
	struct scrub_bounds bounds;
	int rc;

	if (fields_take(s->input, "", f, ARRAY_LEN(f), e) < 0)
		return -1;
	bounds = (struct scrub_bounds){.max_age_us = (uint64_t)max_age_s * 1000000,
				       .bytes = (uint64_t)bytes,
				       .time_us = (uint64_t)seconds * 1000000,
				       .bytes_per_s = (uint64_t)bytes_per_s};
	rc = strcmp(depth, depths[0]) == 0 ? verify_stored(s, target, &bounds, ret, e)
					   : verify_points(s, depth, ret, e);
	if (rc == 0)
		json_object_set_new(*ret, "depth", json_string(depth));
	return rc;
}
