/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job as a mover's child reads it: only looked at, never run.
 */
#include "fuzz.h"

#include "net/fields.h"
#include "step/step.h"

static void take_like_a_kind(const json_t *input)
{
	static const char *const among[] = {"new", "in_place", NULL};
	const json_t *object = NULL, *list = NULL;
	const char *text = NULL, *uuid = NULL, *choice = NULL, *any = NULL;
	int64_t number = 0;
	bool flag = false;
	struct err e = {0};
	const struct field f[] = {
		{"platform", FIELD_OBJECT, &object, .most = 3},
		{"disks", FIELD_LIST, &list, .most = 5},
		{"name", FIELD_TEXT, &text, .needed = true, .most = 20},
		{"checkpoint", FIELD_UUID, &uuid},
		{"mode", FIELD_TEXT, &choice, .among = among},
		{"note", FIELD_TEXT, &any, .any_text = true},
		{"freeze_timeout_ms", FIELD_NUMBER, &number, .least = 1, .most = 60000},
		{"start", FIELD_FLAG, &flag},
	};

	if (fields_take(input, "input", f, sizeof(f) / sizeof(f[0]), &e) == 0 && list)
		free(fields_texts(list, "disks", &e));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *j = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	struct err e = {0};
	struct step s;

	if (!j || step_take(j, &s, &e) < 0)
		return 0;
	take_like_a_kind(s.input);
	step_done(&s);
	return 0;
}
