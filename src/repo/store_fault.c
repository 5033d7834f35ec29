/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/store_fault.h"

#include <stdatomic.h>

#include "repo/store_hook.h"

struct fault {
	enum fault_mode mode;
	uint64_t at;
	atomic_uint_fast64_t count;
	atomic_bool dead;
};

static bool reads(enum hook_call call)
{
	return call == HOOK_GET || call == HOOK_SIZE || call == HOOK_LIST;
}

/* Does the call need room? */
static bool adds(enum hook_call call)
{
	return !reads(call) && call != HOOK_REMOVE && call != HOOK_REVOKE;
}

/* What the call is about, for messages. */
static const char *subject(enum hook_call call, const char *key)
{
	static const char *const names[HOOK_CALLS] = {
		[HOOK_BEGIN] = "session", [HOOK_RENEW] = "renew",   [HOOK_UPLOAD] = "upload",
		[HOOK_WRITE] = "write",	  [HOOK_COMMIT] = "commit",
	};

	return names[call] ? names[call] : key;
}

static int decide(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct fault *f = arg;
	const char *what = subject(call, key);
	uint64_t n;

	if (after || call == HOOK_END)
		return 0;
	if (atomic_load(&f->dead))
		return err_set(e, ERR_IO, "%s: the process is dead (injected)", what);
	if (reads(call) != (f->mode == FAULT_READ))
		return 0;
	n = atomic_fetch_add(&f->count, 1) + 1;
	if (f->mode == FAULT_FULL && n >= f->at && adds(call))
		return err_set(e, ERR_NOSPACE, "%s: no space left (injected)", what);
	if (n != f->at || f->mode == FAULT_NONE || f->mode == FAULT_FULL)
		return 0;
	err_set(e, ERR_IO, "%s: failed at call %llu (injected)", what, (unsigned long long)n);
	if (f->mode == FAULT_DEAD || f->mode == FAULT_DEAD_DONE)
		atomic_store(&f->dead, true);
	return f->mode == FAULT_ONCE_DONE || f->mode == FAULT_DEAD_DONE ? 1 : -1;
}

struct store *store_fault_new(struct store *inner, enum fault_mode mode, uint64_t at)
{
	struct fault *f = xcalloc(1, sizeof(*f));

	f->mode = mode;
	f->at = at;
	return store_hook_new(inner, decide, f, true);
}

uint64_t store_fault_count(struct store *s)
{
	return atomic_load(&((struct fault *)store_hook_arg(s))->count);
}
