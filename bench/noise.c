/* SPDX-License-Identifier: Apache-2.0 */
/*
 * noise MIB NAME… : bytes that neither compress nor repeat, the same on every machine, faster than
 * a disk takes them. Of each NAME so many MiB, in turns of four, so that what a name gives can be
 * had again alone or beside others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fio.h"
#include "repo/seal.h"

#define TURN ((size_t)4 << 20)

static int write_turn(const char *name, uint64_t turn, const uint8_t *zeros, uint8_t *out,
		      struct err *e)
{
	uint8_t key[SEAL_KEY];

	sha256(name, strlen(name), key);
	AUTO(aead) a = aead_new(key);
	aead_seal(a, turn, NULL, 0, zeros, TURN, out);
	return fio_write(STDOUT_FILENO, out, TURN, "standard output", e);
}

int main(int argc, char **argv)
{
	char *end;
	unsigned long long mib = argc > 2 ? strtoull(argv[1], &end, 10) : 0;
	AUTO_FREE uint8_t *zeros = xcalloc(1, TURN);
	AUTO_FREE uint8_t *out = xmalloc(TURN + SEAL_TAG);
	struct err e = {0};

	if (!mib || *end || (mib << 20) % TURN) {
		fprintf(stderr, "usage: noise MIB NAME… (a multiple of 4)\n");
		return 2;
	}
	for (uint64_t turn = 0; turn < (mib << 20) / TURN; turn++) {
		for (int i = 2; i < argc; i++) {
			if (write_turn(argv[i], turn, zeros, out, &e) < 0) {
				fprintf(stderr, "noise: %s\n", e.msg);
				return 1;
			}
		}
	}
	return 0;
}
