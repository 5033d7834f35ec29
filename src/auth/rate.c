/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bucket remembers how much was taken and has not come back yet: 0 is full, and the same as no
 * bucket at all. So the bucket that is given up for a new key is the one with the least taken: who
 * asks under many names to push others out pushes out what mattered least.
 *
 * Keys are kept as a keyed hash, so nobody can choose names that fall into one set.
 */
#include "auth/rate.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/buf.h"
#include "base/uuid.h"
#include "repo/seal.h"

#define SET 8

struct bucket {
	uint64_t key;
	uint64_t at_us;
	double taken;
};

struct rate {
	pthread_mutex_t lock;
	double per_us, burst;
	struct mac *mac;
	size_t sets;
	struct bucket *v;
};

struct rate *rate_new(double per_second, double burst, size_t keys)
{
	struct rate *r = xcalloc(1, sizeof(*r));
	uint8_t key[SEAL_KEY];

	pthread_mutex_init(&r->lock, NULL);
	rate_set(r, per_second, burst);
	random_bytes(key, sizeof(key));
	r->mac = mac_new(key);
	r->sets = MAX(DIV_UP(keys, SET), 1);
	r->v = xcalloc(r->sets * SET, sizeof(*r->v));
	return r;
}

void rate_free(struct rate *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	mac_free(r->mac);
	free(r->v);
	free(r);
}

void rate_set(struct rate *r, double per_second, double burst)
{
	pthread_mutex_lock(&r->lock);
	r->per_us = per_second / 1e6;
	r->burst = MAX(burst, 1.0);
	pthread_mutex_unlock(&r->lock);
}

static double taken_at(const struct rate *r, const struct bucket *b, uint64_t now_us)
{
	double back = now_us > b->at_us ? (double)(now_us - b->at_us) * r->per_us : 0;

	return MAX(b->taken - back, 0.0);
}

static struct bucket *find(struct rate *r, const char *key, uint64_t now_us)
{
	uint8_t hash[HASH_BYTES];
	struct bucket *set;
	struct bucket *least;
	uint64_t k;

	mac_once(r->mac, key, strlen(key), hash);
	k = get_le64(hash);
	set = &r->v[(get_le64(hash + 8) % r->sets) * SET];
	least = set;
	for (size_t i = 0; i < SET; i++) {
		if (set[i].key == k)
			return &set[i];
		if (taken_at(r, &set[i], now_us) < taken_at(r, least, now_us))
			least = &set[i];
	}
	*least = (struct bucket){.key = k, .at_us = now_us};
	return least;
}

bool rate_take(struct rate *r, const char *key, double cost, uint64_t now_us, unsigned *ret_retry_s)
{
	struct bucket *b;
	double over;
	bool ok;

	pthread_mutex_lock(&r->lock);
	b = find(r, key, now_us);
	b->taken = taken_at(r, b, now_us);
	b->at_us = MAX(b->at_us, now_us);
	over = b->taken + cost - r->burst;
	ok = over <= 0;
	if (ok)
		b->taken += cost;
	else if (ret_retry_s)
		*ret_retry_s = (unsigned)fmin(fmax(ceil(over / r->per_us / 1e6), 1), 86400);
	pthread_mutex_unlock(&r->lock);
	return ok;
}
