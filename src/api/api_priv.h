/* SPDX-License-Identifier: Apache-2.0 */
/* api_priv.h: what the files of the API share with each other and with nobody else. */
#ifndef HF_API_API_PRIV_H
#define HF_API_API_PRIV_H

#include "api/api.h"
#include "repo/seal.h"

#define API_COOKIE "holdfast" /* holds a session */
#define API_ETAG 36
#define API_SELF "" /* an action that everybody who is known may do: to himself */

/* A tag of an answer's text: "\"32 hexadecimal digits\"". */
void api_etag(const char *text, char out[API_ETAG]);

/* What makes two requests the same: method, path, body. ERR_INVALID: the key is empty or too long.
 */
int api_request_hash(const struct api_call *c, const char *key, uint8_t ret[HASH_BYTES],
		     struct err *e);
/* *ret_done: it was answered before, and the answer is in the call. ERR_CONFLICT: another request
 * had the key. */
int api_replay(struct api_call *c, const char *key, const uint8_t request[HASH_BYTES],
	       bool *ret_done, struct err *e);
int api_remember(struct api_call *c, const char *key, const uint8_t request[HASH_BYTES],
		 struct err *e);

/* What was done goes into the audit log in the same transaction; what was refused, in one of its
 * own. */
int api_audit(struct api_call *c, const struct api_route *r, struct err *e);
void api_audit_denied(struct api_call *c, const char *action);

/* An operation as flow_query.h has it becomes one as the API shows it. */
void api_operation_json(json_t *o);

/* ---- what comes from a browser ---- */

/* Does the browser say that a page of somebody else asks? Programs say nothing of that. */
bool api_is_foreign(const struct api_call *c);
/* A request that came by cookie and changes something has to show that it is from a page of ours.
 * ERR_DENIED. */
int api_check_origin(struct api_call *c, struct err *e);
/* Under what the paths of this server lie as browsers see them: "" or "/backup", of public_url. */
const char *api_prefix(const struct api_call *c);
/* Set a cookie for `path` and below (of ours, without the prefix). `value` "": remove it. */
void api_set_cookie(struct api_call *c, const char *name, const char *value, const char *path,
		    const char *same_site);

/* Names of roles. */
json_t *api_roles(unsigned roles);

/* What of the project has not ended, the newest `most`; the caller's. */
int api_operations_live(struct api_call *c, size_t most, json_t **ret_array, struct err *e);

/* Every resource, NULL-terminated. */
extern const struct api_resource *const api_resources[];

/* The folder with the dashboard's files. */
const char *api_dashboard(const struct api *a);
/* 0: the server shows no certificate. */
uint64_t api_certificate_end(const struct api *a);
/* It is a browser that asks, for something to look at. */
bool api_wants_page(const struct api_call *c);
int api_send_page(struct api_call *c, struct err *e);

struct api_events;
struct api_events *api_events_new(struct core *core, struct err *e);
/* Ends all streams. */
void api_events_free(struct api_events *v);
struct api_events *api_events_of(struct api *a);

/* ---- what changed besides operations ---- */

struct api_change {
	json_t *kinds;	     /* ["plans"]; borrowed */
	const char *project; /* whose; NULL: nobody's. Strings are borrowed, too */
	const char *user;    /* who did it; NULL or "": the server itself */
	bool is_of_all;	     /* nobody's, and shown in every project */
};
typedef void api_changes_fn(void *arg, const struct api_change *c);

/* Belongs to the thread that looks. */
struct api_changes;
struct api_changes *api_changes_new(void);
void api_changes_free(struct api_changes *x);
/* Tell what is new since the last look; does nothing if that was half a second ago. Once each. */
int api_changes_look(struct api_changes *x, struct db *d, api_changes_fn *fn, void *arg,
		     struct err *e);

/* ERR_INVALID: there is no such platform of the caller's project. */
int api_sees_platform(struct api_call *c, const char *id, struct err *e);

extern const struct api_resource api_documents, api_dashboard_files, api_events, api_access,
	api_metrics, api_movers, api_plans, api_checkpoints, api_providers, api_targets,
	api_platforms, api_policies, api_previews, api_protectables, api_restores, api_triggers,
	api_operations, api_quotas, api_login, api_services, api_coverage, api_overview, api_search,
	api_usage, api_notifications;

#endif
