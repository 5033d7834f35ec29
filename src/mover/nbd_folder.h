/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nbd_folder.h: private folders for the sockets of NBD servers. Belongs to one thread.
 */
#ifndef HF_MOVER_NBD_FOLDER_H
#define HF_MOVER_NBD_FOLDER_H

#include "base/err.h"

#define NBD_FOLDER 64

struct nbd_folder {
	char path[NBD_FOLDER]; /* "": none */
	int fd;		       /* locked for as long as its owner lives */
};

/* A folder that only we may enter, with a short name. What killed programs of ours left behind is
 * removed first. */
int nbd_folder_make(struct nbd_folder *ret, struct err *e);
/* With the sockets in it. */
void nbd_folder_remove(struct nbd_folder *f);

#endif
