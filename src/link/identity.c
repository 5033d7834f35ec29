/* SPDX-License-Identifier: Apache-2.0 */
#include "link/identity.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/fio.h"
#include "base/secret.h"

#define FILE_MAX 4096

static int save(const char *state, const struct identity *i, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/identity.json", state);
	char text[256];
	int n = snprintf(text, sizeof(text), "{\"id\": \"%s\", \"token\": \"%s\"}\n", i->id,
			 i->token);
	int rc = fio_replace(path, text, (size_t)n, 0600, e);

	secret_wipe(text, sizeof(text));
	return rc;
}

static bool decode(const struct buf *b, struct identity *ret)
{
	json_t *j = json_loadb((const char *)b->data, b->len, 0, NULL);
	const char *id = json_string_value(json_object_get(j, "id"));
	const char *token = json_string_value(json_object_get(j, "token"));
	uint8_t hash[TOKEN_HASH];
	struct uuid u;
	bool ok = id && token && (!*id || uuid_parse(id, &u)) && token_hash(token, hash);

	if (ok) {
		snprintf(ret->id, sizeof(ret->id), "%s", id);
		snprintf(ret->token, sizeof(ret->token), "%s", token);
	}
	json_decref(j);
	return ok;
}

int identity_load(const char *state, struct identity *ret, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/identity.json", state);
	struct err why = {0};
	AUTO_BUF b = BUF_INIT;
	bool ok;

	if (fio_slurp(path, FILE_MAX, &b, &why) < 0) {
		if (why.kind == ERR_NOENT)
			return identity_renew(state, ret, e);
		if (e)
			*e = why;
		return -1;
	}
	ok = decode(&b, ret);
	secret_wipe(b.data, b.len);
	return ok ? 0
		  : err_set(e, ERR_CORRUPT,
			    "%s is damaged: remove it, and register anew with an invitation", path);
}

int identity_keep(const char *state, struct identity *i, const char *id, struct err *e)
{
	snprintf(i->id, sizeof(i->id), "%s", id);
	return save(state, i, e);
}

int identity_renew(const char *state, struct identity *i, struct err *e)
{
	i->id[0] = 0;
	token_new(i->token);
	return save(state, i, e);
}
