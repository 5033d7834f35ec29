/* SPDX-License-Identifier: Apache-2.0 */
/* /openapi.yaml, the contract, /openapi.json, the same for browsers, and /docs, for people; also
 * the list of versions. */
#include <string.h>

#include "api/api_priv.h"

extern const char openapi_yaml[];
extern const size_t openapi_yaml_len;
extern const char openapi_json[];
extern const size_t openapi_json_len;
extern const char api_docs_html[];
extern const size_t api_docs_html_len;

static int contract(struct api_call *c, struct err *e)
{
	(void)e;
	httpd_answer(c->http, 200, "application/yaml; charset=utf-8", openapi_yaml,
		     openapi_yaml_len);
	return 0;
}

static int contract_json(struct api_call *c, struct err *e)
{
	(void)e;
	httpd_answer(c->http, 200, "application/json", openapi_json, openapi_json_len);
	return 0;
}

/* Nothing of it runs, and nothing is loaded from anywhere. */
static int docs(struct api_call *c, struct err *e)
{
	(void)e;
	httpd_set_header(c->http, "Content-Security-Policy",
			 "default-src 'none'; style-src 'unsafe-inline'");
	httpd_answer(c->http, 200, "text/html; charset=utf-8", api_docs_html, api_docs_html_len);
	return 0;
}

/* 300, as OpenStack's services answer; the dashboard to browsers. */
static int versions(struct api_call *c, struct err *e)
{
	AUTO_FREE char *href = NULL;
	char base[512];

	if (api_wants_page(c))
		return api_send_page(c, e);
	href = xasprintf("%s/v1/", api_base(c, base, sizeof(base)));
	api_reply(c, 300, "versions",
		  json_pack("[{s:s, s:s, s:[{s:s, s:s}]}]", "id", "v1.0", "status", "CURRENT",
			    "links", "rel", "self", "href", href));
	return 0;
}

static const struct api_route routes[] = {
	{"GET", "/", NULL, versions, API_OPEN | API_OUTSIDE},
	{"GET", "/openapi.yaml", NULL, contract, API_OPEN | API_OUTSIDE},
	{"GET", "/openapi.json", NULL, contract_json, API_OPEN | API_OUTSIDE},
	{"GET", "/docs", NULL, docs, API_OPEN | API_OUTSIDE},
};
const struct api_resource api_documents = {routes, ARRAY_LEN(routes)};
