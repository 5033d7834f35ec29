/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backup job inside QEMU.
 *
 * A domain has one folder, SCRATCH/holdfast-UUID, with a lock file, and inside it a folder that
 * belongs to QEMU's user, with the socket and the scratch files. Whoever holds the lock owns the
 * domain's backup job; the kernel releases it when its owner dies. So a job found running with the
 * lock free is a left-over of a dead run, and is ended; one with another socket is somebody else's,
 * and is left alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fio.h"
#include "platform/libvirt/priv.h"

#define SCRATCH_DEFAULT "/var/tmp"
#define RESERVE_DEFAULT ((uint64_t)1 << 30)
#define SOCKET_PATH_MAX 107 /* sun_path */

static uint64_t reserve_of(const struct protect *job)
{
	return job->scratch_reserve ? job->scratch_reserve : RESERVE_DEFAULT;
}

/* ---- the folder and its lock ---- */

/* A folder of our own: in a place like /var/tmp somebody else may have made one of that name. */
static int own_folder(const char *path, mode_t mode, struct err *e)
{
	struct stat st;

	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_sys(e, errno, "create %s", path);
	if (lstat(path, &st) < 0)
		return err_sys(e, errno, "look at %s", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return err_set(e, ERR_DENIED,
			       "%s belongs to somebody else: remove it, or choose another scratch "
			       "folder",
			       path);
	return chmod(path, mode) < 0 ? err_sys(e, errno, "set the mode of %s", path) : 0;
}

/* Is the open file still the one that the path names? Its last owner removes it. */
static bool still_there(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

/* 1: locked, 0: try again, -1. */
static int try_lock(struct lv_job *j, const char *path, const char *domain, struct err *e)
{
	if (own_folder(j->dir, 0711, e) < 0)
		return -1;
	j->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->lock_fd < 0 && errno == ENOENT)
		return 0; /* the folder was just removed */
	if (j->lock_fd < 0)
		return err_sys(e, errno, "open %s", path);
	if (flock(j->lock_fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return err_set(e, ERR_BUSY,
			       "another backup of domain %s is running: wait for it to end",
			       domain);
	if (still_there(j->lock_fd, path))
		return 1;
	close(j->lock_fd);
	j->lock_fd = -1;
	return 0;
}

static int take_lock(struct lv_job *j, const char *domain, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/lock", j->dir);
	int rc = 0;

	for (int i = 0; i < 100 && rc == 0; i++)
		rc = try_lock(j, path, domain, e);
	if (rc == 0)
		return err_set(e, ERR_BUSY, "backups of domain %s follow each other too fast",
			       domain);
	return rc < 0 ? -1 : 0;
}

/* The folder for QEMU's files: it makes the socket itself, as its own user. */
static int qemu_folder(struct lv_job *j, const struct lv_domain_info *info, struct err *e)
{
	AUTO_FREE char *dir = xasprintf("%s/q", j->dir);

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "create %s", dir);
	if (info->qemu_uid != geteuid() && lchown(dir, info->qemu_uid, info->qemu_gid) < 0)
		return err_sys(e, errno, "give %s to QEMU's user", dir);
	j->socket = xasprintf("%s/nbd", dir);
	if (strlen(j->socket) > SOCKET_PATH_MAX)
		return err_set(e, ERR_INVALID,
			       "the path of the scratch folder is too long: choose a shorter one");
	return 0;
}

/* ---- left-overs ---- */

/* The folder of the run whose socket this is, if it is one of ours for this domain; the caller
 * frees. */
static char *folder_of_run(const char *socket, const char *uuid)
{
	AUTO_FREE char *tail = xasprintf("/holdfast-%s/q/nbd", uuid);
	size_t n = strlen(socket), t = strlen(tail);

	if (n < t || strcmp(socket + n - t, tail) != 0)
		return NULL;
	return xstrndup(socket, n - strlen("/q/nbd"));
}

/* Does somebody live who holds the lock of that folder? */
static bool is_owned(const struct lv_job *j, const char *folder)
{
	AUTO_FREE char *path = xasprintf("%s/lock", folder);
	AUTO_CLOSE int fd = -1;

	if (strcmp(folder, j->dir) == 0)
		return false; /* we hold it */
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
}

/* Is a backup job running in QEMU? 1: a dead run of ours left it; 0: none; -1 with ERR_BUSY. */
static int find_job(struct lv_job *j, const struct lv_domain_info *info, struct err *e)
{
	AUTO_FREE char *xml = virDomainBackupGetXMLDesc(j->dom, 0);
	AUTO_XML doc = xml ? lv_xml_parse(xml, "a backup job", NULL) : NULL;
	AUTO_FREE char *socket = doc ? lv_xml_text(doc, NULL, "server/@socket") : NULL;
	AUTO_FREE char *folder = socket ? folder_of_run(socket, info->uuid) : NULL;

	if (!xml)
		return 0;
	if (!folder)
		return err_set(
			e, ERR_BUSY,
			"a backup job of another program is running on domain %s: wait for it "
			"to end",
			info->name);
	if (is_owned(j, folder))
		return err_set(
			e, ERR_BUSY,
			"another backup of domain %s is running, with its scratch space in %s: "
			"wait for it to end",
			info->name, folder);
	return 1;
}

/* Checkpoints of ours without a point: their backup never became one. */
static void drop_orphans(struct lv_job *j)
{
	struct lv_checkpoint_list l;

	if (lv_checkpoints(j->dom, j->job->repo, j->job->history, &l, NULL) < 0)
		return;
	for (size_t i = 0; i < l.n; i++) {
		bool known = false;

		for (size_t k = 0; k < j->job->history->n && !known; k++)
			known = uuid_equal(&j->job->history->points[k]->id, &l.v[i].point);
		if (!known && lv_checkpoint_delete(l.v[i].ptr, NULL) == 0)
			platform_note(
				&j->job->watch, LOG_LEVEL_INFO,
				"removed the change tracking of a backup that did not complete");
	}
	lv_checkpoints_done(&l);
}

static int clean_up(struct lv_job *j, const struct lv_domain_info *info, struct err *e)
{
	AUTO_FREE char *q = xasprintf("%s/q", j->dir);
	bool active = virDomainIsActive(j->dom) == 1;
	int found = active ? find_job(j, info, e) : 0;

	if (found < 0)
		return -1;
	if (found) {
		platform_note(&j->job->watch, LOG_LEVEL_INFO,
			      "ending the backup job of a run that died");
		if (virDomainAbortJob(j->dom) < 0)
			return lv_fail(e, "end the backup job of a run that died");
	}
	/* What QEMU left when no job is running is a dead one's. */
	fio_empty_dir(AT_FDCWD, q);
	if (active)
		drop_orphans(j);
	return 0;
}

struct lv_job *lv_job_take(struct lv *lv, virDomainPtr dom, const struct lv_domain_info *info,
			   const struct protect *job, struct err *e)
{
	const char *scratch = job->scratch ? job->scratch : SCRATCH_DEFAULT;
	struct lv_job *j = xcalloc(1, sizeof(*j));

	j->lv = lv;
	/* Its own reference: a restart of libvirtd replaces it. */
	j->dom = dom;
	virDomainRef(dom);
	j->job = job;
	j->lock_fd = -1;
	j->dir = xasprintf("%s/holdfast-%s", scratch, info->uuid);
	if (take_lock(j, info->name, e) < 0 || qemu_folder(j, info, e) < 0 ||
	    clean_up(j, info, e) < 0) {
		lv_job_free(j);
		return NULL;
	}
	return j;
}

/* ---- the job ---- */

/* Disks that are not in the plan, so that libvirt has no choice about them. */
static void name_others(const struct lv_plan *plan, const struct lv_domain_info *info,
			const char *attribute, struct buf *b)
{
	for (size_t i = 0; i < info->n_disks; i++) {
		AUTO_FREE char *name = lv_xml_quote(info->disks[i].name);
		bool planned = false;

		for (size_t k = 0; k < plan->n; k++)
			planned = planned || plan->v[k].disk == &info->disks[i];
		if (!planned)
			buf_fmt(b, "<disk name='%s' %s='no'/>", name, attribute);
	}
}

static void backup_xml(const struct lv_job *j, const struct lv_plan *plan,
		       const struct lv_domain_info *info, struct buf *b)
{
	AUTO_FREE char *socket = lv_xml_quote(j->socket);
	AUTO_FREE char *dir = lv_xml_quote(j->dir);

	buf_fmt(b, "<domainbackup mode='pull'><server transport='unix' socket='%s'/><disks>",
		socket);
	for (size_t i = 0; i < plan->n; i++) {
		const struct lv_plan_disk *d = &plan->v[i];
		AUTO_FREE char *name = lv_xml_quote(d->disk->name);

		buf_fmt(b, "<disk name='%s' backup='yes' type='file' exportname='%s'", name, name);
		if (d->base)
			buf_fmt(b, " backupmode='incremental' incremental='%s'", d->base_name);
		else
			buf_text(b, " backupmode='full'");
		buf_fmt(b, "><scratch file='%s/q/%s.scratch'/></disk>", dir, name);
	}
	name_others(plan, info, "backup", b);
	buf_text(b, "</disks></domainbackup>");
}

/* False when no disk can have a bitmap. */
static bool checkpoint_xml(const struct lv_job *j, const struct lv_plan *plan,
			   const struct lv_domain_info *info, struct buf *b)
{
	bool any = false;

	buf_fmt(b,
		"<domaincheckpoint><name>%s</name><description>What changed since the Holdfast "
		"checkpoint of this name. Holdfast removes it by itself.</description><disks>",
		j->checkpoint);
	for (size_t i = 0; i < plan->n; i++) {
		AUTO_FREE char *name = lv_xml_quote(plan->v[i].disk->name);

		buf_fmt(b, "<disk name='%s' checkpoint='%s'/>", name,
			plan->v[i].bitmap_able ? "bitmap" : "no");
		any = any || plan->v[i].bitmap_able;
	}
	name_others(plan, info, "checkpoint", b);
	buf_text(b, "</disks></domaincheckpoint>");
	return any;
}

/* The disk that libvirt's message is about: "… disk 'vda' …"; NULL when it does not say. */
static struct lv_plan_disk *accused(const struct lv_job *j, struct lv_plan *plan)
{
	const char *at = strstr(j->said, "disk '");

	for (size_t i = 0; at && i < plan->n; i++) {
		const char *name = plan->v[i].disk->name;
		size_t n = strlen(name);

		if (strncmp(at + 6, name, n) == 0 && at[6 + n] == '\'')
			return &plan->v[i];
	}
	return NULL;
}

/*
 * The job could not be started as planned. Change tracking is never worth failing for: read the
 * disk that libvirt names as a whole, or all of them. True when the plan is another one now.
 */
static bool give_way(struct lv_job *j, struct lv_plan *plan)
{
	struct lv_plan_disk *d = accused(j, plan);
	bool changed = false;

	for (size_t i = 0; i < plan->n; i++) {
		struct lv_plan_disk *x = &plan->v[i];

		if ((d && x != d) || (!x->base && !x->bitmap_able))
			continue;
		changed = true;
		/* First without its increment, then without a new bitmap. */
		if (x->base)
			lv_plan_widen(x, &j->job->watch, "its change tracking cannot be used (%s)",
				      j->said);
		else
			x->bitmap_able = false;
	}
	return changed;
}

void lv_job_begin(struct lv_job *j, const struct lv_plan *plan, const struct lv_domain_info *info,
		  const struct uuid *point)
{
	AUTO_BUF backup = BUF_INIT;
	AUTO_BUF checkpoint = BUF_INIT;
	const virError *v;

	lv_checkpoint_name(j->job->repo, point, j->checkpoint);
	backup_xml(j, plan, info, &backup);
	j->has_checkpoint = checkpoint_xml(j, plan, info, &checkpoint);
	if (virDomainBackupBegin(j->dom, buf_str(&backup),
				 j->has_checkpoint ? buf_str(&checkpoint) : NULL, 0) == 0) {
		j->active = true;
		return;
	}
	j->has_checkpoint = false;
	j->code = lv_code();
	lv_fail(&j->failed, "start the backup of domain %s", info->name);
	v = virGetLastError();
	free(j->said);
	j->said = xstrdup(v && v->message ? v->message : "");
}

int lv_job_begun(struct lv_job *j, struct lv_plan *plan, const struct lv_domain_info *info,
		 struct err *e)
{
	if (j->active)
		return 0;
	if (j->code == VIR_ERR_OPERATION_TIMEOUT)
		return err_set(e, ERR_BUSY,
			       "something else is at work on domain %s (a migration, a snapshot, "
			       "another backup): try again later",
			       info->name);
	if ((j->code == VIR_ERR_CHECKPOINT_INCONSISTENT ||
	     j->code == VIR_ERR_NO_DOMAIN_CHECKPOINT || j->code == VIR_ERR_CONFIG_UNSUPPORTED ||
	     j->code == VIR_ERR_OPERATION_FAILED || j->code == VIR_ERR_INTERNAL_ERROR ||
	     j->code == VIR_ERR_OPERATION_INVALID || j->code == VIR_ERR_INVALID_ARG) &&
	    give_way(j, plan))
		return 1;
	if (e)
		*e = j->failed;
	return -1;
}

int lv_job_watch(struct lv_job *j, struct err *e)
{
	j->scratch = scratch_watch_new(j->lv->uri, j->dom, j->dir, reserve_of(j->job),
				       j->job->watch.cancel, e);
	return j->scratch ? 0 : -1;
}

int lv_job_check_scratch(const struct lv_job *j, struct err *e)
{
	return scratch_check(j->dir, reserve_of(j->job), e);
}

int lv_job_check(struct lv_job *j, struct err *e)
{
	return j->scratch ? scratch_watch_check(j->scratch, e) : 0;
}

const struct cancel *lv_job_cancel(const struct lv_job *j)
{
	return j->scratch ? scratch_watch_cancel(j->scratch) : j->job->watch.cancel;
}

int lv_job_end(struct lv_job *j, struct err *e)
{
	scratch_watch_free(j->scratch);
	j->scratch = NULL;
	if (!j->active)
		return 0;
	if (lv_revive(j->lv, &j->dom, e) < 0)
		return -1;
	j->active = false;
	if (virDomainAbortJob(j->dom) < 0 && lv_code() != VIR_ERR_OPERATION_INVALID)
		return lv_fail(e, "end the backup job");
	return 0;
}

void lv_job_keep(struct lv_job *j)
{
	j->has_checkpoint = false;
}

/* The checkpoint of a backup that did not complete starts at nothing that we have. */
static void drop_checkpoint(struct lv_job *j)
{
	virDomainCheckpointPtr c = virDomainCheckpointLookupByName(j->dom, j->checkpoint, 0);

	if (!c)
		return;
	lv_checkpoint_delete(c, NULL);
	virDomainCheckpointFree(c);
}

void lv_job_withdraw(struct lv_job *j)
{
	lv_job_end(j, NULL);
	if (j->has_checkpoint)
		drop_checkpoint(j);
	j->has_checkpoint = false;
}

void lv_job_free(struct lv_job *j)
{
	if (!j)
		return;
	lv_job_withdraw(j);
	if (j->socket && j->lock_fd >= 0) {
		AUTO_FREE char *q = xasprintf("%s/q", j->dir);
		AUTO_FREE char *lock = xasprintf("%s/lock", j->dir);

		unlink(j->socket);
		/* Only what is empty goes; a scratch file is libvirt's to remove. */
		rmdir(q);
		unlink(lock);
		rmdir(j->dir);
	}
	if (j->lock_fd >= 0)
		close(j->lock_fd);
	virDomainFree(j->dom);
	free(j->socket);
	free(j->said);
	free(j->dir);
	free(j);
}
