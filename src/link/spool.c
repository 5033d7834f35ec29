/* SPDX-License-Identifier: Apache-2.0 */
#include "link/spool.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fio.h"
#include "base/mem.h"

#define REPORT_MAX ((size_t)17 << 20)
#define SUFFIX ".json"

static char *path_of(const char *state, const char *step, uint64_t fence)
{
	return xasprintf("%s/spool/%s.%" PRIu64 SUFFIX, state, step, fence);
}

int spool_prepare(const char *state, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/spool", state);

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "create %s", path);
	return 0;
}

int spool_put(const char *state, const char *step, uint64_t fence, const char *report,
	      struct err *e)
{
	AUTO_FREE char *path = path_of(state, step, fence);

	return fio_replace(path, report, strlen(report), 0600, e);
}

void spool_drop(const char *state, const char *step, uint64_t fence)
{
	AUTO_FREE char *path = path_of(state, step, fence);

	unlink(path);
}

/* "UUID.FENCE.json" */
static bool parse_name(const char *name, char step[UUID_TEXT], uint64_t *ret_fence)
{
	struct uuid u;
	char *end;

	if (strlen(name) < UUID_TEXT || name[UUID_TEXT - 1] != '.')
		return false;
	memcpy(step, name, UUID_TEXT - 1);
	step[UUID_TEXT - 1] = 0;
	*ret_fence = strtoull(name + UUID_TEXT, &end, 10);
	return end != name + UUID_TEXT && strcmp(end, SUFFIX) == 0 && uuid_parse(step, &u);
}

static void tell(const char *dir, const char *name, spool_fn *fn, void *arg)
{
	AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
	char step[UUID_TEXT];
	AUTO_BUF b = BUF_INIT;
	json_t *report = NULL;
	uint64_t fence;

	if (!parse_name(name, step, &fence))
		return;
	if (fio_slurp(path, REPORT_MAX, &b, NULL) == 0)
		report = json_loadb((const char *)b.data, b.len, 0, NULL);
	fn(arg, step, fence, report);
	json_decref(report);
}

int spool_each(const char *state, spool_fn *fn, void *arg, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/spool", state);
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return err_sys(e, errno, "read %s", path);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] != '.')
			tell(path, entry->d_name, fn, arg);
	}
	closedir(dir);
	return 0;
}
