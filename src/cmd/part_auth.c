/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what. At the first start there is nobody yet: an administrator is made, and the
 * password lies in a file of the state directory until somebody has read it; a log would keep it
 * for ever.
 */
#include "cmd/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "auth/account.h"
#include "auth/auth.h"
#include "base/clock.h"
#include "base/fio.h"
#include "base/log.h"

#define LOOK_AFTER_MS 1000

/* Links the audit log and forgets what has expired, every second. */
struct keeper {
	struct auth *auth;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
};
static struct keeper keeper;

static bool rest(struct keeper *k)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LOOK_AFTER_MS / 1000;
	pthread_mutex_lock(&k->lock);
	while (!k->stop && pthread_cond_timedwait(&k->wake, &k->lock, &until) == 0)
		;
	stop = k->stop;
	pthread_mutex_unlock(&k->lock);
	return stop;
}

static void *look_after(void *arg)
{
	struct keeper *k = arg;
	struct err e = {0};

	do {
		if (auth_look_after(k->auth, clock_wall_us(), &e) < 0)
			log_warn("access: %s", e.msg);
	} while (!rest(k));
	return NULL;
}

static int keep_password(struct daemon *d, const char *password, struct err *e)
{
	const char *folder = config_text(d->config, "state", "directory");
	AUTO_FREE char *path = xasprintf("%s/first-password", folder);
	AUTO_FREE char *text = xasprintf("%s\n", password);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = fd < 0 ? err_sys(e, errno, "make '%s'", path)
		       : fio_write(fd, text, strlen(text), path, e);

	if (fd >= 0)
		close(fd);
	secret_wipe(text, strlen(text));
	if (r < 0)
		return -1;
	log_info("first start: there is an administrator 'admin' now; the password is in '%s': "
		 "read it, and remove the file",
		 path);
	return 0;
}

static int start(struct daemon *d, struct err *e)
{
	const char *folder = config_text(d->config, "state", "directory");
	const char *given = config_text(d->config, "state", "server_key_file");
	AUTO_FREE char *usual = xasprintf("%s/seal.key", folder);
	struct auth_options o = {
		.key_file = given ? given : usual,
		.policy_file = config_text(d->config, "auth", "policy_file"),
		.session_s = (unsigned)(config_us(d->config, "auth", "session") / 1000000),
	};
	char password[FIRST_PASSWORD];
	int first;

	d->auth = auth_open(d->db, &o, e);
	if (!d->auth)
		return -1;
	first = auth_first_start(d->auth, password, e);
	if (first > 0 && keep_password(d, password, e) < 0)
		first = -1;
	secret_wipe(password, sizeof(password));
	keeper = (struct keeper){.auth = d->auth,
				 .lock = PTHREAD_MUTEX_INITIALIZER,
				 .wake = PTHREAD_COND_INITIALIZER};
	if (first >= 0 && pthread_create(&keeper.thread, NULL, look_after, &keeper) == 0)
		return 0;
	if (first >= 0)
		err_set(e, ERR_BUSY, "there are no more threads");
	auth_close(d->auth);
	d->auth = NULL;
	return -1;
}

static int reload(struct daemon *d, struct err *e)
{
	return auth_reload(d->auth, e);
}

static void stop(struct daemon *d, unsigned timeout_ms)
{
	(void)timeout_ms;
	pthread_mutex_lock(&keeper.lock);
	keeper.stop = true;
	pthread_cond_signal(&keeper.wake);
	pthread_mutex_unlock(&keeper.lock);
	pthread_join(keeper.thread, NULL);
	auth_close(d->auth);
	d->auth = NULL;
}

const struct daemon_part part_auth = {
	.name = "access",
	.start = start,
	.reload = reload,
	.stop = stop,
};
