/* SPDX-License-Identifier: Apache-2.0 */
/* /usage: what was stored for whom, as JSON or CSV (core/usage.h). */
#include "core/usage.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/api_priv.h"
#include "base/clock.h"

#define DAY_US UINT64_C(86400000000)
#define ROWS 10000

static json_t *day_json(int64_t day)
{
	char text[CLOCK_TEXT];

	clock_rfc3339((uint64_t)day * DAY_US, text);
	text[10] = 0;
	return json_string(text);
}

/* The first day of this month. */
static int64_t month_begins(int64_t today)
{
	char text[CLOCK_TEXT];

	clock_rfc3339((uint64_t)today * DAY_US, text);
	return today - (10 * (text[8] - '0') + text[9] - '0') + 1;
}

/* Is text/csv asked for, and not with q=0? No client of ours asks for both with weights. */
static bool wants_csv(const struct api_call *c)
{
	const char *accept = httpd_header(c->http, "Accept");

	return accept && strcasestr(accept, "text/csv") && !strcasestr(accept, "application/json");
}

static int read_query(struct api_call *c, struct usage_query *q, struct err *e)
{
	static const char *const names[] = {"from", "to", "by", "all_tenants", "limit", NULL};
	const char *by = httpd_query(c->http, "by");
	int64_t today = (int64_t)(clock_wall_us() / DAY_US);
	long limit = ROWS;
	size_t i = USAGE_RESOURCE;

	q->from_day = month_begins(today);
	q->to_day = today;
	if (api_query_only(c, names, e) < 0 || api_query_day(c, "from", &q->from_day, e) < 0 ||
	    api_query_day(c, "to", &q->to_day, e) < 0 ||
	    api_query_number(c, "limit", USAGE_ROWS_MOST, &limit, e) < 0 ||
	    api_scope(c, &q->project, e) < 0)
		return -1;
	if (q->to_day < q->from_day)
		return err_set(e, ERR_INVALID, "to: it is before from");
	for (i = 0; by && usage_by_names[i] && strcmp(usage_by_names[i], by) != 0; i++)
		;
	if (by && !usage_by_names[i])
		return err_set(e, ERR_INVALID,
			       "by '%.60s': it has to be project, target, plan or resource", by);
	q->by = by ? (enum usage_by)i : USAGE_RESOURCE;
	q->limit = (size_t)limit;
	return 0;
}

static int usage(struct api_call *c, struct err *e)
{
	struct usage_query q = {.by = USAGE_RESOURCE};
	AUTO_BUF csv = BUF_INIT;
	json_t *rows;
	bool more;

	if (read_query(c, &q, e) < 0 || usage_list(c->t, &q, &rows, &more, e) < 0)
		return -1;
	httpd_set_header(c->http, "Vary", "Accept");
	if (!wants_csv(c)) {
		api_reply(c, 200, "usage", rows);
		json_object_set_new(c->reply, "from", day_json(q.from_day));
		json_object_set_new(c->reply, "to", day_json(q.to_day));
		json_object_set_new(c->reply, "more", json_boolean(more));
		return 0;
	}
	if (more) {
		json_decref(rows);
		return err_set(e, ERR_LIMIT,
			       "There are more than %zu rows: ask for more with limit (at most "
			       "%d), or for larger groups with by.",
			       q.limit, USAGE_ROWS_MOST);
	}
	usage_csv(rows, &csv);
	json_decref(rows);
	httpd_set_header(c->http, "Content-Disposition", "attachment; filename=usage.csv");
	httpd_answer(c->http, 200, "text/csv; charset=utf-8; header=present", csv.data, csv.len);
	return 0;
}

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/usage", "usage:get", usage, 0},
};
const struct api_resource api_usage = {routes, ARRAY_LEN(routes)};
