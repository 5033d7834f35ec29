/* SPDX-License-Identifier: Apache-2.0 */
#include "step/step.h"

#include <string.h>

#include "base/priority.h"
#include "net/fields.h"
#include "step/kinds.h"

struct kind {
	const char *name;
	int (*run)(const struct step *s, json_t **ret_result, struct err *e);
	int (*undo)(const struct step *s, json_t **ret_result, struct err *e); /* NULL: nothing */
	bool yields; /* to whatever else this machine does: nobody waits for it */
};

static const struct kind kinds[] = {
	{"platform.check", step_platform_check, NULL},
	{"platform.list", step_platform_list, NULL},
	{"target.init", step_target_init, NULL}, /* an empty repository harms nobody */
	{"target.check", step_target_check, NULL},
	{"target.measure", step_target_measure, NULL},
	{"target.collect", step_target_collect, .yields = true},
	{"target.verify", step_target_verify, .yields = true},
	{"checkpoint.protect", step_protect, step_protect_undo},
	{"checkpoint.delete", step_checkpoint_delete, NULL},
	{"checkpoint.verify", step_checkpoint_verify, .yields = true},
	{"checkpoint.copy", step_checkpoint_copy, step_checkpoint_copy_undo},
	{"checkpoint.list", step_checkpoint_list, NULL},
	{"checkpoint.restore", step_restore, step_restore_undo},
};

const char *step_kind_name(size_t i)
{
	return i < ARRAY_LEN(kinds) ? kinds[i].name : NULL;
}

static const struct kind *find_kind(const char *name, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	}
	err_set(e, ERR_UNSUPPORTED,
		"this mover knows no step of the kind '%.64s': is it older than "
		"the server?",
		name);
	return NULL;
}

int step_take(json_t *job, struct step *ret, struct err *e)
{
	struct step s = {.job = job, .attempt = 1};
	const struct field f[] = {
		{"step", FIELD_UUID, &s.id, .needed = true},
		{"kind", FIELD_TEXT, &s.kind, .needed = true, .most = 64},
		{"attempt", FIELD_NUMBER, &s.attempt, .least = 1, .most = INT32_MAX},
		{"undo", FIELD_FLAG, &s.undo},
		{"input", FIELD_OBJECT, &s.input, .needed = true},
		{"result", FIELD_OBJECT, &s.result},
	};

	if (fields_take(job, "", f, ARRAY_LEN(f), e) < 0) {
		json_decref(job);
		return -1;
	}
	*ret = s;
	return 0;
}

void step_done(struct step *s)
{
	json_decref(s->job);
	*s = (struct step){0};
}

int step_run(const struct step *s, json_t **ret_result, struct err *e)
{
	const struct kind *k = find_kind(s->kind, e);

	if (!k)
		return -1;
	if (k->yields)
		priority_lower();
	if (!s->undo)
		return k->run(s, ret_result, e);
	if (k->undo)
		return k->undo(s, ret_result, e);
	*ret_result = json_object();
	return 0;
}
