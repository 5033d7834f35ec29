/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/qemu_nbd.h"

#include <stdio.h>
#include <unistd.h>

#include "mover/image_lock.h"
#include "mover/nbd_folder.h"
#include "mover/nbd_server.h"

struct qemu_nbd {
	struct nbd_server *server;
	int lock; /* on an image that is read, or -1 */
	struct nbd_folder folder;
	char socket[NBD_FOLDER + 8];
};

char *qemu_file_name(const char *path)
{
	return path[0] == '/' ? xstrdup(path) : xasprintf("./%s", path);
}

struct qemu_nbd *qemu_nbd_start(const char *path, const struct qemu_nbd_options *o, struct err *e)
{
	AUTO(qemu_nbd) q = xcalloc(1, sizeof(*q));
	AUTO_FREE char *file = qemu_file_name(path);
	const char *argv[20] = {"qemu-nbd", "--persistent"};
	struct nbd_place at = {.socket = q->socket};
	char shared[32];
	int n = 2;

	q->lock = -1;
	/* Tells better what is wrong as well, and by its kind. */
	if (!o->writable && image_lock_read(path, &q->lock, e) < 0)
		return NULL;
	if (nbd_folder_make(&q->folder, e) < 0)
		return NULL;
	snprintf(q->socket, sizeof(q->socket), "%s/s", q->folder.path);
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
	q->server = nbd_server_start(argv, -1, &at, NULL, e);
	if (!q->server) {
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
	/* SIGTERM makes it flush and close the image, which may take a while. */
	int rc = nbd_server_stop(steal(&q->server), e);

	qemu_nbd_free(q);
	return rc;
}

void qemu_nbd_free(struct qemu_nbd *q)
{
	if (!q)
		return;
	nbd_server_free(q->server);
	if (q->lock >= 0)
		close(q->lock);
	nbd_folder_remove(&q->folder);
	free(q);
}
