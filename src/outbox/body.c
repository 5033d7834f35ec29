/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox/body.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "core/json.h"

char *body_link(const json_t *message, const char *public_url)
{
	const char *operation = json_text_in(message, "operation_id");
	size_t n = strlen(public_url);

	while (n && public_url[n - 1] == '/')
		n--;
	if (!n)
		return xstrdup("");
	return *operation ? xasprintf("%.*s/#/operations/%s", (int)n, public_url, operation)
			  : xasprintf("%.*s/", (int)n, public_url);
}

char *body_webhook(const json_t *message, const char *link)
{
	json_t *data = json_copy((json_t *)(uintptr_t)message);
	json_t *body = json_pack("{s:O, s:O, s:o}", "type", json_object_get(message, "event"),
				 "timestamp", json_object_get(message, "at"), "data", data);
	char *text;

	json_object_set_new(data, "url", json_string_of(link));
	text = json_text(body);
	json_decref(body);
	return text;
}

void body_sign(const uint8_t *key, size_t n, const char *id, uint64_t timestamp_s, const char *body,
	       char out[BODY_SIGNATURE])
{
	AUTO_FREE char *all = xasprintf("%s.%llu.%s", id, (unsigned long long)timestamp_s, body);
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int len;

	if (!HMAC(EVP_sha256(), key, (int)n, (unsigned char *)all, strlen(all), mac, &len))
		abort();
	memcpy(out, "v1,", 3);
	EVP_EncodeBlock((unsigned char *)out + 3, mac, (int)len);
}

static void add_escaped(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '&')
			buf_text(b, "&amp;");
		else if (*s == '<')
			buf_text(b, "&lt;");
		else if (*s == '>')
			buf_text(b, "&gt;");
		else
			buf_add(b, s, 1);
	}
}

static const char *sign_of(const char *severity)
{
	static const char *const signs[][2] = {
		{"critical", ":rotating_light:"}, {"error", ":x:"}, {"warning", ":warning:"}};

	for (size_t i = 0; i < ARRAY_LEN(signs); i++)
		if (strcmp(severity, signs[i][0]) == 0)
			return signs[i][1];
	return ":white_check_mark:";
}

char *body_slack(const json_t *message, const char *link)
{
	const char *project = json_text_in(message, "project_name");
	AUTO_BUF b = BUF_INIT;
	json_t *body;
	char *text;

	buf_fmt(&b, "%s *", sign_of(json_text_in(message, "severity")));
	add_escaped(&b, json_text_in(message, "title"));
	buf_text(&b, "*");
	if (*project) {
		buf_text(&b, " (project ");
		add_escaped(&b, project);
		buf_text(&b, ")");
	}
	buf_text(&b, "\n");
	add_escaped(&b, json_text_in(message, "text"));
	buf_text(&b, "\n");
	add_escaped(&b, json_text_in(message, "action"));
	if (*link)
		buf_fmt(&b, "\n<%s|Open in Holdfast>", link);
	body = json_pack("{s:s}", "text", buf_str(&b));
	text = json_text(body);
	json_decref(body);
	return text;
}

char *body_mail_subject(const json_t *message)
{
	return xasprintf("[Holdfast] %s", json_text_in(message, "title"));
}

static void add_line(struct buf *b, const char *name, const char *value)
{
	if (*value)
		buf_fmt(b, "%s: %s\n", name, value);
}

char *body_mail(const json_t *message, const char *link, const char *name)
{
	const char *action = json_text_in(message, "action");
	AUTO_BUF b = BUF_INIT;

	buf_fmt(&b, "%s\n\n%s\n\n", json_text_in(message, "title"), json_text_in(message, "text"));
	if (*action)
		buf_fmt(&b, "What to do: %s\n\n", action);
	if (*link)
		buf_fmt(&b, "%s\n\n", link);
	add_line(&b, "Project", json_text_in(message, "project_name"));
	add_line(&b, "Event", json_text_in(message, "event"));
	add_line(&b, "Severity", json_text_in(message, "severity"));
	add_line(&b, "Time", json_text_in(message, "at"));
	buf_fmt(&b, "\n-- \nSent by Holdfast for its notification \"%s\".\n", name);
	return xstrdup(buf_str(&b));
}
