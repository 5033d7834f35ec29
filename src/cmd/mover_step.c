/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One step in a process of its own, so that what a disk, a library or a store does to it does not
 * hurt the others.
 *
 * The job comes on standard input, as one JSON object up to its end (step/step.h); secrets come
 * only there. What is told goes to standard output, a JSON object a line:
 *
 *	{"progress": {bytes_done, bytes_total, bytes_read, bytes_new, bytes_stored}}	each second
 *	{"note": {"level", "text"}}
 *	{"result": {…}} or {"error": {"kind", "message"}}				the last
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fio.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/ticker.h"
#include "cmd/mover.h"
#include "step/step.h"

#define PROGRESS_MS 1000

struct teller {
	pthread_mutex_t out; /* standard output */
	struct progress progress;
};

/* ---- memory that held secrets ---- */

static void wiping_free(void *p)
{
	if (p)
		secret_wipe(p, malloc_usable_size(p));
	free(p);
}

/* ---- telling ---- */

/* Takes `j`. Who does not listen any more does not want the result either. */
static void tell(struct teller *t, json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	size_t n = text ? strlen(text) : 0;

	json_decref(j);
	if (!text)
		return;
	pthread_mutex_lock(&t->out);
	if (fio_write(STDOUT_FILENO, text, n, "standard output", NULL) < 0 ||
	    fio_write(STDOUT_FILENO, "\n", 1, "standard output", NULL) < 0)
		_exit(1);
	pthread_mutex_unlock(&t->out);
	wiping_free(text);
}

static void tell_progress(void *arg)
{
	struct teller *t = arg;
	const struct progress *p = &t->progress;

	tell(t, json_pack("{s:{s:I,s:I,s:I,s:I,s:I}}", "progress", "bytes_done",
			  (json_int_t)progress_get(&p->passed), "bytes_total",
			  (json_int_t)progress_get(&p->total), "bytes_read",
			  (json_int_t)progress_get(&p->read), "bytes_new",
			  (json_int_t)progress_get(&p->fresh), "bytes_stored",
			  (json_int_t)progress_get(&p->stored)));
}

/* What a library said need not be UTF-8. */
static json_t *text_json(const char *text)
{
	AUTO_FREE char *plain = xstrdup(text);

	text_clean(plain);
	return json_string(plain);
}

static void on_note(void *arg, enum log_level level, const char *text)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};

	tell(arg,
	     json_pack("{s:{s:s,s:o}}", "note", "level", names[level], "text", text_json(text)));
}

/* ---- the job ---- */

static json_t *read_job(struct err *e)
{
	AUTO(secret) text = secret_new(STEP_JOB_MAX + 1);
	ssize_t n = fio_read(STDIN_FILENO, text->data, text->len, "standard input", e);
	json_error_t why;
	json_t *j;

	if (n < 0)
		return NULL;
	if ((size_t)n > STEP_JOB_MAX) {
		err_set(e, ERR_LIMIT, "the job is longer than %zu bytes", STEP_JOB_MAX);
		return NULL;
	}
	j = json_loadb((const char *)text->data, (size_t)n, JSON_REJECT_DUPLICATES, &why);
	if (!j) /* jansson's text may quote a secret */
		err_set(e, ERR_INVALID, "the job is no JSON: see line %d, column %d", why.line,
			why.column);
	return j;
}

static int run(struct teller *t, const char *state, const char *self, const struct cancel *cancel,
	       json_t **ret, struct err *e)
{
	json_t *job = read_job(e);
	struct ticker *ticker;
	struct step s;
	int rc = -1;

	if (!job || step_take(job, &s, e) < 0)
		return -1;
	s.state = state;
	s.self = self;
	s.watch = (struct platform_watch){on_note, t, &t->progress, cancel};
	ticker = ticker_start(tell_progress, t, PROGRESS_MS, e);
	if (ticker) {
		rc = step_run(&s, ret, e);
		ticker_stop(ticker);
		tell_progress(t);
	}
	step_done(&s);
	return rc;
}

int mover_step(const char *state, const char *self, const struct cancel *cancel)
{
	struct teller t = {.out = PTHREAD_MUTEX_INITIALIZER};
	json_t *result = NULL;
	struct err e = {0};

	json_set_alloc_funcs(xmalloc, wiping_free);
	if (run(&t, state, self, cancel, &result, &e) == 0) {
		tell(&t, json_pack("{s:o}", "result", result));
		return 0;
	}
	tell(&t, json_pack("{s:{s:s,s:o}}", "error", "kind", err_info(e.kind)->name, "message",
			   text_json(e.msg)));
	return err_info(e.kind)->exit_code;
}
