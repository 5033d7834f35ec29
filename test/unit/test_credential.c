/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials: what counts as a key file and what as a passphrase; files that cannot be kept.
 */
#include "testing.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fio.h"
#include "repo/credential.h"

#define PREFIX "holdfast-key-1:"
#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static int fsyncs, failing_fsync; /* the failing one's number; 0: none */

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd)
{
	if (++fsyncs == failing_fsync) {
		errno = EIO;
		return -1;
	}
	return __real_fsync(fd);
}

static struct credential *parse(const char *text, struct err *e)
{
	/* A copy of its own, so that a sanitizer sees a read past the end. */
	AUTO_FREE char *copy = xmalloc(strlen(text));

	memcpy(copy, text, strlen(text));
	return credential_parse(copy, strlen(text), e);
}

static void assert_secret(const struct credential *c, enum credential_kind kind, const void *secret,
			  size_t n)
{
	assert_int_equal(c->kind, kind);
	assert_int_equal(c->secret->len, n);
	assert_memory_equal(c->secret->data, secret, n);
}

static void test_key_file_text(void **state)
{
	static const char *const texts[] = {PREFIX DIGITS, PREFIX DIGITS "\n"};
	uint8_t want[SEAL_KEY];

	(void)state;
	for (int i = 0; i < SEAL_KEY; i++)
		want[i] = (uint8_t)(i % 16 * 0x11);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO(credential) c = OK_PTR(parse(texts[i], e));

		assert_secret(c, CREDENTIAL_KEY_FILE, want, SEAL_KEY);
	}
}

/* What begins like a key file is never taken for a passphrase. */
static void test_damaged_key_files(void **state)
{
	static const char *const texts[] = {
		PREFIX,
		PREFIX "\n",
		PREFIX DIGITS "0",
		PREFIX DIGITS "\n\n",
		PREFIX DIGITS "\r\n",
		PREFIX " " DIGITS,
	};
	char text[sizeof(PREFIX DIGITS)];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		FAILS_PTR(ERR_INVALID, parse(texts[i], e));
	for (size_t n = strlen(PREFIX); n < strlen(PREFIX DIGITS); n++) {
		snprintf(text, sizeof(text), "%.*s", (int)n, PREFIX DIGITS);
		FAILS_PTR(ERR_INVALID, parse(text, e));
		snprintf(text, sizeof(text), "%s", PREFIX DIGITS);
		text[n] = 'g';
		FAILS_PTR(ERR_INVALID, parse(text, e));
	}
}

static void test_passphrases(void **state)
{
	static const struct {
		const char *text, *secret;
	} rows[] = {
		{"word", "word"},
		{"word\n", "word"},
		{"word\n\n", "word\n"},
		{" two words \r\n", " two words \r"},
		{"holdfast-key-1", "holdfast-key-1"},
		{"holdfast-key-2:" DIGITS, "holdfast-key-2:" DIGITS},
		{" " PREFIX DIGITS, " " PREFIX DIGITS},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO(credential) c = OK_PTR(parse(rows[i].text, e));

		assert_secret(c, CREDENTIAL_PASSPHRASE, rows[i].secret, strlen(rows[i].secret));
	}
}

static void test_passphrase_limits(void **state)
{
	char text[CREDENTIAL_MAX + 2];
	AUTO(credential) c = NULL;
	AUTO(credential) with_newline = NULL;

	(void)state;
	memset(text, 'p', sizeof(text));
	FAILS_PTR(ERR_INVALID, credential_passphrase("", 0, e));
	FAILS_PTR(ERR_INVALID, credential_parse(NULL, 0, e));
	FAILS_PTR(ERR_INVALID, credential_parse("\n", 1, e));
	FAILS_PTR(ERR_LIMIT, credential_passphrase(text, CREDENTIAL_MAX + 1, e));
	FAILS_PTR(ERR_LIMIT, credential_parse(text, CREDENTIAL_MAX + 1, e));
	c = OK_PTR(credential_passphrase(text, CREDENTIAL_MAX, e));
	assert_secret(c, CREDENTIAL_PASSPHRASE, text, CREDENTIAL_MAX);
	text[CREDENTIAL_MAX] = '\n';
	with_newline = OK_PTR(credential_parse(text, CREDENTIAL_MAX + 1, e));
	assert_secret(with_newline, CREDENTIAL_PASSPHRASE, text, CREDENTIAL_MAX);
}

/* ---- files ---- */

struct place {
	char *folder, *path;
};

static int set_up(void **state)
{
	struct place *p = xcalloc(1, sizeof(*p));

	p->folder = test_folder();
	p->path = test_path(p->folder, "key");
	fsyncs = failing_fsync = 0;
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	test_folder_done(p->folder);
	free(p->path);
	free(p);
	return 0;
}

static void test_make_and_load(void **state)
{
	struct place *p = *state;
	AUTO(credential) made = OK_PTR(credential_make_file(p->path, e));
	AUTO(credential) loaded = OK_PTR(credential_load(p->path, e));
	AUTO(credential) other = NULL;
	AUTO_FREE char *second = test_path(p->folder, "second");
	AUTO_BUF text = BUF_INIT;
	struct stat st;

	assert_int_equal(fsyncs, 2); /* the file and its folder */
	assert_secret(loaded, CREDENTIAL_KEY_FILE, made->secret->data, SEAL_KEY);
	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	OK(fio_slurp(p->path, 4096, &text, e));
	assert_int_equal(text.len, strlen(PREFIX) + 65);
	assert_memory_equal(text.data, PREFIX, strlen(PREFIX));
	assert_int_equal(text.data[text.len - 1], '\n');
	other = OK_PTR(credential_make_file(second, e));
	assert_false(secret_equal(made->secret, other->secret));
}

static void test_make_keeps_what_is_there(void **state)
{
	struct place *p = *state;
	AUTO_BUF text = BUF_INIT;

	OK(fio_replace(p->path, "mine", 4, 0600, e));
	FAILS_PTR(ERR_EXISTS, credential_make_file(p->path, e));
	OK(fio_slurp(p->path, 4096, &text, e));
	assert_int_equal(text.len, 4);
}

/* A key that may not be there after a power cut is no key: nothing is left of it. */
static void test_make_that_cannot_be_flushed(void **state)
{
	struct place *p = *state;

	for (int i = 1; i <= 2; i++) {
		fsyncs = 0;
		failing_fsync = i;
		FAILS_PTR(ERR_IO, credential_make_file(p->path, e));
		assert_int_equal(access(p->path, F_OK), -1);
	}
	failing_fsync = 0;
	credential_free(OK_PTR(credential_make_file(p->path, e)));
}

static void test_make_in_the_current_folder(void **state)
{
	struct place *p = *state;
	AUTO_FREE char *back = getcwd(NULL, 0);

	assert_int_equal(chdir(p->folder), 0);
	credential_free(OK_PTR(credential_make_file("here", e)));
	credential_free(OK_PTR(credential_load("here", e)));
	assert_int_equal(chdir(back), 0);
}

static void test_files_that_cannot_be_used(void **state)
{
	struct place *p = *state;
	AUTO_FREE char *below = test_path(p->path, "below");
	char text[CREDENTIAL_MAX + 100];

	FAILS_PTR(ERR_NOENT, credential_load(p->path, e));
	FAILS_PTR(ERR_NOENT, credential_make_file(below, e));
	FAILS_PTR(ERR_INVALID, credential_load(p->folder, e)); /* it is a folder */
	OK(fio_replace(p->path, "", 0, 0600, e));
	FAILS_PTR(ERR_INVALID, credential_load(p->path, e));
	OK(fio_replace(p->path, PREFIX "12", strlen(PREFIX) + 2, 0600, e));
	FAILS_PTR(ERR_INVALID, credential_load(p->path, e));
	memset(text, 'x', sizeof(text));
	OK(fio_replace(p->path, text, sizeof(text), 0600, e));
	FAILS_PTR(ERR_LIMIT, credential_load(p->path, e));
}

static void test_kind_names(void **state)
{
	(void)state;
	assert_string_equal(credential_kind_name(CREDENTIAL_PASSPHRASE), "passphrase");
	assert_string_equal(credential_kind_name(CREDENTIAL_KEY_FILE), "key file");
	assert_string_equal(credential_kind_name(CREDENTIAL_MANAGER), "key manager");
	assert_string_equal(credential_kind_name((enum credential_kind)9), "unknown");
	credential_free(NULL);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_file_text),
		cmocka_unit_test(test_damaged_key_files),
		cmocka_unit_test(test_passphrases),
		cmocka_unit_test(test_passphrase_limits),
		FILE_TEST(test_make_and_load),
		FILE_TEST(test_make_keeps_what_is_there),
		FILE_TEST(test_make_that_cannot_be_flushed),
		FILE_TEST(test_make_in_the_current_folder),
		FILE_TEST(test_files_that_cannot_be_used),
		cmocka_unit_test(test_kind_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
