/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions and uploads in a bucket (format section 11; how they lie there is in store_s3_priv.h).
 *
 *   begin    sessions/ID created; points/ID created, if absent, as a mark.
 *            If interrupted between: an object that somebody revokes.
 *   commit   points/ID replaced by the point, if it is our mark. One request, and nothing to
 *            complete: whoever lists points sees it or not.
 *   revoke   points/ID replaced, if it is the mark that was read, by a few bytes that stay for
 *            ever: a commit that arrives later finds another etag, and a request for the mark that
 *            was sent twice finds that there is something. sessions/ID removed.
 *   end      without a commit, the mark removed. If a commit was tried, and may yet arrive, a
 *            revocation instead.
 *   upload   bytes are spooled to an unnamed local file, because the name is known at the end and
 *            a service cannot rename; then it is one request, or, if it is large, several. What
 * arrives after its session's end is harmless to the protocol: see presence.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fio.h"
#include "base/hex.h"
#include "base/uuid.h"
#include "net/s3_lock.h"
#include "repo/seal.h"
#include "repo/store_s3_priv.h"

#define PROBES 8

struct s3_session {
	struct store_session ss;
	struct s3_store *d;
	char state[STORE_KEY_MAX], point[STORE_KEY_MAX];
	char etag[S3_ETAG];    /* of our mark */
	char mark[S3_VERSION]; /* its version */
	char state_version[S3_VERSION];
	struct s3_lock pack_lock, point_lock;
	bool tried, committed;
};

struct s3_upload {
	struct store_upload u;
	struct s3_session *ses;
	int fd;
	uint64_t len;
	const char *folder;
};

static int revoked(const struct s3_session *ses, struct err *e)
{
	return err_set(e, ERR_NOENT, "%s/%s: no such session", ses->d->s.url, ses->state);
}

/* Where `kind` is that of `why`, nothing; else hand it up. */
static int only(enum err_kind kind, const struct err *why, struct err *e)
{
	if (why->kind == kind)
		return 0;
	if (e)
		*e = *why;
	return -1;
}

/* ---- does the service keep conditions? ---- */

static int probe_put(struct s3_store *d, const char *key, bool if_absent, const char *if_match,
		     char *ret_etag, struct err *e)
{
	struct uuid bytes = uuid_random();
	struct s3_put put = {.key = key,
			     .data = &bytes,
			     .len = sizeof(bytes),
			     .if_absent = if_absent,
			     .if_match = if_match};

	return s3_put(d->s3, &put, ret_etag, e);
}

/* The condition must fail: 1 it did, 0 it was not looked at, -1 something else is wrong. */
static int must_fail(struct s3_store *d, const char *key, bool if_absent, const char *if_match,
		     struct err *e)
{
	struct err why = {0};

	if (probe_put(d, key, if_absent, if_match, NULL, &why) == 0)
		return 0;
	return only(if_absent ? ERR_EXISTS : ERR_CONFLICT, &why, e) < 0 ? -1 : 1;
}

/* An etag that is the object's: where it is not taken for that, in the other form. */
static int must_match(struct s3_store *d, const char *key, const char *etag, char *ret_etag,
		      struct err *e)
{
	struct err why = {0};

	if (probe_put(d, key, false, etag, ret_etag, &why) == 0)
		return 0;
	if (only(ERR_CONFLICT, &why, e) < 0)
		return -1;
	s3_flip_etags(d->s3);
	return probe_put(d, key, false, etag, ret_etag, e);
}

static int probe_with(struct s3_store *d, const char *key, struct err *e)
{
	char first[S3_ETAG], second[S3_ETAG];
	int rc;

	if (probe_put(d, key, true, NULL, first, e) < 0)
		return -1;
	rc = first[0] ? must_fail(d, key, true, NULL, e) : 0;
	if (rc > 0 && must_match(d, key, first, second, e) < 0)
		return -1;
	if (rc > 0)
		rc = strcmp(first, second) != 0 ? must_fail(d, key, false, first, e) : 0;
	if (rc > 0 && s3_remove_object(d, key, false, e) < 0)
		return -1;
	/* A late commit must not bring back what was removed. */
	return rc > 0 ? must_fail(d, key, false, second, e) : rc;
}

/* 1 conditions are kept, 0 they are not, -1. */
static int probe_somewhere(struct s3_store *d, struct err *e)
{
	char text[UUID_TEXT], key[STORE_KEY_MAX];
	struct uuid id = uuid_random();
	int rc;

	s3_name("tmp/probe-", uuid_text(&id, text), key);
	rc = probe_with(d, key, e);
	if (rc <= 0)
		s3_remove_object(d, key, false, NULL);
	return rc;
}

/*
 * A service that accepts a condition and does not look at it would let two writers and a collector
 * each believe that they were first. Some do.
 */
static int probe(struct s3_store *d, struct err *e)
{
	struct err why = {0};
	int rc = -1;

	/* Where an answer was lost, a condition may have failed by our own doing. */
	for (int tries = 0; rc < 0 && tries < PROBES; tries++) {
		rc = probe_somewhere(d, &why);
		if (rc < 0 && why.kind != ERR_EXISTS && why.kind != ERR_CONFLICT)
			break;
	}
	if (rc == 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: the service does not keep the conditions of writes "
			       "(If-None-Match, If-Match)%s, so a backup here could be lost to "
			       "another one: use a service that does, like Amazon S3 or Ceph, or "
			       "let an arbiter decide, as in %s?arbiter=dir:PATH ('holdfast help "
			       "target init')",
			       d->s.url,
			       s3_has_versions(d->s3) ? " in a bucket with versions, as older "
							"versions of Ceph do not"
						      : "",
			       d->s.url);
	if (rc < 0 && e)
		*e = why;
	return rc < 0 ? -1 : 0;
}

static int probe_once(struct s3_store *d, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&d->lock);
	if (!d->probed)
		rc = probe(d, e);
	d->probed = rc == 0;
	pthread_mutex_unlock(&d->lock);
	return rc;
}

/* ---- uploads ---- */

static int upload_write(struct store_upload *u, const void *data, size_t len, struct err *e)
{
	struct s3_upload *up = (struct s3_upload *)u;

	if (fio_write(up->fd, data, len, up->folder, e) < 0)
		return err_wrap(e, "spooling an upload (TMPDIR chooses where)");
	up->len += len;
	return 0;
}

static void upload_abort(struct store_upload *u)
{
	close(((struct s3_upload *)u)->fd);
	free(u);
}

/* 1 our mark is there, 0 it is not, -1. */
static int is_ours(struct s3_session *ses, struct err *e)
{
	struct s3_info info;
	struct err why = {0};

	if (ses->d->plain)
		return 1;
	if (s3_head(ses->d->s3, ses->point, &info, &why) < 0)
		return only(ERR_NOENT, &why, e);
	return strcmp(info.etag, ses->etag) == 0;
}

const char *s3_hash_in(const char *key)
{
	const char *slash = strrchr(key, '/'), *name = slash ? slash + 1 : key;

	return strlen(name) == 2 * HASH_BYTES && strspn(name, "0123456789abcdef") == 2 * HASH_BYTES
		       ? name
		       : NULL;
}

/* Packs and runs are named by the SHA-256 of their bytes, which signs the request at no cost. */
static int send_spooled(struct s3_upload *up, const char *key, const char *if_match, struct err *e)
{
	struct s3_put put = {.key = key,
			     .fd = up->fd,
			     .len = up->len,
			     .sha256 = s3_hash_in(key),
			     .if_match = if_match};
	const struct s3_lock *lock = &up->ses->pack_lock;
	AUTO_FREE uint8_t *bytes = NULL;

	if (!put.sha256 && up->len) {
		bytes = xmalloc(up->len);
		if (fio_pread(up->fd, bytes, up->len, 0, up->folder, e) < 0)
			return -1;
		put.data = bytes;
	}
	if (lock->mode && strncmp(key, "packs/", 6) == 0)
		put.lock = lock;
	return s3_put(up->ses->d->s3, &put, NULL, e);
}

/* Only if it is still the object that it was: see store.h, replaces. */
static int send_over(struct s3_upload *up, const char *key, struct err *e)
{
	struct s3_info info;

	if (!up->u.replaces)
		return send_spooled(up, key, NULL, e);
	if (s3_head(up->ses->d->s3, key, &info, e) < 0)
		return -1;
	return send_spooled(up, key, up->ses->d->plain ? NULL : info.etag, e);
}

static int upload_finish(struct store_upload *u, const char *key, struct err *e)
{
	struct s3_upload *up = (struct s3_upload *)u;
	int rc = send_over(up, key, e);

	/* Afterwards: a session that is revoked later was there when the object was, so whoever
	 * revoked it sees the object. */
	if (rc == 0)
		rc = is_ours(up->ses, e);
	if (rc == 0)
		revoked(up->ses, e);
	upload_abort(u);
	return rc > 0 ? 0 : -1;
}

static const struct store_upload_ops upload_ops = {
	.write = upload_write,
	.finish = upload_finish,
	.abort = upload_abort,
};

static struct store_upload *session_upload(struct store_session *ss, struct err *e)
{
	const char *folder = getenv("TMPDIR");
	struct s3_upload *up;
	int fd;

	folder = folder && *folder ? folder : "/var/tmp";
	fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) {
		err_sys(e, errno, "spool an upload in %s (TMPDIR chooses where)", folder);
		return NULL;
	}
	up = xcalloc(1, sizeof(*up));
	up->u.ops = &upload_ops;
	up->ses = (struct s3_session *)ss;
	up->fd = fd;
	up->folder = folder;
	return &up->u;
}

/* ---- sessions ---- */

/* Make sure that it never commits. */
static int bar(struct s3_store *d, const char *point, struct err *e)
{
	static const char nothing[S3_REVOKED + 1] =
		"this session ended without a point; leave this.";

	for (;;) {
		struct s3_put put = {.key = point, .data = nothing, .len = S3_REVOKED};
		struct s3_info info;
		struct err why = {0};

		if (s3_head(d->s3, point, &info, &why) < 0)
			return only(ERR_NOENT, &why, e);
		if (info.size != S3_MARK)
			return 0;
		put.if_match = info.etag;
		if (s3_replace(d, &put, NULL, info.version, &why) == 0)
			return 0;
		if (only(ERR_CONFLICT, &why, e) < 0)
			return -1;
	}
}

static int session_renew(struct store_session *ss, const void *data, size_t len, struct err *e)
{
	struct s3_session *ses = (struct s3_session *)ss;
	struct s3_put put = {.key = ses->state, .data = data, .len = len};
	int rc = is_ours(ses, e);

	if (rc == 0)
		return revoked(ses, e);
	return rc < 0 ? -1 : s3_replace(ses->d, &put, NULL, ses->state_version, e);
}

static int session_commit(struct store_session *ss, const void *data, size_t len, struct err *e)
{
	struct s3_session *ses = (struct s3_session *)ss;
	struct s3_put put = {.key = ses->point, .data = data, .len = len};
	struct err why = {0};
	int ours = 0;

	ses->tried = true;
	if (!ses->d->plain)
		put.if_match = ses->etag;
	if (ses->point_lock.mode)
		put.lock = &ses->point_lock;
	if (s3_replace(ses->d, &put, NULL, ses->mark, &why) == 0)
		ours = 1;
	else if (only(ERR_CONFLICT, &why, e) < 0)
		return -1;
	else
		ours = s3_holds(ses->d, ses->point, data, len, NULL, e);
	ses->committed = ours > 0;
	return ours > 0 ? 0 : ours < 0 ? -1 : revoked(ses, e);
}

/* What cannot be removed now is revoked by a collector. */
static void session_end(struct store_session *ss)
{
	struct s3_session *ses = (struct s3_session *)ss;
	int rc = 0;

	if (ses->d->plain) {
		free(ses);
		return;
	}
	if (ses->tried && !ses->committed)
		rc = bar(ses->d, ses->point, NULL);
	else if (!ses->committed && ses->etag[0])
		rc = is_ours(ses, NULL) > 0 ? s3_remove_object(ses->d, ses->point, false, NULL) : 0;
	if (rc == 0)
		s3_remove_object(ses->d, ses->state, false, NULL);
	free(ses);
}

void s3_session_lock(struct store_session *ss, const struct store_lock *packs,
		     const struct store_lock *point)
{
	struct s3_session *ses = (struct s3_session *)ss;

	ses->pack_lock = s3_lock_of(packs);
	ses->point_lock = s3_lock_of(point);
}

static const struct store_session_ops session_ops = {
	.renew = session_renew,
	.upload = session_upload,
	.commit = session_commit,
	.end = session_end,
};

static int make_mark(struct s3_session *ses, struct err *e)
{
	uint8_t bytes[S3_MARK / 2];
	char text[S3_MARK + 1];

	random_bytes(bytes, sizeof(bytes));
	hex_encode(bytes, sizeof(bytes), text);
	return s3_create(ses->d, ses->point, text, S3_MARK, ses->etag, ses->mark, e);
}

struct store_session *s3_session_begin(struct store *s, const char *id, const void *data,
				       size_t len, struct err *e)
{
	struct s3_store *d = s3_of(s);
	struct s3_session *ses;

	if (!d->plain && probe_once(d, e) < 0)
		return NULL;
	ses = xcalloc(1, sizeof(*ses));
	ses->ss.ops = &session_ops;
	ses->d = d;
	s3_name(S3_SESSIONS, id, ses->state);
	s3_name(S3_POINTS, id, ses->point);
	if (d->plain)
		return &ses->ss;
	if (s3_create(d, ses->state, data, len, NULL, ses->state_version, e) < 0) {
		free(ses);
		return NULL;
	}
	if (make_mark(ses, e) < 0) {
		session_end(&ses->ss);
		return NULL;
	}
	return &ses->ss;
}

int s3_session_revoke(struct store *s, const char *id, struct err *e)
{
	char state[STORE_KEY_MAX], point[STORE_KEY_MAX];
	struct s3_store *d = s3_of(s);

	s3_name(S3_SESSIONS, id, state);
	s3_name(S3_POINTS, id, point);
	if (d->plain)
		return 0;
	if (probe_once(d, e) < 0 || bar(d, point, e) < 0)
		return -1;
	return s3_remove_object(d, state, false, e);
}
