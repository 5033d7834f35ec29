/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a daemon. The main thread waits for signals and tells the watchdog that it does;
 * all work is done by the threads of the parts.
 */
#include "cmd/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/human.h"
#include "base/log.h"
#include "base/service.h"
#include "base/uuid.h"

#define PROBLEMS_EXIT 2 /* as ERR_INVALID; the unit does not start it again then */

#define LOOK_US UINT64_C(3600000000)

/* ---- the process ---- */

static void raise_file_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

/* SIGTERM, SIGINT and SIGHUP wait until they are asked for, in all threads to come. */
static void handled_signals(sigset_t *ret_set)
{
	sigemptyset(ret_set);
	sigaddset(ret_set, SIGTERM);
	sigaddset(ret_set, SIGINT);
	sigaddset(ret_set, SIGHUP);
}

static void prepare_process(void)
{
	sigset_t set;

	secret_harden();
	umask(077);
	raise_file_limit();
	signal(SIGPIPE, SIG_IGN);
	handled_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static char *process_name(void)
{
	char host[128] = "localhost", random[9];
	uint8_t bytes[4];

	gethostname(host, sizeof(host) - 1);
	random_bytes(bytes, sizeof(bytes));
	hex_encode(bytes, sizeof(bytes), random);
	return xasprintf("%s:%d:%s", host, (int)getpid(), random);
}

/* ---- configuration ---- */

/* As a compiler does where somebody looks at them (--check), as log lines else. */
static void tell_problems(const struct config_problems *p, bool plain)
{
	for (size_t i = 0; i < p->n && i < CONFIG_PROBLEMS_MAX; i++) {
		if (plain)
			fprintf(stderr, "%s\n", p->text[i]);
		else
			log_error("%s", p->text[i]);
	}
	if (p->n > CONFIG_PROBLEMS_MAX)
		log_error("and %zu more", p->n - CONFIG_PROBLEMS_MAX);
}

static unsigned roles_of(const struct daemon_program *program, const struct config *c)
{
	return program->roles ? program->roles(c) : ~0u;
}

static bool has_part(const struct daemon_part *part, unsigned roles)
{
	return part->roles == 0 || (part->roles & roles);
}

static struct config *load(const struct daemon_program *program, const struct daemon_args *a,
			   struct config_problems *p)
{
	struct config_source src = {
		.file = a->config_file ? a->config_file : program->config_file,
		.may_lack = !a->config_file,
		.environ = (const char *const *)environ,
		.given = a->given,
		.n_given = a->n_given,
	};

	return config_load(program->schema, &src, p);
}

/* What cannot be seen in the configuration alone. */
static void check_around(const struct daemon_program *program, const struct config *c,
			 struct config_problems *p)
{
	unsigned roles = roles_of(program, c);

	config_check_files(c, p);
	for (const struct daemon_part *const *part = program->parts; *part; part++) {
		if ((*part)->check && has_part(*part, roles))
			(*part)->check(c, p);
	}
}

static void set_log(const struct config *c)
{
	const char *level = config_text(c, "log", "level"),
		   *format = config_text(c, "log", "format");

	log_set_level(strcmp(level, "error") == 0     ? LOG_LEVEL_ERROR
		      : strcmp(level, "warning") == 0 ? LOG_LEVEL_WARN
		      : strcmp(level, "debug") == 0   ? LOG_LEVEL_DEBUG
						      : LOG_LEVEL_INFO);
	log_set_format(strcmp(format, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
}

/* ---- parts ---- */

static const struct daemon_part *part_at(const struct daemon *d, size_t i)
{
	return d->program->parts[i];
}

/* In reverse; together they have the time that is configured. */
static void stop_parts(struct daemon *d)
{
	uint64_t until = clock_mono_us() + config_us(d->config, "server", "drain");

	while (d->started > 0) {
		const struct daemon_part *part = part_at(d, d->started - 1);
		uint64_t now = clock_mono_us();

		if (has_part(part, d->roles)) {
			log_debug("%s stops", part->name);
			part->stop(d, now < until ? (unsigned)((until - now) / 1000) : 0);
		}
		d->started--;
	}
}

/* All that are before `end`. */
static int start_parts(struct daemon *d, size_t end, struct err *e)
{
	for (; d->started < end && part_at(d, d->started); d->started++) {
		const struct daemon_part *part = part_at(d, d->started);

		if (!has_part(part, d->roles))
			continue;
		log_debug("%s starts", part->name);
		service_tell("STATUS=Starting: %s", part->name);
		if (part->start(d, e) < 0)
			return err_wrap(e, "%s", part->name);
	}
	return 0;
}

int daemon_health(struct daemon *d, const char **ret_part, struct err *e)
{
	size_t started = d->started;

	if (part_at(d, started)) {
		*ret_part = part_at(d, started)->name;
		return err_set(e, ERR_BUSY, "it is being started or ended");
	}
	for (size_t i = 0; i < started; i++) {
		const struct daemon_part *part = part_at(d, i);

		if (!part->health || !has_part(part, d->roles))
			continue;
		if (part->health(d, e) < 0) {
			*ret_part = part->name;
			return -1;
		}
	}
	return 0;
}

/* ---- reloading ---- */

static void tell_change(const struct config_option *o, bool kept, void *arg)
{
	(void)arg;
	if (kept)
		log_warn("reload: [%s] %s is another now: restart for it to take effect",
			 o->section, o->name);
	else
		log_info("reload: [%s] %s is another now", o->section, o->name);
}

static void reload_parts(struct daemon *d)
{
	for (size_t i = 0; i < d->started; i++) {
		const struct daemon_part *part = part_at(d, i);
		struct err e = {0};

		if (part->reload && has_part(part, d->roles) && part->reload(d, &e) < 0)
			log_error("reload: %s goes on as it was: %s", part->name, e.msg);
	}
}

static void reload(struct daemon *d, const struct daemon_args *a)
{
	CONFIG_PROBLEMS(p);
	AUTO(config) c = load(d->program, a, &p);
	size_t n;

	service_tell_reloading();
	if (p.n == 0)
		check_around(d->program, c, &p);
	if (p.n > 0) {
		tell_problems(&p, false);
		log_error("reload: nothing was changed, because of what is wrong above");
	} else {
		n = config_take_over(c, d->config, tell_change, NULL);
		config_free((struct config *)d->config);
		d->config = steal(&c);
		set_log(d->config);
		/* Also where no option changed: files that they name may be others. */
		reload_parts(d);
		log_info("reloaded; %zu option%s changed", n, n == 1 ? "" : "s");
	}
	service_tell("READY=1");
}

/* ---- running ---- */

static void on_impatience(int sig)
{
	_exit(128 + sig);
}

/* From now on a signal ends the process at once. */
static void no_more_patience(void)
{
	struct sigaction sa = {.sa_handler = on_impatience};
	sigset_t set;

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void look_after_parts(struct daemon *d)
{
	for (size_t i = 0; i < d->started; i++) {
		if (part_at(d, i)->look_after && has_part(part_at(d, i), d->roles))
			part_at(d, i)->look_after(d);
	}
}

/* Until it is told to end; returns the signal that said so. */
static int serve(struct daemon *d, const struct daemon_args *a)
{
	uint64_t watchdog = service_watchdog_us(), next_look = clock_mono_us() + LOOK_US;
	uint64_t wait = watchdog ? MIN(watchdog / 3, LOOK_US) : LOOK_US;
	struct timespec ts = {(time_t)(wait / 1000000), (long)(wait % 1000000 * 1000)};
	sigset_t set;

	handled_signals(&set);
	for (;;) {
		int sig = sigtimedwait(&set, NULL, &ts);

		if (watchdog)
			service_tell("WATCHDOG=1");
		if (sig == SIGHUP)
			reload(d, a);
		else if (sig > 0)
			return sig;
		if (clock_mono_us() < next_look)
			continue;
		look_after_parts(d);
		next_look = clock_mono_us() + LOOK_US;
	}
}

static int run(struct daemon *d, const struct daemon_args *a, struct err *e)
{
	uint64_t began = clock_mono_us();
	char text[HUMAN_TEXT];
	int sig;

	if (start_parts(d, SIZE_MAX, e) < 0) {
		stop_parts(d);
		return -1;
	}
	service_tell("READY=1\nSTATUS=Running");
	log_info("version %s runs; started in %s", HF_VERSION,
		 human_duration(clock_mono_us() - began, text));
	sig = serve(d, a);
	log_info("%s: ending what runs, for at most %s", sig == SIGTERM ? "SIGTERM" : "SIGINT",
		 human_duration(config_us(d->config, "server", "drain"), text));
	service_tell("STOPPING=1\nSTATUS=Ending what runs");
	no_more_patience();
	stop_parts(d);
	log_info("ended");
	return 0;
}

/* In place of running: with the parts that it needs. */
static int run_task(struct daemon *d, const struct daemon_args *a, struct err *e)
{
	size_t end = 0;
	int rc;

	if (a->task->last) {
		while (part_at(d, end) != a->task->last)
			end++;
		end++;
	}
	rc = a->task->check ? a->task->check(d->config, e) : 0;
	if (rc == 0)
		rc = start_parts(d, end, e);
	if (rc == 0)
		rc = a->task->run(d, a->task_value, e);
	stop_parts(d);
	return rc < 0 || fflush(stdout) == 0 ? rc : err_set(e, ERR_IO, "standard output");
}

static int fail(const struct err *e)
{
	log_error("%s", e->msg);
	log_debug("first seen at %s:%d", e->file ? e->file : "?", e->line);
	return err_info(e->kind)->exit_code;
}

/* With a configuration in which nothing is wrong by itself. */
static int act(const struct daemon_program *program, const struct daemon_args *a, struct config **c,
	       struct config_problems *p)
{
	struct daemon d = {.program = program, .config = *c};
	AUTO_FREE char *name = NULL;
	struct err e = {0};
	int rc;

	if (a->action == DAEMON_PRINT) {
		config_print(*c, stdout);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	check_around(program, *c, p);
	if (p->n > 0)
		return PROBLEMS_EXIT;
	if (a->action == DAEMON_CHECK) {
		printf("%s: nothing is wrong with the configuration\n", program->name);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	d.roles = roles_of(program, *c);
	d.name = name = process_name();
	set_log(*c);
	*c = NULL; /* a reload puts another in its place */
	rc = a->action == DAEMON_TASK ? run_task(&d, a, &e) : run(&d, a, &e);
	config_free((struct config *)d.config);
	return rc < 0 ? fail(&e) : 0;
}

int daemon_main(const struct daemon_program *program, int argc, char **argv)
{
	CONFIG_PROBLEMS(p);
	AUTO(config) c = NULL;
	struct daemon_args a;
	struct err e = {0};
	int code;

	prepare_process();
	service_adopt();
	log_set_program(program->name);
	log_set_format(isatty(STDERR_FILENO) ? LOG_FORMAT_PLAIN : LOG_FORMAT_TEXT);
	if (daemon_args_parse(program, argc, argv, &a, &e) < 0)
		return fail(&e);
	if (a.action == DAEMON_DONE)
		return fflush(stdout) == 0 ? 0 : 1;
	if (a.action == DAEMON_EXAMPLE) {
		config_print_example(program->schema, program->summary, stdout);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	c = load(program, &a, &p);
	/* Look at what is around, too, though something is wrong already: all in one run. */
	code = p.n > 0 ? PROBLEMS_EXIT : 0;
	if (code == 0)
		code = act(program, &a, &c, &p);
	else
		check_around(program, c, &p);
	tell_problems(&p, a.action == DAEMON_CHECK);
	daemon_args_done(&a);
	return code;
}
