/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations: those that a command started and waits for, and the commands about them. A command
 * waits unless it is told not to, so that it means the same as straight against a target: when it
 * has ended with 0, the checkpoint is there.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "client/watch.h"
#include "cmd/remote.h"

/* ---- waiting ---- */

static uint64_t number(const json_t *o, const char *name)
{
	json_int_t n = json_integer_value(json_object_get(o, name));

	return n > 0 ? (uint64_t)n : 0;
}

static void on_seen(void *arg, const json_t *operation)
{
	struct cli *c = arg;
	const json_t *p = json_object_get(operation, "progress");

	atomic_store(&c->progress.total, number(p, "bytes_total"));
	atomic_store(&c->progress.passed, number(p, "bytes_done"));
	atomic_store(&c->progress.read, number(p, "bytes_read"));
	atomic_store(&c->progress.fresh, number(p, "bytes_new"));
	atomic_store(&c->progress.stored, number(p, "bytes_stored"));
}

static void on_line(void *arg, const json_t *line)
{
	bool warns = strcmp(client_text(line, "level"), "warning") == 0;
	AUTO_FREE char *text = cli_safe(client_text(line, "text"));

	/* What is not of a step says that it began and ended, which is told anyway. */
	if (*client_text(line, "step"))
		cli_note(arg, warns ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, text);
}

static void on_away(void *arg, const char *why)
{
	if (why)
		cli_note(arg, LOG_LEVEL_WARN, why);
	cli_note(arg, LOG_LEVEL_INFO,
		 why ? "waiting for the server to come back; what was started goes on then"
		     : "the server answers again");
}

static int judge(const json_t *o, const char *id, struct err *e)
{
	const char *state = client_text(o, "state"), *reason = client_text(o, "reason");

	if (strcmp(state, "succeeded") == 0)
		return 0;
	if (strcmp(state, "cancelled") == 0)
		return err_set(e, ERR_CANCELLED, "operation %s was cancelled", id);
	return err_set(e, ERR_IO,
		       "%s; see 'holdfast operation log %s', and try again with "
		       "'holdfast operation retry %s'",
		       *reason ? reason : "it failed", id, id);
}

bool remote_waits(const struct cli *c)
{
	return !parsed_flag(&c->p, "no-wait");
}

int remote_wait(struct cli *c, const char *operation, const char *what, bool stores, struct err *e)
{
	const struct watch w = {on_seen, on_line, on_away, c, &c->cancel};
	struct progress_bar *bar = progress_begin(c, what, stores);
	struct err why = {0};
	json_t *o = NULL;
	int rc = watch_operation(c->client, operation, &w, &o, &why);

	progress_end(bar);
	if (rc == 0) {
		rc = judge(o, operation, e);
		json_decref(o);
		return rc;
	}
	if (why.kind == ERR_CANCELLED)
		return err_set(e, ERR_CANCELLED,
			       "not waiting any longer: it goes on on the server; 'holdfast "
			       "operation cancel %s' stops it, 'holdfast operation wait %s' "
			       "waits again",
			       operation, operation);
	return err_set(e, why.kind, "operation %s goes on on the server, which cannot be asked: %s",
		       operation, why.msg);
}

int remote_started(struct cli *c, const json_t *answer, const char *what, bool stores,
		   struct err *e)
{
	const char *id = client_text(answer, "operation_id");

	if (!*id)
		return 0;
	if (remote_waits(c))
		return remote_wait(c, id, what, stores, e);
	if (!c->json)
		printf("started: operation %s\n", id);
	return 0;
}

/* ---- commands ---- */

int remote_operation_list(struct cli *c, struct err *e)
{
	const struct remote_kind *k = remote_kind("operation");
	const char *limit = parsed_text(&c->p, "limit");
	size_t most = limit ? strtoul(limit, NULL, 10) : 50;
	AUTO_BUF path = BUF_INIT;
	json_t *all = NULL;

	if (limit && (most == 0 || strspn(limit, "0123456789") != strlen(limit)))
		return err_set(e, ERR_INVALID, "--limit '%s': write a number", limit);
	buf_text(&path, k->path);
	client_query(&path, "state", parsed_text(&c->p, "state"));
	client_query(&path, "kind", parsed_text(&c->p, "kind"));
	client_query(&path, "live", parsed_flag(&c->p, "running") ? "true" : NULL);
	if (remote_open(c, e) < 0 ||
	    client_list(c->client, buf_str(&path), k->items, most, &all, e) < 0)
		return -1;
	remote_print(c, k->columns, all);
	return 0;
}

static void print_line(const json_t *line)
{
	AUTO_FREE char *text = cli_safe(client_text(line, "text"));
	char local[CLOCK_TEXT] = "";
	uint64_t us;

	if (clock_parse_rfc3339(client_text(line, "at"), &us))
		clock_local(us, local);
	printf("%s  %-7s  %s\n", local, client_text(line, "level"), text);
}

int remote_operation_log(struct cli *c, struct err *e)
{
	AUTO_FREE char *id = NULL;
	json_t *lines = json_array(), *page = NULL, *line;
	json_int_t seq = 0;
	size_t n = 0, i;
	int rc = 0;

	if (remote_open(c, e) < 0 ||
	    remote_find_id(c, remote_kind("operation"), c->p.args[0], &id, e) < 0)
		rc = -1;
	do {
		AUTO_FREE char *path =
			xasprintf("operations/%s/log?after=%lld", id ? id : "", (long long)seq);

		n = 0;
		if (rc == 0)
			rc = client_get(c->client, path, "log", &page, e);
		if (rc == 0) {
			n = json_array_size(page);
			seq = json_integer_value(
				json_object_get(json_array_get(page, n ? n - 1 : 0), "seq"));
			json_array_extend(lines, page);
			json_decref(page);
		}
	} while (n);
	if (rc == 0 && c->json)
		cli_json(json_incref(lines));
	json_array_foreach(lines, i, line)
	{
		if (rc == 0 && !c->json)
			print_line(line);
	}
	json_decref(lines);
	return rc;
}

int remote_operation_wait(struct cli *c, struct err *e)
{
	json_t *o = NULL;
	int rc;

	if (remote_open(c, e) < 0 ||
	    remote_find(c, remote_kind("operation"), c->p.args[0], &o, e) < 0)
		return -1;
	rc = remote_wait(c, client_text(o, "id"), client_text(o, "name"), true, e);
	json_decref(o);
	if (rc == 0 && !c->json)
		printf("done\n");
	return rc;
}

/*
 * The API's POST …/ID/WORD: cancel, retry, check, discover. Some answer with the thing itself, some
 * with the operation that does it.
 */
int remote_action(struct cli *c, struct err *e)
{
	const struct remote_kind *k = remote_kind_of(c);
	const char *word = strrchr(c->p.command->name, ' ') + 1;
	AUTO_FREE char *id = NULL;
	AUTO_FREE char *path = NULL;
	json_t *answer = NULL;
	int rc;

	if (remote_open(c, e) < 0 || remote_find_id(c, k, c->p.args[0], &id, e) < 0)
		return -1;
	path = remote_path(k, id, word);
	if (client_do(c->client, "POST", path, NULL, &answer, e) < 0)
		return -1;
	rc = remote_started(c, answer, c->p.args[0], false, e);
	if (rc == 0 && c->json)
		cli_json(json_incref(answer));
	else if (rc == 0 && strcmp(k->noun, "operation") == 0)
		printf("%s: operation %s\n", strcmp(word, "cancel") == 0 ? "stopping" : "retrying",
		       id);
	else if (rc == 0 && remote_waits(c))
		printf("%s: done\n", word);
	json_decref(answer);
	return rc;
}
