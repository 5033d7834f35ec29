/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/throttle.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/uuid.h"
#include "repo/seal.h"

#define SET 8

struct slot {
	uint64_t key;
	uint64_t last_us;
	unsigned failures;
};

struct throttle {
	pthread_mutex_t lock;
	struct mac *mac;
	size_t sets;
	struct slot *v;
};

struct throttle *throttle_new(size_t keys)
{
	struct throttle *t = xcalloc(1, sizeof(*t));
	uint8_t key[SEAL_KEY];

	pthread_mutex_init(&t->lock, NULL);
	random_bytes(key, sizeof(key));
	t->mac = mac_new(key);
	t->sets = MAX(DIV_UP(keys, SET), 1);
	t->v = xcalloc(t->sets * SET, sizeof(*t->v));
	return t;
}

void throttle_free(struct throttle *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	mac_free(t->mac);
	free(t->v);
	free(t);
}

/* The slot of `key`; without `make` NULL where there is none. */
static struct slot *find(struct throttle *t, const char *key, bool make)
{
	uint8_t hash[HASH_BYTES];
	struct slot *set;
	struct slot *least;
	uint64_t k;

	mac_once(t->mac, key, strlen(key), hash);
	k = get_le64(hash);
	set = &t->v[(get_le64(hash + 8) % t->sets) * SET];
	least = set;
	for (size_t i = 0; i < SET; i++) {
		if (set[i].key == k)
			return &set[i];
		if (set[i].failures < least->failures)
			least = &set[i];
	}
	if (!make)
		return NULL;
	*least = (struct slot){.key = k};
	return least;
}

static uint64_t wait_us(unsigned failures, struct throttle_limit l)
{
	unsigned doubled = failures > l.free ? failures - l.free - 1 : 0;

	if (failures <= l.free)
		return 0;
	return (doubled < 16 ? MIN(UINT64_C(1) << doubled, l.most_s) : l.most_s) * 1000000;
}

unsigned throttle_attempt(struct throttle *t, const char *key, struct throttle_limit l,
			  uint64_t now_us)
{
	unsigned wait_s = 0;
	uint64_t until_us;
	struct slot *s;

	pthread_mutex_lock(&t->lock);
	s = find(t, key, true);
	if (now_us > s->last_us + THROTTLE_FORGET_S * UINT64_C(1000000))
		s->failures = 0;
	until_us = s->last_us + wait_us(s->failures, l);
	if (until_us > now_us) {
		wait_s = (unsigned)DIV_UP(until_us - now_us, 1000000);
	} else {
		s->failures++;
		s->last_us = now_us;
	}
	pthread_mutex_unlock(&t->lock);
	return wait_s;
}

void throttle_forgive(struct throttle *t, const char *key)
{
	struct slot *s;

	pthread_mutex_lock(&t->lock);
	s = find(t, key, false);
	if (s)
		*s = (struct slot){0};
	pthread_mutex_unlock(&t->lock);
}

void throttle_take_back(struct throttle *t, const char *key)
{
	struct slot *s;

	pthread_mutex_lock(&t->lock);
	s = find(t, key, false);
	if (s && s->failures)
		s->failures--;
	pthread_mutex_unlock(&t->lock);
}
