/* SPDX-License-Identifier: Apache-2.0 */
#include "base/service.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "testing.h"

/* A service manager's socket; *ret_name is what NOTIFY_SOCKET says. */
static int manager(char *name, bool abstract)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	size_t n = strlen(name);

	memcpy(a.sun_path, name, n);
	if (abstract)
		a.sun_path[0] = 0;
	assert_int_equal(bind(fd, (struct sockaddr *)&a,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + !abstract)),
			 0);
	return fd;
}

static const char *heard(int fd)
{
	static char text[2048];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static void test_telling(void **state)
{
	char *folder = test_folder(), *path = test_path(folder, "n");
	AUTO_FREE char *name = xasprintf("@hf-test-%d", (int)getpid());
	uint64_t us, before = clock_mono_us();

	(void)state;
	for (int abstract = 0; abstract < 2; abstract++) {
		AUTO_CLOSE int fd = manager(abstract ? name : path, abstract);

		setenv("NOTIFY_SOCKET", abstract ? name : path, 1);
		service_adopt();
		assert_null(getenv("NOTIFY_SOCKET"));
		service_tell("READY=%d", 1);
		assert_string_equal(heard(fd), "READY=1");
		service_tell_reloading();
		assert_int_equal(sscanf(heard(fd), "RELOADING=1\nMONOTONIC_USEC=%lu", &us), 1);
		assert_in_range(us, before, clock_mono_us());
	}
	/* Nobody is there any more. */
	service_tell("LOST=1");
	free(path);
	test_folder_done(folder);
}

/* Who manages the service may hang: the service goes on. */
static void test_nobody_reads(void **state)
{
	char *folder = test_folder(), *path = test_path(folder, "n");
	AUTO_CLOSE int fd = manager(path, false);
	AUTO_CLOSE int filler = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	uint64_t began;

	(void)state;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	while (sendto(filler, "x", 1, 0, (struct sockaddr *)&a, sizeof(a)) == 1)
		;
	setenv("NOTIFY_SOCKET", path, 1);
	service_adopt();
	began = clock_mono_us();
	service_tell("READY=1");
	assert_in_range(clock_mono_us() - began, 900000, 10000000);
	free(path);
	test_folder_done(folder);
}

static void test_nobody_asked(void **state)
{
	static const char *const rows[] = {
		"", "@", "relative",
		/* Longer than the name of a socket can be. */
		("/12345678901234567890123456789012345678"
		 "90123456789012345678901234567890123456789012345678901234567890123456789")};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		setenv("NOTIFY_SOCKET", rows[i], 1);
		service_adopt();
		service_tell("READY=1");
	}
	service_adopt();
	service_tell("READY=1");
	assert_int_equal(service_watchdog_us(), 0);
}

static void test_watchdog(void **state)
{
	AUTO_FREE char *own = xasprintf("%d", (int)getpid());

	(void)state;
	setenv("WATCHDOG_USEC", "3000000", 1);
	service_adopt();
	assert_int_equal(service_watchdog_us(), 3000000);
	assert_null(getenv("WATCHDOG_USEC"));
	setenv("WATCHDOG_USEC", "3000000", 1);
	setenv("WATCHDOG_PID", own, 1);
	service_adopt();
	assert_int_equal(service_watchdog_us(), 3000000);
	/* It is another process that is watched. */
	setenv("WATCHDOG_USEC", "3000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	service_adopt();
	assert_int_equal(service_watchdog_us(), 0);
	assert_null(getenv("WATCHDOG_PID"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_telling),
		cmocka_unit_test(test_nobody_reads),
		cmocka_unit_test(test_nobody_asked),
		cmocka_unit_test(test_watchdog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
