/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/store.h"

#include <string.h>

#include "repo/store_arbiter.h"

#define SLURP ((size_t)256 << 10) /* most are smaller: one read, and no question for the size */

struct store *store_open(const char *url, bool create, struct err *e)
{
	const char *colon = strchr(url, ':');
	const char *slash = strchr(url, '/');

	if (url[0] == 0) {
		err_set(e, ERR_INVALID,
			"the target is empty: give one like dir:/srv/backup or s3:BUCKET");
		return NULL;
	}
	if (strncmp(url, "dir:", 4) == 0)
		return store_dir_open(url + 4, create, NULL, NULL, e);
	if (strncmp(url, "s3:", 3) == 0)
		return store_bucket_open(url + 3, NULL, create, e);
	/* "a/b:c" is a path, "ftp:host" is not. */
	if (!colon || (slash && slash < colon))
		return store_dir_open(url, create, NULL, NULL, e);
	err_set(e, ERR_UNSUPPORTED,
		"target '%s': this version stores in directories and S3 buckets, write "
		"dir:PATH or s3:BUCKET",
		url);
	return NULL;
}

int store_remove_some(struct store *s, const char *const *keys, size_t n, struct err *e)
{
	if (s->ops->remove_many)
		return s->ops->remove_many(s, keys, n, e);
	for (size_t i = 0; i < n; i++) {
		if (store_remove(s, keys[i], e) < 0)
			return -1;
	}
	return 0;
}

int store_remove_many(struct store *s, size_t n, store_name_fn *name, const void *arg,
		      struct err *e)
{
	size_t most = MIN(n, (size_t)STORE_REMOVE_MAX);
	AUTO_FREE char *names = xcalloc(most, STORE_KEY_MAX);
	AUTO_FREE const char **keys = xcalloc(most, sizeof(char *));

	for (size_t i = 0, held = 0; i < n; i++) {
		char *key = names + held * STORE_KEY_MAX;

		name(arg, i, key);
		keys[held++] = key;
		if (held < most && i + 1 < n)
			continue;
		if (store_remove_some(s, keys, held, e) < 0)
			return -1;
		held = 0;
	}
	return 0;
}

int store_has(struct store *s, const char *key, struct err *e)
{
	struct err why = {0};
	uint64_t size;

	if (store_size(store_behind(s), key, &size, &why) == 0)
		return 1;
	if (why.kind == ERR_NOENT)
		return 0;
	if (e)
		*e = why;
	return -1;
}

int store_get_all(struct store *s, const char *key, uint64_t off, void *data, size_t len,
		  struct err *e)
{
	ssize_t n = store_get(s, key, off, data, len, e);

	if (n < 0)
		return -1;
	if ((size_t)n < len)
		return err_set(e, ERR_CORRUPT, "%s/%s is cut short: %zu bytes at %llu are missing",
			       s->url, key, len - (size_t)n, (unsigned long long)off);
	return 0;
}

int store_slurp(struct store *s, const char *key, size_t max, struct buf *ret_b, struct err *e)
{
	AUTO_BUF b = BUF_INIT;

	for (size_t want = SLURP;; want *= 2) {
		size_t more = MIN(want, max + 1) - b.len;
		ssize_t n = store_get(s, key, b.len, buf_reserve(&b, more), more, e);

		if (n < 0)
			return -1;
		b.len += (size_t)n;
		if (b.len > max)
			return err_set(e, ERR_LIMIT, "%s/%s has more than the %zu bytes allowed",
				       s->url, key, max);
		if ((size_t)n < more)
			break;
	}
	*ret_b = b;
	b = BUF_INIT;
	return 0;
}
