/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/store_hook.h"

#include <stdio.h>
#include <stdlib.h>

struct hook_store {
	struct store s;
	struct store *inner;
	hook_fn *fn;
	void *arg;
	bool own;
};

struct hook_session {
	struct store_session ss;
	struct hook_store *h;
	struct store_session *inner;
	char id[STORE_KEY_MAX];
};

struct hook_upload {
	struct store_upload u;
	struct hook_store *h;
	struct store_upload *inner;
};

static struct hook_store *of(struct store *s)
{
	return (struct hook_store *)s;
}

/* The call between its two announcements; the value of the function around it. */
#define HOOKED(h, call, key, work, e)                                                              \
	({                                                                                         \
		__auto_type rc_ = (__typeof__(work))(-1);                                          \
		int fate_ = (h)->fn((h)->arg, call, key, false, e);                                \
		if (fate_ == 0) {                                                                  \
			rc_ = (work);                                                              \
			if (rc_ >= 0 && (h)->fn((h)->arg, call, key, true, e) < 0)                 \
				rc_ = -1;                                                          \
		} else if (fate_ > 0) {                                                            \
			struct err told_ = (e) ? *(e) : (struct err){0};                           \
			(void)(work);                                                              \
			if (e)                                                                     \
				*(e) = told_;                                                      \
		}                                                                                  \
		rc_;                                                                               \
	})

static void hook_free(struct store *s)
{
	if (of(s)->own)
		free(of(s)->arg);
	free(s->url);
	free(s);
}

static ssize_t hook_get(struct store *s, const char *key, uint64_t off, void *data, size_t len,
			struct err *e)
{
	return HOOKED(of(s), HOOK_GET, key, store_get(of(s)->inner, key, off, data, len, e), e);
}

static int hook_size(struct store *s, const char *key, uint64_t *ret_size, struct err *e)
{
	return HOOKED(of(s), HOOK_SIZE, key, store_size(of(s)->inner, key, ret_size, e), e);
}

static int hook_put_new(struct store *s, const char *key, const void *data, size_t len,
			struct err *e)
{
	return HOOKED(of(s), HOOK_PUT_NEW, key, store_put_new(of(s)->inner, key, data, len, e), e);
}

static int hook_remove(struct store *s, const char *key, struct err *e)
{
	return HOOKED(of(s), HOOK_REMOVE, key, store_remove(of(s)->inner, key, e), e);
}

static int hook_list(struct store *s, const char *prefix, store_list_fn *fn, void *arg,
		     struct err *e)
{
	return HOOKED(of(s), HOOK_LIST, prefix, store_list(of(s)->inner, prefix, fn, arg, e), e);
}

static int hook_revoke(struct store *s, const char *id, struct err *e)
{
	return HOOKED(of(s), HOOK_REVOKE, id, store_session_revoke(of(s)->inner, id, e), e);
}

/* ---- uploads ---- */

static int upload_write(struct store_upload *u, const void *data, size_t len, struct err *e)
{
	struct hook_upload *up = (struct hook_upload *)u;

	return HOOKED(up->h, HOOK_WRITE, "", up->inner->ops->write(up->inner, data, len, e), e);
}

static void upload_abort(struct store_upload *u)
{
	struct hook_upload *up = (struct hook_upload *)u;

	if (up->inner)
		up->inner->ops->abort(up->inner);
	free(up);
}

static int finish_inner(struct hook_upload *up, const char *key, struct err *e)
{
	up->inner->replaces = up->u.replaces;
	return up->inner->ops->finish(steal(&up->inner), key, e);
}

static int upload_finish(struct store_upload *u, const char *key, struct err *e)
{
	struct hook_upload *up = (struct hook_upload *)u;
	int rc = HOOKED(up->h, HOOK_FINISH, key, finish_inner(up, key, e), e);

	upload_abort(u);
	return rc;
}

static const struct store_upload_ops upload_ops = {
	.write = upload_write,
	.finish = upload_finish,
	.abort = upload_abort,
};

/* ---- sessions ---- */

static int begin_upload(struct hook_session *ses, struct hook_upload *up, struct err *e)
{
	up->inner = ses->inner->ops->upload(ses->inner, e);
	return up->inner ? 0 : -1;
}

static struct store_upload *session_upload(struct store_session *ss, struct err *e)
{
	struct hook_session *ses = (struct hook_session *)ss;
	struct hook_upload *up = xcalloc(1, sizeof(*up));

	up->u.ops = &upload_ops;
	up->h = ses->h;
	if (HOOKED(ses->h, HOOK_UPLOAD, ses->id, begin_upload(ses, up, e), e) == 0)
		return &up->u;
	upload_abort(&up->u);
	return NULL;
}

static int session_renew(struct store_session *ss, const void *data, size_t len, struct err *e)
{
	struct hook_session *ses = (struct hook_session *)ss;

	return HOOKED(ses->h, HOOK_RENEW, ses->id, ses->inner->ops->renew(ses->inner, data, len, e),
		      e);
}

static int session_commit(struct store_session *ss, const void *data, size_t len, struct err *e)
{
	struct hook_session *ses = (struct hook_session *)ss;

	return HOOKED(ses->h, HOOK_COMMIT, ses->id,
		      ses->inner->ops->commit(ses->inner, data, len, e), e);
}

static void session_end(struct store_session *ss)
{
	struct hook_session *ses = (struct hook_session *)ss;

	ses->h->fn(ses->h->arg, HOOK_END, ses->id, false, NULL);
	store_session_end(ses->inner);
	free(ses);
}

static const struct store_session_ops session_ops = {
	.renew = session_renew,
	.upload = session_upload,
	.commit = session_commit,
	.end = session_end,
};

static int begin_inner(struct hook_session *ses, const void *data, size_t len, struct err *e)
{
	ses->inner = store_session_begin(ses->h->inner, ses->id, data, len, e);
	return ses->inner ? 0 : -1;
}

static struct store_session *hook_begin(struct store *s, const char *id, const void *data,
					size_t len, struct err *e)
{
	struct hook_session *ses = xcalloc(1, sizeof(*ses));

	ses->ss.ops = &session_ops;
	ses->h = of(s);
	snprintf(ses->id, sizeof(ses->id), "%s", id);
	if (HOOKED(of(s), HOOK_BEGIN, id, begin_inner(ses, data, len, e), e) == 0)
		return &ses->ss;
	store_session_end(ses->inner);
	free(ses);
	return NULL;
}

static const struct store_ops hook_ops = {
	.free = hook_free,
	.get = hook_get,
	.size = hook_size,
	.put_new = hook_put_new,
	.remove = hook_remove,
	.list = hook_list,
	.session_begin = hook_begin,
	.session_revoke = hook_revoke,
};

struct store *store_hook_new(struct store *inner, hook_fn *fn, void *arg, bool own)
{
	struct hook_store *h = xcalloc(1, sizeof(*h));

	h->s.ops = &hook_ops;
	h->s.url = xasprintf("hook:%s", inner->url);
	h->s.late = inner->late;
	h->s.distant = inner->distant;
	h->inner = inner;
	h->fn = fn;
	h->arg = arg;
	h->own = own;
	return &h->s;
}

void *store_hook_arg(struct store *s)
{
	return of(s)->arg;
}
