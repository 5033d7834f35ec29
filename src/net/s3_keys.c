/* SPDX-License-Identifier: Apache-2.0 */
#include "net/s3_keys.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/fio.h"
#include "base/log.h"
#include "net/s3_metadata.h"

#define CREDENTIALS_MAX ((size_t)64 << 10)
#define SECOND_US ((uint64_t)1000000)
#define EARLY_US (300 * SECOND_US) /* so long before a key expires, another is asked for */
#define PAUSE_US (60 * SECOND_US)  /* between two askings */

struct s3_keys {
	struct http *http; /* to ask for another key; NULL: there is only this one */
	pthread_mutex_t lock;
	struct s3_key *now;
	uint64_t renew_us; /* when to ask for another, by the clock that never goes back */
	bool renewing;
};

/* ---- from the environment and from a file ---- */

static char *trimmed(const char *p, const char *end)
{
	while (p < end && strchr(" \t\r", *p))
		p++;
	while (end > p && strchr(" \t\r", end[-1]))
		end--;
	return xstrndup(p, (size_t)(end - p));
}

static void set_secret(struct sigv4_key *k, const char *text)
{
	secret_free(k->secret);
	k->secret = secret_of(text, strlen(text));
}

static void set_text(char **p, const char *text)
{
	free(*p);
	*p = xstrdup(text);
}

/* "name = value" */
static void take_line(const char *p, const char *end, struct sigv4_key *k)
{
	const char *eq = memchr(p, '=', (size_t)(end - p));
	char *name, *value;

	if (!eq)
		return;
	name = trimmed(p, eq);
	value = trimmed(eq + 1, end);
	if (strcmp(name, "aws_access_key_id") == 0)
		set_text(&k->id, value);
	else if (strcmp(name, "aws_secret_access_key") == 0)
		set_secret(k, value);
	else if (strcmp(name, "aws_session_token") == 0)
		set_text(&k->token, value);
	secret_wipe(value, strlen(value));
	free(value);
	free(name);
}

bool s3_credentials_parse(const char *text, size_t n, const char *profile, struct sigv4_key *ret)
{
	const char *p = text, *stop = text + n;
	bool ours = false;

	*ret = (struct sigv4_key){0};
	while (p < stop) {
		const char *nl = memchr(p, '\n', (size_t)(stop - p));
		const char *end = nl ? nl : stop;
		AUTO_FREE char *line = trimmed(p, end);
		size_t len = strlen(line);

		if (len > 1 && line[0] == '[' && line[len - 1] == ']') {
			ours = len == strlen(profile) + 2 &&
			       strncmp(line + 1, profile, len - 2) == 0;
		} else if (ours && line[0] != '#' && line[0] != ';') {
			take_line(p, end, ret);
		}
		secret_wipe(line, len);
		p = end + 1;
	}
	if (ret->id && *ret->id && ret->secret && ret->secret->len)
		return true;
	sigv4_key_done(ret);
	return false;
}

/* 1 found, 0 not, -1. */
static int key_from_file(struct sigv4_key *ret, struct err *e)
{
	const char *named = env_text("AWS_SHARED_CREDENTIALS_FILE"), *home = env_text("HOME");
	const char *given = env_text("AWS_PROFILE"), *profile = given ? given : "default";
	AUTO_FREE char *path =
		named ? xstrdup(named) : xasprintf("%s/.aws/credentials", home ? home : "");
	AUTO_BUF text = BUF_INIT;
	struct err why = {0};
	bool found = false;

	if (fio_slurp(path, CREDENTIALS_MAX, &text, &why) == 0) {
		found = s3_credentials_parse((const char *)text.data, text.len, profile, ret);
		secret_wipe(text.data, text.len);
	} else if (why.kind != ERR_NOENT || named) {
		if (e)
			*e = why;
		return -1;
	}
	/* Who names a profile means that one. */
	if (!found && (named || given))
		return err_set(e, ERR_INVALID,
			       "no key for the S3 target: there is none in the profile '%s' of %s",
			       profile, path);
	return found;
}

/* 1 found, 0 not, -1. */
static int key_from_environment(struct sigv4_key *ret, struct err *e)
{
	const char *id = env_text("AWS_ACCESS_KEY_ID"), *secret = env_text("AWS_SECRET_ACCESS_KEY");

	if (!id && !secret)
		return 0;
	if (!id || !secret)
		return err_set(e, ERR_INVALID, "%s is set and %s is not: both are needed",
			       id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
			       id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
	ret->id = xstrdup(id);
	set_secret(ret, secret);
	ret->token = xstrdup0(env_text("AWS_SESSION_TOKEN"));
	return 1;
}

/* ---- from the cloud ---- */

/* When to ask for the next one. A key that is about to expire is not asked for again and again. */
static uint64_t renewal(const struct s3_given_key *given)
{
	uint64_t wall = clock_wall_us(), mono = clock_mono_us();

	if (given->expires_us == UINT64_MAX)
		return UINT64_MAX;
	return mono + (given->expires_us > wall + EARLY_US + PAUSE_US
			       ? given->expires_us - wall - EARLY_US
			       : PAUSE_US);
}

static struct s3_key *key_take(struct sigv4_key key)
{
	struct s3_key *k = xcalloc(1, sizeof(*k));

	k->key = key;
	k->refs = 1;
	return k;
}

/* Called with the lock held, or by the last owner. */
static void unref(struct s3_key *key)
{
	if (!key || --key->refs)
		return;
	sigv4_key_done(&key->key);
	free(key);
}

/* One thread asks, without the lock; the others go on with what there is. */
static void renew(struct s3_keys *k)
{
	struct s3_given_key given;
	struct err why = {0};
	int rc = s3_metadata_ask(k->http, &given, &why);

	pthread_mutex_lock(&k->lock);
	if (rc == 0) {
		unref(k->now);
		k->now = key_take(given.key);
	}
	k->renew_us = rc == 0 ? renewal(&given) : clock_mono_us() + PAUSE_US;
	k->renewing = false;
	pthread_mutex_unlock(&k->lock);
	if (rc < 0)
		log_debug("no new key for the S3 target: %s", why.msg);
}

struct s3_key *s3_keys_hold(struct s3_keys *k)
{
	struct s3_key *key;
	bool mine = false;

	pthread_mutex_lock(&k->lock);
	if (k->http && !k->renewing && clock_mono_us() >= k->renew_us)
		mine = k->renewing = true;
	pthread_mutex_unlock(&k->lock);
	if (mine)
		renew(k);
	pthread_mutex_lock(&k->lock);
	key = k->now;
	key->refs++;
	pthread_mutex_unlock(&k->lock);
	return key;
}

void s3_keys_release(struct s3_keys *k, struct s3_key *key)
{
	pthread_mutex_lock(&k->lock);
	unref(key);
	pthread_mutex_unlock(&k->lock);
}

bool s3_keys_expired(struct s3_keys *k)
{
	pthread_mutex_lock(&k->lock);
	k->renew_us = 0;
	pthread_mutex_unlock(&k->lock);
	return k->http != NULL;
}

/* ---- the first that is found ---- */

static int key_from_cloud(struct s3_keys *k, struct sigv4_key *ret, struct err *e)
{
	struct s3_given_key given;
	struct err why = {0};

	k->http = http_new(env_text("AWS_CA_BUNDLE"));
	if (s3_metadata_ask(k->http, &given, &why) < 0)
		return err_set(e, ERR_INVALID,
			       "no key for the S3 target: set AWS_ACCESS_KEY_ID and "
			       "AWS_SECRET_ACCESS_KEY, or write the profile 'default' in "
			       "~/.aws/credentials (and none is given by the cloud: %s)",
			       why.msg);
	*ret = given.key;
	k->renew_us = renewal(&given);
	return 1;
}

struct s3_keys *s3_keys_open(struct err *e)
{
	AUTO(s3_keys) k = xcalloc(1, sizeof(*k));
	struct sigv4_key key = {0};
	int rc;

	pthread_mutex_init(&k->lock, NULL);
	rc = key_from_environment(&key, e);
	if (rc == 0)
		rc = key_from_file(&key, e);
	if (rc == 0)
		rc = key_from_cloud(k, &key, e);
	if (rc < 0)
		return NULL;
	k->now = key_take(key);
	return steal(&k);
}

struct s3_keys *s3_keys_of(const struct sigv4_key *key)
{
	struct s3_keys *k = xcalloc(1, sizeof(*k));
	const struct sigv4_key copy = {.id = xstrdup(key->id),
				       .secret = secret_of(key->secret->data, key->secret->len),
				       .token = xstrdup0(key->token)};

	pthread_mutex_init(&k->lock, NULL);
	k->now = key_take(copy);
	return k;
}

void s3_keys_free(struct s3_keys *k)
{
	if (!k)
		return;
	unref(k->now);
	http_free(k->http);
	pthread_mutex_destroy(&k->lock);
	free(k);
}
