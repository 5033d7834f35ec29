/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h: what a daemon and the service manager tell each other: the datagrams of sd_notify(3),
 * whose format is promised to stay. Nothing happens where nobody asked for them.
 *
 * Threads: any, but for service_adopt(), which is called before there are others.
 */
#ifndef HF_BASE_SERVICE_H
#define HF_BASE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Learn from the environment (NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID) where to tell, and take
 * it out of there, so that programs which are started later do not speak for this one.
 */
void service_adopt(void);
/* "READY=1\nSTATUS=…". What cannot be sent is lost. */
void service_tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "RELOADING=1" with the time that belongs to it. */
void service_tell_reloading(void);
/* How often "WATCHDOG=1" is waited for, in microseconds; 0: it is not. */
uint64_t service_watchdog_us(void);

#endif
