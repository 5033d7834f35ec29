/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections. libmicrohttpd closes those that are silent; one thread here looks every second for
 * those that send so slowly that they never are. It shuts the socket down, and libmicrohttpd finds
 * it closed: the descriptor stays libmicrohttpd's, and is in the list only as long as it is open.
 */
#include "net/httpd_priv.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/cond.h"
#include "net/networks.h"

#define TICK_S 1

static void address_text(const struct sockaddr *a, char out[INET6_ADDRSTRLEN])
{
	uint8_t bytes[NETWORK_ADDRESS];

	out[0] = 0;
	if (network_of_socket(a, bytes))
		network_text(bytes, out);
}

static void begin(struct httpd *h, struct MHD_Connection *mhd, void **context)
{
	struct httpd_conn *conn = xcalloc(1, sizeof(*conn));
	const union MHD_ConnectionInfo *i;

	conn->httpd = h;
	i = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	conn->fd = i ? i->connect_fd : -1;
	i = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	address_text(i ? i->client_addr : NULL, conn->address);
	conn->deadline = clock_mono_us() + (uint64_t)h->o.idle_s * 1000000;
	pthread_mutex_lock(&h->lock);
	conn->over = ++h->n_conns > h->o.connections;
	conn->link = &h->conns;
	conn->next = h->conns;
	if (conn->next)
		conn->next->link = &conn->next;
	h->conns = conn;
	pthread_mutex_unlock(&h->lock);
	*context = conn;
}

static void end(struct httpd_conn *conn)
{
	struct httpd *h = conn->httpd;

	pthread_mutex_lock(&h->lock);
	h->n_conns--;
	*conn->link = conn->next;
	if (conn->next)
		conn->next->link = conn->link;
	pthread_mutex_unlock(&h->lock);
	free(conn);
}

void conn_notify(void *arg, struct MHD_Connection *mhd, void **context,
		 enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		begin(arg, mhd, context);
	} else if (*context) {
		end(*context);
		*context = NULL;
	}
}

struct httpd_conn *conn_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *i =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return i ? i->socket_context : NULL;
}

void conn_set_deadline(struct httpd_conn *conn, uint64_t when)
{
	pthread_mutex_lock(&conn->httpd->lock);
	conn->deadline = when;
	pthread_mutex_unlock(&conn->httpd->lock);
}

static void *watch(void *arg)
{
	struct httpd *h = arg;
	struct timespec until;

	pthread_mutex_lock(&h->lock);
	while (h->watching) {
		uint64_t now = clock_mono_us();

		for (struct httpd_conn *c = h->conns; c; c = c->next) {
			if (c->deadline && now > c->deadline)
				shutdown(c->fd, SHUT_RDWR);
		}
		pthread_mutex_unlock(&h->lock);
		stream_end_gone(h);
		pthread_mutex_lock(&h->lock);
		if (!h->watching)
			break;
		until = cond_in_ms(TICK_S * 1000);
		pthread_cond_timedwait(&h->tick, &h->lock, &until);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

int conn_start_watch(struct httpd *h, struct err *e)
{
	int error;

	h->watching = true;
	error = pthread_create(&h->watch, NULL, watch, h);
	if (error) {
		h->watching = false;
		return err_sys(e, error, "start a thread");
	}
	return 0;
}

void conn_stop_watch(struct httpd *h)
{
	bool was;

	pthread_mutex_lock(&h->lock);
	was = h->watching;
	h->watching = false;
	pthread_cond_signal(&h->tick);
	pthread_mutex_unlock(&h->lock);
	if (was)
		pthread_join(h->watch, NULL);
}
