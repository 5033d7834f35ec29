/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest whose file systems are frozen stands still, so it must be thawed whatever happens: when
 * the backup fails, when libvirt hangs, when this process is killed. A guard, a process of its own,
 * is started before the freeze. It thaws the guest when this process ends without having done so
 * (the pipe between them closes) and when the freeze has lasted too long.
 *
 *   parent ─"f" (frozen)─> guard: starts its clock        parent ─"t" (thawed)─> guard: ends
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/spawn.h"
#include "platform/libvirt/priv.h"

#define GUARD_START_MS 10000

/* ---- the guard's side ---- */

static int thaw(const char *uri, const char *uuid)
{
	virConnectPtr conn = NULL;
	virDomainPtr dom;
	int rc = -1;

	/* libvirtd may be restarting; the guest waits, so keep trying for a while. */
	for (int i = 0; i < 60 && !conn; i++) {
		conn = virConnectOpen(uri);
		if (!conn)
			sleep(1);
	}
	if (!conn)
		return 1;
	dom = virDomainLookupByUUIDString(conn, uuid);
	if (dom) {
		virDomainAgentSetResponseTimeout(dom, 10, 0);
		for (int i = 0; i < 30 && rc < 0; i++) {
			rc = virDomainFSThaw(dom, NULL, 0, 0);
			if (rc < 0)
				sleep(1);
		}
		virDomainFree(dom);
	}
	virConnectClose(conn);
	return rc < 0;
}

int libvirt_freeze_guard(const char *uri, const char *uuid, uint64_t timeout_us)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	uint64_t frozen_at = 0;
	char c;

	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (write(STDOUT_FILENO, "r", 1) != 1)
		return 1;
	for (;;) {
		uint64_t passed = frozen_at ? clock_mono_us() - frozen_at : 0;
		int wait_ms = -1;

		if (frozen_at && passed >= timeout_us)
			return thaw(uri, uuid);
		if (frozen_at)
			wait_ms = (int)((timeout_us - passed) / 1000) + 1;
		if (poll(&p, 1, wait_ms) <= 0)
			continue;
		if (read(STDIN_FILENO, &c, 1) != 1)
			return thaw(uri, uuid);
		if (c == 't')
			return 0;
		frozen_at = clock_mono_us();
	}
}

/* ---- our side ---- */

/* Wait for the guard's "r": before that it would not thaw anything. */
static int wait_ready(int fd, struct err *e)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char c;

	if (poll(&p, 1, GUARD_START_MS) == 1 && read(fd, &c, 1) == 1 && c == 'r')
		return 0;
	return err_set(e, ERR_INTERNAL, "the guard that would thaw the guest did not start");
}

static int start_guard(struct lv_freeze *f, const struct lv *lv, const struct protect *job,
		       struct err *e)
{
	char uuid[VIR_UUID_STRING_BUFLEN], ms[32];
	const char *argv[] = {job->self, "freeze-guard", lv->uri, uuid, ms, NULL};
	int in[2], out[2], rc;

	if (!job->self)
		return 0;
	if (virDomainGetUUIDString(f->dom, uuid) < 0)
		return lv_fail(e, "ask for the domain's UUID");
	snprintf(ms, sizeof(ms), "%llu", (unsigned long long)(f->timeout_us / 1000));
	if (pipe2(in, O_CLOEXEC) < 0)
		return err_sys(e, errno, "make a pipe");
	if (pipe2(out, O_CLOEXEC) < 0) {
		close(in[0]);
		close(in[1]);
		return err_sys(e, errno, "make a pipe");
	}
	f->guard = spawn_start(argv, in[0], out[1], e);
	close(in[0]);
	close(out[1]);
	f->guard_in = in[1];
	rc = f->guard ? wait_ready(out[0], e) : -1;
	close(out[0]);
	return rc;
}

static void tell_guard(struct lv_freeze *f, char what)
{
	if (f->guard && write(f->guard_in, &what, 1) < 0)
		return; /* it is gone, and so is what it would have done */
}

/* "t": nothing is frozen (any more). */
static void dismiss_guard(struct lv_freeze *f)
{
	if (f->guard_in >= 0) {
		tell_guard(f, 't');
		close(f->guard_in);
	}
	f->guard_in = -1;
	spawn_stop(f->guard);
	f->guard = NULL;
}

int lv_freeze_ready(struct lv_freeze *f, virDomainPtr dom, const struct lv *lv,
		    const struct protect *job, struct err *e)
{
	*f = (struct lv_freeze){.dom = dom, .guard_in = -1, .timeout_us = job->freeze_timeout_us};
	if (start_guard(f, lv, job, e) == 0)
		return 0;
	dismiss_guard(f);
	return -1;
}

int lv_freeze_begin(struct lv_freeze *f, uint64_t wait_us, struct err *e)
{
	virDomainAgentSetResponseTimeout(f->dom, (int)MAX(wait_us / 1000000, (uint64_t)1), 0);
	f->asked = true;
	f->since_us = clock_mono_us();
	tell_guard(f, 'f');
	if (virDomainFSFreeze(f->dom, NULL, 0, 0) < 0)
		return lv_fail(e, "freeze the guest's file systems");
	f->frozen = true;
	return 0;
}

static int thawed(struct lv_freeze *f, uint64_t *ret_frozen_us, struct err *e)
{
	int rc = virDomainFSThaw(f->dom, NULL, 0, 0);
	uint64_t frozen_us = clock_mono_us() - f->since_us;

	*ret_frozen_us = frozen_us;
	if (rc < 0) {
		lv_fail(e, "thaw the guest's file systems");
		/* Leave the guard to it: the closed pipe tells it to. */
		close(f->guard_in);
		f->guard_in = -1;
		spawn_release(steal(&f->guard));
		return -1;
	}
	dismiss_guard(f);
	/* The guard thaws at the timeout; what the guest wrote after that is not quiesced. */
	if (frozen_us >= f->timeout_us)
		return err_set(e, ERR_TIMEOUT,
			       "freezing and starting the backup took longer than the %llu ms that "
			       "the guest may stand still",
			       (unsigned long long)f->timeout_us / 1000);
	return 0;
}

int lv_freeze_end(struct lv_freeze *f, uint64_t *ret_frozen_us, struct err *e)
{
	bool frozen = f->frozen;

	f->frozen = false;
	if (frozen)
		return thawed(f, ret_frozen_us, e);
	/* The agent may have frozen them and only its answer be late. */
	if (f->asked)
		virDomainFSThaw(f->dom, NULL, 0, 0);
	dismiss_guard(f);
	*ret_frozen_us = 0;
	return 0;
}
