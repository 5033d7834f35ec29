/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/qemu_nbd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/spawn.h"
#include "mover/image_lock.h"

#define START_MS 20000

struct qemu_nbd {
	struct spawn *child;
	int lock; /* on an image that is read, or -1 */
	char dir[64];
	char socket[96];
};

/* Unix sockets have short names: the folder is made where names are short, not under TMPDIR. */
static int make_folder(struct qemu_nbd *q, struct err *e)
{
	const char *base = access("/run/holdfast", W_OK) == 0 ? "/run/holdfast" : "/tmp";

	snprintf(q->dir, sizeof(q->dir), "%s/holdfast-nbd-XXXXXX", base);
	if (!mkdtemp(q->dir)) {
		err_sys(e, errno, "create a folder in %s", base);
		q->dir[0] = 0;
		return -1;
	}
	snprintf(q->socket, sizeof(q->socket), "%s/s", q->dir);
	return 0;
}

static int try_connect(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Is its greeting there? qemu-nbd listens before it opens the image: that somebody takes the
 * connection says nothing yet. */
static bool greets(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char magic[8];

	return poll(&p, 1, 20) > 0 && recv(fd, magic, sizeof(magic), MSG_WAITALL) == 8 &&
	       memcmp(magic, "NBDMAGIC", 8) == 0;
}

static int wait_ready(struct qemu_nbd *q, struct err *e)
{
	uint64_t until = clock_mono_us() + (uint64_t)START_MS * 1000;
	AUTO_CLOSE int fd = -1;

	for (;;) {
		struct err why = {0};

		if (fd < 0)
			fd = try_connect(q->socket);
		if (fd >= 0 && greets(fd))
			return 0;
		if (spawn_ended(q->child, &why)) {
			if (why.kind == ERR_NONE)
				err_set(&why, ERR_IO, "qemu-nbd ended at once");
			if (e)
				*e = why;
			return -1;
		}
		if (clock_mono_us() > until)
			return err_set(e, ERR_TIMEOUT, "qemu-nbd did not start in %d s",
				       START_MS / 1000);
		clock_sleep_ms(5);
	}
}

char *qemu_file_name(const char *path)
{
	return path[0] == '/' ? xstrdup(path) : xasprintf("./%s", path);
}

struct qemu_nbd *qemu_nbd_start(const char *path, const struct qemu_nbd_options *o, struct err *e)
{
	AUTO(qemu_nbd) q = xcalloc(1, sizeof(*q));
	AUTO_FREE char *file = qemu_file_name(path);
	const char *argv[20] = {"qemu-nbd", "--persistent"};
	char shared[32];
	int n = 2;

	q->lock = -1;
	/* Tells better what is wrong as well, and by its kind. */
	if (!o->writable && image_lock_read(path, &q->lock, e) < 0)
		return NULL;
	if (make_folder(q, e) < 0)
		return NULL;
	snprintf(shared, sizeof(shared), "--shared=%u", o->clients ? o->clients + 1 : 2);
	argv[n++] = shared;
	argv[n++] = "--socket";
	argv[n++] = q->socket;
	if (!o->writable)
		argv[n++] = "--read-only";
	else
		argv[n++] = "--discard=unmap";
	if (o->format) {
		argv[n++] = "--format";
		argv[n++] = o->format;
	}
	if (o->bitmap) {
		argv[n++] = "--bitmap";
		argv[n++] = o->bitmap;
	}
	argv[n++] = "--";
	argv[n++] = file;
	q->child = spawn_start(argv, -1, -1, e);
	if (!q->child || wait_ready(q, e) < 0) {
		err_wrap(e, "open image %s", path);
		return NULL;
	}
	return steal(&q);
}

const char *qemu_nbd_socket(const struct qemu_nbd *q)
{
	return q->socket;
}

int qemu_nbd_stop(struct qemu_nbd *q, struct err *e)
{
	uint64_t until = clock_mono_us() + 60000000;
	struct err why = {0};
	bool ended = false;

	/* SIGTERM makes it flush and close the image, which may take a while. */
	kill(q->child->pid, SIGTERM);
	while (!ended && clock_mono_us() < until) {
		ended = spawn_ended(q->child, &why);
		if (!ended)
			clock_sleep_ms(2);
	}
	qemu_nbd_free(q);
	if (!ended)
		return err_set(e, ERR_TIMEOUT, "qemu-nbd did not close the image in time");
	if (why.kind != ERR_NONE) {
		if (e)
			*e = why;
		return -1;
	}
	return 0;
}

void qemu_nbd_free(struct qemu_nbd *q)
{
	if (!q)
		return;
	spawn_stop(q->child);
	if (q->lock >= 0)
		close(q->lock);
	if (q->socket[0])
		unlink(q->socket);
	if (q->dir[0])
		rmdir(q->dir);
	free(q);
}
