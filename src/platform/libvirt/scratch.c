/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scratch space. While a backup job runs, QEMU copies every block that the guest overwrites to a
 * scratch file first. When the file system under it is full, it is the guest's write that fails. So
 * there must be room to begin with, and when it runs short the job is ended before the guest
 * notices: a lost backup is better than a hurt guest.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/statvfs.h>

#include "base/cond.h"
#include "base/human.h"
#include "platform/libvirt/priv.h"

#define LOOK_MS 100

struct scratch_watch {
	const char *uri;
	virDomainPtr dom;
	const char *dir;
	uint64_t reserve;
	const struct cancel *user;
	pthread_t thread;
	pthread_mutex_t lock; /* of ending and failed */
	pthread_cond_t changed;
	bool ending;
	struct err failed;
	struct cancel cancel; /* raised by us, or passed on from the user's */
};

static int free_bytes(const char *dir, uint64_t *ret_bytes, struct err *e)
{
	struct statvfs st;

	if (statvfs(dir, &st) < 0)
		return err_sys(e, errno, "look at the scratch folder %s", dir);
	*ret_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	return 0;
}

int scratch_check(const char *dir, uint64_t reserve, struct err *e)
{
	char have[HUMAN_TEXT], want[HUMAN_TEXT];
	uint64_t bytes = 0;

	if (free_bytes(dir, &bytes, e) < 0)
		return -1;
	/* As much again, so that there is something to use. */
	if (bytes >= 2 * reserve)
		return 0;
	return err_set(
		e, ERR_NOSPACE,
		"scratch folder %s has %s free, a backup needs at least %s to be safe for the "
		"guest: make room, choose another scratch folder, or lower the reserve",
		dir, human_bytes(bytes, have), human_bytes(2 * reserve, want));
}

/* End the job, also when libvirtd was restarted since. */
static void abort_job(struct scratch_watch *w)
{
	char uuid[VIR_UUID_STRING_BUFLEN];
	virConnectPtr conn;
	virDomainPtr dom;

	if (virDomainAbortJob(w->dom) == 0 || virDomainGetUUIDString(w->dom, uuid) < 0)
		return;
	conn = virConnectOpen(w->uri);
	dom = conn ? virDomainLookupByUUIDString(conn, uuid) : NULL;
	if (dom) {
		virDomainAbortJob(dom);
		virDomainFree(dom);
	}
	if (conn)
		virConnectClose(conn);
}

/* Room is short: end the job now, and say why later. */
static void stop_job(struct scratch_watch *w, uint64_t bytes)
{
	char have[HUMAN_TEXT];

	abort_job(w);
	pthread_mutex_lock(&w->lock);
	err_set(&w->failed, ERR_NOSPACE,
		"the backup was stopped to keep the guest safe: scratch folder %s has only %s "
		"left; "
		"make room, or choose another scratch folder",
		w->dir, human_bytes(bytes, have));
	pthread_mutex_unlock(&w->lock);
	cancel_set(&w->cancel);
}

static void *watch(void *arg)
{
	struct scratch_watch *w = arg;
	bool stopped = false;

	pthread_mutex_lock(&w->lock);
	while (!w->ending) {
		struct timespec until;
		uint64_t bytes = 0;

		pthread_mutex_unlock(&w->lock);
		if (!stopped && free_bytes(w->dir, &bytes, NULL) == 0 && bytes < w->reserve) {
			stop_job(w, bytes);
			stopped = true;
		}
		if (cancel_asked(w->user))
			cancel_set(&w->cancel);
		pthread_mutex_lock(&w->lock);
		until = cond_in_ms(LOOK_MS);
		if (!w->ending)
			pthread_cond_timedwait(&w->changed, &w->lock, &until);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

struct scratch_watch *scratch_watch_new(const char *uri, virDomainPtr dom, const char *dir,
					uint64_t reserve, const struct cancel *user, struct err *e)
{
	struct scratch_watch *w = xcalloc(1, sizeof(*w));
	int rc;

	w->uri = uri;
	w->dom = dom;
	w->dir = dir;
	w->reserve = reserve;
	w->user = user;
	pthread_mutex_init(&w->lock, NULL);
	cond_init(&w->changed);
	rc = pthread_create(&w->thread, NULL, watch, w);
	if (rc) {
		free(w);
		err_sys(e, rc, "start a thread");
		return NULL;
	}
	return w;
}

void scratch_watch_free(struct scratch_watch *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

int scratch_watch_check(struct scratch_watch *w, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&w->lock);
	if (w->failed.kind != ERR_NONE) {
		if (e)
			*e = w->failed;
		rc = -1;
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}

const struct cancel *scratch_watch_cancel(const struct scratch_watch *w)
{
	return &w->cancel;
}
