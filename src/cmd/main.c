/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfast: the command line.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "client/client.h"
#include "cmd/remote.h"

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

/* Straight against a target, or against a server? */
static int run_command(struct cli *c, struct err *e)
{
	enum side side;

	if (remote_side(c, &side, e) < 0)
		return -1;
	if (side == SIDE_TARGET)
		return c->p.command->run(c, e);
	return c->p.command->remote(c, e);
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
	if (run_command(c, e) < 0)
		return -1;
	if (fflush(stdout) != 0)
		return err_sys(e, errno, "write standard output");
	return 0;
}

/* Does a command line ask for JSON that could not be parsed? Its reader wants the error so, too. */
static bool asks_for_json(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "-ojson") == 0 || strcmp(argv[i], "--output=json") == 0)
			return true;
		if ((strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0) &&
		    strcmp(next, "json") == 0)
			return true;
	}
	return false;
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
	if (parse_args(argc, argv, &c.p, &e) < 0) {
		c.json = asks_for_json(argc, argv);
		code = report(&c, &e);
	} else if (run(&c, &e) < 0) {
		code = report(&c, &e);
	}
	client_free(c.client);
	json_decref(c.names);
	repo_free(c.repo);
	store_free(c.store);
	credential_free(c.credential);
	parsed_done(&c.p);
	free(c.self);
	return code;
}
