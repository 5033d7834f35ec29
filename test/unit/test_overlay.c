/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlays: made once, known again, and refused where they do not belong. And where servers listen.
 */
#include "mover/overlay.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/fio.h"
#include "images.h"
#include "mover/nbd_server.h"
#include "mover/qemu_nbd.h"

static const struct overlay_base base = {"0b38aa54-0000-4000-8000-000000000001", "vda", 1000000};

static void test_made_once(void **state)
{
	AUTO_FREE char *path = NULL;
	char *folder;
	struct overlay_base other = base;
	struct stat st, again;
	struct err why = {0};

	(void)state;
	need_qemu();
	folder = test_folder();
	path = test_path(folder, "o");
	OK(overlay_prepare(path, &base, e));
	assert_int_equal(stat(path, &st), 0);
	OK(overlay_prepare(path, &base, e));
	assert_int_equal(stat(path, &again), 0);
	assert_int_equal(st.st_ino, again.st_ino);
	other.disk = "vdb";
	assert_int_equal(overlay_prepare(path, &other, &why), -1);
	assert_non_null(strstr(why.msg, "000000000001/vda"));
	other = base;
	other.checkpoint = "0b38aa54-0000-4000-8000-000000000002";
	FAILS(ERR_INVALID, overlay_prepare(path, &other, e));
	test_folder_done(folder);
}

static void test_refused(void **state)
{
	struct qemu_nbd_options o = {.format = "raw", .writable = true};
	AUTO_FREE char *raw = NULL, *none = NULL, *image = NULL;
	const char *argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", NULL, "1M", NULL};
	struct overlay_base odd = base;
	char *folder;
	AUTO_FREE char *much = xmalloc(2000);
	struct qemu_nbd *q;

	(void)state;
	need_qemu();
	folder = test_folder();
	raw = test_path(folder, "raw");
	none = test_path(folder, "none/o");
	image = test_path(folder, "image");
	image_raw(raw, "x", 1);
	FAILS(ERR_INVALID, overlay_prepare(raw, &base, e));
	FAILS(ERR_INVALID, overlay_prepare(folder, &base, e));
	FAILS(ERR_NOENT, overlay_prepare(none, &base, e));
	argv[5] = image;
	OK(spawn_run(argv, 100, NULL, NULL, e));
	FAILS(ERR_INVALID, overlay_prepare(image, &base, e));
	q = OK_PTR(qemu_nbd_start(image, &o, e));
	FAILS(ERR_BUSY, overlay_prepare(image, &base, e));
	OK(qemu_nbd_stop(q, e));
	memset(much, 'v', 1999);
	much[1999] = 0;
	odd.disk = much;
	FAILS(ERR_LIMIT, overlay_prepare(none, &odd, e));
	odd.disk = "\xff";
	FAILS(ERR_INVALID, overlay_prepare(none, &odd, e));
	assert_null(overlay_image("\xff", "s"));
	test_folder_done(folder);
}

static void test_addresses(void **state)
{
	static const struct {
		struct nbd_place at;
		const char *name, *uri;
	} rows[] = {
		{{.socket = "/run/a b/s"}, "id/vda", "nbd+unix:///id/vda?socket=/run/a%20b/s"},
		{{.socket = "/s"}, "\xc3\xa4?", "nbd+unix:///%C3%A4%3F?socket=/s"},
		{{.address = "127.0.0.1", .port = "10809"}, "vda", "nbd://127.0.0.1:10809/vda"},
		{{.address = "::1", .port = "1"}, "", "nbd://[::1]:1/"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *uri = nbd_uri(&rows[i].at, rows[i].name);

		assert_string_equal(uri, rows[i].uri);
	}
}

/* Taken, free again, left by somebody who was killed, of a wrong kind. */
static void test_places(void **state)
{
	char *folder = test_folder();
	AUTO_FREE char *path = test_path(folder, "s"), *file = test_path(folder, "f"),
		       *none = test_path(folder, "none/s");
	struct nbd_place at = {.socket = path}, bad = {.address = "here", .port = "1"};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char longest[200];

	(void)state;
	OK(nbd_place_check(&at, e));
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(fd, 1), 0);
	FAILS(ERR_EXISTS, nbd_place_check(&at, e));
	close(fd);
	assert_int_equal(access(path, F_OK), 0);
	OK(nbd_place_check(&at, e));
	assert_int_equal(access(path, F_OK), -1);
	image_raw(file, "x", 1);
	at.socket = file;
	FAILS(ERR_EXISTS, nbd_place_check(&at, e));
	at.socket = none;
	OK(nbd_place_check(&at, e));
	memset(longest, 'x', sizeof(longest));
	longest[NBD_SOCKET_MAX + 1] = 0;
	at.socket = longest;
	FAILS(ERR_LIMIT, nbd_place_check(&at, e));
	longest[NBD_SOCKET_MAX] = 0;
	OK(nbd_place_check(&at, e));
	FAILS(ERR_INVALID, nbd_place_check(&bad, e));
	bad.address = "192.0.2.1"; /* nobody's */
	bad.port = "10809";
	assert_int_equal(nbd_place_check(&bad, NULL), -1);
	test_folder_done(folder);
}

static void test_cancelled(void **state)
{
	const char *argv[] = {"sleep", "1000", NULL};
	struct nbd_place at = {.socket = "/nowhere/s"};
	struct cancel c = {0};

	(void)state;
	cancel_set(&c);
	FAILS_PTR(ERR_CANCELLED, nbd_server_start(argv, -1, &at, &c, e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_once), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_places),
		cmocka_unit_test(test_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
