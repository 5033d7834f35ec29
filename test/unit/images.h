/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images.h: disk images and NBD servers made by QEMU's own tools, for the tests of what speaks to
 * them. Everything lies in a folder of the test, on unix sockets, and is stopped with the test.
 */
#ifndef HF_TEST_IMAGES_H
#define HF_TEST_IMAGES_H

#include "base/spawn.h"
#include "mover/source.h"
#include "testing.h"

/* Skip the test, saying why, where qemu-utils is not installed. */
void need_qemu(void);
/* A command that must succeed. */
void run(const char *const argv[]);
#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

/* Write a sparse raw file. */
void image_raw(const char *path, const void *data, uint64_t size);
/* The same content as a qcow2 image. */
void image_qcow2(const char *path, const void *data, uint64_t size);
/* What an image of any format holds, to be freed. */
uint8_t *image_read(const char *path, const char *format, uint64_t size);
/* qemu-io: "write -P 0x11 64k 4k" … */
void image_io(const char *path, const char *format, const char *command);

struct server {
	struct spawn *s;
	char *socket, *uri;
};

/* qemu-nbd with these options (and the image last), on a socket in `folder`. */
void server_start(struct server *v, const char *folder, const char *const options[]);
#define SERVER(v, folder, ...) server_start(v, folder, (const char *const[]){__VA_ARGS__, NULL})
/* Kill it at once, so that it closes nothing. */
void server_kill(struct server *v);
/* Stop it if it is there, and free what it has. */
void server_done(struct server *v);

/* Read all of a source, with as many reads in flight as it likes. */
int read_source(struct source *s, uint8_t *out, struct err *e);

#endif
