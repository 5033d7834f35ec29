/* SPDX-License-Identifier: Apache-2.0 */
#include "link/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define LINE_MAX_BYTES ((size_t)15 << 20)
#define PATIENCE_US ((uint64_t)60 * 1000000)

/* ---- starting ---- */

static void on_said(void *arg, const char *line)
{
	(void)arg;
	log_debug("step: %s", line);
}

struct child *child_start(const char *const argv[], const char *job, size_t n, struct err *e)
{
	AUTO_CLOSE int in = spawn_input(job, n, "the job", e);
	AUTO_CLOSE int out_w = -1;
	AUTO(child) c = NULL;
	int fds[2];

	if (in < 0)
		return NULL;
	if (pipe2(fds, O_CLOEXEC) < 0) {
		err_sys(e, errno, "make a pipe");
		return NULL;
	}
	out_w = fds[1];
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	c = xcalloc(1, sizeof(*c));
	c->out = fds[0];
	c->notes = json_array();
	c->spawn = spawn_start(argv, in, out_w, e);
	if (!c->spawn)
		return NULL;
	spawn_listen(c->spawn, on_said, NULL);
	return steal(&c);
}

void child_free(struct child *c)
{
	if (!c)
		return;
	if (c->spawn && c->spawn->pid > 0)
		kill(c->spawn->pid, SIGKILL);
	spawn_stop(c->spawn);
	if (c->out >= 0)
		close(c->out);
	buf_done(&c->line);
	json_decref(c->progress);
	json_decref(c->notes);
	json_decref(c->end);
	free(c);
}

void child_poll(const struct child *c, struct pollfd p[2])
{
	p[0] = (struct pollfd){.fd = c->out, .events = POLLIN};
	p[1] = (struct pollfd){.fd = c->spawn->silent ? -1 : c->spawn->err_fd, .events = POLLIN};
}

/* ---- hearing ---- */

static json_t *error_json(enum err_kind kind, const char *message)
{
	return json_pack("{s:{s:s,s:s}}", "error", "kind", err_info(kind)->name, "message",
			 message);
}

static void take_line(struct child *c, const char *text, size_t n)
{
	json_t *j = json_loadb(text, n, 0, NULL), *v;

	if ((v = json_object_get(j, "progress")) != NULL) {
		json_decref(c->progress);
		c->progress = json_incref(v);
	} else if ((v = json_object_get(j, "note")) != NULL) {
		if (json_array_size(c->notes) < CHILD_NOTES_MAX)
			json_array_append(c->notes, v);
	} else if (json_object_get(j, "result") || json_object_get(j, "error")) {
		json_decref(c->end);
		c->end = json_incref(j);
	}
	json_decref(j);
}

static void take_lines(struct child *c)
{
	const char *at = (const char *)c->line.data, *stop = at + c->line.len, *nl;

	while (at < stop && (nl = memchr(at, '\n', (size_t)(stop - at))) != NULL) {
		take_line(c, at, (size_t)(nl - at));
		at = nl + 1;
	}
	c->line.len = (size_t)(stop - at);
	if (c->line.len && at != (const char *)c->line.data)
		memmove(c->line.data, at, c->line.len);
}

static void end_of_output(struct child *c)
{
	close(c->out);
	c->out = -1;
}

static void read_output(struct child *c)
{
	const size_t piece = 65536;

	while (c->out >= 0) {
		ssize_t n = read(c->out, buf_reserve(&c->line, piece), piece);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			end_of_output(c);
			return;
		}
		c->line.len += (size_t)n;
		take_lines(c);
		if (c->line.len > LINE_MAX_BYTES) {
			json_decref(c->end);
			c->end = error_json(ERR_LIMIT, "the step said more than it may");
			end_of_output(c);
		}
	}
}

bool child_hear(struct child *c)
{
	struct err why = {0};

	read_output(c);
	/* What it said just before its end is in the pipe then. */
	if (!spawn_ended(c->spawn, &why))
		return false;
	read_output(c);
	if (!c->end)
		c->end = error_json(c->asked_us ? ERR_CANCELLED : ERR_IO,
				    why.kind != ERR_NONE ? why.msg
							 : "the step ended without a word");
	return true;
}

void child_stop(struct child *c)
{
	uint64_t now = clock_mono_us();

	if (c->spawn->pid <= 0)
		return;
	if (!c->asked_us) {
		c->asked_us = now;
		kill(c->spawn->pid, SIGTERM);
	} else if (now - c->asked_us > PATIENCE_US) {
		kill(c->spawn->pid, SIGKILL);
	}
}
