/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fio.h"
#include "base/hex.h"
#include "base/uuid.h"
#include "repo/seal.h"

#define PREFIX "holdfast-key-1:"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

static struct credential *make(enum credential_kind kind, struct secret *secret)
{
	struct credential *c = xcalloc(1, sizeof(*c));

	c->kind = kind;
	c->secret = secret;
	return c;
}

void credential_free(struct credential *c)
{
	if (!c)
		return;
	secret_free(c->secret);
	free(c);
}

struct credential *credential_passphrase(const void *text, size_t n, struct err *e)
{
	if (n == 0) {
		err_set(e, ERR_INVALID, "the passphrase is empty");
		return NULL;
	}
	if (n > CREDENTIAL_MAX) {
		err_set(e, ERR_LIMIT, "the passphrase is longer than %d bytes", CREDENTIAL_MAX);
		return NULL;
	}
	return make(CREDENTIAL_PASSPHRASE, secret_of(text, n));
}

struct credential *credential_parse(const void *bytes, size_t n, struct err *e)
{
	const char *text = bytes;
	struct secret *s;

	if (n && text[n - 1] == '\n')
		n--;
	if (n < PREFIX_LEN || memcmp(text, PREFIX, PREFIX_LEN) != 0)
		return credential_passphrase(text, n, e);
	s = secret_new(SEAL_KEY);
	if (n != PREFIX_LEN + 2 * SEAL_KEY || !hex_decode(text + PREFIX_LEN, SEAL_KEY, s->data)) {
		secret_free(s);
		err_set(e, ERR_INVALID,
			"this key file is damaged: after '" PREFIX
			"' there must be exactly %d hexadecimal digits",
			2 * SEAL_KEY);
		return NULL;
	}
	return make(CREDENTIAL_KEY_FILE, s);
}

struct credential *credential_load(const char *path, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	AUTO(secret) bytes = NULL;
	struct credential *c;
	ssize_t n;

	if (fd < 0) {
		err_sys(e, errno, "open key file %s", path);
		return NULL;
	}
	bytes = secret_new(CREDENTIAL_MAX + 2);
	n = fio_read(fd, bytes->data, CREDENTIAL_MAX + 2, path, e);
	if (n < 0)
		return NULL;
	c = credential_parse(bytes->data, (size_t)n, e);
	if (!c)
		err_wrap(e, "key file %s", path);
	return c;
}

static int flush_folder(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
	AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "open directory %s", dir);
	return fio_fsync_dir(fd, dir, e);
}

struct credential *credential_make_file(const char *path, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	AUTO(secret) key = secret_new(SEAL_KEY);
	AUTO(secret) line = secret_new(PREFIX_LEN + 2 * SEAL_KEY + 2);

	if (fd < 0) {
		err_sys(e, errno, "create key file %s", path);
		return NULL;
	}
	random_bytes(key->data, SEAL_KEY);
	memcpy(line->data, PREFIX, PREFIX_LEN);
	hex_encode(key->data, SEAL_KEY, (char *)line->data + PREFIX_LEN);
	line->data[PREFIX_LEN + 2 * SEAL_KEY] = '\n';
	/* A repository must not outlive the only key that opens it. */
	if (fio_write(fd, line->data, PREFIX_LEN + 2 * SEAL_KEY + 1, path, e) < 0 ||
	    fio_fsync(fd, path, e) < 0 || flush_folder(path, e) < 0) {
		unlink(path);
		return NULL;
	}
	return make(CREDENTIAL_KEY_FILE, steal(&key));
}

const char *credential_kind_name(enum credential_kind kind)
{
	switch (kind) {
	case CREDENTIAL_PASSPHRASE:
		return "passphrase";
	case CREDENTIAL_KEY_FILE:
		return "key file";
	case CREDENTIAL_MANAGER:
		return "key manager";
	}
	return "unknown";
}
