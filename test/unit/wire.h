/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h: HTTP by hand, for tests of the server: what a library would never send, and answers as
 * they are. Nothing here asserts; a read that takes longer than 10 s ends.
 */
#ifndef HF_TEST_WIRE_H
#define HF_TEST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* A connection to this machine; -1. */
int wire_open(uint16_t port);
/* Everything; false: the other side has closed. */
bool wire_send(int fd, const char *text, size_t len);
bool wire_text(int fd, const char *text);

struct wire_answer {
	int status; /* 0: there is none */
	struct buf head;
	struct buf body;
};

/* One answer, by its length; `head`: without body, whatever its headers say. */
struct wire_answer wire_read(int fd, bool head);
void wire_done(struct wire_answer *a);
/* The header's value, copied; NULL: none. */
char *wire_header(struct wire_answer *a, const char *name);
/* The other side closes within `ms`; what it sends is thrown away. */
bool wire_closed(int fd, int ms);

/* Open, send, read one answer, close. */
struct wire_answer wire_ask(uint16_t port, const char *request);

#endif
