/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration file, from its bytes to checked values: everything that can be said about it is
 * said, and what is printed can be read.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "cmd/daemon.h"

/* What was taken must be printed so that it is taken again. */
static void print_and_read(const struct config *c)
{
	AUTO_FREE char *text = NULL;
	struct config_source src = {.file = "printed"};
	CONFIG_PROBLEMS(p);
	AUTO(config) again = NULL;
	FILE *out = open_memstream(&text, &src.text_len);

	config_print(c, out);
	fclose(out);
	src.text = text;
	again = config_load(&holdfastd_schema, &src, &p);
	if (p.n > 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_source src = {.file = "fuzzed", .text = (const char *)data, .text_len = size};
	CONFIG_PROBLEMS(p);
	AUTO(config) c = config_load(&holdfastd_schema, &src, &p);

	if (p.n == 0)
		print_and_read(c);
	return 0;
}
