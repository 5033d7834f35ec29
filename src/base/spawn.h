/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn.h: helper programs, started with an argument list and never through a shell.
 *
 * A child gets default signals and a process group of its own, and is told to end (SIGTERM) when
 * the thread that started it ends, however that happens. Thread-safe; a `struct spawn` belongs to
 * the thread that started it.
 */
#ifndef HF_BASE_SPAWN_H
#define HF_BASE_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"
#include "base/mem.h"

/* A line that a child said, without its end. */
typedef void spawn_line_fn(void *arg, const char *line);

struct spawn {
	pid_t pid;
	int err_fd; /* what the child writes on standard error */
	char *name;
	char said[256]; /* the end of that */
	size_t n_said;
	bool silent; /* it closed standard error */
	spawn_line_fn *fn;
	void *arg;
	char line[512]; /* for `fn`, what is there of it by now */
	size_t n_line;
};

/*
 * Start argv[0] (looked up in PATH). `in` is the child's standard input, -1 for /dev/null; `out`
 * its standard output, -1 for /dev/null. ERR_NOENT names the program and the package it comes with
 * when it is not installed.
 */
struct spawn *spawn_start(const char *const argv[], int in, int out, struct err *e);
/*
 * A pipe with all of `data` in it and nothing behind, for a child's standard input: what is secret
 * is gone when it was read. `what` names it in messages. The descriptor is the caller's. At most
 * what /proc/sys/fs/pipe-max-size says.
 */
int spawn_input(const void *data, size_t n, const char *what, struct err *e);
/* Has it ended? 1 yes (with its last words in `e` when it failed), 0 still running. Also hears what
 * it says: a program that nobody listens to waits when it has said some 64 KiB. */
int spawn_ended(struct spawn *s, struct err *e);
/* From now on hand on what it says, line by line, whenever it is heard; long lines are cut. */
void spawn_listen(struct spawn *s, spawn_line_fn *fn, void *arg);
/* Ask it to end (SIGTERM), after two seconds make it (SIGKILL). NULL is fine. */
void spawn_stop(struct spawn *s);

/* Let it go on by itself; it is not waited for. NULL is fine. */
void spawn_release(struct spawn *s);

DEFINE_AUTO(spawn, spawn_stop);

/* Run to its end and give what it printed (at most `max` bytes; `ret_out` may be NULL). */
int spawn_run(const char *const argv[], size_t max, struct buf *ret_out,
	      const struct cancel *cancel, struct err *e);

#endif
