/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A signed token: header, claims and signature, each in base 64, with dots between them (RFC 7515,
 * 7519). What the header says of the algorithm is looked at before anything is verified, and has to
 * go with the kind of the key: else a public key could be taken for a shared secret.
 */
#include "auth/oidc_priv.h"

#include <jose/b64.h>
#include <jose/cfg.h>
#include <jose/jws.h>
#include <string.h>

#define TOKEN_MAX ((size_t)16 << 10)
#define KEYS_MAX 64
#define LEEWAY_S 60
#define RSA_DIGITS 342 /* of a modulus of 2048 bits, in base 64 */

static const struct algorithm {
	const char *name, *kty, *crv;
} algorithms[] = {
	{"RS256", "RSA", NULL},	  {"RS384", "RSA", NULL},   {"RS512", "RSA", NULL},
	{"PS256", "RSA", NULL},	  {"PS384", "RSA", NULL},   {"PS512", "RSA", NULL},
	{"ES256", "EC", "P-256"}, {"ES384", "EC", "P-384"}, {"ES512", "EC", "P-521"},
};

static int refuse(struct err *e, const char *why)
{
	return err_set(e, ERR_DENIED, "the OpenID provider's token: %s", why);
}

static void keep_quiet(void *misc, const char *file, int line, uint64_t code, const char *fmt,
		       va_list ap)
{
	(void)misc;
	(void)file;
	(void)line;
	(void)code;
	(void)fmt;
	(void)ap;
}

/* A part of the token as an object. */
static json_t *decode(const char *part, size_t n)
{
	AUTO_FREE char *out = xmalloc(n + 1);
	size_t len = jose_b64_dec_buf(part, n, out, n);
	json_t *o = len == SIZE_MAX ? NULL : json_loadb(out, len, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(o))
		return o;
	json_decref(o);
	return NULL;
}

static const char *text(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static const struct algorithm *algorithm_of(const json_t *header)
{
	const char *alg = text(header, "alg");

	for (size_t i = 0; alg && i < ARRAY_LEN(algorithms); i++)
		if (!strcmp(algorithms[i].name, alg))
			return &algorithms[i];
	return NULL;
}

static bool says(const json_t *o, const char *name, const char *value)
{
	const char *is = text(o, name);

	return is && !strcmp(is, value);
}

/* May this key have signed it? */
static bool fits(const json_t *key, const json_t *header, const struct algorithm *a)
{
	const char *kid = text(header, "kid");
	const char *n = text(key, "n");

	if (kid && !says(key, "kid", kid))
		return false;
	if (!says(key, "kty", a->kty) || (a->crv && !says(key, "crv", a->crv)))
		return false;
	if (!a->crv && (!n || strlen(n) < RSA_DIGITS))
		return false;
	return (!text(key, "use") || says(key, "use", "sig")) &&
	       (!text(key, "alg") || says(key, "alg", a->name));
}

/* 1: one of the keys has signed it; 0: none of those that fit; -1: none fits. */
static int signed_by(const json_t *keys, const json_t *jws, const json_t *header,
		     const struct algorithm *a)
{
	const json_t *list = json_object_get(keys, "keys");
	jose_cfg_t *cfg = jose_cfg();
	int found = -1;

	jose_cfg_set_err_func(cfg, keep_quiet, NULL);
	for (size_t i = 0; i < json_array_size(list) && i < KEYS_MAX && found < 1; i++) {
		const json_t *key = json_array_get(list, i);

		if (fits(key, header, a))
			found = jose_jws_ver(cfg, jws, NULL, key, false);
	}
	jose_cfg_decref(cfg);
	return found;
}

static bool is_for(const json_t *aud, const char *audience)
{
	const char *one = json_string_value(aud);

	if (one)
		return !strcmp(one, audience);
	for (size_t i = 0; i < json_array_size(aud) && i < KEYS_MAX; i++) {
		one = json_string_value(json_array_get(aud, i));
		if (one && !strcmp(one, audience))
			return true;
	}
	return false;
}

static int check_claims(const json_t *claims, const struct oidc *o, const char *nonce,
			int64_t now_s, struct err *e)
{
	const json_t *exp = json_object_get(claims, "exp");
	const json_t *nbf = json_object_get(claims, "nbf");
	const char *sub = text(claims, "sub");

	if (!says(claims, "iss", o->issuer))
		return refuse(e, "it is of another issuer");
	/* What ends a login is for us by name; what programs bring may be for what they want to
	 * use. */
	if (!is_for(json_object_get(claims, "aud"), o->client_id) &&
	    (nonce || !is_for(json_object_get(claims, "aud"), o->audience)))
		return refuse(e, "it is for somebody else");
	if (!json_is_number(exp) || json_number_value(exp) + LEEWAY_S <= (double)now_s)
		return refuse(e, "it has expired");
	if (nbf && (!json_is_number(nbf) || json_number_value(nbf) - LEEWAY_S > (double)now_s))
		return refuse(e, "it is not valid yet");
	if (!sub || !*sub || strlen(sub) > 255)
		return refuse(e, "it does not say whom it is about");
	if (nonce && !says(claims, "nonce", nonce))
		return refuse(e, "it belongs to another login");
	return 0;
}

static int verify_parts(const json_t *keys, const char *token, const char *dot, const char *dot2,
			json_t **ret_claims, struct err *e)
{
	json_t *header = decode(token, (size_t)(dot - token));
	const struct algorithm *a = algorithm_of(header);
	json_t *jws =
		json_pack("{s:s%, s:s%, s:s}", "protected", token, (size_t)(dot - token), "payload",
			  dot + 1, (size_t)(dot2 - dot - 1), "signature", dot2 + 1);
	int rc = 0;

	if (!header || !jws)
		rc = refuse(e, "it is not one");
	else if (!a || json_object_get(header, "crit"))
		rc = refuse(e, "it is signed in a way that is not allowed");
	if (!rc) {
		int found = signed_by(keys, jws, header, a);

		if (found < 0)
			rc = err_set(e, ERR_NOENT,
				     "the OpenID provider's token: its key is not known");
		else if (!found)
			rc = refuse(e, "its signature is wrong");
	}
	if (!rc) {
		*ret_claims = decode(dot + 1, (size_t)(dot2 - dot - 1));
		rc = *ret_claims ? 0 : refuse(e, "it is not one");
	}
	json_decref(header);
	json_decref(jws);
	return rc;
}

int oidc_verify(const json_t *keys, const char *token, const struct oidc *o, const char *nonce,
		int64_t now_s, json_t **ret_claims, struct err *e)
{
	const char *dot = strchr(token, '.');
	const char *dot2 = dot ? strchr(dot + 1, '.') : NULL;
	json_t *claims = NULL;

	if (!dot2 || strchr(dot2 + 1, '.') || strlen(token) > TOKEN_MAX)
		return refuse(e, "it is not one");
	if (verify_parts(keys, token, dot, dot2, &claims, e))
		return -1;
	if (check_claims(claims, o, nonce, now_s, e)) {
		json_decref(claims);
		return -1;
	}
	*ret_claims = claims;
	return 0;
}

int oidc_check(const char *keys, const char *token, const char *issuer, const char *audience,
	       const char *nonce, int64_t now_s, char **ret_claims, struct err *e)
{
	struct oidc o = {.issuer = (char *)issuer,
			 .client_id = (char *)audience,
			 .audience = (char *)audience};
	json_t *set = json_loads(keys, JSON_REJECT_DUPLICATES, NULL);
	json_t *claims = NULL;
	int rc = oidc_verify(set, token, &o, nonce, now_s, &claims, e);

	if (!rc)
		*ret_claims = json_dumps(claims, JSON_COMPACT);
	json_decref(claims);
	json_decref(set);
	return rc;
}
