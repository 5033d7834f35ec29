/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS. GnuTLS asks for the certificate at every handshake, so that a new one is used by the next
 * connection while the others go on. A handshake may be using the one before: it is kept until the
 * server ends. That is a page or so for every year, or whenever an administrator changes his mind.
 */
#include "net/httpd_priv.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <string.h>

#define CHAIN_MAX 8

struct httpd_identity {
	struct httpd_identity *before;
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned n_chain;
	gnutls_privkey_t key;
};

static void free_identity(struct httpd_identity *i)
{
	for (unsigned k = 0; k < i->n_chain; k++)
		gnutls_pcert_deinit(&i->chain[k]);
	if (i->key)
		gnutls_privkey_deinit(i->key);
	free(i);
}

static gnutls_datum_t datum_of(const char *text)
{
	return (gnutls_datum_t){(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)};
}

/* That both are one pair is looked at where GnuTLS does so: as credentials. */
static int check_pair(const gnutls_datum_t *certificate, const gnutls_datum_t *key, struct err *e)
{
	gnutls_certificate_credentials_t c;
	int r = gnutls_certificate_allocate_credentials(&c);

	if (r < 0)
		return err_set(e, ERR_INTERNAL, "TLS: %s", gnutls_strerror(r));
	r = gnutls_certificate_set_x509_key_mem2(c, certificate, key, GNUTLS_X509_FMT_PEM, NULL,
						 GNUTLS_PKCS_PLAIN);
	gnutls_certificate_free_credentials(c);
	if (r < 0)
		return err_set(e, ERR_INVALID, "the server's certificate and key: %s",
			       gnutls_strerror(r));
	return 0;
}

static int read_identity(struct httpd_identity *i, const char *certificate, const char *key,
			 struct err *e)
{
	gnutls_datum_t c = datum_of(certificate), k = datum_of(key);
	unsigned n = CHAIN_MAX;
	int r;

	if (check_pair(&c, &k, e) < 0)
		return -1;
	r = gnutls_pcert_list_import_x509_raw(i->chain, &n, &c, GNUTLS_X509_FMT_PEM, 0);
	if (r < 0)
		return err_set(e, ERR_INVALID, "the server's certificate: %s", gnutls_strerror(r));
	i->n_chain = n;
	r = gnutls_privkey_init(&i->key);
	if (r >= 0)
		r = gnutls_privkey_import_x509_raw(i->key, &k, GNUTLS_X509_FMT_PEM, NULL,
						   GNUTLS_PKCS_PLAIN);
	if (r < 0)
		return err_set(e, ERR_INVALID, "the server's key: %s", gnutls_strerror(r));
	return 0;
}

int httpd_set_certificate(struct httpd *h, const char *certificate, const char *key, struct err *e)
{
	struct httpd_identity *i = xcalloc(1, sizeof(*i));

	if (read_identity(i, certificate, key, e) < 0) {
		free_identity(i);
		return -1;
	}
	pthread_mutex_lock(&h->lock);
	i->before = h->identity;
	h->identity = i;
	pthread_mutex_unlock(&h->lock);
	return 0;
}

/* libmicrohttpd makes its connection the session's own pointer. */
static int choose(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
		  gnutls_pcert_st **ret_chain, unsigned *ret_n, gnutls_ocsp_data_st **ret_ocsp,
		  unsigned *ret_n_ocsp, gnutls_privkey_t *ret_key, unsigned *ret_flags)
{
	struct MHD_Connection *mhd = gnutls_session_get_ptr(session);
	struct httpd_conn *conn = mhd ? conn_of(mhd) : NULL;
	struct httpd_identity *i;

	(void)info;
	if (!conn)
		return -1;
	pthread_mutex_lock(&conn->httpd->lock);
	i = conn->httpd->identity;
	pthread_mutex_unlock(&conn->httpd->lock);
	*ret_chain = i->chain;
	*ret_n = i->n_chain;
	*ret_ocsp = NULL;
	*ret_n_ocsp = 0;
	*ret_key = i->key;
	*ret_flags = 0; /* they stay ours */
	return 0;
}

void tls_free(struct httpd *h)
{
	while (h->identity) {
		struct httpd_identity *i = h->identity;

		h->identity = i->before;
		free_identity(i);
	}
}

/* Forward secrecy and authenticated ciphers only. */
size_t tls_options(const struct httpd *h, struct MHD_OptionItem *out)
{
	static char priorities[] =
		"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:"
		"-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:-MAC-ALL:+AEAD:"
		"-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:%SERVER_PRECEDENCE";
	size_t n = 0;

	if (h->tls) {
		out[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK2, 0,
						   (void *)(uintptr_t)choose};
		out[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, priorities};
	}
	out[n++] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
	return n;
}
