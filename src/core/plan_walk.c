/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plan_walk.h"

#include <stdio.h>
#include <string.h>

struct page {
	const char *sql;
	char after[UUID_TEXT];
	char ids[PLAN_WALK_PAGE][UUID_TEXT];
	size_t n;
};

static int list_plans(struct db_tx *t, void *arg, struct err *e)
{
	struct page *page = arg;
	AUTO(db_rows) r = db_query(t, e, page->sql, db_t(page->after), db_i(PLAN_WALK_PAGE));
	int have = r ? 1 : -1;

	page->n = 0;
	while (have > 0 && (have = db_next(r, e)) > 0 && page->n < PLAN_WALK_PAGE)
		snprintf(page->ids[page->n++], UUID_TEXT, "%s", db_text(r, 0));
	return have < 0 ? -1 : 0;
}

int plan_walk(struct db *d, const char *sql, plan_walk_fn *fn, void *arg, struct plan_walk *ret,
	      struct err *e)
{
	struct plan_walk walk = {0};
	struct page page = {.sql = sql};

	do {
		if (db_read(d, list_plans, &page, e) < 0)
			return -1;
		for (size_t i = 0; i < page.n; i++) {
			struct err why = {0};

			if (fn(arg, page.ids[i], &why) == 0)
				continue;
			if (why.kind == ERR_UNREACHABLE || why.kind == ERR_NOSPACE) {
				if (e)
					*e = why;
				return -1;
			}
			if (walk.failed++ == 0) {
				walk.first = why;
				memcpy(walk.plan, page.ids[i], sizeof(walk.plan));
			}
		}
		if (page.n > 0)
			memcpy(page.after, page.ids[page.n - 1], sizeof(page.after));
	} while (page.n == PLAN_WALK_PAGE);
	*ret = walk;
	return 0;
}
