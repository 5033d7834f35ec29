/* SPDX-License-Identifier: Apache-2.0 */
/* What is done with all that is stored in a target of a server: verifying, giving back space. */
#include <stdio.h>
#include <string.h>

#include "base/human.h"
#include "cmd/remote.h"

/* ---- what is asked for ---- */

static void put(json_t *o, const char *name, uint64_t n)
{
	if (n)
		json_object_set_new(o, name, json_integer((json_int_t)n));
}

/* At least a second. */
static uint64_t seconds(uint64_t us)
{
	return us ? MAX(us / 1000000, UINT64_C(1)) : 0;
}

static int verify_options(struct cli *c, json_t *o, struct err *e)
{
	uint64_t age = 0, time = 0, limit = 0, rate = 0;
	const char *depth = parsed_text(&c->p, "depth");

	if (cli_duration(c, "max-age", &age, e) < 0 || cli_duration(c, "for", &time, e) < 0 ||
	    cli_bytes(c, "limit", &limit, e) < 0 || cli_bytes(c, "rate", &rate, e) < 0)
		return -1;
	put(o, "max_age_s", seconds(age));
	put(o, "for_s", seconds(time));
	put(o, "limit_bytes", limit);
	put(o, "bytes_per_s", rate);
	if (depth)
		json_object_set_new(o, "depth", json_string(depth));
	return 0;
}

static int collect_options(struct cli *c, json_t *o, struct err *e)
{
	unsigned waste = 0;

	if (cli_percent(c, "waste", 100, &waste, e) < 0)
		return -1;
	put(o, "waste", waste);
	if (parsed_flag(&c->p, "dry-run"))
		json_object_set_new(o, "dry_run", json_true());
	return 0;
}

/* ---- what came of it ---- */

static unsigned long long number(const json_t *o, const char *name)
{
	return (unsigned long long)json_integer_value(json_object_get(o, name));
}

/* How much of it is damaged. */
static unsigned long long show_verified(struct cli *c, const json_t *r)
{
	bool stored = strcmp(client_text(r, "depth"), "stored") == 0;
	char bytes[HUMAN_TEXT];
	json_t *f;
	size_t i;

	json_array_foreach(json_object_get(r, "findings"), i, f)
	{
		AUTO_FREE char *text = cli_safe(client_text(f, "message"));

		cli_note(c, LOG_LEVEL_ERROR, text);
	}
	if (!c->json) {
		printf("%llu %s verified, %s read: %llu damaged\n",
		       number(r, stored ? "objects" : "checkpoints"),
		       stored ? "objects" : "checkpoints",
		       human_bytes(number(r, "read_bytes"), bytes),
		       number(r, stored ? "damaged_objects" : "damaged_checkpoints"));
		if (number(r, "due_objects"))
			printf("%llu packs and index runs are left for the next time\n",
			       number(r, "due_objects"));
	}
	return number(r, "damaged_objects") + number(r, "damaged_checkpoints");
}

static unsigned long long show_collected(struct cli *c, const json_t *r)
{
	char needed[HUMAN_TEXT], stored[HUMAN_TEXT], removed[HUMAN_TEXT];
	bool dry = json_is_true(json_object_get(r, "dry_run"));

	if (!c->json) {
		printf("%llu checkpoints need %s of %s\n", number(r, "checkpoints"),
		       human_bytes(number(r, "needed_bytes"), needed),
		       human_bytes(number(r, "pack_bytes"), stored));
		printf("%s %llu packs, %s\n", dry ? "would remove" : "removed",
		       number(r, "removed_packs"),
		       human_bytes(number(r, "removed_bytes"), removed));
	}
	return number(r, "kept_packs");
}

static int show(struct cli *c, const char *operation, bool verify, struct err *e)
{
	AUTO_FREE char *path = remote_path(remote_kind("operation"), operation, NULL);
	unsigned long long damaged = 0;
	json_t *whole = NULL, *step, *r;
	size_t i;

	if (client_get(c->client, path, "operation", &whole, e) < 0)
		return -1;
	json_array_foreach(json_object_get(whole, "steps"), i, step)
	{
		r = json_object_get(step, "result");
		if (r)
			damaged += verify ? show_verified(c, r) : show_collected(c, r);
	}
	if (c->json)
		cli_json(json_incref(whole));
	json_decref(whole);
	return damaged ? err_set(e, ERR_CORRUPT,
				 "%llu %s: keep the target as it is until what it hurts is known",
				 damaged, damaged == 1 ? "is damaged" : "are damaged")
		       : 0;
}

int remote_target_work(struct cli *c, struct err *e)
{
	const char *word = strrchr(c->p.command->name, ' ') + 1;
	bool verify = strcmp(word, "verify") == 0;
	const struct remote_kind *k = remote_kind_of(c);
	AUTO_FREE char *id = NULL;
	AUTO_FREE char *path = NULL;
	json_t *o = json_object(), *body = json_pack("{s:o}", word, o), *answer = NULL;
	int rc = -1;

	if (!c->p.n_args)
		err_set(e, ERR_INVALID, "name a target of the server: see 'holdfast target list'");
	else if ((verify ? verify_options(c, o, e) : collect_options(c, o, e)) == 0)
		rc = remote_open(c, e);
	if (parsed_flag(&c->p, "all-projects"))
		json_object_set_new(o, "all_projects", json_true());
	if (rc == 0)
		rc = remote_find_id(c, k, c->p.args[0], &id, e);
	if (rc == 0) {
		path = remote_path(k, id, word);
		rc = client_do(c->client, "POST", path, body, &answer, e);
	}
	json_decref(body);
	if (rc == 0)
		rc = remote_started(c, answer, word, false, e);
	if (rc == 0 && remote_waits(c))
		rc = show(c, client_text(answer, "operation_id"), verify, e);
	else if (rc == 0 && c->json)
		cli_json(json_incref(answer));
	json_decref(answer);
	return rc;
}
