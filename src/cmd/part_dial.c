/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mover's link to its server.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/fio.h"
#include "base/log.h"
#include "cmd/mover.h"
#include "link/dial.h"
#include "step/journal.h"
#include "step/step.h"

#define INVITATION_MAX 256
#define LOOK_MS 500
#define JOURNALS_S ((int64_t)30 * 86400) /* what restores made is known for so long */

/* There is one in the process. */
static struct {
	struct dial *dial;
	pthread_t watch;
	atomic_bool ending;
} mover;

static void check(const struct config *c, struct config_problems *p)
{
	const char *url = config_text(c, "server", "url");

	if (!url)
		config_problem(c, "server", "url", p, "it is needed");
	else if (strncmp(url, "http://", 7) == 0 && strncmp(url + 7, "127.", 4) != 0 &&
		 strncmp(url + 7, "[::1]", 5) != 0 && strncmp(url + 7, "localhost", 9) != 0)
		config_problem(c, "server", "url", p,
			       "a server on another machine is reached by https://");
}

/* What a file says up to its first line end; NULL: there is no such file. */
static int read_invitation(const char *path, struct secret **ret, struct err *e)
{
	struct err why = {0};
	AUTO_BUF b = BUF_INIT;
	size_t n;

	*ret = NULL;
	if (!path)
		return 0;
	if (fio_slurp(path, INVITATION_MAX, &b, &why) < 0) {
		if (why.kind == ERR_NOENT) /* it was registered, and the file removed */
			return 0;
		if (e)
			*e = why;
		return err_wrap(e, "[server] invitation_file");
	}
	n = strcspn(buf_str(&b), " \t\r\n");
	*ret = secret_of(b.data, n + 1);
	(*ret)->data[n] = 0;
	secret_wipe(b.data, b.len);
	return 0;
}

/* It cannot go on: the daemon is told to end, which it does with everything in order. */
static void *watch(void *arg)
{
	struct err e = {0};

	(void)arg;
	while (!atomic_load(&mover.ending)) {
		if (dial_check(mover.dial, LOOK_MS, &e) < 0) {
			kill(getpid(), SIGTERM);
			break;
		}
	}
	return NULL;
}

static const char **kinds_of(void)
{
	const char **v = NULL;
	size_t n = 0;

	do
		v = xreallocarray(v, n + 1, sizeof(*v));
	while ((v[n] = step_kind_name(n)) && ++n);
	return v;
}

/* A URL as people write it may end with "/". */
static char *server_of(const struct config *c)
{
	char *url = xstrdup(config_text(c, "server", "url"));
	size_t n = strlen(url);

	while (n && url[n - 1] == '/')
		url[--n] = 0;
	return url;
}

static int start(struct daemon *d, struct err *e)
{
	const struct config *c = d->config;
	AUTO_FREE const char **kinds = kinds_of();
	AUTO_FREE char *server = server_of(c);
	AUTO_FREE char *self = mover_path();
	AUTO(secret) invitation = NULL;
	char host[256] = "localhost";
	int rc;

	gethostname(host, sizeof(host) - 1);
	journal_tidy(config_text(c, "state", "directory"), JOURNALS_S);
	if (read_invitation(config_text(c, "server", "invitation_file"), &invitation, e) < 0)
		return -1;
	mover.dial = dial_start(
		&(const struct dial_options){
			.server = server,
			.ca = config_text(c, "server", "ca"),
			.state = config_text(c, "state", "directory"),
			.invitation = invitation ? (const char *)invitation->data : NULL,
			.program = self,
			.host = host,
			.kinds = kinds,
			.slots = (unsigned)config_int(c, "mover", "slots"),
			.look_s = (unsigned)(config_us(c, "mover", "look") / 1000000)},
		e);
	if (!mover.dial)
		return -1;
	rc = pthread_create(&mover.watch, NULL, watch, NULL);
	if (rc == 0)
		return 0;
	dial_stop(mover.dial, 0);
	return err_sys(e, rc, "start a thread");
}

static void stop(struct daemon *d, unsigned timeout_ms)
{
	(void)d;
	if (!mover.dial)
		return;
	atomic_store(&mover.ending, true);
	pthread_join(mover.watch, NULL);
	dial_stop(mover.dial, timeout_ms);
	mover.dial = NULL;
}

static int health(struct daemon *d, struct err *e)
{
	(void)d;
	return dial_health(mover.dial, e);
}

const struct daemon_part part_dial = {
	.name = "link",
	.check = check,
	.start = start,
	.stop = stop,
	.health = health,
};
