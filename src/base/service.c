/* SPDX-License-Identifier: Apache-2.0 */
#include "base/service.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

static struct sockaddr_un manager; /* of length 0: nobody asked */
static socklen_t manager_len;
static uint64_t watchdog_us;

static void adopt_socket(const char *path)
{
	size_t n = path ? strlen(path) : 0;

	/* "/path", or "@name" for one without a file. */
	if (n < 2 || (path[0] != '/' && path[0] != '@') || n >= sizeof(manager.sun_path))
		return;
	manager.sun_family = AF_UNIX;
	memcpy(manager.sun_path, path, n + 1);
	manager_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/'));
	if (path[0] == '@')
		manager.sun_path[0] = 0;
}

void service_adopt(void)
{
	const char *pid = getenv("WATCHDOG_PID"), *us = getenv("WATCHDOG_USEC");

	manager_len = 0;
	watchdog_us = 0;
	adopt_socket(getenv("NOTIFY_SOCKET"));
	if (us && (!pid || strtol(pid, NULL, 10) == getpid()))
		watchdog_us = strtoull(us, NULL, 10);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
}

void service_tell(const char *fmt, ...)
{
	/* One that does not read must not stop what it manages. */
	static const struct timeval patience = {.tv_sec = 1};
	AUTO_CLOSE int fd = -1;
	char text[1024];
	va_list ap;

	if (manager_len == 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&manager, manager_len) <
		    0)
		return; /* there is nobody else to tell that to */
}

void service_tell_reloading(void)
{
	service_tell("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_mono_us());
}

uint64_t service_watchdog_us(void)
{
	return watchdog_us;
}
