/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/human.h"
#include "cmd/cli.h"
#include "mover/mend.h"

struct repair {
	struct cli *c;
	struct other other;
	struct point_list points, there;
	json_t *objects, *rebuilt, *mended, *left;
	uint64_t points_lost; /* points whose own object is damaged */
};

static void on_bad(void *arg, const struct scrub_finding *f)
{
	struct repair *r = arg;
	bool point = strncmp(f->key, "points/", 7) == 0;
	char text[1024];

	r->points_lost += point;
	json_array_append_new(r->objects, json_string(f->key));
	snprintf(text, sizeof(text), "%s%s", f->why->msg,
		 point ? "; this checkpoint cannot be mended: delete it, and copy it back from "
			 "another repository with 'holdfast checkpoint copy'"
		       : "");
	cli_note(r->c, LOG_LEVEL_ERROR, text);
}

static void rebuilt(void *arg, const char *key, const char *why_not)
{
	struct repair *r = arg;
	char text[1024];

	if (!why_not)
		json_array_append_new(r->rebuilt, json_string(key));
	snprintf(text, sizeof(text), "%s %s%s", key,
		 why_not ? "stays damaged: " : "was brought back from its parity",
		 why_not ? why_not : "");
	cli_note(r->c, why_not ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, text);
}

static void tell(void *arg, const struct point *p, bool mended, const char *why)
{
	struct repair *r = arg;
	char id[UUID_TEXT], text[1024];
	AUTO_FREE char *names = point_resource_names(p);

	uuid_text(&p->id, id);
	json_array_append_new(mended ? r->mended : r->left, json_string(id));
	id[8] = 0;
	snprintf(text, sizeof(text), "checkpoint %s of %s %s%s%s", id, names,
		 mended ? "was damaged and is whole again" : "stays damaged", mended ? "" : ": ",
		 mended ? "" : why);
	cli_note(r->c, mended ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, text);
}

static int open_all(struct repair *r, struct err *e)
{
	const char *from = parsed_text(&r->c->p, "from");

	if (!from && parsed_text(&r->c->p, "from-key-file"))
		return err_set(e, ERR_INVALID,
			       "--from-key-file: of which target? Name it with --from");
	if (cli_load_points(r->c, &r->points, e) < 0)
		return -1;
	if (!from)
		return 0;
	if (cli_open_other(r->c, from, parsed_text(&r->c->p, "from-key-file"), &r->other, e) < 0)
		return -1;
	return point_list_load(r->other.repo, &r->there, e);
}

static int mend(struct repair *r, struct mend_result *ret, struct err *e)
{
	struct progress_bar *bar = progress_begin(r->c, "repair", false);
	struct mend m = {.repo = r->c->repo,
			 .other = r->other.repo,
			 .points = &r->points,
			 .there = r->other.repo ? &r->there : NULL,
			 .progress = &r->c->progress,
			 .cancel = &r->c->cancel,
			 .bad = on_bad,
			 .rebuilt = rebuilt,
			 .tell = tell,
			 .arg = r};
	int rc = mend_run(&m, ret, e);

	progress_end(bar);
	return rc;
}

static void show(struct repair *r, const struct mend_result *m)
{
	char bytes[HUMAN_TEXT];

	if (r->c->json) {
		cli_json(json_pack("{s:I,s:I,s:O,s:O,s:I,s:I,s:I,s:O,s:O}", "objects",
				   (json_int_t)m->scrub.objects, "read_bytes",
				   (json_int_t)m->scrub.bytes, "damaged_objects", r->objects,
				   "rebuilt_packs", r->rebuilt, "renewed_parity",
				   (json_int_t)m->parity, "damaged_packs", (json_int_t)m->packs,
				   "lost_blocks", (json_int_t)m->lost, "mended", r->mended, "left",
				   r->left));
		return;
	}
	if (m->rebuilt || m->parity)
		printf("%zu pack%s brought back from %s parity, %zu parity object%s made anew\n",
		       m->rebuilt, m->rebuilt == 1 ? " was" : "s were",
		       m->rebuilt == 1 ? "its" : "their", m->parity,
		       m->parity == 1 ? " was" : "s were");
	if (!m->packs && !m->hurt)
		printf("%llu objects read, %s: no checkpoint lacks anything\n",
		       (unsigned long long)m->scrub.objects, human_bytes(m->scrub.bytes, bytes));
	else
		printf("%zu pack%s damaged or gone, %zu block%s lost; %zu checkpoint%s hurt, %zu "
		       "of them whole again\n'holdfast target collect' removes what is left of "
		       "damaged packs\n",
		       m->packs, m->packs == 1 ? " is" : "s are", m->lost,
		       m->lost == 1 ? " was" : "s were", m->hurt, m->hurt == 1 ? " was" : "s were",
		       m->mended);
}

static int run(struct repair *r, struct err *e)
{
	struct lock_kept locks;
	struct mend_result m;
	uint64_t left;

	/* What was stored anew is needed by what is locked. */
	if (open_all(r, e) < 0 || mend(r, &m, e) < 0 ||
	    lock_keep(r->c->repo, &r->c->cancel, &locks, e) < 0)
		return -1;
	show(r, &m);
	left = m.hurt - m.mended + r->points_lost;
	if (!left)
		return cli_locks_kept(&locks, e);
	return err_set(e, ERR_CORRUPT,
		       "%llu checkpoint%s damaged: give a target with copies (--from), or back up "
		       "the same resources again: what is stored anew mends old checkpoints, too",
		       (unsigned long long)left, left == 1 ? " stays" : "s stay");
}

int cmd_target_repair(struct cli *c, struct err *e)
{
	struct repair r = {.c = c,
			   .objects = json_array(),
			   .rebuilt = json_array(),
			   .mended = json_array(),
			   .left = json_array()};
	int rc = run(&r, e);

	json_decref(r.objects);
	json_decref(r.rebuilt);
	json_decref(r.mended);
	json_decref(r.left);
	point_list_done(&r.points);
	point_list_done(&r.there);
	other_done(&r.other);
	return rc;
}
