/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "repo/store_arbiter.h"
#include "repo/store_cache.h"
#include "repo/store_fault.h"
#include "repo/store_hook.h"

const char *const store_kind_names[STORE_KINDS] = {"dir",   "mem",     "fault", "hook",
						   "cache", "arbiter", "s3",	"s3 arbiter"};

bool store_kind_in_bucket(enum store_kind b)
{
	return b == ON_S3 || b == ON_S3_ARBITER;
}

static int let(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	(void)arg;
	(void)call;
	(void)key;
	(void)after;
	(void)e;
	return 0;
}

int store_set_up(void **state)
{
	struct store_fixture *f = xcalloc(1, sizeof(*f));

	f->kind = (enum store_kind)(uintptr_t)*state;
	if (f->kind == ON_DIR) {
		f->folder = test_folder();
		f->s = store_dir_open(f->folder, false, NULL, NULL, NULL);
	} else if (f->kind == ON_CACHE) {
		AUTO_FREE char *root = NULL;

		f->folder = test_folder();
		root = test_path(f->folder, "c");
		f->s = store_cache_new(store_mem_new(), disk_cache_open(root, "p", 1 << 20, NULL));
	} else if (f->kind == ON_ARBITER) {
		f->folder = test_folder();
		f->s = store_arbiter_new(store_mem_new(),
					 store_dir_open(f->folder, false, NULL, NULL, NULL));
	} else if (store_kind_in_bucket(f->kind)) {
		static unsigned number;
		AUTO_FREE char *url = NULL;

		f->folder = test_folder();
		url = xasprintf(
			"%s/%d/%u%s%s", getenv("HF_TEST_S3"), (int)getpid(), number++,
			f->kind == ON_S3 ? "" : "?arbiter=dir:", f->kind == ON_S3 ? "" : f->folder);
		f->s = store_open(url, false, NULL);
	} else if (f->kind == ON_MEM) {
		f->s = store_mem_new();
	} else {
		f->inner = store_mem_new();
		f->s = f->kind == ON_FAULT ? store_fault_new(f->inner, FAULT_NONE, 0)
					   : store_hook_new(f->inner, let, NULL, false);
	}
	*state = f;
	return f->s ? 0 : -1;
}

int store_tear_down(void **state)
{
	struct store_fixture *f = *state;

	store_free(f->s);
	store_free(f->inner);
	if (f->folder)
		test_folder_done(f->folder);
	free(f);
	return 0;
}
