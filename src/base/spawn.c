/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fio.h"

#define PIPE_ROOM ((size_t)64 << 10) /* of a pipe that nobody asked anything of */

/* Which Debian package brings a program that we call. */
static const char *package_of(const char *program)
{
	return strncmp(program, "qemu-", 5) == 0 ? "qemu-utils" : program;
}

/*
 * In the child, between fork and exec: only async-signal-safe calls. Its errno goes up `status_fd`,
 * which a successful exec closes.
 */
static _Noreturn void become(const char *const argv[], const int fds[3], int status_fd,
			     pid_t parent)
{
	int high[3], why;
	bool ok = true;
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	/* A helper must not outlive us: it may hold a lock on a guest's disk. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	/* Up first: where our own standard files are closed, pipes have their numbers. */
	status_fd = fcntl(status_fd, F_DUPFD_CLOEXEC, 3);
	for (int i = 0; i < 3; i++)
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
	for (int i = 0; i < 3; i++)
		ok = ok && high[i] >= 0 && dup2(high[i], i) == i;
	if (ok)
		execvp(argv[0], (char *const *)argv);
	why = errno;
	if (write(status_fd, &why, sizeof(why)) < 0)
		_exit(126);
	_exit(127);
}

/* Fork and wait for the exec; its errno, or 0. */
static int start_child(const char *const argv[], int in, int out, int err, pid_t *ret_pid)
{
	AUTO_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	const int fds[3] = {in < 0 ? null_fd : in, out < 0 ? null_fd : out, err};
	pid_t self = getpid(), pid;
	int status[2], why = 0;
	ssize_t n = 0;

	if (null_fd < 0 || pipe2(status, O_CLOEXEC) < 0)
		return errno;
	pid = fork();
	if (pid == 0)
		become(argv, fds, status[1], self);
	why = pid < 0 ? errno : 0;
	close(status[1]);
	if (pid > 0) {
		do
			n = read(status[0], &why, sizeof(why));
		while (n < 0 && errno == EINTR);
	}
	if (n > 0)
		waitpid(pid, NULL, 0);
	close(status[0]);
	*ret_pid = pid;
	return why;
}

struct spawn *spawn_start(const char *const argv[], int in, int out, struct err *e)
{
	AUTO_CLOSE int err_r = -1, err_w = -1;
	struct spawn *s;
	int fds[2], rc;
	pid_t pid = -1;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		err_sys(e, errno, "make a pipe for %s", argv[0]);
		return NULL;
	}
	err_r = fds[0];
	err_w = fds[1];
	fcntl(err_r, F_SETFL, O_NONBLOCK);
	rc = start_child(argv, in, out, err_w, &pid);
	if (rc == ENOENT) {
		err_set(e, ERR_NOENT, "%s is not installed: install the package %s", argv[0],
			package_of(argv[0]));
		return NULL;
	}
	if (rc) {
		err_sys(e, rc, "start %s", argv[0]);
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	s->pid = pid;
	s->err_fd = err_r;
	s->name = xstrdup(argv[0]);
	err_r = -1;
	return s;
}

/* Keep the end of what it said on standard error, as one line. */
static void keep(struct spawn *s, const char *piece, size_t n)
{
	size_t cap = sizeof(s->said) - 1, drop;

	if (n > cap) {
		piece += n - cap;
		n = cap;
	}
	drop = s->n_said + n > cap ? s->n_said + n - cap : 0;
	memmove(s->said, s->said + drop, s->n_said - drop);
	s->n_said -= drop;
	for (size_t i = 0; i < n; i++)
		s->said[s->n_said++] = piece[i] == '\n' ? ' ' : piece[i];
}

static void hand_on(struct spawn *s, const char *piece, size_t n)
{
	for (size_t i = 0; i < n && s->fn; i++) {
		if (piece[i] != '\n' && s->n_line < sizeof(s->line) - 1)
			s->line[s->n_line++] = piece[i];
		if (piece[i] != '\n')
			continue;
		s->line[s->n_line] = 0;
		s->n_line = 0;
		s->fn(s->arg, s->line);
	}
}

void spawn_listen(struct spawn *s, spawn_line_fn *fn, void *arg)
{
	s->fn = fn;
	s->arg = arg;
}

/* Take what it has said by now, as much as a pipe holds, so that it never waits to be heard. */
static void hear(struct spawn *s)
{
	char piece[4096];

	for (int i = 0; i < 32 && !s->silent; i++) {
		ssize_t n = read(s->err_fd, piece, sizeof(piece));

		if (n < 0)
			return;
		s->silent = n == 0;
		keep(s, piece, (size_t)n);
		hand_on(s, piece, (size_t)n);
	}
}

static const char *last_words(struct spawn *s)
{
	size_t len = s->n_said;

	while (len && s->said[len - 1] == ' ')
		len--;
	s->said[len] = 0;
	return s->said;
}

int spawn_ended(struct spawn *s, struct err *e)
{
	int status;
	pid_t pid = waitpid(s->pid, &status, WNOHANG);
	const char *said;

	hear(s);
	if (pid == 0)
		return 0;
	s->pid = -1;
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 1;
	said = last_words(s);
	if (pid > 0 && WIFSIGNALED(status))
		err_set(e, ERR_IO, "%s was killed by signal %d: %s", s->name, WTERMSIG(status),
			said);
	else
		err_set(e, ERR_IO, "%s failed: %s", s->name, said[0] ? said : "it gave no reason");
	return 1;
}

static void end_child(struct spawn *s)
{
	kill(s->pid, SIGTERM);
	for (int i = 0; i < 200; i++) {
		if (waitpid(s->pid, NULL, WNOHANG) != 0)
			return;
		clock_sleep_ms(10);
	}
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
}

void spawn_stop(struct spawn *s)
{
	if (!s)
		return;
	if (s->pid > 0)
		end_child(s);
	close(s->err_fd);
	free(s->name);
	free(s);
}

void spawn_release(struct spawn *s)
{
	if (!s)
		return;
	s->pid = -1;
	spawn_stop(s);
}

/* Wait for more output or the end; false when there will be no more. */
static bool collect(struct spawn *s, int fd, size_t max, struct buf *out)
{
	struct pollfd p[2] = {{.fd = fd, .events = POLLIN},
			      {.fd = s->silent ? -1 : s->err_fd, .events = POLLIN}};
	uint8_t piece[4096];
	ssize_t n;

	if (poll(p, 2, 50) <= 0)
		return true;
	if (p[1].revents)
		hear(s);
	if (!p[0].revents)
		return true;
	n = read(fd, piece, sizeof(piece));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false;
	buf_add(out, piece, MIN((size_t)n, max + 1 - MIN(max + 1, out->len)));
	return true;
}

int spawn_input(const void *data, size_t n, const char *what, struct err *e)
{
	AUTO_CLOSE int w = -1;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "make a pipe for %s", what);
	w = fds[1];
	if (n > PIPE_ROOM && fcntl(w, F_SETPIPE_SZ, (int)n) < 0) {
		err_sys(e, errno, "a pipe for %s of %zu bytes", what, n);
	} else {
		/* Nobody reads yet: what does not fit must not be waited for. */
		fcntl(w, F_SETFL, O_NONBLOCK);
		if (fio_write(w, data, n, what, e) == 0)
			return fds[0];
	}
	close(fds[0]);
	return -1;
}

int spawn_run(const char *const argv[], size_t max, struct buf *ret_out,
	      const struct cancel *cancel, struct err *e)
{
	AUTO_CLOSE int out_r = -1, out_w = -1;
	AUTO_BUF out = BUF_INIT;
	AUTO(spawn) s = NULL;
	struct err why = {0};
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "make a pipe for %s", argv[0]);
	out_r = fds[0];
	out_w = fds[1];
	s = spawn_start(argv, -1, out_w, e);
	if (!s)
		return -1;
	close(out_w);
	out_w = -1;
	while (collect(s, out_r, max, &out)) {
		if (cancel_check(cancel, e) < 0)
			return -1;
	}
	while (!spawn_ended(s, &why)) {
		if (cancel_check(cancel, e) < 0)
			return -1;
		clock_sleep_ms(2);
	}
	if (why.kind != ERR_NONE) {
		if (e)
			*e = why;
		return -1;
	}
	if (out.len > max)
		return err_set(e, ERR_LIMIT, "%s printed more than %zu bytes", argv[0], max);
	if (ret_out) {
		*ret_out = out;
		out = BUF_INIT;
	}
	return 0;
}
