/* SPDX-License-Identifier: Apache-2.0 */
#include "step/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fio.h"

#define JOURNAL_MAX ((size_t)1 << 20)
#define PREFIX "restore-"

static const char *const kinds[] = {
	[PLATFORM_FILE] = "file",
	[PLATFORM_VOLUME] = "volume",
	[PLATFORM_RESOURCE] = "resource",
};

/* ---- the file ---- */

static int take_lock(struct journal *j, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s.lock", j->path);

	j->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->lock < 0)
		return err_sys(e, errno, "create %s", path);
	if (flock(j->lock, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return err_set(e, ERR_BUSY, "an earlier attempt of this step is still at work here");
}

static int load(struct journal *j, struct err *e)
{
	AUTO_BUF text = BUF_INIT;
	struct err why = {0};
	json_t *all, *made;

	if (fio_slurp(j->path, JOURNAL_MAX, &text, &why) < 0) {
		if (why.kind == ERR_NOENT)
			return 0;
		if (e)
			*e = why;
		return -1;
	}
	all = json_loadb((const char *)text.data, text.len, 0, NULL);
	made = json_object_get(all, "made");
	if (!json_is_array(made)) {
		json_decref(all);
		return err_set(e, ERR_CORRUPT,
			       "%s is damaged: look for what an unfinished restore left, and "
			       "remove the file",
			       j->path);
	}
	json_decref(j->made);
	j->made = json_incref(made);
	j->result = json_incref(json_object_get(all, "result"));
	json_decref(all);
	return 0;
}

static int save(const struct journal *j, struct err *e)
{
	json_t *all;
	AUTO_FREE char *text = NULL;

	if (!j->path)
		return 0;
	all = json_pack("{s:O}", "made", j->made);
	if (j->result)
		json_object_set(all, "result", j->result);
	text = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	return fio_replace(j->path, text, strlen(text), 0600, e);
}

int journal_open(const char *state, const char *step, struct journal *ret, struct err *e)
{
	struct journal j = {.lock = -1, .made = json_array()};

	if (state) {
		j.path = xasprintf("%s/" PREFIX "%s.json", state, step);
		if (take_lock(&j, e) < 0 || load(&j, e) < 0) {
			journal_done(&j);
			return -1;
		}
	}
	*ret = j;
	return 0;
}

void journal_done(struct journal *j)
{
	if (j->lock >= 0)
		close(j->lock);
	json_decref(j->made);
	json_decref(j->result);
	free(j->path);
	*j = (struct journal){.lock = -1};
}

/* ---- what is in it ---- */

int journal_making(void *arg, enum platform_made kind, const char *what, struct err *e)
{
	struct journal *j = arg;
	json_t *entry = json_pack("{s:s,s:s}", "kind", kinds[kind], "what", what);

	if (!entry)
		return err_set(e, ERR_INVALID, "'%s' is not UTF-8: restore to another place", what);
	json_array_append_new(j->made, entry);
	return save(j, e);
}

static int unmake_one(const json_t *entry, struct platform *p, struct err *e)
{
	const char *kind = json_string_value(json_object_get(entry, "kind"));
	const char *what = json_string_value(json_object_get(entry, "what"));

	for (size_t i = 0; kind && what && i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i], kind) == 0)
			return p->ops->unmake(p, (enum platform_made)i, what, e);
	}
	return err_set(e, ERR_CORRUPT, "what a restore made cannot be read: remove it by hand");
}

int journal_unmake(const json_t *made, struct platform *p, struct err *e)
{
	for (size_t i = json_array_size(made); i-- > 0;) {
		if (unmake_one(json_array_get(made, i), p, e) < 0)
			return -1;
	}
	return 0;
}

int journal_clear(struct journal *j, struct err *e)
{
	json_array_clear(j->made);
	json_decref(j->result);
	j->result = NULL;
	if (!j->path || unlink(j->path) == 0 || errno == ENOENT)
		return 0;
	return err_sys(e, errno, "remove %s", j->path);
}

int journal_complete(struct journal *j, json_t *result, struct err *e)
{
	json_decref(j->result);
	j->result = json_incref(result);
	return save(j, e);
}

/* ---- old ones ---- */

static bool is_journal(const char *name)
{
	return strncmp(name, PREFIX, strlen(PREFIX)) == 0;
}

void journal_tidy(const char *state, int64_t age_s)
{
	DIR *dir = opendir(state);
	struct dirent *entry;
	struct stat st;

	while (dir && (entry = readdir(dir)) != NULL) {
		if (is_journal(entry->d_name) && fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 &&
		    st.st_mtime < time(NULL) - age_s)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
}
