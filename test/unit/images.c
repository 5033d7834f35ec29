/* SPDX-License-Identifier: Apache-2.0 */
#include "images.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/fio.h"

enum { PIECE = 96 << 10, PIECES = 32 };

void need_qemu(void)
{
	struct err err = {0};

	if (spawn_run((const char *const[]){"qemu-nbd", "--version", NULL}, 4096, NULL, NULL,
		      &err) == 0)
		return;
	print_message("skipped: %s\n", err.msg);
	skip();
}

void run(const char *const argv[])
{
	OK(spawn_run(argv, 1 << 20, NULL, NULL, e));
}

static bool all_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

void image_raw(const char *path, const void *data, uint64_t size)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const uint8_t *p = data;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	for (uint64_t off = 0; off < size; off += 4096) {
		size_t n = (size_t)MIN((uint64_t)4096, size - off);

		if (!all_zero(p + off, n))
			OK(fio_pwrite(fd, p + off, n, off, path, e));
	}
}

void image_qcow2(const char *path, const void *data, uint64_t size)
{
	AUTO_FREE char *raw = xasprintf("%s.raw", path);

	image_raw(raw, data, size);
	RUN("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, path);
	assert_int_equal(unlink(raw), 0);
}

uint8_t *image_read(const char *path, const char *format, uint64_t size)
{
	AUTO_FREE char *raw = xasprintf("%s.read", path);
	AUTO_BUF b = BUF_INIT;

	RUN("qemu-img", "convert", "-f", format, "-O", "raw", path, raw);
	OK(fio_slurp(raw, size, &b, e));
	assert_int_equal(unlink(raw), 0);
	assert_int_equal(b.len, size);
	buf_reserve(&b, 1);
	return steal(&b.data);
}

void image_io(const char *path, const char *format, const char *command)
{
	RUN("qemu-io", "-f", format, "-c", command, path);
}

static bool answers(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	return fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
}

void server_start(struct server *v, const char *folder, const char *const options[])
{
	const char *argv[40] = {"qemu-nbd", "--persistent", "--socket"};
	static unsigned number;
	struct err err = {0};
	size_t n = 3;

	v->socket = xasprintf("%s/socket%u", folder, ++number);
	v->uri = xasprintf("nbd+unix:///?socket=%s", v->socket);
	argv[n++] = v->socket;
	for (size_t i = 0; options[i]; i++)
		argv[n++] = options[i];
	v->s = OK_PTR(spawn_start(argv, -1, -1, e));
	while (!answers(v->socket)) {
		if (spawn_ended(v->s, &err))
			fail_msg("qemu-nbd: %s", err.msg);
		clock_sleep_ms(2);
	}
}

void server_kill(struct server *v)
{
	kill(v->s->pid, SIGKILL);
	spawn_stop(steal(&v->s));
}

void server_done(struct server *v)
{
	spawn_stop(v->s);
	free(v->socket);
	free(v->uri);
}

int read_source(struct source *s, uint8_t *out, struct err *e)
{
	struct source_read reads[PIECES] = {0};
	unsigned most = MIN(s->in_flight, (unsigned)PIECES), busy;
	uint64_t off = 0;

	if (s->ops->read)
		return s->ops->read(s, out, s->size, 0, e);
	do {
		busy = 0;
		for (unsigned i = 0; i < most; i++) {
			struct source_read *r = &reads[i];

			if (r->len && r->done && r->error)
				return err_sys(e, r->error, "read %s", s->name);
			if ((r->done || r->len == 0) && off < s->size) {
				*r = (struct source_read){.buf = out + off, .off = off};
				r->len = (size_t)MIN((uint64_t)PIECE, s->size - off);
				off += r->len;
				if (s->ops->start(s, r, e) < 0)
					return -1;
			}
			busy += r->len && !r->done;
		}
		if (busy && s->ops->wait(s, 100, e) < 0)
			return -1;
	} while (busy || off < s->size);
	return 0;
}
