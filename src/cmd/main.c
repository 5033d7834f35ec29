/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfast: the command line.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/human.h"
#include "base/secret.h"
#include "cmd/cli.h"
#include "platform/libvirt/libvirt.h"

/* The only thing that a signal may touch. */
static struct cancel *stop_flag;

static void on_signal(int sig)
{
	/* Asked a second time: now. What was not committed is reclaimable; a guard thaws guests. */
	if (cancel_asked(stop_flag))
		_exit(128 + sig);
	cancel_set(stop_flag);
}

static void catch_signals(struct cancel *c)
{
	struct sigaction sa = {.sa_handler = on_signal};

	stop_flag = c;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

const char *exit_meaning(enum err_kind kind)
{
	static const char *const meanings[ERR_KINDS] = {
		[ERR_NONE] = "success",
		[ERR_INVALID] = "wrong usage or input",
		[ERR_NOENT] = "something that was named does not exist",
		[ERR_EXISTS] = "something is there already",
		[ERR_DENIED] = "not allowed by the system or a peer",
		[ERR_KEY] = "the key does not open the repository",
		[ERR_CORRUPT] = "stored data is damaged",
		[ERR_VERSION] = "a newer format: use a newer version",
		[ERR_UNSUPPORTED] = "not possible with this system or resource",
		[ERR_BUSY] = "something else is at work on it: try again later",
		[ERR_CONFLICT] = "somebody else changed it at the same time: try again",
		[ERR_NOSPACE] = "no space left",
		[ERR_IO] = "reading or writing failed",
		[ERR_UNREACHABLE] = "the other side does not answer",
		[ERR_TIMEOUT] = "it took longer than allowed",
		[ERR_CANCELLED] = "stopped on request",
		[ERR_LIMIT] = "larger or more than allowed",
		[ERR_INTERNAL] = "a defect in this program",
	};

	return meanings[kind];
}

int cli_bytes(const struct cli *c, const char *name, uint64_t *ret, struct err *e)
{
	const char *text = parsed_text(&c->p, name);

	if (text && !human_parse_bytes(text, ret))
		return err_set(e, ERR_INVALID, "--%s '%s': write a size like 512MiB or 2GiB", name,
			       text);
	return 0;
}

int cli_duration(const struct cli *c, const char *name, uint64_t *ret_us, struct err *e)
{
	const char *text = parsed_text(&c->p, name);

	if (text && !human_parse_duration(text, ret_us))
		return err_set(e, ERR_INVALID, "--%s '%s': write a time like 500ms, 10s or 2m",
			       name, text);
	return 0;
}

int cmd_version(struct cli *c, struct err *e)
{
	(void)e;
	if (c->json)
		cli_json(json_pack("{s:s,s:i}", "version", HF_VERSION, "repository_format", 1));
	else
		printf("holdfast %s\n", HF_VERSION);
	return 0;
}

int cmd_freeze_guard(struct cli *c, struct err *e)
{
	(void)e;
	exit(libvirt_freeze_guard(c->p.args[0], c->p.args[1],
				  strtoull(c->p.args[2], NULL, 10) * 1000));
}

/* ---- running ---- */

static int report(const struct cli *c, const struct err *e)
{
	const struct err_info *info = err_info(e->kind);

	if (c->json) {
		json_t *j = json_pack("{s:{s:s,s:s,s:b}}", "error", "kind", info->name, "message",
				      e->msg, "retryable", info->retryable);
		AUTO_FREE char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

		fprintf(stderr, "%s\n", text ? text : "{\"error\":{\"kind\":\"internal\"}}");
		json_decref(j);
	} else {
		log_error("%s", e->msg);
	}
	log_debug("first seen at %s:%d", e->file ? e->file : "?", e->line);
	return info->exit_code;
}

static int run(struct cli *c, struct err *e)
{
	const char *output = parsed_text(&c->p, "output");

	c->json = output && strcmp(output, "json") == 0;
	c->quiet = parsed_flag(&c->p, "quiet");
	if (parsed_flag(&c->p, "verbose"))
		log_set_level(LOG_LEVEL_DEBUG);
	if (c->p.help || !c->p.command) {
		help_print(c->p.command, c->p.help_prefix);
		return 0;
	}
	if (c->p.command->run(c, e) < 0)
		return -1;
	if (fflush(stdout) != 0)
		return err_sys(e, errno, "write standard output");
	return 0;
}

static char *own_path(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	return n > 0 ? xstrndup(path, (size_t)n) : NULL;
}

int main(int argc, char **argv)
{
	struct cli c = {.self = own_path()};
	struct err e = {0};
	int code = 0;

	secret_harden();
	catch_signals(&c.cancel);
	if (parse_args(argc, argv, &c.p, &e) < 0 || run(&c, &e) < 0)
		code = report(&c, &e);
	repo_free(c.repo);
	store_free(c.store);
	credential_free(c.credential);
	parsed_done(&c.p);
	free(c.self);
	return code;
}
