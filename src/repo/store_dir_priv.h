/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_dir_priv.h: what store_dir.c (the folder, reading, listing) and store_dir_write.c
 * (everything that changes it) share.
 */
#ifndef HF_REPO_STORE_DIR_PRIV_H
#define HF_REPO_STORE_DIR_PRIV_H

#include <pthread.h>

#include "repo/store.h"

#define FD_CACHE 64

struct cached_fd {
	char key[STORE_KEY_MAX];
	int fd; /* -1: free */
	unsigned refs;
	uint64_t used;
};

struct dir_store {
	struct store s;
	int fd;
	store_dir_step_fn *step;
	void *step_arg;
	pthread_mutex_t lock; /* of the two below */
	struct cached_fd cache[FD_CACHE];
	uint64_t tick;
};

static inline struct dir_store *dir_of(struct store *s)
{
	return (struct dir_store *)s;
}

/* Announce a system call that changes the directory; -1 when a test wants it to fail. */
static inline int dir_step(struct dir_store *d, const char *what, const char *path, struct err *e)
{
	return d->step ? d->step(d->step_arg, what, path, e) : 0;
}

/* "WHAT dir:PATH/KEY: reason" */
static inline int dir_fail(struct dir_store *d, int sys, const char *what, const char *key,
			   struct err *e)
{
	return err_sys(e, sys, "%s %s/%s", what, d->s.url, key);
}

/* Close what is cached for a key that is about to go. */
void dir_forget(struct dir_store *d, const char *key);

int dir_put_new(struct store *s, const char *key, const void *data, size_t len, struct err *e);
int dir_remove(struct store *s, const char *key, struct err *e);
struct store_session *dir_session_begin(struct store *s, const char *id, const void *data,
					size_t len, struct err *e);
int dir_session_revoke(struct store *s, const char *id, struct err *e);
int dir_sweep(struct store *s, struct err *e);

#endif
