/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table in which every pack has one place, by its name, which is a hash. Another pack that wants
 * the place takes it, unless something is being read into it.
 */
#include "repo/pack_heads.h"

#include <pthread.h>
#include <string.h>

#define PLACES 1024

enum head_state { HEAD_NONE, HEAD_LOADING, HEAD_READY };

struct head {
	enum head_state state;
	uint8_t name[HASH_BYTES], bytes[PACK_HEAD];
};

struct pack_heads {
	struct store *store;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct head places[PLACES];
};

struct pack_heads *pack_heads_new(struct store *s)
{
	struct pack_heads *h = xcalloc(1, sizeof(*h));

	h->store = s;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->changed, NULL);
	return h;
}

void pack_heads_free(struct pack_heads *h)
{
	if (!h)
		return;
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->changed);
	free(h);
}

static struct head *place_of(struct pack_heads *h, const uint8_t name[HASH_BYTES])
{
	return &h->places[get_le16(name) % PLACES];
}

static bool is_of(const struct head *p, const uint8_t name[HASH_BYTES])
{
	return p->state != HEAD_NONE && memcmp(p->name, name, HASH_BYTES) == 0;
}

/* Wait until nobody reads it. True: it is there. False: it has to be read, into *ret_p, which is
 * claimed, or, with NULL there, past the table. */
static bool find(struct pack_heads *h, const uint8_t name[HASH_BYTES], uint8_t *ret_head,
		 struct head **ret_p)
{
	struct head *p = place_of(h, name);
	bool found;

	pthread_mutex_lock(&h->lock);
	while (is_of(p, name) && p->state == HEAD_LOADING)
		pthread_cond_wait(&h->changed, &h->lock);
	found = is_of(p, name);
	if (found)
		memcpy(ret_head, p->bytes, PACK_HEAD);
	*ret_p = p->state == HEAD_LOADING ? NULL : p;
	if (!found && *ret_p) {
		p->state = HEAD_LOADING;
		memcpy(p->name, name, HASH_BYTES);
	}
	pthread_mutex_unlock(&h->lock);
	return found;
}

int pack_heads_get(struct pack_heads *h, const uint8_t name[HASH_BYTES],
		   uint8_t ret_head[PACK_HEAD], struct err *e)
{
	char key[STORE_KEY_MAX];
	struct head *p;
	int rc;

	if (find(h, name, ret_head, &p))
		return 0;
	pack_key_name(name, key);
	rc = store_get_all(h->store, key, 0, ret_head, PACK_HEAD, e);
	if (!p)
		return rc;
	pthread_mutex_lock(&h->lock);
	p->state = rc == 0 ? HEAD_READY : HEAD_NONE;
	if (rc == 0)
		memcpy(p->bytes, ret_head, PACK_HEAD);
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
	return rc;
}

void pack_heads_forget(struct pack_heads *h, const uint8_t name[HASH_BYTES])
{
	struct head *p = place_of(h, name);

	pthread_mutex_lock(&h->lock);
	if (is_of(p, name) && p->state == HEAD_READY)
		p->state = HEAD_NONE;
	pthread_mutex_unlock(&h->lock);
}
