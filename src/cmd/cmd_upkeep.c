/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking after a target: is every byte whole, and giving back space.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/human.h"
#include "base/priority.h"
#include "cmd/cli.h"
#include "repo/collect.h"
#include "repo/scrub.h"

/* ---- target verify ---- */

struct scrub_report {
	struct cli *c;
	json_t *findings;
};

/* What to do about it, by what it is. */
static const char *way_out(const struct scrub_finding *f)
{
	static const struct {
		const char *prefix, *text;
	} ways[] = {
		{"packs/", "'holdfast checkpoint verify --all' tells which checkpoints it hurts, "
			   "'holdfast target repair' mends what can be mended"},
		{"parity/", "it does no harm as long as its pack is whole: 'holdfast target "
			    "repair' makes it anew"},
		{"index/", "it does no harm: the next backup replaces it"},
		{"points/", "this checkpoint cannot be restored any more: delete it, and copy it "
			    "back from another target if there is one"},
		{"keys/", "it does no harm as long as its twin is whole: add or remove a key to "
			  "write both anew"},
		{"epochs/",
		 "nothing can be written until it is put back from a copy of the target"},
		{"holdfast", "it does no harm as long as the keys are whole"},
	};

	if (f->parity == PARITY_MENDS)
		return "'holdfast target repair' brings it back from its parity";
	if (f->parity == PARITY_LOST)
		return "more is lost than its parity brings back: 'holdfast target repair --from "
		       "TARGET' mends it from copies in another target";
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		if (strncmp(f->key, ways[i].prefix, strlen(ways[i].prefix)) == 0)
			return ways[i].text;
	}
	return "";
}

static void on_bad(void *arg, const struct scrub_finding *f)
{
	struct scrub_report *r = arg;
	char text[1024];

	json_array_append_new(r->findings, json_pack("{s:s,s:s,s:s,s:b}", "object", f->key,
						     "message", f->why->msg, "way_out", way_out(f),
						     "parity_mends", f->parity == PARITY_MENDS));
	snprintf(text, sizeof(text), "%s; %s", f->why->msg, way_out(f));
	cli_note(r->c, LOG_LEVEL_ERROR, text);
}

/* In a target that is to have parity; where there is none at all, nobody misses it. */
static void show_bare(const struct scrub_result *s)
{
	if (s->bare && s->parity)
		printf("%llu packs have no parity: 'holdfast target parity' makes it\n",
		       (unsigned long long)s->bare);
}

static void show_bounded(const struct scrub_result *s)
{
	char when[CLOCK_TEXT];

	if (s->passed)
		printf("%llu packs and index runs were verified recently enough\n",
		       (unsigned long long)s->passed);
	if (s->due)
		printf("%llu packs and index runs are left for the next time\n",
		       (unsigned long long)s->due);
	if (s->due || s->passed)
		printf("the longest unverified of them %s%s\n",
		       s->oldest_us ? "was verified " : "never was",
		       s->oldest_us ? clock_local(s->oldest_us, when) : "");
}

static void show_scrub(struct cli *c, const struct scrub_result *s, json_t *findings)
{
	char bytes[HUMAN_TEXT], when[CLOCK_TEXT];

	if (c->json) {
		cli_json(json_pack(
			"{s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:I,s:o,s:O}", "objects",
			(json_int_t)s->objects, "read_bytes", (json_int_t)s->bytes,
			"damaged_objects", (json_int_t)s->damaged, "strange_objects",
			(json_int_t)s->strange, "passed_objects", (json_int_t)s->passed,
			"due_objects", (json_int_t)s->due, "parity_percent", (int)s->parity,
			"packs_without_parity", (json_int_t)s->bare, "oldest_verification",
			s->oldest_us ? json_string(clock_rfc3339(s->oldest_us, when)) : json_null(),
			"findings", findings));
		return;
	}
	if (s->strange)
		printf("%llu files are none of the repository's and were not looked at\n",
		       (unsigned long long)s->strange);
	if (!s->damaged)
		printf("%llu objects verified, %s read: every byte %sis as it was written\n",
		       (unsigned long long)s->objects, human_bytes(s->bytes, bytes),
		       s->due || s->passed ? "of them " : "that is there ");
	show_bounded(s);
	show_bare(s);
}

static int take_bounds(struct cli *c, struct scrub_bounds *b, struct err *e)
{
	return cli_duration(c, "max-age", &b->max_age_us, e) < 0 ||
			       cli_duration(c, "for", &b->time_us, e) < 0 ||
			       cli_bytes(c, "limit", &b->bytes, e) < 0 ||
			       cli_bytes(c, "rate", &b->bytes_per_s, e) < 0
		       ? -1
		       : 0;
}

/* What was read is remembered however it ended. A target that cannot be written to can be verified;
 * but not a part at a time. */
static int remember(struct cli *c, const struct scrub *s, struct err *e)
{
	struct err why = {0};

	if (verified_save(c->store, s->verified, &why) == 0)
		return 0;
	if (s->bounds.max_age_us || s->bounds.bytes || s->bounds.time_us) {
		if (e)
			*e = why;
		return err_wrap(e, "what was verified could not be noted");
	}
	log_debug("noting what was verified: %s", why.msg);
	return 0;
}

static int run_scrub(struct cli *c, struct scrub *s, struct scrub_result *ret, struct err *e)
{
	struct progress_bar *bar = progress_begin(c, "verify", false);
	struct err why = {0};
	int rc = scrub_run(s, ret, &why);

	progress_end(bar);
	if (rc < 0 && why.kind == ERR_CANCELLED)
		remember(c, s, NULL);
	if (rc < 0 && e)
		*e = why;
	return rc < 0 ? -1 : remember(c, s, e);
}

static int verify_target(struct cli *c, struct scrub_report *r, struct err *e)
{
	struct verified verified = {0};
	struct scrub s = {.store = c->store,
			  .cancel = &c->cancel,
			  .progress = &c->progress,
			  .bad = on_bad,
			  .arg = r,
			  .verified = &verified};
	struct scrub_result result;
	int rc = -1;

	if (take_bounds(c, &s.bounds, e) == 0 && verified_load(c->store, &verified, e) == 0)
		rc = run_scrub(c, &s, &result, e);
	verified_done(&verified);
	if (rc < 0)
		return -1;
	show_scrub(c, &result, r->findings);
	return result.damaged ? err_set(e, ERR_CORRUPT,
					"%llu object%s damaged: keep the target as it is until "
					"what it hurts is known",
					(unsigned long long)result.damaged,
					result.damaged == 1 ? " is" : "s are")
			      : 0;
}

int cmd_target_verify(struct cli *c, struct err *e)
{
	struct scrub_report r = {.c = c};
	int rc;

	priority_lower();
	if (cli_nameless(c, e) < 0 || cli_open_target(c, false, e) < 0)
		return -1;
	r.findings = json_array();
	rc = verify_target(c, &r, e);
	json_decref(r.findings);
	return rc;
}

/* ---- target collect ---- */

static void on_doing(void *arg, const char *what)
{
	struct cli *c = arg;

	if (!c->quiet)
		cli_note(c, LOG_LEVEL_INFO, what);
}

static void on_waiting(void *arg, size_t n)
{
	char text[128];

	snprintf(text, sizeof(text), "waiting until %zu backup%s that began before %s ended", n,
		 n == 1 ? "" : "s", n == 1 ? "has" : "have");
	on_doing(arg, text);
}

static int collect_options(struct cli *c, struct collect_options *o, struct err *e)
{
	*o = (struct collect_options){.dead_after_us = COLLECT_DEAD_AFTER_US,
				      .dry_run = parsed_flag(&c->p, "dry-run"),
				      .cancel = &c->cancel,
				      .doing = on_doing,
				      .waiting = on_waiting,
				      .arg = c};
	return cli_duration(c, "dead-after", &o->dead_after_us, e) < 0 ||
			       cli_percent(c, "waste", 100, &o->waste_percent, e) < 0
		       ? -1
		       : 0;
}

/* What the repository held is what the first run found. */
static const char *packs_text(uint64_t n, char out[HUMAN_TEXT])
{
	snprintf(out, HUMAN_TEXT, "%llu pack%s", (unsigned long long)n, n == 1 ? "" : "s");
	return out;
}

static void show_collected(struct cli *c, const struct collect_result *r, bool dry)
{
	char stored[HUMAN_TEXT], dropped[HUMAN_TEXT], copied[HUMAN_TEXT], needed[HUMAN_TEXT];
	char count[HUMAN_TEXT];

	if (c->json) {
		cli_json(json_pack(
			"{s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "dry_run", dry,
			"checkpoints", (json_int_t)r->checkpoints, "packs", (json_int_t)r->packs,
			"pack_bytes", (json_int_t)r->bytes, "needed_bytes", (json_int_t)r->needed,
			"removed_packs", (json_int_t)r->dropped, "removed_bytes",
			(json_int_t)r->dropped_bytes, "copied_bytes", (json_int_t)r->copied,
			"kept_packs", (json_int_t)r->kept, "unfinished_packs",
			(json_int_t)r->unfinished, "locked_packs", (json_int_t)r->locked,
			"locked_bytes", (json_int_t)r->locked_bytes, "locked_checkpoints",
			(json_int_t)r->locks.points, "removed_versions", (json_int_t)r->cleared));
		return;
	}
	printf("%llu checkpoint%s %s of %s in %s\n", (unsigned long long)r->checkpoints,
	       r->checkpoints == 1 ? " needs" : "s need", human_bytes(r->needed, needed),
	       human_bytes(r->bytes, stored), packs_text(r->packs, count));
	printf("%s %s, %s", dry ? "would remove" : "removed", packs_text(r->dropped, count),
	       human_bytes(r->dropped_bytes, dropped));
	if (r->copied)
		printf("; copied %s of it that is needed", human_bytes(r->copied, copied));
	printf("\n");
	if (r->locked)
		printf("kept %s that nothing needs, %s: locked, or held\n",
		       packs_text(r->locked, count), human_bytes(r->locked_bytes, dropped));
	if (r->unfinished)
		printf("left %s of backups that are under way, or died beside one that is\n",
		       packs_text(r->unfinished, count));
}

int cmd_target_collect(struct cli *c, struct err *e)
{
	struct collect_options o;
	struct collect_result sum;

	priority_lower();
	if (cli_nameless(c, e) < 0 || collect_options(c, &o, e) < 0 || cli_open(c, e) < 0 ||
	    collect_all(c->repo, &o, &sum, e) < 0)
		return -1;
	show_collected(c, &sum, o.dry_run);
	if (cli_locks_kept(&sum.locks, e) < 0)
		return -1;
	return sum.kept ? err_set(e, ERR_CORRUPT,
				  "%llu pack%s be read, and hold%s blocks that checkpoints need: "
				  "kept; 'holdfast checkpoint verify --all' tells what is hurt",
				  (unsigned long long)sum.kept,
				  sum.kept == 1 ? " cannot" : "s cannot", sum.kept == 1 ? "s" : "")
			: 0;
}
