/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people type: numbers with units, ids, and whole command lines (words separated by newlines).
 */
#include "fuzz.h"

#include <string.h>

#include "base/human.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "cmd/option.h"

#define WORDS 32

static void command_line(char *text)
{
	char name[] = "holdfast", *argv[WORDS + 2] = {name}, *save, *word;
	struct parsed p;
	struct err e = {0};
	int argc = 1;

	for (word = strtok_r(text, "\n", &save); word && argc <= WORDS;
	     word = strtok_r(NULL, "\n", &save))
		argv[argc++] = word;
	if (parse_args(argc, argv, &p, &e) == 0) {
		free(parsed_list(&p, "tag"));
		parsed_text(&p, "target");
		parsed_done(&p);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = xstrndup((const char *)data, size);
	struct uuid u;
	uint64_t v;

	human_parse_bytes(text, &v);
	human_parse_duration(text, &v);
	uuid_parse(text, &u);
	command_line(text);
	return 0;
}
