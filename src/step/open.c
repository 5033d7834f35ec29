/* SPDX-License-Identifier: Apache-2.0 */
#include "step/open.h"

#include <stdio.h>
#include <string.h>

#include "net/fields.h"
#include "net/sigv4.h"
#include "repo/store_arbiter.h"
#include "repo/store_cache.h"

#define KEY_DIGITS 64
#define KEY_PREFIX "holdfast-key-1:"

struct target_spec {
	const char *url, *key, *passphrase;
	const json_t *credentials;
};

/* ---- the key ---- */

static struct credential *take_key(const struct target_spec *t, const char *where, struct err *e)
{
	size_t n = t->key ? strlen(t->key) : 0;
	AUTO(secret) line = NULL;

	if (!t->key == !t->passphrase) {
		err_set(e, ERR_INVALID, "%s needs either a key or a passphrase", where);
		return NULL;
	}
	if (t->passphrase)
		return credential_passphrase(t->passphrase, strlen(t->passphrase), e);
	line = secret_new(sizeof(KEY_PREFIX) + KEY_DIGITS);
	if (n == KEY_DIGITS) {
		n = strlen(KEY_PREFIX) + KEY_DIGITS;
		memcpy(line->data, KEY_PREFIX, strlen(KEY_PREFIX));
		memcpy(line->data + strlen(KEY_PREFIX), t->key, KEY_DIGITS);
	} else if (n == strlen(KEY_PREFIX) + KEY_DIGITS) {
		memcpy(line->data, t->key, n);
	}
	if (memcmp(line->data, KEY_PREFIX, strlen(KEY_PREFIX)) != 0) {
		err_set(e, ERR_INVALID,
			"%s.key must be what is in a key file, or its %d "
			"hexadecimal digits",
			where, KEY_DIGITS);
		return NULL;
	}
	return credential_parse(line->data, n, e);
}

/* ---- the store ---- */

static struct store *open_bucket(const struct target_spec *t, const char *where, bool create,
				 struct err *e)
{
	const char *id = NULL, *secret = NULL, *token = NULL;
	bool from_host = false;
	char name[128];
	const struct field f[] = {
		{"access_key", FIELD_TEXT, &id, .most = 256},
		{"secret_key", FIELD_TEXT, &secret, .most = 256},
		{"session_token", FIELD_TEXT, &token},
		{"from_host", FIELD_FLAG, &from_host},
	};
	struct sigv4_key key = {0};
	struct store *s;

	snprintf(name, sizeof(name), "%.64s.credentials", where);
	if (t->credentials && fields_take(t->credentials, name, f, ARRAY_LEN(f), e) < 0)
		return NULL;
	if (from_host && !id && !secret && !token)
		return store_bucket_open(t->url + 3, NULL, create, e);
	if (!id || !secret || !*id || !*secret || from_host) {
		err_set(e, ERR_INVALID,
			"%s: a bucket needs access_key and secret_key, or from_host alone", name);
		return NULL;
	}
	key.id = xstrdup(id);
	key.secret = secret_of(secret, strlen(secret));
	key.token = xstrdup0(token);
	s = store_bucket_open(t->url + 3, &key, create, e);
	sigv4_key_done(&key);
	return s;
}

static struct store *open_store(const struct target_spec *t, const char *where, bool create,
				struct err *e)
{
	if (strncmp(t->url, "s3:", 3) == 0)
		return open_bucket(t, where, create, e);
	if (strncmp(t->url, "dir:/", 5) != 0) {
		err_set(e, ERR_INVALID,
			"%s.url '%.100s': write dir:/PATH, with the whole path, or s3:BUCKET",
			where, t->url);
		return NULL;
	}
	if (t->credentials) {
		err_set(e, ERR_INVALID, "%s.credentials: a directory takes none", where);
		return NULL;
	}
	return store_open(t->url, create, e);
}

int step_open_store(const struct step *s, const json_t *spec, const char *where, bool create,
		    struct step_target *ret, struct err *e)
{
	struct target_spec t = {0};
	const struct field f[] = {
		{"url", FIELD_TEXT, &t.url, .needed = true},
		{"key", FIELD_TEXT, &t.key, .most = 256},
		{"passphrase", FIELD_TEXT, &t.passphrase, .most = CREDENTIAL_MAX},
		{"credentials", FIELD_OBJECT, &t.credentials},
	};
	struct step_target r = {0};

	if (fields_take(spec, where, f, ARRAY_LEN(f), e) < 0)
		return -1;
	r.key = take_key(&t, where, e);
	r.store = r.key ? open_store(&t, where, create, e) : NULL;
	if (!r.store) {
		step_target_done(&r);
		return -1;
	}
	store_stop_with(r.store, s->watch.cancel);
	*ret = r;
	return 0;
}

struct store *step_open_bare(const struct step *s, const json_t *spec, const char *where,
			     struct err *e)
{
	struct target_spec t = {0};
	const struct field f[] = {
		{"url", FIELD_TEXT, &t.url, .needed = true},
		{"credentials", FIELD_OBJECT, &t.credentials},
	};
	struct store *store;

	if (fields_take(spec, where, f, ARRAY_LEN(f), e) < 0)
		return NULL;
	store = open_store(&t, where, false, e);
	if (store)
		store_stop_with(store, s->watch.cancel);
	return store;
}

int step_open_target(const struct step *s, const json_t *spec, const char *where,
		     struct step_target *ret, struct err *e)
{
	struct step_target r = {0};

	if (step_open_store(s, spec, where, false, &r, e) < 0)
		return -1;
	r.store = store_cache_wrap(r.store, e);
	r.repo = r.store ? repo_open(r.store, r.key, e) : NULL;
	if (!r.repo) {
		if (r.store)
			err_wrap(e, "%s", r.store->url);
		step_target_done(&r);
		return -1;
	}
	if (repo_warning(r.repo))
		s->watch.note(s->watch.arg, LOG_LEVEL_WARN, repo_warning(r.repo));
	*ret = r;
	return 0;
}

void step_target_done(struct step_target *t)
{
	repo_free(t->repo);
	store_free(t->store);
	credential_free(t->key);
	*t = (struct step_target){0};
}

/* ---- the platform ---- */

struct platform *step_open_platform(const json_t *spec, struct err *e)
{
	static const char *const known[] = {"libvirt", NULL};
	const char *kind = NULL, *uri = NULL;
	const struct field f[] = {
		{"kind", FIELD_TEXT, &kind, .needed = true, .among = known},
		{"uri", FIELD_TEXT, &uri, .most = 1024},
	};

	if (fields_take(spec, "platform", f, ARRAY_LEN(f), e) < 0)
		return NULL;
	return platform_open(uri && *uri ? uri : NULL, e);
}
