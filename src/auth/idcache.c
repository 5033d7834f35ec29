/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/idcache.h"

#include <pthread.h>
#include <string.h>

#include "base/buf.h"
#include "base/secret.h"
#include "base/uuid.h"
#include "repo/seal.h"

#define SET 4

struct entry {
	uint8_t key[IDCACHE_KEY];
	uint64_t at_us; /* 0: empty */
	struct identity *id;
};

struct idcache {
	pthread_mutex_t lock;
	struct mac *mac;
	uint64_t epoch;
	size_t sets;
	struct entry *v;
};

struct idcache *idcache_new(size_t entries)
{
	struct idcache *c = xcalloc(1, sizeof(*c));
	uint8_t key[SEAL_KEY];

	pthread_mutex_init(&c->lock, NULL);
	random_bytes(key, sizeof(key));
	c->mac = mac_new(key);
	secret_wipe(key, sizeof(key));
	c->sets = MAX(DIV_UP(entries, SET), 1);
	c->v = xcalloc(c->sets * SET, sizeof(*c->v));
	return c;
}

static void clear(struct idcache *c)
{
	for (size_t i = 0; i < c->sets * SET; i++)
		if (c->v[i].at_us) {
			identity_free(c->v[i].id);
			c->v[i] = (struct entry){.at_us = 0};
		}
}

void idcache_free(struct idcache *c)
{
	if (!c)
		return;
	clear(c);
	pthread_mutex_destroy(&c->lock);
	mac_free(c->mac);
	free(c->v);
	free(c);
}

void idcache_key(struct idcache *c, int kind, const char *a, const char *b,
		 uint8_t ret[IDCACHE_KEY])
{
	AUTO_BUF t = BUF_INIT;

	buf_reserve(&t, 3 + (a ? strlen(a) : 0) + (b ? strlen(b) : 0));
	buf_u8(&t, (uint8_t)kind);
	buf_text(&t, a ? a : "");
	buf_u8(&t, 0);
	buf_text(&t, b ? b : "");
	pthread_mutex_lock(&c->lock);
	mac_once(c->mac, t.data, t.len, ret);
	pthread_mutex_unlock(&c->lock);
	secret_wipe(t.data, t.len);
}

static struct entry *set_of(struct idcache *c, const uint8_t key[IDCACHE_KEY])
{
	return &c->v[(get_le64(key) % c->sets) * SET];
}

bool idcache_get(struct idcache *c, const uint8_t key[IDCACHE_KEY], uint64_t epoch, uint64_t now_us,
		 struct identity **ret_id, uint64_t *ret_age_us)
{
	struct entry *set;
	bool found = false;

	pthread_mutex_lock(&c->lock);
	if (epoch != c->epoch) {
		clear(c);
		c->epoch = epoch;
	}
	set = set_of(c, key);
	for (size_t i = 0; i < SET && !found; i++) {
		if (!set[i].at_us || memcmp(set[i].key, key, IDCACHE_KEY) != 0)
			continue;
		*ret_id = set[i].id ? identity_ref(set[i].id) : NULL;
		*ret_age_us = now_us > set[i].at_us ? now_us - set[i].at_us : 0;
		found = true;
	}
	pthread_mutex_unlock(&c->lock);
	return found;
}

void idcache_put(struct idcache *c, const uint8_t key[IDCACHE_KEY], uint64_t epoch, uint64_t now_us,
		 struct identity *id)
{
	struct entry *set;
	struct entry *to;

	pthread_mutex_lock(&c->lock);
	set = set_of(c, key);
	to = set;
	for (size_t i = 0; i < SET; i++) {
		if (!memcmp(set[i].key, key, IDCACHE_KEY)) {
			to = &set[i];
			break;
		}
		if (set[i].at_us < to->at_us)
			to = &set[i];
	}
	if (epoch == c->epoch) {
		identity_free(to->id);
		memcpy(to->key, key, IDCACHE_KEY);
		to->at_us = now_us;
		to->id = id ? identity_ref(id) : NULL;
	}
	pthread_mutex_unlock(&c->lock);
}
