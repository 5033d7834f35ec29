/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over every file of the folders that are named, and over cut and bent versions
 * of each, in TAP.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/fio.h"
#include "base/mem.h"

#define VARIANTS 200

static void run_variants(const struct buf *b, uint64_t seed)
{
	AUTO_BUF copy = BUF_INIT;

	buf_add(&copy, b->data, b->len);
	for (int i = 0; i < VARIANTS && b->len; i++) {
		size_t at, len;

		seed = seed * 6364136223846793005U + 1442695040888963407U;
		at = (size_t)(seed >> 33) % b->len;
		len = i % 4 ? b->len : at;
		copy.data[at] ^= (uint8_t)(seed >> 20) | 1;
		LLVMFuzzerTestOneInput(copy.data, len);
		copy.data[at] = b->data[at];
	}
}

static int run_folder(const char *folder, unsigned *tests)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	if (!dir)
		return -1;
	while ((entry = readdir(dir)) != NULL) {
		AUTO_FREE char *path = xasprintf("%s/%s", folder, entry->d_name);
		AUTO_BUF b = BUF_INIT;

		if (entry->d_name[0] == '.' || fio_slurp(path, 1 << 24, &b, NULL) < 0)
			continue;
		LLVMFuzzerTestOneInput(b.data, b.len);
		run_variants(&b, strlen(path) * 31 + b.len);
		printf("ok %u - %s\n", ++*tests, entry->d_name);
	}
	closedir(dir);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned tests = 0;

	for (int i = 1; i < argc; i++) {
		if (run_folder(argv[i], &tests) < 0) {
			printf("Bail out! no folder %s\n", argv[i]);
			return 1;
		}
	}
	printf("1..%u\n", tests);
	return tests ? 0 : 1;
}
