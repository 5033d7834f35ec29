/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_ca.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/uuid.h"

#define NAME_MAX_BYTES 253 /* of a host name, RFC 1035 */
#define COMMON_NAME_MAX 64 /* RFC 5280 */
#define CA_NAME_MAX 40
#define DAY 86400L
/* Clocks differ: what was made just now must be good elsewhere. */
#define EARLIER 3600L

/* OpenSSL's types under names that AUTO can use. */
#define DEFINE_AUTO_OSSL(name, type, fn)                                                           \
	static inline void name##_auto(type **p)                                                   \
	{                                                                                          \
		fn(*p);                                                                            \
	}                                                                                          \
	struct name##_unused
#define AUTO_OSSL(name, type) CLEANUP(name##_auto) type *

DEFINE_AUTO_OSSL(bio, BIO, BIO_free_all);
DEFINE_AUTO_OSSL(x509, X509, X509_free);
DEFINE_AUTO_OSSL(pkey, EVP_PKEY, EVP_PKEY_free);
DEFINE_AUTO_OSSL(sans, GENERAL_NAMES, GENERAL_NAMES_free);

void tls_pair_done(struct tls_pair *p)
{
	free(p->certificate);
	secret_free(p->key);
	*p = (struct tls_pair){0};
}

static int failed(struct err *e, const char *what)
{
	const char *why = ERR_reason_error_string(ERR_get_error());

	ERR_clear_error();
	return err_set(e, ERR_INTERNAL, "%s: %s", what, why ? why : "OpenSSL does not say why");
}

/* ---- PEM ---- */

/* OpenSSL would ask at the terminal. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static X509 *read_certificate(const char *pem)
{
	AUTO_OSSL(bio, BIO) b = BIO_new_mem_buf(pem, -1);
	X509 *x = b ? PEM_read_bio_X509(b, NULL, no_passphrase, NULL) : NULL;

	ERR_clear_error();
	return x;
}

static EVP_PKEY *read_key(const struct secret *pem)
{
	AUTO_OSSL(bio, BIO) b = BIO_new_mem_buf(pem->data, (int)pem->len);
	EVP_PKEY *k = b ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL) : NULL;

	ERR_clear_error();
	return k;
}

static int write_pair(X509 *x, EVP_PKEY *k, struct tls_pair *ret_p, struct err *e)
{
	AUTO_OSSL(bio, BIO) cert = BIO_new(BIO_s_mem());
	AUTO_OSSL(bio, BIO) key = BIO_new(BIO_s_mem()); /* wipes what it frees */
	char *text;
	long n;

	if (!cert || !key || !PEM_write_bio_X509(cert, x) ||
	    !PEM_write_bio_PrivateKey(key, k, NULL, NULL, 0, NULL, NULL))
		return failed(e, "write a certificate");
	n = BIO_get_mem_data(cert, &text);
	ret_p->certificate = xstrndup(text, (size_t)n);
	n = BIO_get_mem_data(key, &text);
	ret_p->key = secret_new((size_t)n + 1);
	ret_p->key->len = (size_t)n;
	memcpy(ret_p->key->data, text, (size_t)n);
	return 0;
}

/* ---- certificates ---- */

static bool set_serial(X509 *x)
{
	uint8_t bytes[16];
	BIGNUM *n;
	bool ok;

	random_bytes(bytes, sizeof(bytes));
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and never short */
	n = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
	BN_free(n);
	return ok;
}

static bool set_subject(X509 *x, const char *name)
{
	X509_NAME *s = X509_get_subject_name(x);

	return strlen(name) > COMMON_NAME_MAX ||
	       X509_NAME_add_entry_by_txt(s, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
					  -1, 0);
}

static bool add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX c;
	X509_EXTENSION *ext;
	bool ok;

	X509V3_set_ctx_nodb(&c);
	X509V3_set_ctx(&c, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &c, nid, value);
	ok = ext && X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
	return ok;
}

/* What all have. `issuer` may be `x` itself. */
static bool fill(X509 *x, X509 *issuer, EVP_PKEY *key, const char *name, long days)
{
	return X509_set_version(x, X509_VERSION_3) && set_serial(x) &&
	       X509_gmtime_adj(X509_getm_notBefore(x), -EARLIER) &&
	       X509_gmtime_adj(X509_getm_notAfter(x), days * DAY) && set_subject(x, name) &&
	       X509_set_issuer_name(x, X509_get_subject_name(issuer)) && X509_set_pubkey(x, key) &&
	       add_extension(x, issuer, NID_subject_key_identifier, "hash") &&
	       add_extension(x, issuer, NID_authority_key_identifier, "keyid:always");
}

int tls_ca_new(const char *name, struct tls_pair *ret_ca, struct err *e)
{
	AUTO_OSSL(pkey, EVP_PKEY) key = EVP_EC_gen("P-256");
	AUTO_OSSL(x509, X509) x = X509_new();
	AUTO_FREE char *full = xasprintf("Holdfast CA %s", name);

	if (strlen(name) > CA_NAME_MAX)
		return err_set(e, ERR_INVALID,
			       "the name of an authority, '%s', is longer than %d bytes", name,
			       CA_NAME_MAX);
	if (!key || !x || !fill(x, x, key, full, TLS_CA_DAYS) ||
	    !add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
	    !add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") ||
	    !X509_sign(x, key, EVP_sha256()))
		return failed(e, "make a certificate authority");
	return write_pair(x, key, ret_ca, e);
}

/* ---- names ---- */

/* An address's bytes into `out`; their number, 0: it is none. */
static int address_bytes(const char *name, uint8_t out[16])
{
	if (inet_pton(AF_INET, name, out) == 1)
		return 4;
	return inet_pton(AF_INET6, name, out) == 1 ? 16 : 0;
}

static bool is_host_name(const char *name)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	const char *rest = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
	size_t n = strlen(rest);

	return n && n <= NAME_MAX_BYTES && strspn(rest, allowed) == n && rest[0] != '.' &&
	       rest[0] != '-' && !strstr(rest, "..");
}

static GENERAL_NAME *general_name(const char *name)
{
	GENERAL_NAME *g = GENERAL_NAME_new();
	uint8_t bytes[16];
	int n = address_bytes(name, bytes);
	ASN1_STRING *s = n ? (ASN1_STRING *)ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();

	if (g && s && ASN1_STRING_set(s, n ? (const void *)bytes : name, n ? n : -1)) {
		GENERAL_NAME_set0_value(g, n ? GEN_IPADD : GEN_DNS, s);
		return g;
	}
	ASN1_STRING_free(s);
	GENERAL_NAME_free(g);
	return NULL;
}

static int add_names(X509 *x, const char *const *names, size_t n, struct err *e)
{
	AUTO_OSSL(sans, GENERAL_NAMES) list = sk_GENERAL_NAME_new_null();
	uint8_t bytes[16];

	for (size_t i = 0; i < n; i++) {
		GENERAL_NAME *g;

		if (!address_bytes(names[i], bytes) && !is_host_name(names[i]))
			return err_set(e, ERR_INVALID,
				       "'%s' is neither a host name nor an address that a "
				       "certificate can be made for",
				       names[i]);
		g = general_name(names[i]);
		if (!g || !sk_GENERAL_NAME_push(list, g))
			return failed(e, "name a server in its certificate");
	}
	if (!X509_add1_ext_i2d(x, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT))
		return failed(e, "name a server in its certificate");
	return 0;
}

int tls_ca_issue(const struct tls_pair *ca, const char *const *names, size_t n_names,
		 struct tls_pair *ret_p, struct err *e)
{
	AUTO_OSSL(x509, X509) issuer = read_certificate(ca->certificate);
	AUTO_OSSL(pkey, EVP_PKEY) sign = read_key(ca->key);
	AUTO_OSSL(pkey, EVP_PKEY) key = EVP_EC_gen("P-256");
	AUTO_OSSL(x509, X509) x = X509_new();

	if (!issuer || !sign)
		return err_set(e, ERR_INVALID,
			       "the authority's %s is not PEM text, or has a "
			       "passphrase",
			       issuer ? "key" : "certificate");
	if (!X509_check_private_key(issuer, sign) || !X509_check_ca(issuer)) {
		ERR_clear_error();
		return err_set(e, ERR_INVALID,
			       "the authority's certificate is that of a server, "
			       "or does not fit its key");
	}
	if (!n_names)
		return err_set(e, ERR_INVALID, "a server's certificate needs a name");
	if (add_names(x, names, n_names, e) < 0)
		return -1;
	if (!key || !fill(x, issuer, key, names[0], TLS_SERVER_DAYS) ||
	    !add_extension(x, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
	    !add_extension(x, issuer, NID_key_usage, "critical,digitalSignature") ||
	    !add_extension(x, issuer, NID_ext_key_usage, "serverAuth") ||
	    !X509_sign(x, sign, EVP_sha256()))
		return failed(e, "make a server's certificate");
	return write_pair(x, key, ret_p, e);
}

/* ---- what a certificate says ---- */

static bool has_name(X509 *x, const char *name)
{
	uint8_t bytes[16];

	if (address_bytes(name, bytes))
		return X509_check_ip_asc(x, name, 0) == 1;
	return X509_check_host(x, name, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
}

const char *tls_ca_outdated(const char *ca, const char *certificate, const char *const *names,
			    size_t n_names)
{
	AUTO_OSSL(x509, X509) x = read_certificate(certificate);
	AUTO_OSSL(x509, X509) issuer = read_certificate(ca);
	EVP_PKEY *key = issuer ? X509_get0_pubkey(issuer) : NULL;
	time_t later = time(NULL) + TLS_RENEW_DAYS * DAY;
	const char *why = NULL;

	if (!x)
		return "it is no certificate";
	if (!key || X509_verify(x, key) != 1)
		why = "another authority signed it";
	else if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
		why = "it has not begun";
	else if (X509_cmp_time(X509_get0_notAfter(x), &later) < 0)
		why = "it ends soon";
	for (size_t i = 0; i < n_names && !why; i++) {
		if (!has_name(x, names[i]))
			why = "it lacks a name of this server";
	}
	ERR_clear_error();
	return why;
}

int tls_fingerprint(const char *certificate, char *out, struct err *e)
{
	AUTO_OSSL(x509, X509) x = read_certificate(certificate);
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!x || !X509_digest(x, EVP_sha256(), hash, &n))
		return err_set(e, ERR_INVALID, "this is no certificate in PEM text");
	for (unsigned i = 0; i < n; i++)
		snprintf(out + (size_t)3 * i, 4, "%02X%s", hash[i], i + 1 < n ? ":" : "");
	return 0;
}

int tls_expiry(const char *certificate, uint64_t *ret_us, struct err *e)
{
	AUTO_OSSL(x509, X509) x = read_certificate(certificate);
	struct tm tm;

	if (!x || !ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm))
		return err_set(e, ERR_INVALID, "this is no certificate in PEM text");
	*ret_us = (uint64_t)timegm(&tm) * 1000000;
	return 0;
}
