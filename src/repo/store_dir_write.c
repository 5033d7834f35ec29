/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a store in a directory is changed.
 *
 * Every object appears by rename or link of a file that was flushed before, followed by a flush of
 * the directory it appears in, so that a name never stands for half an object, whatever happens:
 *
 *   put_new   tmp/X written, flushed; linked to its name (fails if that exists); tmp/X unlinked.
 *             If interrupted: a file in tmp/ that means nothing. A collector sweeps them away, also
 *             that of somebody who is at it, who then begins anew.
 *   upload    sessions/ID/X written, flushed; renamed to its name.
 *             If interrupted: a file in the session's folder, which goes away with it.
 *   commit    sessions/ID/point written, flushed; renamed to points/ID.
 *             If interrupted before the rename: no checkpoint, and the session is still there.
 *   revoke    sessions/ID renamed to sessions/ID.revoked, then removed.
 *             Afterwards no rename out of sessions/ID can succeed: the writer cannot commit.
 *
 * link(2) may report failure over NFS although it was carried out (the answer was lost and the
 * request sent again): then the name is there, and is that of our file.
 */
#include "repo/store_dir_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fio.h"
#include "base/outfile.h"
#include "base/uuid.h"

#define TEMP_NAME 48
#define PUT_TRIES 16 /* against collectors that sweep away what is being written */

struct dir_session {
	struct store_session ss;
	struct dir_store *d;
	char key[STORE_KEY_MAX]; /* sessions/ID */
	int fd;			 /* that folder */
};

struct dir_upload {
	struct store_upload u;
	struct dir_session *ses;
	struct outfile *file;
	char name[TEMP_NAME];
	uint64_t len;
};

static void temp_name(char *out)
{
	struct uuid u = uuid_random();
	char text[UUID_TEXT];

	snprintf(out, TEMP_NAME, "tmp-%s", uuid_text(&u, text));
}

/* Flush the folder that holds `key`. */
static int flush_parent(struct dir_store *d, const char *key, struct err *e)
{
	char dir[STORE_KEY_MAX] = ".";
	const char *slash = strrchr(key, '/');
	AUTO_CLOSE int fd = -1;

	if (slash)
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - key), key);
	fd = openat(d->fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return dir_fail(d, errno, "open", dir, e);
	if (dir_step(d, "fsync", dir, e) < 0)
		return -1;
	return fio_fsync_dir(fd, dir, e);
}

/* Make the folders above `key`, durably. */
static int make_parents(struct dir_store *d, const char *key, struct err *e)
{
	char dir[STORE_KEY_MAX];

	for (const char *slash = strchr(key, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(dir, sizeof(dir), "%.*s", (int)(slash - key), key);
		if (faccessat(d->fd, dir, F_OK, 0) == 0)
			continue;
		if (dir_step(d, "mkdir", dir, e) < 0)
			return -1;
		if (mkdirat(d->fd, dir, 0700) < 0 && errno != EEXIST)
			return dir_fail(d, errno, "create", dir, e);
		if (flush_parent(d, dir, e) < 0)
			return -1;
	}
	return 0;
}

/* Create `name` in the folder `at` (called `in` in messages) with these bytes, flushed. Returns it
 * open. */
static int write_open(struct dir_store *d, int at, const char *in, const char *name,
		      const void *data, size_t len, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	int out;

	if (dir_step(d, "write", name, e) < 0)
		return -1;
	fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return dir_fail(d, errno, "create a file in", in, e);
	if (fio_write(fd, data, len, d->s.url, e) < 0)
		return err_wrap(e, "%s", in);
	if (dir_step(d, "fsync", name, e) < 0 || fio_fsync(fd, d->s.url, e) < 0)
		return -1;
	out = fd;
	fd = -1;
	return out;
}

static int write_flushed(struct dir_store *d, int at, const char *in, const char *name,
			 const void *data, size_t len, struct err *e)
{
	AUTO_CLOSE int fd = write_open(d, at, in, name, data, len, e);

	return fd < 0 ? -1 : 0;
}

static bool is_file(struct dir_store *d, const char *key, int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(d->fd, key, &b, 0) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* Give a flushed file, open as `fd`, its name, only if that is free. ERR_NOENT: it was swept. */
static int link_new(struct dir_store *d, const char *temp, int fd, const char *key, struct err *e)
{
	int why;

	if (dir_step(d, "link", key, e) < 0)
		return -1;
	if (linkat(d->fd, temp, d->fd, key, 0) == 0)
		return 0;
	why = errno;
	if (why == EEXIST && is_file(d, key, fd))
		return 0; /* it was ours: see the top of this file */
	/* Some file systems have no links; a rename that refuses to replace does the same. */
	if (why != EEXIST && renameat2(d->fd, temp, d->fd, key, RENAME_NOREPLACE) == 0)
		return 0;
	if (why != EEXIST && errno != EINVAL)
		why = errno;
	return dir_fail(d, why, "create", key, e);
}

static int put_once(struct dir_store *d, const char *key, const void *data, size_t len,
		    struct err *e)
{
	char temp[TEMP_NAME + 8] = "tmp/";
	AUTO_CLOSE int fd = -1;
	int rc;

	temp_name(temp + 4);
	if (make_parents(d, temp, e) < 0 || make_parents(d, key, e) < 0)
		return -1;
	fd = write_open(d, d->fd, "tmp", temp, data, len, e);
	rc = fd < 0 ? -1 : link_new(d, temp, fd, key, e);
	unlinkat(d->fd, temp, 0);
	return rc;
}

int dir_put_new(struct store *s, const char *key, const void *data, size_t len, struct err *e)
{
	struct dir_store *d = dir_of(s);
	struct err why = {0};
	int rc;

	for (int tries = 0; tries < PUT_TRIES; tries++) {
		rc = put_once(d, key, data, len, &why);
		if (rc == 0 || why.kind != ERR_NOENT)
			break;
	}
	if (rc < 0 && e)
		*e = why;
	return rc < 0 ? -1 : flush_parent(d, key, e);
}

static int sweep_one(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct dir_store *d = arg;

	(void)size;
	if (dir_step(d, "unlink", key, e) < 0)
		return -1;
	if (unlinkat(d->fd, key, 0) < 0 && errno != ENOENT)
		return dir_fail(d, errno, "remove", key, e);
	return 0;
}

int dir_sweep(struct store *s, struct err *e)
{
	return store_list(s, "tmp/", sweep_one, dir_of(s), e);
}

int dir_remove(struct store *s, const char *key, struct err *e)
{
	struct dir_store *d = dir_of(s);

	dir_forget(d, key);
	if (dir_step(d, "unlink", key, e) < 0)
		return -1;
	if (unlinkat(d->fd, key, 0) < 0) {
		if (errno == ENOENT)
			return 0;
		return dir_fail(d, errno, "remove", key, e);
	}
	return flush_parent(d, key, e);
}

/*
 * Rename to a name that only this file can have. Over NFS a rename may report that its source is
 * gone because it was carried out before (see above): then the target is there.
 */
static int rename_once(struct dir_store *d, int from_fd, const char *from, const char *to,
		       struct err *e)
{
	int why;

	if (renameat(from_fd, from, d->fd, to) == 0)
		return 0;
	why = errno;
	if (why == ENOENT && faccessat(d->fd, to, F_OK, 0) == 0)
		return 0;
	return dir_fail(d, why, "rename to", to, e);
}

/* ---- uploads ---- */

static struct dir_upload *upload_of(struct store_upload *u)
{
	return (struct dir_upload *)u;
}

static int upload_write(struct store_upload *u, const void *data, size_t len, struct err *e)
{
	struct dir_upload *up = upload_of(u);

	if (dir_step(up->ses->d, "write", up->name, e) < 0)
		return -1;
	if (outfile_write(up->file, data, len, up->len, e) < 0)
		return -1;
	up->len += len;
	return 0;
}

static void upload_abort(struct store_upload *u)
{
	struct dir_upload *up = upload_of(u);

	outfile_free(up->file);
	unlinkat(up->ses->fd, up->name, 0);
	free(up);
}

static int upload_place(struct dir_upload *up, const char *key, struct err *e)
{
	struct dir_store *d = up->ses->d;

	if (dir_step(d, "fsync", up->name, e) < 0 || outfile_flush(up->file, e) < 0)
		return -1;
	if (make_parents(d, key, e) < 0 || dir_step(d, "rename", key, e) < 0)
		return -1;
	dir_forget(d, key);
	if (rename_once(d, up->ses->fd, up->name, key, e) < 0)
		return -1;
	return flush_parent(d, key, e);
}

static int upload_finish(struct store_upload *u, const char *key, struct err *e)
{
	int rc = upload_place(upload_of(u), key, e);

	upload_abort(u);
	return rc;
}

static const struct store_upload_ops upload_ops = {
	.write = upload_write,
	.finish = upload_finish,
	.abort = upload_abort,
};

/* ---- sessions ---- */

static struct dir_session *session_of(struct store_session *ss)
{
	return (struct dir_session *)ss;
}

static struct store_upload *session_upload(struct store_session *ss, struct err *e)
{
	struct dir_session *ses = session_of(ss);
	struct dir_upload *up = xcalloc(1, sizeof(*up));
	int fd;

	up->ses = ses;
	up->u.ops = &upload_ops;
	temp_name(up->name);
	if (dir_step(ses->d, "create", up->name, e) < 0) {
		free(up);
		return NULL;
	}
	fd = openat(ses->fd, up->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		dir_fail(ses->d, errno, "create a file in", ses->key, e);
		free(up);
		return NULL;
	}
	up->file = outfile_new(fd, ses->d->s.url);
	return &up->u;
}

static int session_renew(struct store_session *ss, const void *data, size_t len, struct err *e)
{
	struct dir_session *ses = session_of(ss);
	char temp[TEMP_NAME], from[2 * STORE_KEY_MAX], to[2 * STORE_KEY_MAX];

	temp_name(temp);
	if (write_flushed(ses->d, ses->fd, ses->key, temp, data, len, e) < 0)
		return -1;
	/* By the full path: when the folder was renamed away, this must fail. */
	snprintf(from, sizeof(from), "%s/%s", ses->key, temp);
	snprintf(to, sizeof(to), "%s/state", ses->key);
	if (dir_step(ses->d, "rename", to, e) < 0)
		return -1;
	if (renameat(ses->d->fd, from, ses->d->fd, to) < 0)
		return dir_fail(ses->d, errno, "rename to", to, e);
	return 0; /* losing the last beats in a power cut does no harm */
}

static int session_commit(struct store_session *ss, const void *data, size_t len, struct err *e)
{
	struct dir_session *ses = session_of(ss);
	struct dir_store *d = ses->d;
	char from[STORE_KEY_MAX + 8], to[STORE_KEY_MAX];

	snprintf(from, sizeof(from), "%s/point", ses->key);
	snprintf(to, sizeof(to), "points/%s", ses->key + strlen("sessions/"));
	if (make_parents(d, to, e) < 0)
		return -1;
	if (write_flushed(d, ses->fd, ses->key, "point", data, len, e) < 0)
		return -1;
	if (dir_step(d, "rename", to, e) < 0)
		return -1;
	if (rename_once(d, d->fd, from, to, e) < 0)
		return -1;
	return flush_parent(d, to, e);
}

/* Remove a session's folder, which holds only files. What cannot be removed means nothing. */
static void remove_folder(struct dir_store *d, const char *key)
{
	fio_empty_dir(d->fd, key);
	unlinkat(d->fd, key, AT_REMOVEDIR);
}

static void session_end(struct store_session *ss)
{
	struct dir_session *ses = session_of(ss);

	if (dir_step(ses->d, "rmdir", ses->key, NULL) == 0)
		remove_folder(ses->d, ses->key);
	close(ses->fd);
	free(ses);
}

static const struct store_session_ops session_ops = {
	.renew = session_renew,
	.upload = session_upload,
	.commit = session_commit,
	.end = session_end,
};

struct store_session *dir_session_begin(struct store *s, const char *id, const void *data,
					size_t len, struct err *e)
{
	struct dir_store *d = dir_of(s);
	struct dir_session *ses = xcalloc(1, sizeof(*ses));

	ses->ss.ops = &session_ops;
	ses->d = d;
	ses->fd = -1;
	snprintf(ses->key, sizeof(ses->key), "sessions/%s", id);
	if (make_parents(d, ses->key, e) < 0 || dir_step(d, "mkdir", ses->key, e) < 0)
		goto fail;
	if (mkdirat(d->fd, ses->key, 0700) < 0) {
		dir_fail(d, errno, "create", ses->key, e);
		goto fail;
	}
	ses->fd = openat(d->fd, ses->key, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ses->fd < 0) {
		dir_fail(d, errno, "open", ses->key, e);
		goto fail;
	}
	if (write_flushed(d, ses->fd, ses->key, "state", data, len, e) < 0 ||
	    flush_parent(d, ses->key, e) < 0)
		goto fail;
	return &ses->ss;
fail:
	if (ses->fd >= 0)
		close(ses->fd);
	free(ses);
	return NULL;
}

int dir_session_revoke(struct store *s, const char *id, struct err *e)
{
	struct dir_store *d = dir_of(s);
	char from[STORE_KEY_MAX], to[STORE_KEY_MAX + 16];

	snprintf(from, sizeof(from), "sessions/%s", id);
	snprintf(to, sizeof(to), "%s.revoked", from);
	if (dir_step(d, "rename", to, e) < 0)
		return -1;
	if (renameat(d->fd, from, d->fd, to) < 0) {
		if (errno != ENOENT)
			return dir_fail(d, errno, "rename to", to, e);
		/* Gone; or renamed by a revocation that died half-way, which is completed here. */
		if (faccessat(d->fd, to, F_OK, 0) < 0)
			return 0;
	}
	if (flush_parent(d, to, e) < 0)
		return -1;
	remove_folder(d, to);
	return 0;
}
