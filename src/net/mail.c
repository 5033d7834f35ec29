/* SPDX-License-Identifier: Apache-2.0 */
#include "net/mail.h"

#include <ctype.h>
#include <curl/curl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/text.h"
#include "net/http.h"

#define CONNECT_TIMEOUT_S 10L
#define LINE_MOST 76
/* Bytes of text in one encoded word: 75 characters at most (RFC 2047), and whole characters. */
#define WORD_BYTES 42
#define SUBJECT_MOST 200

int mail_check_address(const char *text, struct err *e)
{
	return text_is_mail_address(text)
		       ? 0
		       : err_set(e, ERR_INVALID, "write a mail address as user@host.example");
}

/* ---- the message ---- */

/* One line of at most SUBJECT_MOST bytes, without control characters; the caller frees it. */
static char *one_line(const char *text)
{
	char *s = xstrdup(text);
	size_t n = 0, step;

	for (; s[n] && n < SUBJECT_MOST; n += step) {
		step = text_utf8(s + n, strlen(s + n));
		if (n + step > SUBJECT_MOST)
			break;
		if (step == 0) {
			s[n] = '?';
			step = 1;
		} else if ((unsigned char)s[n] < ' ' || s[n] == 127) {
			s[n] = ' ';
		}
	}
	s[n] = 0;
	return s;
}

static bool is_ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s > 126)
			return false;
	return true;
}

/* "Subject: …", folded between words. */
static void add_subject(struct buf *b, const char *text)
{
	AUTO_FREE char *line = one_line(text);
	unsigned char word[4 * ((WORD_BYTES + 2) / 3) + 1];

	buf_text(b, "Subject:");
	/* What looks like an encoded word is encoded, or it would be decoded. */
	if (is_ascii(line) && strlen(line) + 10 <= LINE_MOST && !strstr(line, "=?")) {
		buf_fmt(b, " %s\r\n", line);
		return;
	}
	for (const char *p = line; *p;) {
		size_t n = 0, step;

		while (p[n] && (step = text_utf8(p + n, strlen(p + n))) && n + step <= WORD_BYTES)
			n += step;
		EVP_EncodeBlock(word, (const unsigned char *)p, (int)n);
		buf_fmt(b, " =?UTF-8?B?%s?=\r\n", (char *)word);
		p += n;
	}
	if (!*line)
		buf_text(b, "\r\n");
}

/* Quoted-printable: every line is short, and no byte is anything but itself. */
static void add_body(struct buf *b, const char *text)
{
	size_t column = 0;

	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;
		bool end = p[1] == '\n' || !p[1];
		bool plain = (c > ' ' && c < 127 && c != '=') || ((c == ' ' || c == '\t') && !end);

		if (c == '\n') {
			buf_text(b, "\r\n");
			column = 0;
			continue;
		}
		if (column + (plain ? 1 : 3) > LINE_MOST - 1) {
			buf_text(b, "=\r\n");
			column = 0;
		}
		if (plain)
			buf_add(b, &c, 1);
		else
			buf_fmt(b, "=%02X", c);
		column += plain ? 1 : 3;
	}
	if (column)
		buf_text(b, "\r\n");
}

static void add_date(struct buf *b, uint64_t us)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t s = (time_t)(us / 1000000);
	struct tm tm;

	gmtime_r(&s, &tm);
	buf_fmt(b, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", days[tm.tm_wday], tm.tm_mday,
		months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

char *mail_compose(const struct mail *m)
{
	AUTO_BUF b = BUF_INIT;

	add_date(&b, m->date_us);
	buf_fmt(&b, "From: Holdfast <%s>\r\nTo:", m->from);
	for (size_t i = 0; i < m->n_to; i++)
		buf_fmt(&b, " %s%s\r\n", m->to[i], i + 1 < m->n_to ? "," : "");
	add_subject(&b, m->subject);
	buf_fmt(&b,
		"Message-ID: <%s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=utf-8\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n",
		m->id);
	add_body(&b, m->text);
	return xstrdup(buf_str(&b));
}

/* ---- sending ---- */

struct letter {
	const char *text;
	size_t len, sent;
	int status; /* of what is in `reply` */
	char *reply;
};

static size_t give(char *out, size_t size, size_t n, void *arg)
{
	struct letter *l = arg;

	n = MIN(size * n, l->len - l->sent);
	memcpy(out, l->text + l->sent, n);
	l->sent += n;
	return n;
}

/* The lines that the server answers with: kept is the last, or the last that refuses. */
static size_t hear(char *line, size_t size, size_t n, void *arg)
{
	struct letter *l = arg;
	size_t len = size * n;
	int status;

	if (len < 4 || !isdigit((unsigned char)line[0]) || !isdigit((unsigned char)line[1]) ||
	    !isdigit((unsigned char)line[2]))
		return len;
	status = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
	if (l->status >= 400 && status < 400)
		return len;
	l->status = status;
	n = len;
	while (n > 4 && isspace((unsigned char)line[n - 1]))
		n--;
	snprintf(l->reply, MAIL_REPLY, "%.*s", (int)(n - 4), line + 4);
	for (char *p = l->reply; *p; p++)
		if ((unsigned char)*p < ' ' || (unsigned char)*p > 126)
			*p = '?';
	return len;
}

static int is_stopped(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct mail_server *s = arg;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	return cancel_asked(s->cancel);
}

static void set_server(CURL *c, const struct mail_server *s, const char *password)
{
	curl_easy_setopt(c, CURLOPT_URL, s->url);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)s->timeout_ms);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, is_stopped);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, s);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	if (s->starttls)
		curl_easy_setopt(c, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
	if (s->ca)
		curl_easy_setopt(c, CURLOPT_CAINFO, s->ca);
	if (s->user) {
		curl_easy_setopt(c, CURLOPT_USERNAME, s->user);
		curl_easy_setopt(c, CURLOPT_PASSWORD, password);
	}
}

static int failed(const struct mail_server *s, const struct letter *l, CURLcode code,
		  const char *why, struct err *e)
{
	enum err_kind kind = ERR_UNREACHABLE;

	if (code == CURLE_ABORTED_BY_CALLBACK)
		return err_set(e, ERR_CANCELLED, "stopped on request");
	if (code == CURLE_OPERATION_TIMEDOUT)
		kind = ERR_TIMEOUT;
	else if (l->status >= 400 || code == CURLE_PEER_FAILED_VERIFICATION ||
		 code == CURLE_LOGIN_DENIED)
		kind = ERR_DENIED;
	if (l->status >= 400)
		return err_set(e, kind, "%s answers: %d %s", s->url, l->status, l->reply);
	return err_set(e, kind, "%s: %s", s->url, *why ? why : curl_easy_strerror(code));
}

int mail_send(const struct mail_server *s, const struct mail *m, int *ret_status, char *ret_reply,
	      struct err *e)
{
	AUTO_FREE char *text = mail_compose(m);
	AUTO_FREE char *password =
		s->password ? xstrndup((char *)s->password->data, s->password->len) : xstrdup("");
	struct letter l = {.text = text, .len = strlen(text), .reply = ret_reply};
	struct curl_slist *to = NULL;
	char why[CURL_ERROR_SIZE] = "";
	CURLcode code;
	CURL *c;

	http_init();
	c = curl_easy_init();
	if (!c)
		abort();
	ret_reply[0] = 0;
	set_server(c, s, password);
	for (size_t i = 0; i < m->n_to; i++)
		to = curl_slist_append(to, m->to[i]);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(c, CURLOPT_MAIL_FROM, m->from);
	curl_easy_setopt(c, CURLOPT_MAIL_RCPT, to);
	/* One address that is no more does not keep the others from it. */
	curl_easy_setopt(c, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
	curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c, CURLOPT_READFUNCTION, give);
	curl_easy_setopt(c, CURLOPT_READDATA, &l);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, hear);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, &l);
	code = curl_easy_perform(c);
	curl_easy_cleanup(c);
	curl_slist_free_all(to);
	secret_wipe(password, strlen(password));
	*ret_status = l.status;
	return code == CURLE_OK ? 0 : failed(s, &l, code, why, e);
}
