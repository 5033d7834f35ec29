/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An index run: the input is the body of a box, sealed rightly; it is opened, asked for ids, and
 * read from one end to the other.
 */
#include "fuzz.h"

#include <string.h>

#include "repo/box.h"
#include "repo/run.h"
#include "repo/store_mem.h"

static void use(const struct run *r)
{
	struct run_group group = {0};
	struct run_input *in = run_input_run(r);
	struct block_id id = {{0x80}};
	struct run_entry entry;
	struct err e = {0};
	uint64_t g, end;

	run_may_hold(r, &id);
	run_groups_of(r, &id, &g, &end);
	for (; g < end; g++) {
		if (run_read_group(r, g, &group, &e) == 0)
			run_lower_bound(&group, &id);
	}
	while (in->next(in, &entry, &e) > 0)
		;
	in->free(in);
	run_group_done(&group);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t secret[SEAL_KEY], name[HASH_BYTES];
	struct credential c = {CREDENTIAL_KEY_FILE, secret_of(secret, sizeof(secret))};
	struct uuid id = {{1}};
	AUTO(keyring) k = keyring_new(&id, &c, "", NULL, NULL);
	struct store *s = store_mem_new();
	AUTO_BUF box = BUF_INIT;
	char key[STORE_KEY_MAX];
	AUTO(run) r = NULL;
	struct err e = {0};

	box_seal(keyring_key(k, 1, NULL), 1, BOX_RUN, data, size, &box);
	run_key_name(name, key);
	store_put_new(s, key, box.data, box.len, &e);
	r = run_open(s, k, name, 1 << 20, &e);
	if (r)
		use(r);
	run_free(steal(&r));
	store_free(s);
	secret_free(c.secret);
	return 0;
}
