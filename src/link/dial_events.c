/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that listens to what comes down: it only ever says where to look. While it is not
 * connected nothing is missed for long, because who makes the calls looks now and then in any case;
 * and after each connection everything is looked at.
 */
#include "link/dial_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "net/sse.h"

#define EVENT_MAX 4096
#define STALL_S 60 /* the server says that it lives every 15 s */

struct listener {
	struct dial *d;
	struct http *http;
	bool heard; /* something, over this connection */
};

static int on_event(void *arg, const struct sse_event *event, struct err *e)
{
	struct listener *l = arg;
	struct dial *d = l->d;
	bool all = strcmp(event->type, "hello") == 0;

	(void)e;
	pthread_mutex_lock(&d->lock);
	d->look = d->look || all || strcmp(event->type, "steps") == 0;
	d->report = d->report || all || strcmp(event->type, "stops") == 0 ||
		    strcmp(event->type, "revoked") == 0;
	/* A request tells whether it is so. */
	d->beat = d->beat || all || strcmp(event->type, "revoked") == 0;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	l->heard = true;
	return 0;
}

static int on_chunk(void *arg, const void *data, size_t n, struct err *e)
{
	return sse_feed(arg, data, n, e);
}

/* Until the connection ends. The token may be another by now. */
static int listen_once(struct listener *l, const char *url, struct err *e)
{
	AUTO(sse) parser = sse_new(EVENT_MAX, on_event, l);
	struct http_reply r = {0};
	char *header;
	int rc;

	pthread_mutex_lock(&l->d->lock);
	header = xasprintf("Authorization: Bearer %s", l->d->me.token);
	pthread_mutex_unlock(&l->d->lock);
	rc = http_stream(l->http,
			 &(const struct http_request){.method = "GET",
						      .url = url,
						      .headers = (const char *const[]){header},
						      .n_headers = 1,
						      .stall_s = STALL_S,
						      .cancel = &l->d->hang_up},
			 on_chunk, parser, &r, e);
	secret_wipe(header, strlen(header));
	free(header);
	buf_done(&r.body);
	if (rc == 0 && r.status != 200)
		rc = err_set(e, ERR_UNREACHABLE, "the server says %d to who listens", r.status);
	return rc;
}

/* With the lock: there is nobody to listen to, yet. */
static bool wait_until_known(struct dial *d)
{
	while (!d->known && !d->ending)
		dial_wait(d, clock_mono_us() + 60000000);
	return !d->ending;
}

/* With the lock. */
static void pause_for(struct dial *d, uint64_t us)
{
	uint64_t until = clock_mono_us() + us;

	while (!d->ending && clock_mono_us() < until)
		dial_wait(d, until);
}

void *dial_events(void *arg)
{
	struct dial *d = arg;
	struct listener l = {.d = d, .http = http_new(d->ca)};
	AUTO_FREE char *url = xasprintf("%s/mover/v1/events", d->server);
	unsigned failures = 0;

	pthread_mutex_lock(&d->lock);
	while (wait_until_known(d)) {
		struct err why = {0};

		l.heard = false;
		pthread_mutex_unlock(&d->lock);
		listen_once(&l, url, &why);
		pthread_mutex_lock(&d->lock);
		/* A connection that was a good one is made again soon, but not by all at once. */
		failures = l.heard ? 1 : failures + 1;
		if (!d->ending && why.kind != ERR_NONE)
			log_debug("listen to the server: %s", why.msg);
		pause_for(d, dial_pause_us(failures));
	}
	pthread_mutex_unlock(&d->lock);
	http_free(l.http);
	return NULL;
}
