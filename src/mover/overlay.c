/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/overlay.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "base/spawn.h"
#include "mover/draft.h"
#include "mover/image_lock.h"
#include "mover/qemu_nbd.h"

/* Stands in the header where a socket's path belongs. */
#define NOWHERE "/holdfast checkpoint serve"
#define NAME_MAX_QCOW2 1023 /* what its header holds */
#define INFO_MAX ((size_t)1 << 20)
#define PREFIX "json:"

/* "json:" and a JSON object, which is released; NULL where something is not UTF-8. */
static char *as_name(json_t *j)
{
	AUTO_FREE char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	return text ? xasprintf(PREFIX "%s", text) : NULL;
}

/* What lies beneath, as its header says it. QEMU finds no such socket. */
static char *base_name(const struct overlay_base *base)
{
	AUTO_FREE char *export_name = xasprintf("%s/%s", base->checkpoint, base->disk);

	return as_name(json_pack("{s:s,s:{s:s,s:s,s:{s:s,s:s}}}", "driver", "raw", "file", "driver",
				 "nbd", "export", export_name, "server", "type", "unix", "path",
				 NOWHERE));
}

static int create(const char *path, const char *name, uint64_t size, struct err *e)
{
	AUTO(draft) d = draft_new(path, false, "choose another name for the overlay", e);
	AUTO_FREE char *file = d ? qemu_file_name(draft_path(d)) : NULL;
	AUTO_FREE char *bytes = xasprintf("%llu", (unsigned long long)size);
	/* -u: what is beneath is not looked at; it has no server yet. */
	const char *argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-u",	"-F",
			      "raw",	  "-b",	    name, "--", file,	 bytes, NULL};

	if (!d || spawn_run(argv, 4096, NULL, NULL, e) < 0)
		return err_wrap(e, "create overlay %s", path);
	return draft_keep(d, e);
}

/* The name of what lies beneath an image, to be freed; "" for nothing. */
static char *read_name(const char *path, struct err *e)
{
	AUTO_FREE char *file = qemu_file_name(path);
	const char *argv[] = {"qemu-img", "info", "-U", "--output=json", "-f", "qcow2",
			      "--",	  file,	  NULL};
	AUTO_BUF out = BUF_INIT;
	struct err why = {0};
	const char *name;
	char *copy;
	json_t *j;

	if (spawn_run(argv, INFO_MAX, &out, NULL, &why) < 0) {
		err_set(e, why.kind == ERR_NOENT ? ERR_NOENT : ERR_INVALID,
			"overlay %s: %s; choose another name for the overlay", path, why.msg);
		return NULL;
	}
	j = json_loadb((const char *)out.data, out.len, 0, NULL);
	name = json_string_value(json_object_get(j, "backing-filename"));
	copy = xstrdup(name ? name : "");
	json_decref(j);
	return copy;
}

/* The name is not the one that it should be: what is it? */
static int refuse(const char *path, const char *name, const struct overlay_base *base,
		  struct err *e)
{
	bool ours = strncmp(name, PREFIX, strlen(PREFIX)) == 0 && strstr(name, NOWHERE);
	json_t *j = ours ? json_loads(name + strlen(PREFIX), 0, NULL) : NULL;
	const char *of = json_string_value(json_object_get(json_object_get(j, "file"), "export"));

	if (of)
		err_set(e, ERR_INVALID,
			"overlay %s is of checkpoint and disk %s, not of %s/%s: serve that one, or "
			"choose another name for the overlay",
			path, of, base->checkpoint, base->disk);
	else
		err_set(e, ERR_INVALID,
			"%s is an image of something else, and no overlay: choose another name for "
			"the overlay",
			path);
	json_decref(j);
	return -1;
}

static int check(const char *path, const char *name, const struct overlay_base *base, struct err *e)
{
	AUTO_FREE char *found = NULL;
	AUTO_CLOSE int lock = -1;
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(e, errno, "overlay %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, "overlay %s is not a file", path);
	/* A look only: qemu-nbd takes a lock of its own. */
	if (image_lock_read(path, &lock, e) < 0)
		return err_wrap(e, "overlay");
	found = read_name(path, e);
	if (!found)
		return -1;
	return strcmp(found, name) == 0 ? 0 : refuse(path, found, base, e);
}

int overlay_prepare(const char *path, const struct overlay_base *base, struct err *e)
{
	AUTO_FREE char *name = base_name(base);
	struct stat st;

	if (!name)
		return err_set(e, ERR_INVALID, "the name of disk %s is not UTF-8", base->disk);
	if (strlen(name) > NAME_MAX_QCOW2)
		return err_set(e, ERR_LIMIT, "the name of disk %.64s… is too long for an overlay",
			       base->disk);
	if (lstat(path, &st) < 0 && errno == ENOENT)
		return create(path, name, base->size, e);
	return check(path, name, base, e);
}

char *overlay_image(const char *path, const char *socket)
{
	/* What is said here goes before what the header says; the rest of that holds. */
	return as_name(json_pack("{s:s,s:s,s:{s:s,s:s},s:{s:b,s:{s:{s:s}}}}", "driver", "qcow2",
				 "discard", "unmap", "file", "driver", "file", "filename", path,
				 "backing", "read-only", 1, "file", "server", "path", socket));
}
