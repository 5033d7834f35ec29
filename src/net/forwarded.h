/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forwarded.h: who asks, where proxies pass requests on. Each of them adds to X-Forwarded-For the
 * address that it got the request from, behind what was there: so the line is read from its end,
 * and believed for as long as whoever wrote the part is a proxy that is trusted. What is before
 * that anybody can have made up.
 *
 * Threads: any.
 */
#ifndef HF_NET_FORWARDED_H
#define HF_NET_FORWARDED_H

#include "net/networks.h"

/*
 * `address`: who passed on the request with this `line`; where he is trusted, it becomes that of
 * the first in the line, from its end, who is not, or of the last that could be made out. true: all
 * of them are trusted, go on with the line before. The parts of a line are "192.0.2.1",
 * "192.0.2.1:5000", "2001:db8::1", "[2001:db8::1]" or "[2001:db8::1]:5000".
 */
bool forwarded_back(const struct networks *trusted, const char *line,
		    char address[INET6_ADDRSTRLEN]);

#endif
