/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Progress on standard error: a line that is redrawn on a terminal, a plain line every ten seconds
 * elsewhere. The display has a thread of its own and only reads counters.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/human.h"
#include "cmd/cli.h"

#define DRAW_MS 200
#define PLAIN_US 10000000

struct progress_bar {
	struct cli *c;
	const char *what;
	bool stores, terminal, ending;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t started_us, plain_us;
};

/* A line that was drawn is wiped before anything else is written. */
static void wipe_line(void)
{
	if (write(STDERR_FILENO, "\r\033[K", 4) < 0)
		return;
}

static void remaining(const struct progress_bar *b, uint64_t passed, uint64_t total, char *out)
{
	uint64_t spent = clock_mono_us() - b->started_us;
	char left[HUMAN_TEXT];

	out[0] = 0;
	if (passed && passed < total && spent > 1000000)
		snprintf(out, 64, ", %s left",
			 human_duration((uint64_t)((double)spent * (double)(total - passed) /
						   (double)passed),
					left));
}

static void compose(const struct progress_bar *b, char *line, size_t n)
{
	const struct progress *p = &b->c->progress;
	uint64_t total = progress_get(&p->total), passed = progress_get(&p->passed);
	uint64_t spent = clock_mono_us() - b->started_us + 1;
	char done[HUMAN_TEXT], all[HUMAN_TEXT], speed[HUMAN_TEXT], fresh[HUMAN_TEXT];
	char stored[HUMAN_TEXT], eta[64];

	human_bytes(passed, done);
	human_bytes((uint64_t)((double)passed * 1e6 / (double)spent), speed);
	remaining(b, passed, total, eta);
	if (total)
		snprintf(line, n, "%s: %3d %%  %s of %s", b->what,
			 (int)(100 * MIN(passed, total) / total), done, human_bytes(total, all));
	else
		snprintf(line, n, "%s: %s", b->what, done);
	if (b->stores)
		snprintf(line + strlen(line), n - strlen(line), ", %s new, %s stored",
			 human_bytes(progress_get(&p->fresh), fresh),
			 human_bytes(progress_get(&p->stored), stored));
	snprintf(line + strlen(line), n - strlen(line), ", %s/s%s", speed, eta);
}

static void draw(struct progress_bar *b)
{
	struct winsize size = {.ws_col = 80};
	char line[256], out[300];

	compose(b, line, sizeof(line));
	if (b->terminal) {
		ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
		if (size.ws_col > 1 && strlen(line) >= size.ws_col)
			line[size.ws_col - 1] = 0;
		snprintf(out, sizeof(out), "\r%s\033[K", line);
	} else if (clock_mono_us() - b->plain_us >= PLAIN_US) {
		b->plain_us = clock_mono_us();
		snprintf(out, sizeof(out), "%s\n", line);
	} else {
		return;
	}
	if (write(STDERR_FILENO, out, strlen(out)) < 0)
		return;
}

static void *run(void *arg)
{
	struct progress_bar *b = arg;
	struct timespec until;

	pthread_mutex_lock(&b->lock);
	while (!b->ending) {
		draw(b);
		until = cond_in_ms(DRAW_MS);
		pthread_cond_timedwait(&b->changed, &b->lock, &until);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

struct progress_bar *progress_begin(struct cli *c, const char *what, bool stores)
{
	struct progress_bar *b;

	if (c->quiet)
		return NULL;
	b = xcalloc(1, sizeof(*b));
	b->c = c;
	b->what = what;
	b->stores = stores;
	b->terminal = isatty(STDERR_FILENO);
	b->started_us = b->plain_us = clock_mono_us();
	pthread_mutex_init(&b->lock, NULL);
	cond_init(&b->changed);
	if (b->terminal)
		log_set_before(wipe_line);
	if (pthread_create(&b->thread, NULL, run, b) != 0) {
		free(b);
		return NULL; /* then without */
	}
	return b;
}

void progress_end(struct progress_bar *b)
{
	if (!b)
		return;
	pthread_mutex_lock(&b->lock);
	b->ending = true;
	pthread_cond_signal(&b->changed);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	log_set_before(NULL);
	if (b->terminal)
		wipe_line();
	pthread_cond_destroy(&b->changed);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

void cli_note(void *arg, enum log_level level, const char *text)
{
	const struct cli *c = arg;

	if (!c->quiet || level <= LOG_LEVEL_WARN)
		log_line(level, "%s", text);
}
