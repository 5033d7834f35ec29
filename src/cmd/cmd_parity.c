/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/human.h"
#include "cmd/cli.h"
#include "repo/parity_store.h"

static void on_bad(void *arg, const char *key, const struct err *why)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s; it gets no parity: 'holdfast target repair' mends %s",
		 why->msg, key);
	cli_note(arg, LOG_LEVEL_ERROR, text);
}

/* As the target was made to have, unless told otherwise. */
static int take_options(struct cli *c, struct parity_fill *f, struct err *e)
{
	struct header h = {0};

	if (cli_open_target(c, false, e) < 0 || repo_header(c->store, &h, e) < 0)
		return -1;
	if (h.read_only)
		return err_set(e, ERR_VERSION,
			       "%s uses features for writing that this version does not know: use "
			       "a newer version of holdfast",
			       c->store->url);
	*f = (struct parity_fill){.store = c->store,
				  .percent = h.parity ? h.parity : PARITY_PERCENT,
				  .cancel = &c->cancel,
				  .progress = &c->progress,
				  .bad = on_bad,
				  .arg = c};
	return cli_percent(c, "percent", PARITY_PERCENT_MAX, &f->percent, e) < 0 ||
			       cli_duration(c, "for", &f->time_us, e) < 0 ||
			       cli_bytes(c, "limit", &f->bytes, e) < 0 ||
			       cli_bytes(c, "rate", &f->bytes_per_s, e) < 0
		       ? -1
		       : 0;
}

static void show(struct cli *c, const struct parity_filled *r)
{
	char bytes[HUMAN_TEXT];

	if (c->json) {
		cli_json(json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "packs", (json_int_t)r->packs,
				   "made", (json_int_t)r->made, "read_bytes", (json_int_t)r->bytes,
				   "damaged_packs", (json_int_t)r->damaged, "left_packs",
				   (json_int_t)r->left, "too_large_packs",
				   (json_int_t)r->too_large));
		return;
	}
	printf("made parity for %llu of %llu packs, %s\n", (unsigned long long)r->made,
	       (unsigned long long)r->packs, human_bytes(r->bytes, bytes));
	if (r->left)
		printf("%llu packs without are left for the next time\n",
		       (unsigned long long)r->left);
	if (r->too_large)
		printf("%llu packs are too large to have any\n", (unsigned long long)r->too_large);
}

int cmd_target_parity(struct cli *c, struct err *e)
{
	struct progress_bar *bar;
	struct parity_filled r;
	struct parity_fill f;
	int rc;

	if (take_options(c, &f, e) < 0)
		return -1;
	bar = progress_begin(c, "parity", false);
	rc = parity_fill(&f, &r, e);
	progress_end(bar);
	if (rc < 0)
		return -1;
	show(c, &r);
	return r.damaged ? err_set(e, ERR_CORRUPT, "%llu pack%s damaged, and got no parity",
				   (unsigned long long)r.damaged, r.damaged == 1 ? " is" : "s are")
			 : 0;
}
