/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/password.h"

#include <argon2.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <string.h>

#include "auth/throttle.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/cond.h"
#include "base/secret.h"
#include "base/uuid.h"
#include "repo/seal.h"

#define SALT 16
#define TAG 32
#define WAITING 32 /* for a slot */
#define WAIT_S 10
#define RIGHT 1024 /* passwords that are remembered to be right */
#define RIGHT_US (600 * 1000000ull)
#define KEYS 16384
#define ZEROS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" /* base 64 */

/* For one user from one address; for one address; for one user from everywhere. */
static const struct throttle_limit by_both = {5, 60};
static const struct throttle_limit by_address = {30, 60};
static const struct throttle_limit by_user = {100, 2};

struct right {
	uint8_t mac[HASH_BYTES];
	uint64_t until_us;
};

struct passwords {
	unsigned kib, passes;
	pthread_mutex_t lock;
	pthread_cond_t turn;
	unsigned slots; /* free */
	unsigned waiting;
	struct mac *mac;
	struct right right[RIGHT];
	struct throttle *throttle;
	char *dummy; /* what is compared with where there is nothing to compare with */
};

static char *hash(struct passwords *p, const char *password, struct err *e)
{
	uint8_t salt[SALT];
	size_t n = argon2_encodedlen(p->passes, p->kib, 1, SALT, TAG, Argon2_id);
	char *out = xmalloc(n);
	int rc;

	random_bytes(salt, sizeof(salt));
	rc = argon2id_hash_encoded(p->passes, p->kib, 1, password, strlen(password), salt, SALT,
				   TAG, out, n);
	if (rc == ARGON2_OK)
		return out;
	free(out);
	err_set(e, rc == ARGON2_MEMORY_ALLOCATION_ERROR ? ERR_LIMIT : ERR_INTERNAL,
		"hashing a password with %u MiB of memory: %s", p->kib / 1024,
		argon2_error_message(rc));
	return NULL;
}

struct passwords *passwords_new(const struct passwords_options *o)
{
	struct passwords *p = xcalloc(1, sizeof(*p));
	uint8_t key[SEAL_KEY];

	p->kib = o->kib ? o->kib : 64 << 10;
	p->passes = o->passes ? o->passes : 2;
	p->slots = o->slots ? o->slots : 2;
	pthread_mutex_init(&p->lock, NULL);
	cond_init(&p->turn);
	random_bytes(key, sizeof(key));
	p->mac = mac_new(key);
	secret_wipe(key, sizeof(key));
	p->throttle = throttle_new(KEYS);
	/* A salt and a hash of zeros: takes as long as any, and is right for nothing. */
	p->dummy = xasprintf("$argon2id$v=19$m=%u,t=%u,p=1$%.22s$%.43s", p->kib, p->passes, ZEROS,
			     ZEROS);
	return p;
}

void passwords_free(struct passwords *p)
{
	if (!p)
		return;
	pthread_cond_destroy(&p->turn);
	pthread_mutex_destroy(&p->lock);
	mac_free(p->mac);
	throttle_free(p->throttle);
	free(p->dummy);
	free(p);
}

/* ---- turns ---- */

static int take_turn(struct passwords *p, struct err *e)
{
	struct timespec until = cond_in_ms(WAIT_S * 1000);
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	if (p->waiting >= WAITING)
		rc = 1;
	p->waiting++;
	while (!rc && !p->slots)
		rc = pthread_cond_timedwait(&p->turn, &p->lock, &until);
	p->waiting--;
	if (!rc)
		p->slots--;
	pthread_mutex_unlock(&p->lock);
	if (rc)
		return err_set(e, ERR_BUSY,
			       "too many passwords are being verified; try again in a moment");
	return 0;
}

static void give_turn(struct passwords *p)
{
	pthread_mutex_lock(&p->lock);
	p->slots++;
	pthread_cond_signal(&p->turn);
	pthread_mutex_unlock(&p->lock);
}

char *passwords_hash(struct passwords *p, const char *password, struct err *e)
{
	size_t n = strlen(password);
	char *out;

	if (n < PASSWORD_MIN || n > PASSWORD_MAX) {
		err_set(e, ERR_INVALID, "password: it must have %d to %d bytes, and has %zu",
			PASSWORD_MIN, PASSWORD_MAX, n);
		return NULL;
	}
	if (take_turn(p, e))
		return NULL;
	out = hash(p, password, e);
	give_turn(p);
	return out;
}

/* ---- remembering what was right ---- */

static void right_mac(struct passwords *p, const char *stored, const char *password,
		      uint8_t out[HASH_BYTES])
{
	AUTO_BUF b = BUF_INIT;

	/* Room first: what grows leaves copies behind. */
	buf_reserve(&b, strlen(stored) + strlen(password) + 1);
	buf_add(&b, stored, strlen(stored) + 1);
	buf_text(&b, password);
	mac_once(p->mac, b.data, b.len, out);
	secret_wipe(b.data, b.len);
}

static bool was_right(struct passwords *p, const char *stored, const char *password, bool now_right)
{
	uint64_t now = clock_mono_us();
	uint8_t mac[HASH_BYTES];
	struct right *r;
	bool was;

	pthread_mutex_lock(&p->lock);
	right_mac(p, stored, password, mac);
	r = &p->right[get_le32(mac) % RIGHT];
	if (now_right) {
		memcpy(r->mac, mac, sizeof(mac));
		r->until_us = now + RIGHT_US;
	}
	was = r->until_us > now && !CRYPTO_memcmp(r->mac, mac, sizeof(mac));
	pthread_mutex_unlock(&p->lock);
	return was;
}

/* ---- checking ---- */

static int verify(struct passwords *p, const char *stored, const char *password, struct err *e)
{
	int rc;

	if (take_turn(p, e))
		return -1;
	rc = argon2id_verify(stored ? stored : p->dummy, password, strlen(password));
	give_turn(p);
	if (stored && rc == ARGON2_OK)
		return 0;
	if (rc == ARGON2_MEMORY_ALLOCATION_ERROR)
		return err_set(e, ERR_BUSY, "there is no memory for verifying a password now");
	return err_set(e, ERR_DENIED, "the name or the password is wrong");
}

struct keys {
	char *both, *address, *user;
};

static int attempt(struct passwords *p, const struct keys *k, unsigned *ret_retry_s, struct err *e)
{
	uint64_t now = clock_mono_us();
	unsigned wait = throttle_attempt(p->throttle, k->both, by_both, now);

	if (!wait) {
		wait = throttle_attempt(p->throttle, k->address, by_address, now);
		if (wait) {
			throttle_take_back(p->throttle, k->both);
		} else {
			wait = throttle_attempt(p->throttle, k->user, by_user, now);
			if (wait) {
				throttle_take_back(p->throttle, k->both);
				throttle_take_back(p->throttle, k->address);
			}
		}
	}
	if (!wait)
		return 0;
	if (ret_retry_s)
		*ret_retry_s = wait;
	return err_set(e, ERR_BUSY, "too many wrong passwords: try again in %u seconds", wait);
}

/* Whoever verifies it: `ask`. */
static int guard(struct passwords *p, const struct keys *k, passwords_ask_fn *ask, void *arg,
		 unsigned *ret_retry_s, struct err *e)
{
	struct err why = {0};

	if (attempt(p, k, ret_retry_s, e))
		return -1;
	if (ask(arg, &why)) {
		if (e)
			*e = why;
		if (why.kind == ERR_DENIED)
			return -1;
		throttle_take_back(p->throttle, k->both);
		throttle_take_back(p->throttle, k->address);
		throttle_take_back(p->throttle, k->user);
		if (ret_retry_s)
			*ret_retry_s = 2;
		return -1;
	}
	/* The address may have guessed at others: its own failure only is taken back. */
	throttle_forgive(p->throttle, k->both);
	throttle_take_back(p->throttle, k->address);
	throttle_take_back(p->throttle, k->user);
	return 0;
}

int passwords_guard(struct passwords *p, const char *name, const char *address,
		    passwords_ask_fn *ask, void *arg, unsigned *ret_retry_s, struct err *e)
{
	struct keys k;
	int rc;

	if (!address)
		address = "-";
	k.both = xasprintf("b %s %s", address, name);
	k.address = xasprintf("a %s", address);
	k.user = xasprintf("u %s", name);
	rc = guard(p, &k, ask, arg, ret_retry_s, e);
	free(k.both);
	free(k.address);
	free(k.user);
	return rc;
}

struct own {
	struct passwords *p;
	const char *stored, *password;
};

static int ask_own(void *arg, struct err *e)
{
	const struct own *o = arg;

	return verify(o->p, o->stored, o->password, e);
}

int passwords_check(struct passwords *p, const char *name, const char *address, const char *stored,
		    const char *password, unsigned *ret_retry_s, struct err *e)
{
	struct own o = {p, stored, password};

	if (strlen(password) > PASSWORD_MAX)
		return err_set(e, ERR_DENIED, "the name or the password is wrong");
	if (stored && was_right(p, stored, password, false))
		return 0;
	if (passwords_guard(p, name, address, ask_own, &o, ret_retry_s, e))
		return -1;
	was_right(p, stored, password, true);
	return 0;
}
