/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/store_fault.h"

#include <stdatomic.h>

struct fault_store {
	struct store s;
	struct store *inner;
	enum fault_mode mode;
	uint64_t at;
	atomic_uint_fast64_t count;
	atomic_bool dead;
};

struct fault_session {
	struct store_session ss;
	struct fault_store *f;
	struct store_session *inner;
};

struct fault_upload {
	struct store_upload u;
	struct fault_store *f;
	struct store_upload *inner;
};

/* What happens to one call. */
enum fate { FATE_WORK, FATE_FAIL, FATE_WORK_AND_FAIL };

static struct fault_store *of(struct store *s)
{
	return (struct fault_store *)s;
}

static bool reads(const struct fault_store *f)
{
	return f->mode == FAULT_READ;
}

/* Count a call; `adds` when it needs room. On a bad fate `e` is set. */
static enum fate decide(struct fault_store *f, bool read, bool adds, const char *what,
			struct err *e)
{
	uint64_t n;

	if (atomic_load(&f->dead)) {
		err_set(e, ERR_IO, "%s: the process is dead (injected)", what);
		return FATE_FAIL;
	}
	if (read != reads(f))
		return FATE_WORK;
	n = atomic_fetch_add(&f->count, 1) + 1;
	if (f->mode == FAULT_FULL && n >= f->at && adds) {
		err_set(e, ERR_NOSPACE, "%s: no space left (injected)", what);
		return FATE_FAIL;
	}
	if (n != f->at || f->mode == FAULT_NONE || f->mode == FAULT_FULL)
		return FATE_WORK;
	err_set(e, ERR_IO, "%s: failed at call %llu (injected)", what, (unsigned long long)n);
	if (f->mode == FAULT_DEAD || f->mode == FAULT_DEAD_DONE)
		atomic_store(&f->dead, true);
	if (f->mode == FAULT_ONCE_DONE || f->mode == FAULT_DEAD_DONE)
		return FATE_WORK_AND_FAIL;
	return FATE_FAIL;
}

/* Carry out `call` as fate wills; the value of the function around it. */
#define WITH_FATE(what, call, e)                                                                   \
	({                                                                                         \
		enum fate fate_ = (what);                                                          \
		int rc_ = -1;                                                                      \
		if (fate_ == FATE_WORK)                                                            \
			rc_ = (call);                                                              \
		else if (fate_ == FATE_WORK_AND_FAIL) {                                            \
			struct err kept_ = {0};                                                    \
			if (e)                                                                     \
				kept_ = *(e);                                                      \
			(void)(call);                                                              \
			if (e)                                                                     \
				*(e) = kept_;                                                      \
		}                                                                                  \
		rc_;                                                                               \
	})

static void fault_free(struct store *s)
{
	free(s->url);
	free(of(s));
}

static ssize_t fault_get(struct store *s, const char *key, uint64_t off, void *data, size_t len,
			 struct err *e)
{
	if (decide(of(s), true, false, key, e) != FATE_WORK)
		return -1;
	return store_get(of(s)->inner, key, off, data, len, e);
}

static int fault_size(struct store *s, const char *key, uint64_t *ret_size, struct err *e)
{
	if (decide(of(s), true, false, key, e) != FATE_WORK)
		return -1;
	return store_size(of(s)->inner, key, ret_size, e);
}

static int fault_list(struct store *s, const char *prefix, store_list_fn *fn, void *arg,
		      struct err *e)
{
	if (decide(of(s), true, false, prefix, e) != FATE_WORK)
		return -1;
	return store_list(of(s)->inner, prefix, fn, arg, e);
}

static int fault_put_new(struct store *s, const char *key, const void *data, size_t len,
			 struct err *e)
{
	return WITH_FATE(decide(of(s), false, true, key, e),
			 store_put_new(of(s)->inner, key, data, len, e), e);
}

static int fault_remove(struct store *s, const char *key, struct err *e)
{
	return WITH_FATE(decide(of(s), false, false, key, e), store_remove(of(s)->inner, key, e),
			 e);
}

static int fault_revoke(struct store *s, const char *id, struct err *e)
{
	return WITH_FATE(decide(of(s), false, false, id, e),
			 store_session_revoke(of(s)->inner, id, e), e);
}

static int upload_write(struct store_upload *u, const void *data, size_t len, struct err *e)
{
	struct fault_upload *up = (struct fault_upload *)u;

	return WITH_FATE(decide(up->f, false, true, "write", e),
			 up->inner->ops->write(up->inner, data, len, e), e);
}

static void upload_abort(struct store_upload *u)
{
	struct fault_upload *up = (struct fault_upload *)u;

	up->inner->ops->abort(up->inner);
	free(up);
}

static int upload_finish(struct store_upload *u, const char *key, struct err *e)
{
	struct fault_upload *up = (struct fault_upload *)u;
	enum fate fate = decide(up->f, false, true, key, e);
	int rc;

	if (fate == FATE_FAIL) {
		upload_abort(u);
		return -1;
	}
	rc = WITH_FATE(fate, up->inner->ops->finish(up->inner, key, e), e);
	free(up);
	return rc;
}

static const struct store_upload_ops upload_ops = {
	.write = upload_write,
	.finish = upload_finish,
	.abort = upload_abort,
};

static struct store_upload *session_upload(struct store_session *ss, struct err *e)
{
	struct fault_session *ses = (struct fault_session *)ss;
	struct fault_upload *up;

	if (decide(ses->f, false, true, "upload", e) != FATE_WORK)
		return NULL;
	up = xcalloc(1, sizeof(*up));
	up->u.ops = &upload_ops;
	up->f = ses->f;
	up->inner = ses->inner->ops->upload(ses->inner, e);
	if (!up->inner) {
		free(up);
		return NULL;
	}
	return &up->u;
}

static int session_renew(struct store_session *ss, const void *data, size_t len, struct err *e)
{
	struct fault_session *ses = (struct fault_session *)ss;

	return WITH_FATE(decide(ses->f, false, true, "renew", e),
			 ses->inner->ops->renew(ses->inner, data, len, e), e);
}

static int session_commit(struct store_session *ss, const void *data, size_t len, struct err *e)
{
	struct fault_session *ses = (struct fault_session *)ss;

	return WITH_FATE(decide(ses->f, false, true, "commit", e),
			 ses->inner->ops->commit(ses->inner, data, len, e), e);
}

/* A dead process cleans nothing up; the inner session still has to be freed by somebody. */
static void session_end(struct store_session *ss)
{
	struct fault_session *ses = (struct fault_session *)ss;

	ses->inner->ops->end(ses->inner);
	free(ses);
}

static const struct store_session_ops session_ops = {
	.renew = session_renew,
	.upload = session_upload,
	.commit = session_commit,
	.end = session_end,
};

static struct store_session *fault_session_begin(struct store *s, const char *id, const void *data,
						 size_t len, struct err *e)
{
	struct fault_session *ses;

	if (decide(of(s), false, true, "session", e) != FATE_WORK)
		return NULL;
	ses = xcalloc(1, sizeof(*ses));
	ses->ss.ops = &session_ops;
	ses->f = of(s);
	ses->inner = store_session_begin(of(s)->inner, id, data, len, e);
	if (!ses->inner) {
		free(ses);
		return NULL;
	}
	return &ses->ss;
}

static const struct store_ops fault_ops = {
	.free = fault_free,
	.get = fault_get,
	.size = fault_size,
	.put_new = fault_put_new,
	.remove = fault_remove,
	.list = fault_list,
	.session_begin = fault_session_begin,
	.session_revoke = fault_revoke,
};

struct store *store_fault_new(struct store *inner, enum fault_mode mode, uint64_t at)
{
	struct fault_store *f = xcalloc(1, sizeof(*f));

	f->s.ops = &fault_ops;
	f->s.url = xasprintf("fault:%s", inner->url);
	f->inner = inner;
	f->mode = mode;
	f->at = at;
	return &f->s;
}

uint64_t store_fault_count(struct store *s)
{
	return atomic_load(&of(s)->count);
}
