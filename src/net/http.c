/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

#define URL_MAX 1000
#define IDLE_MAX 16
#define CONNECT_TIMEOUT_S 15L
/* A transfer that moves nothing for so long is over. */
#define STALL_S 60L
#define HEADERS_MAX ((size_t)64 << 10)
#define RECEIVE (512L << 10)
#define RECEIVE_STREAM (16L << 10) /* it is open for long, and seldom full */

struct http {
	char *ca;
	char *pem;
	const struct reach *reach;
	pthread_mutex_t lock;
	CURL *idle[IDLE_MAX]; /* with their connections */
	size_t n_idle;
};

/* One request at work. */
struct transfer {
	CURL *curl;
	curl_socket_t socket; /* of the connection; of one that the handle had before, at worst */
	const struct http_request *q;
	struct http_reply *reply;
	uint64_t sent;
	int read_errno;
	size_t too_long;  /* the limit that it is over */
	curl_off_t moved; /* bytes, both ways */
	uint64_t moved_at;
	bool stalled;
	const struct reach *reach;
	char refused[INET6_ADDRSTRLEN]; /* an address that is not to be connected to */
	/* Who gets what comes, where it is a stream. */
	http_chunk_fn *fn;
	void *arg;
	bool fn_failed;
	struct err fn_err;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void init_curl(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

bool http_is_url(const char *text)
{
	return text && (!strncmp(text, "http://", 7) || !strncmp(text, "https://", 8)) &&
	       strlen(text) < URL_MAX;
}

void http_init(void)
{
	pthread_once(&curl_once, init_curl);
}

struct http *http_new(const char *ca)
{
	struct http *h = xcalloc(1, sizeof(*h));

	http_init();
	h->ca = xstrdup0(ca);
	pthread_mutex_init(&h->lock, NULL);
	return h;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	while (h->n_idle)
		curl_easy_cleanup(h->idle[--h->n_idle]);
	pthread_mutex_destroy(&h->lock);
	free(h->ca);
	free(h->pem);
	free(h);
}

void http_trust(struct http *h, const char *pem)
{
	free(h->pem);
	h->pem = xstrdup(pem);
}

void http_set_reach(struct http *h, const struct reach *r)
{
	h->reach = r;
}

static CURL *take_handle(struct http *h)
{
	CURL *c = NULL;

	pthread_mutex_lock(&h->lock);
	if (h->n_idle)
		c = h->idle[--h->n_idle];
	pthread_mutex_unlock(&h->lock);
	if (!c)
		c = curl_easy_init();
	if (!c)
		abort();
	return c;
}

static void give_handle(struct http *h, CURL *c)
{
	curl_easy_reset(c); /* options go, connections stay */
	pthread_mutex_lock(&h->lock);
	if (h->n_idle < IDLE_MAX) {
		h->idle[h->n_idle++] = c;
		c = NULL;
	}
	pthread_mutex_unlock(&h->lock);
	curl_easy_cleanup(c);
}

/* ---- what libcurl calls ---- */

static size_t send_body(char *out, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t want = MIN((uint64_t)size * n, t->q->len - t->sent);
	ssize_t got = (ssize_t)want;

	if (t->q->data)
		memcpy(out, (const char *)t->q->data + t->sent, want);
	else if (want)
		got = pread(t->q->fd, out, want, (off_t)(t->q->off + t->sent));
	if (got < 0 || (got == 0 && want)) {
		t->read_errno = got < 0 ? errno : EIO;
		return CURL_READFUNC_ABORT;
	}
	t->sent += (uint64_t)got;
	return (size_t)got;
}

/* A connection that was kept turned out to be closed: begin again. */
static int rewind_body(void *arg, curl_off_t offset, int origin)
{
	struct transfer *t = arg;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->q->len)
		return CURL_SEEKFUNC_FAIL;
	t->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

/*
 * Tell the other side at once that we have what came. A service that sends an answer's headers and
 * body apart, and gathers small pieces (Ceph's gateway does), keeps the body back until then; and
 * we would wait 40 ms, in case there were something to send along.
 */
static void confirm(const struct transfer *t)
{
	const int on = 1;

	if (t->socket != CURL_SOCKET_BAD)
		setsockopt(t->socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

static size_t receive_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	struct http_reply *r = t->reply;
	size_t len = size * n;
	long status = 0;

	confirm(t);
	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	if (t->fn && status >= 200 && status < 300) {
		t->fn_failed = t->fn(t->arg, data, len, &t->fn_err) < 0;
		return t->fn_failed ? CURL_WRITEFUNC_ERROR : len;
	}
	if (t->q->into && status >= 200 && status < 300) {
		/* More than was asked for is not wanted: some answer a range with everything. */
		size_t use = MIN(len, t->q->into_len - r->n_into);

		memcpy((char *)t->q->into + r->n_into, data, use);
		r->n_into += use;
		return use == len || status != 200 ? len : CURL_WRITEFUNC_ERROR;
	}
	if (r->body.len + len > HTTP_BODY_MAX) {
		t->too_long = HTTP_BODY_MAX;
		return CURL_WRITEFUNC_ERROR;
	}
	buf_add(&r->body, data, len);
	return len;
}

/* The value of "name: value\r\n" when it is this header. */
static bool header_is(const char *line, size_t n, const char *name, char value[HTTP_TEXT])
{
	size_t k = strlen(name);

	if (n <= k || strncasecmp(line, name, k) != 0 || line[k] != ':')
		return false;
	for (k++; k < n && (line[k] == ' ' || line[k] == '\t');)
		k++;
	while (n > k && strchr(" \t\r\n", line[n - 1]))
		n--;
	snprintf(value, HTTP_TEXT, "%.*s", (int)MIN(n - k, (size_t)HTTP_TEXT), line + k);
	return true;
}

/* "bytes 0-9/1234", or "bytes * / 1234" where the range lies outside */
static uint64_t range_total(const char *value)
{
	const char *slash = strchr(value, '/');
	char *end;
	unsigned long long n;

	if (!slash || slash[1] < '0' || slash[1] > '9')
		return UINT64_MAX;
	n = strtoull(slash + 1, &end, 10);
	return *end ? UINT64_MAX : n;
}

/* Headers that are kept as they are. */
static bool keep_header(struct http_reply *r, const char *line, size_t n)
{
	const struct {
		const char *name;
		char *value;
	} kept[] = {
		{"etag", r->etag},
		{"date", r->date},
		{"x-amz-bucket-region", r->region},
		{"x-amz-version-id", r->version},
		{"x-amz-object-lock-mode", r->lock_mode},
		{"x-amz-object-lock-retain-until-date", r->lock_until},
		{"x-amz-object-lock-legal-hold", r->lock_hold},
	};
	char value[HTTP_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		if (header_is(line, n, kept[i].name, value)) {
			memcpy(kept[i].value, value, HTTP_TEXT);
			return true;
		}
	}
	return false;
}

static size_t receive_header(char *line, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	struct http_reply *r = t->reply;
	char value[HTTP_TEXT];

	n *= size;
	if (n <= 2) /* the empty line at their end */
		confirm(t);
	if (t->q->keep_headers) {
		if (n > 5 && memcmp(line, "HTTP/", 5) == 0)
			r->headers.len = 0; /* a "100 Continue" came before it */
		if (r->headers.len + n > HEADERS_MAX) {
			t->too_long = HEADERS_MAX;
			return CURL_WRITEFUNC_ERROR;
		}
		buf_add(&r->headers, line, n);
	}
	if (keep_header(r, line, n))
		return n;
	if (header_is(line, n, "content-length", value))
		r->length = strtoull(value, NULL, 10);
	else if (header_is(line, n, "content-range", value))
		r->total = range_total(value);
	else if (header_is(line, n, "retry-after", value))
		r->retry_after = (unsigned)strtoul(value, NULL, 10);
	return n;
}

/* Once a second or so. libcurl's own limit on silence looks at an average over some seconds. */
static int look_around(void *arg, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
		       curl_off_t up)
{
	struct transfer *t = arg;
	uint64_t now = clock_mono_us();

	(void)down_all;
	(void)up_all;
	if (!t->moved_at || down + up != t->moved) {
		t->moved = down + up;
		t->moved_at = now;
	}
	t->stalled = t->q->stall_s && now - t->moved_at > (uint64_t)t->q->stall_s * 1000000;
	return t->stalled || cancel_asked(t->q->cancel);
}

/* The address is what the name means just now, and what is connected to. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct transfer *t = arg;
	const void *at =
		a->family == AF_INET6
			? (const void *)&((struct sockaddr_in6 *)(void *)&a->addr)->sin6_addr
			: (const void *)&((struct sockaddr_in *)(void *)&a->addr)->sin_addr;

	(void)purpose;
	if (reach_allows(t->reach, &a->addr))
		return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
	if (!inet_ntop(a->family, at, t->refused, sizeof(t->refused)))
		snprintf(t->refused, sizeof(t->refused), "?");
	return CURL_SOCKET_BAD;
}

static int note_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	struct transfer *t = arg;

	(void)purpose;
	t->socket = fd;
	return CURL_SOCKOPT_OK;
}

/* ---- a request ---- */

/* libcurl tells of sockets when it opens them, and between transfers, not in one. */
static void set_socket(struct transfer *t)
{
	curl_easy_getinfo(t->curl, CURLINFO_ACTIVESOCKET, &t->socket);
	curl_easy_setopt(t->curl, CURLOPT_SOCKOPTFUNCTION, note_socket);
	curl_easy_setopt(t->curl, CURLOPT_SOCKOPTDATA, t);
}

static void set_reach(struct transfer *t)
{
	if (!t->reach)
		return;
	curl_easy_setopt(t->curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(t->curl, CURLOPT_OPENSOCKETDATA, t);
	curl_easy_setopt(t->curl, CURLOPT_NOPROXY, "*");
}

static void set_body(struct transfer *t)
{
	CURL *c = t->curl;
	const char *method = t->q->method;

	if (strcmp(method, "HEAD") == 0) {
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	} else if (strcmp(method, "PUT") == 0 || strcmp(method, "POST") == 0 ||
		   strcmp(method, "PATCH") == 0 || t->q->len) {
		curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
		curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->q->len);
		curl_easy_setopt(c, CURLOPT_READFUNCTION, send_body);
		curl_easy_setopt(c, CURLOPT_READDATA, t);
		curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, rewind_body);
		curl_easy_setopt(c, CURLOPT_SEEKDATA, t);
	} else {
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
	}
}

static void set_trust(struct http *h, struct transfer *t)
{
	struct curl_blob pem = {h->pem, h->pem ? strlen(h->pem) : 0, CURL_BLOB_COPY};
	CURL *c = t->curl;

	if (h->ca)
		curl_easy_setopt(c, CURLOPT_CAINFO, h->ca);
	if (h->pem)
		curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &pem);
	if (h->ca || h->pem)
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL); /* these, and no others */
	if (t->q->unverified) {
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static struct curl_slist *set_options(struct http *h, struct transfer *t, char *why)
{
	/* Waiting for "100 Continue" costs a round trip, or a second where nobody sends it. */
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	CURL *c = t->curl;

	for (size_t i = 0; i < t->q->n_headers; i++)
		headers = curl_slist_append(headers, t->q->headers[i]);
	set_body(t);
	curl_easy_setopt(c, CURLOPT_URL, t->q->url);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	if (!t->q->stall_s) {
		curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, STALL_S);
	}
	curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L); /* it is signed as it is */
	curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, t->fn ? RECEIVE_STREAM : RECEIVE);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, receive_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, receive_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
	if (t->q->timeout_ms)
		curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)t->q->timeout_ms);
	if (t->q->cancel || t->q->stall_s) {
		curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, look_around);
		curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
		curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
	}
	set_socket(t);
	set_reach(t);
	if (t->q->no_proxy)
		curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	set_trust(h, t);
	return headers;
}

static enum err_kind kind_of(CURLcode code)
{
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return ERR_DENIED;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		return ERR_INVALID;
	default:
		return ERR_UNREACHABLE;
	}
}

static int failed(const struct transfer *t, CURLcode code, const char *why, struct err *e)
{
	const char *name = t->q->name ? t->q->name : t->q->url;

	if (t->read_errno)
		return err_sys(e, t->read_errno, "read what is to be sent to %s", name);
	if (t->fn_failed) {
		if (e)
			*e = t->fn_err;
		return -1;
	}
	if (t->stalled)
		return err_set(e, ERR_TIMEOUT, "%s: not a byte for %u s", name, t->q->stall_s);
	if (code == CURLE_ABORTED_BY_CALLBACK && cancel_asked(t->q->cancel))
		return cancel_check(t->q->cancel, e);
	if (t->too_long)
		return err_set(e, ERR_LIMIT, "%s answers with more than %zu bytes", name,
			       t->too_long);
	if (t->refused[0] && code == CURLE_COULDNT_CONNECT)
		return err_set(e, ERR_DENIED, "%s leads to %s, which is not a public address", name,
			       t->refused);
	return err_set(e, kind_of(code), "%s: %s", name, why[0] ? why : curl_easy_strerror(code));
}

int http_stream(struct http *h, const struct http_request *q, http_chunk_fn *fn, void *arg,
		struct http_reply *ret, struct err *e)
{
	struct transfer t = {.curl = take_handle(h),
			     .socket = CURL_SOCKET_BAD,
			     .q = q,
			     .reply = ret,
			     .fn = fn,
			     .arg = arg,
			     .reach = h->reach};
	char why[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers;
	long status = 0;
	CURLcode code;

	*ret = (struct http_reply){.length = UINT64_MAX, .total = UINT64_MAX};
	headers = set_options(h, &t, why);
	code = curl_easy_perform(t.curl);
	curl_easy_getinfo(t.curl, CURLINFO_RESPONSE_CODE, &status);
	ret->status = (int)status;
	give_handle(h, t.curl);
	curl_slist_free_all(headers);
	/* All that was asked for is there; the rest was not wanted. */
	if (code == CURLE_WRITE_ERROR && q->into && ret->n_into == q->into_len && !t.too_long)
		return 0;
	if (code == CURLE_OK)
		return 0;
	buf_done(&ret->body);
	buf_done(&ret->headers);
	return failed(&t, code, why, e);
}

int http_do(struct http *h, const struct http_request *q, struct http_reply *ret, struct err *e)
{
	return http_stream(h, q, NULL, NULL, ret, e);
}

char *http_reply_header(struct http_reply *r, const char *name)
{
	size_t want = strlen(name);

	if (!r->headers.len)
		return NULL;
	for (char *p = buf_str(&r->headers); *p;) {
		size_t n = strcspn(p, "\r\n");

		if (n > want && p[want] == ':' && strncasecmp(p, name, want) == 0) {
			p += want + 1;
			n -= want + 1;
			while (n && (*p == ' ' || *p == '\t')) {
				p++;
				n--;
			}
			while (n && (p[n - 1] == ' ' || p[n - 1] == '\t'))
				n--;
			return xstrndup(p, n);
		}
		p += n;
		p += strspn(p, "\r\n");
	}
	return NULL;
}
