/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_priv.h: what the files of config share.
 */
#ifndef HF_BASE_CONFIG_PRIV_H
#define HF_BASE_CONFIG_PRIV_H

#include "base/config.h"

/* The value of one option. */
struct config_value {
	char *text;	/* as it was written; NULL: not set */
	char *where;	/* NULL: default */
	int64_t number; /* INT, SIZE, DURATION, BOOL */
	char **list;	/* of a LIST: NULL-terminated */
};

struct config {
	const struct config_schema *schema;
	size_t n;
	struct config_value *values; /* one for each row of the table */
};

void config_value_done(struct config_value *v);
/* Check `text` (NULL: not set) against the option and take it, replacing what was there. The error
 * says what is wrong with it, without naming option or value. */
int config_value_set(struct config_value *v, const struct config_option *o, const char *text,
		     struct err *e);
/* How its value is called: "SIZE". */
const char *config_value_word(const struct config_option *o);
/* The text without a password in it, if it is a URL with one. The caller frees. */
char *config_value_shown(const struct config_option *o, const char *text);
/* "HOLDFAST_SERVER_LISTEN"; the caller frees. */
char *config_variable(const struct config_schema *s, const struct config_option *o);

#endif
