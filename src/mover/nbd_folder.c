/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who makes a folder holds a lock on it, which ends with the process. A folder of ours that nobody
 * holds is left over. One that was just made, and is not held yet, looks like that, too: so its
 * maker looks whether it is still there once he holds it, and makes another one if not.
 */
#include "mover/nbd_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "holdfast-nbd-"
#define TRIES 16

/* Takes the descriptor. */
static void empty(int fd)
{
	DIR *d = fdopendir(fd);
	const struct dirent *entry;

	if (!d) {
		close(fd);
		return;
	}
	while ((entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(d), entry->d_name, 0);
	}
	closedir(d);
}

static void remove_if_left(int base, const char *name)
{
	int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return;
	}
	/* While we hold it: the lock goes with the last descriptor. */
	empty(dup(fd));
	unlinkat(base, name, AT_REMOVEDIR);
	close(fd);
}

static void sweep(const char *base)
{
	DIR *d = opendir(base);
	const struct dirent *entry;

	while (d && (entry = readdir(d)) != NULL) {
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0)
			remove_if_left(dirfd(d), entry->d_name);
	}
	if (d)
		closedir(d);
}

/* Is it held by us, and there? */
static bool hold(struct nbd_folder *f)
{
	struct stat held, there;

	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (f->fd >= 0 && flock(f->fd, LOCK_EX | LOCK_NB) == 0 && fstat(f->fd, &held) == 0 &&
	    lstat(f->path, &there) == 0 && held.st_ino == there.st_ino)
		return true;
	if (f->fd >= 0)
		close(f->fd);
	return false;
}

int nbd_folder_make(struct nbd_folder *ret, struct err *e)
{
	/* Unix sockets have short names: not under TMPDIR. */
	const char *base = access("/run/holdfast", W_OK) == 0 ? "/run/holdfast" : "/tmp";

	sweep(base);
	for (int tries = 0; tries < TRIES; tries++) {
		snprintf(ret->path, sizeof(ret->path), "%s/" PREFIX "XXXXXX", base);
		if (!mkdtemp(ret->path))
			break;
		if (hold(ret))
			return 0;
		rmdir(ret->path);
		errno = EBUSY;
	}
	ret->path[0] = 0;
	return err_sys(e, errno, "create a folder in %s", base);
}

void nbd_folder_remove(struct nbd_folder *f)
{
	if (!f->path[0])
		return;
	empty(f->fd);
	rmdir(f->path);
	f->path[0] = 0;
}
