/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/sealed.h"

#include <string.h>
#include <sys/stat.h>

#include "auth/server_key.h"
#include "auth_fixture.h"
#include "base/fio.h"

static void test_round_trip(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;
	AUTO_FREE char *big = xcalloc(1, SEALED_MAX + 2);

	auth_fixture_open(&x, f->db);
	OK(in_seal(&x, "targets", "t1", "key", "a secret", e));
	OK(in_seal(&x, "targets", "t1", "other", "", e));
	OK(in_seal(&x, "targets", "t12", "key", "not that one", e));
	AUTO_FREE char *a = OK_PTR(in_unseal(&x, "targets", "t1", "key", e));
	AUTO_FREE char *b = OK_PTR(in_unseal(&x, "targets", "t1", "other", e));
	assert_string_equal(a, "a secret");
	assert_string_equal(b, "");
	OK(in_seal(&x, "targets", "t1", "key", "a new secret", e));
	AUTO_FREE char *c = OK_PTR(in_unseal(&x, "targets", "t1", "key", e));
	assert_string_equal(c, "a new secret");
	FAILS_PTR(ERR_NOENT, in_unseal(&x, "targets", "t2", "key", e));
	FAILS(ERR_INVALID, in_seal(&x, "targets", "t1/key", "x", "a", e));
	FAILS(ERR_INVALID, in_seal(&x, "targets", "", "x", "a", e));
	memset(big, 'x', SEALED_MAX + 1);
	FAILS(ERR_LIMIT, in_seal(&x, "targets", "t1", "big", big, e));
	big[SEALED_MAX] = 0;
	OK(in_seal(&x, "targets", "t1", "big", big, e));
	auth_fixture_close(&x);
}

static int remove_row(struct db_tx *t, void *arg, struct err *e)
{
	(void)arg;
	return sealed_remove(t, "targets", "t_1", NULL, e);
}

static int remove_one(struct db_tx *t, void *arg, struct err *e)
{
	(void)arg;
	return sealed_remove(t, "targets", "txy", "a", e);
}

static int has(struct db_tx *t, void *arg, struct err *e)
{
	*(int *)arg = sealed_has(t, "targets", "txy", "a", e);
	return *(int *)arg < 0 ? -1 : 0;
}

static void test_remove(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;
	int there;

	auth_fixture_open(&x, f->db);
	OK(in_seal(&x, "targets", "t_1", "a", "1", e));
	OK(in_seal(&x, "targets", "t_1", "b", "1", e));
	OK(in_seal(&x, "targets", "tx1", "a", "1", e));
	OK(in_seal(&x, "targets", "t_12", "a", "1", e));
	OK(in_seal(&x, "targets", "txy", "a", "1", e));
	OK(db_write(f->db, remove_row, NULL, e));
	assert_int_equal(in_int(f->db, "SELECT COUNT(*) FROM secrets WHERE place LIKE 'targets/%'"),
			 3);
	OK(db_read(f->db, has, &there, e));
	assert_int_equal(there, 1);
	OK(db_write(f->db, remove_one, NULL, e));
	OK(db_read(f->db, has, &there, e));
	assert_int_equal(there, 0);
	auth_fixture_close(&x);
}

/* A sealed value that is moved to another place does not open there, nor one that was changed. */
static void test_moved(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;

	auth_fixture_open(&x, f->db);
	OK(in_seal(&x, "targets", "mine", "key", "my secret", e));
	OK(in_seal(&x, "targets", "yours", "key", "your secret", e));
	OK(in_exec(f->db,
		   "UPDATE secrets SET value = (SELECT value FROM secrets WHERE place = "
		   "'targets/yours/key') WHERE place = 'targets/mine/key'",
		   e));
	FAILS_PTR(ERR_CORRUPT, in_unseal(&x, "targets", "mine", "key", e));
	OK(in_exec(f->db,
		   "UPDATE secrets SET place = 'platforms/yours/key' WHERE place = "
		   "'targets/yours/key'",
		   e));
	FAILS_PTR(ERR_CORRUPT, in_unseal(&x, "platforms", "yours", "key", e));
	auth_fixture_close(&x);
}

struct byte {
	size_t at;
	uint8_t flip;
	bool cut;
	size_t len;
};

static int spoil(struct db_tx *t, void *arg, struct err *e)
{
	struct byte *b = arg;
	AUTO(db_rows) r = db_query(t, e, "SELECT value FROM secrets WHERE place = 'targets/t/key'");
	uint8_t copy[300];
	const void *p;
	size_t n;

	if (!r || db_next(r, e) <= 0)
		return -1;
	p = db_bytes(r, 0, &n);
	assert_true(n < sizeof(copy));
	memcpy(copy, p, n);
	b->len = n;
	copy[b->at] ^= b->flip;
	return db_exec(t, NULL, e, "UPDATE secrets SET value = $1 WHERE place = 'targets/t/key'",
		       db_b(copy, b->cut ? b->at : n));
}

static void test_every_byte(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;
	struct byte b = {.flip = 0};

	auth_fixture_open(&x, f->db);
	OK(in_seal(&x, "targets", "t", "key", "a secret of some length", e));
	OK(db_write(f->db, spoil, &b, e));
	for (b.at = 0; b.at < b.len; b.at++) {
		struct err err = {0};

		b.flip = 0x10;
		OK(db_write(f->db, spoil, &b, e));
		assert_null(in_unseal(&x, "targets", "t", "key", &err));
		assert_true(err.kind == ERR_CORRUPT || err.kind == ERR_KEY);
		OK(db_write(f->db, spoil, &b, e));
	}
	AUTO_FREE char *a = OK_PTR(in_unseal(&x, "targets", "t", "key", e));
	assert_string_equal(a, "a secret of some length");
	b = (struct byte){.at = 30, .cut = true};
	OK(db_write(f->db, spoil, &b, e));
	FAILS_PTR(ERR_CORRUPT, in_unseal(&x, "targets", "t", "key", e));
	auth_fixture_close(&x);
}

static void test_wrong_key_file(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;
	AUTO_FREE char *kept = NULL;
	struct stat st;

	auth_fixture_open(&x, f->db);
	assert_int_equal(stat(x.key_file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	kept = test_path(x.folder, "kept");
	assert_int_equal(rename(x.key_file, kept), 0);
	/* Gone: not made anew, for what is sealed could not be read with it. */
	FAILS(ERR_KEY, auth_fixture_reopen(&x, e));
	assert_int_equal(access(x.key_file, F_OK), -1);
	server_keys_free(OK_PTR(server_keys_make(x.key_file, e)));
	FAILS(ERR_KEY, auth_fixture_reopen(&x, e));
	unlink(x.key_file);
	assert_int_equal(rename(kept, x.key_file), 0);
	OK(auth_fixture_reopen(&x, e));
	chmod(x.key_file, 0644);
	FAILS(ERR_INVALID, auth_fixture_reopen(&x, e));
	auth_fixture_close(&x);
}

static void test_rotation(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x, other;
	struct auth *a;
	uint64_t n;
	char row[20];

	auth_fixture_open(&x, f->db);
	for (int i = 0; i < 250; i++) {
		snprintf(row, sizeof(row), "t%d", i);
		OK(in_seal(&x, "targets", row, "key", row, e));
	}
	/* Another process with the same file. */
	other = x;
	other.a = NULL;
	OK(auth_fixture_reopen(&other, e));
	OK(sealed_rotate(x.a, &n, e));
	assert_int_equal(n, 251); /* and the key of the audit log */
	assert_int_equal(in_int(f->db, "SELECT COUNT(DISTINCT key_id) FROM secrets"), 1);
	for (int i = 0; i < 250; i += 83) {
		snprintf(row, sizeof(row), "t%d", i);
		AUTO_FREE char *v = OK_PTR(in_unseal(&x, "targets", row, "key", e));
		AUTO_FREE char *w = OK_PTR(in_unseal(&other, "targets", row, "key", e));
		assert_string_equal(v, row);
		assert_string_equal(w, row);
	}
	a = steal(&x.a);
	auth_close(a);
	OK(auth_fixture_reopen(&x, e));
	OK(in_audit(&x, (struct audit_entry){.action = "a", .outcome = "done"}, e));
	struct audit_check check;
	OK(audit_verify(x.a, &check, e));
	assert_int_equal(check.broken, 0);
	/* What was left with an old key is finished without a third one. */
	OK(in_seal(&x, "targets", "late", "key", "late", e));
	OK(in_exec(f->db, "UPDATE secrets SET key_id = 'old' WHERE place = 'targets/late/key'", e));
	OK(sealed_rotate(x.a, &n, e));
	assert_int_equal(n, 1);
	auth_close(other.a);
	auth_fixture_close(&x);
}

/* ---- the key file ---- */

static void put(const char *path, const char *text)
{
	OK(fio_replace(path, text, strlen(text), 0600, e));
}

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void test_key_file(void **state)
{
	char *folder = test_folder();
	char *path = test_path(folder, "key");
	char id[SERVER_KEY_ID], second[SERVER_KEY_ID];

	(void)state;
	FAILS_PTR(ERR_NOENT, server_keys_load(path, e));
	put(path, "");
	FAILS_PTR(ERR_INVALID, server_keys_load(path, e));
	put(path, "# nothing\n");
	FAILS_PTR(ERR_INVALID, server_keys_load(path, e));
	put(path, "abc\n");
	FAILS_PTR(ERR_INVALID, server_keys_load(path, e));
	put(path, KEY "0\n");
	FAILS_PTR(ERR_INVALID, server_keys_load(path, e));
	FAILS_PTR(ERR_EXISTS, server_keys_make(path, e));
	put(path, "# mine\n\n" KEY " \r\n");
	AUTO(server_keys) k = OK_PTR(server_keys_load(path, e));
	secret_free(server_keys_current(k, id));
	OK(server_keys_renew(k, e));
	secret_free(server_keys_current(k, second));
	assert_string_not_equal(id, second);
	AUTO(secret) old = OK_PTR(server_keys_find(k, id, e));
	assert_int_equal(old->data[1], 0x11);
	FAILS_PTR(ERR_KEY, server_keys_find(k, "0000000000000000", e));
	for (int i = 2; i < SERVER_KEYS_MAX; i++)
		OK(server_keys_renew(k, e));
	FAILS(ERR_LIMIT, server_keys_renew(k, e));
	assert_int_equal(test_entries(folder), 1);
	AUTO(server_keys) again = OK_PTR(server_keys_load(path, e));
	secret_free(OK_PTR(server_keys_find(again, id, e)));
	free(path);
	test_folder_done(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_TEST(test_round_trip),
		DB_TEST(test_remove),
		DB_TEST(test_moved),
		DB_TEST(test_every_byte),
		DB_TEST(test_wrong_key_file),
		DB_TEST(test_rotation),
		cmocka_unit_test(test_key_file),
	};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
