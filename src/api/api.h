/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h: the REST API /v1/{project_id}: one file for each resource, each a table of routes.
 *
 * A handler runs within a transaction, after the caller was identified, the action allowed, and the
 * body read; it takes its input apart (input.h), calls core, and leaves its answer in the call. An
 * error that it returns rolls everything back and becomes the answer. It may run more than once
 * (db.h).
 *
 * For all routes alike: Idempotency-Key on POST, ETag on GET, If-None-Match, If-Match on PUT and
 * DELETE. The API is Karbor's (its real client works), and what goes beyond it is in the same
 * style. openapi.yaml is the contract.
 *
 * Threads: an api is thread-safe; a call belongs to the thread that its handler runs in.
 */
#ifndef HF_API_API_H
#define HF_API_API_H

#include <jansson.h>

#include "api/input.h"
#include "auth/auth.h"
#include "core/core.h"
#include "core/table.h"
#include "net/httpd.h"

struct api;

struct api_route;

struct api_call {
	struct api *api;
	const struct api_route *route;
	struct core *core;
	struct httpd_call *http;
	struct db_tx *t;      /* NULL in routes with API_OUTSIDE */
	struct identity *who; /* NULL in routes without an action */
	const char *project;  /* of the path, NULL: it has none */
	json_t *body;	      /* NULL: none was sent */
	int status;	      /* of the answer; 0: 200, or 204 without a reply */
	json_t *reply;	      /* the caller's of the handler */
};

typedef int api_fn(struct api_call *c, struct err *e);

#define API_WRITES 1u  /* the transaction may write */
#define API_OUTSIDE 2u /* no transaction: the handler makes its own */
#define API_OPEN 4u    /* nobody has to be known */
#define API_ASKS 8u    /* the project is the one that the query names as "project" */

struct api_route {
	const char *method, *path;
	const char *action; /* that the caller has to be allowed: "plan:create" */
	api_fn *fn;
	unsigned flags;
	const struct table *table; /* of api_list_rows and api_show_row */
};

struct api_resource {
	const struct api_route *routes;
	size_t n;
};

struct api_options {
	const char *public_url; /* "https://backup.example.com:8799", with a path where something
				   before us takes that away; NULL: as the client called us */
	const char *dashboard;	/* the folder with the dashboard's files, which may be missing */
	unsigned project_rate, address_rate; /* requests a second on average; 0: any number */
};

/* Everything is borrowed. */
struct api *api_new(struct core *core, const struct api_options *o, struct err *e);
void api_free(struct api *a);
DEFINE_AUTO(api, api_free);
/* When the certificate ends that the server shows, to be told to administrators; 0: none is shown.
 * Thread-safe. */
void api_set_certificate_end(struct api *a, uint64_t at_us);

/* For httpd_start: routes, and what is called before, after and instead of them. */
const struct httpd_route *api_httpd_routes(struct api *a, size_t *ret_n);
void api_httpd_options(struct api *a, struct httpd_options *o);

/* ---- for handlers ---- */

/* Part of the path that has to be a UUID; ERR_INVALID. */
int api_uuid(struct api_call *c, const char *part, char ret[UUID_TEXT], struct err *e);
/* The object under `item` in the body. */
void api_input(struct api_call *c, const char *item, struct input *in);
/* Whose rows the caller may see: its project, or NULL with all_tenants=1 of an administrator. */
int api_scope(struct api_call *c, const char **ret_project, struct err *e);

/* For other queries than lists' ones. No other parameters than these; a NULL ends them. */
int api_query_only(struct api_call *c, const char *const *names, struct err *e);
/* 1 to `most`; *number stays where it is not given. */
int api_query_number(struct api_call *c, const char *name, long most, long *number, struct err *e);
/* A date, in days since 1970. As before. */
int api_query_day(struct api_call *c, const char *name, int64_t *day, struct err *e);

/* Answer with a page of the table, as the query asks; `fixed` are filters that are given. */
int api_list(struct api_call *c, const struct table *t, const struct list_filter *fixed,
	     size_t n_fixed, struct err *e);
/* Answer with {item: row}. */
int api_show(struct api_call *c, const struct table *t, const char *id, struct err *e);
/*
 * The id in `part` of the path, of a row that the caller may change: its project's, not one that is
 * shared, unless it is an administrator. ERR_INVALID, ERR_NOENT.
 */
int api_own(struct api_call *c, const struct table *t, const char *part, char ret_id[UUID_TEXT],
	    struct err *e);
/* For routes that do no more than that, with the route's table; the id is the last part of the
 * path. */
int api_list_rows(struct api_call *c, struct err *e);
int api_show_row(struct api_call *c, struct err *e);
/* Whose things the caller may name by id: its project's; NULL: an administrator, all. */
const char *api_visible(const struct api_call *c);
/* Answer with {key: value}; takes over `value`. */
void api_reply(struct api_call *c, int status, const char *key, json_t *value);

/* "user alice", for created_by. */
const char *api_actor(const struct api_call *c, char *out, size_t size);
/* "https://host:port" as the client reaches us. */
const char *api_base(const struct api_call *c, char *out, size_t size);

/* An answer that is an error, as Karbor words it: {"itemNotFound": {"code": 404, "message": …}}. */
void api_fault(struct httpd_call *http, int status, const char *message, unsigned retry_after_s);

#endif
