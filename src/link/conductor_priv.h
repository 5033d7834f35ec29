/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conductor_priv.h: what conductor.c (threads) and conductor_calls.c (requests) share.
 */
#ifndef HF_LINK_CONDUCTOR_PRIV_H
#define HF_LINK_CONDUCTOR_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "link/conductor.h"
#include "link/movers.h"
#include "link/seen.h"
#include "link/streams.h"

#define CONDUCTOR_ROUTES 6

struct conductor {
	struct conductor_options o;
	struct httpd_route routes[CONDUCTOR_ROUTES];
	struct streams *streams;
	struct seen *seen; /* since when the database was told */
	pthread_t threads[3];
	unsigned n_threads;
	atomic_bool stopping;
};

void conductor_make_routes(struct conductor *c);

#endif
