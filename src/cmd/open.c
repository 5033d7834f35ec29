/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which repository, and with what key. A key comes from a file named by an option or by the
 * environment, or from a prompt; never from an argument or an environment variable itself, where
 * other users could read it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cmd/cli.h"
#include "repo/store_cache.h"

static const char *target_url(struct cli *c, struct err *e)
{
	const char *t = parsed_text(&c->p, "target");

	if (!t)
		err_set(e, ERR_INVALID,
			"no target: give one with --target dir:PATH or s3:BUCKET/PREFIX, or set "
			"HOLDFAST_TARGET; or log in to a server with 'holdfast login URL'");
	return t;
}

/* ---- asking ---- */

static const char no_key[] = "no key: give one with --key-file, or set HOLDFAST_KEY_FILE (there is "
			     "no terminal to ask for a passphrase)";

static int open_tty(const char *otherwise, struct err *e)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	return fd >= 0 ? fd : err_set(e, ERR_INVALID, "%s", otherwise);
}

/* One line from the terminal into locked memory; its length without the newline, or -1. */
static ssize_t read_line(int fd, struct secret *s, struct err *e)
{
	size_t n = 0;

	while (n < s->len) {
		ssize_t got = read(fd, s->data + n, 1);

		if (got < 0 && errno == EINTR)
			return err_set(e, ERR_CANCELLED, "stopped on request");
		if (got <= 0)
			return err_set(e, ERR_INVALID, "nothing was typed");
		if (s->data[n] == '\n')
			return (ssize_t)n;
		n++;
	}
	return err_set(e, ERR_LIMIT, "what was typed is longer than %zu bytes", s->len);
}

struct secret *cli_ask(const char *prompt, const char *otherwise, size_t *ret_n, struct err *e)
{
	AUTO_CLOSE int fd = open_tty(otherwise, e);
	AUTO(secret) s = NULL;
	struct termios was, quiet;
	ssize_t n;

	if (fd < 0)
		return NULL;
	s = secret_new(CREDENTIAL_MAX);
	if (tcgetattr(fd, &was) < 0) {
		err_sys(e, errno, "ask for a passphrase");
		return NULL;
	}
	/* What was typed before is thrown away; so ask after that. */
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(fd, TCSAFLUSH, &quiet);
	dprintf(fd, "%s: ", prompt);
	n = read_line(fd, s, e);
	tcsetattr(fd, TCSAFLUSH, &was);
	dprintf(fd, "\n");
	if (n < 0)
		return NULL;
	*ret_n = (size_t)n;
	return steal(&s);
}

static struct credential *ask_once(const char *prompt, struct err *e)
{
	size_t n = 0;
	AUTO(secret) s = cli_ask(prompt, no_key, &n, e);

	return s ? credential_passphrase(s->data, n, e) : NULL;
}

struct credential *cli_ask_new(const char *prompt, struct err *e)
{
	AUTO(credential) first = ask_once(prompt, e);
	AUTO(credential) second = first ? ask_once("the same again", e) : NULL;

	if (!second)
		return NULL;
	if (!secret_equal(first->secret, second->secret)) {
		err_set(e, ERR_INVALID, "the two passphrases differ");
		return NULL;
	}
	return steal(&first);
}

int cli_confirm(struct cli *c, const char *question, struct err *e)
{
	AUTO_CLOSE int fd = -1;
	char answer[8] = "";
	ssize_t n;

	if (parsed_flag(&c->p, "yes"))
		return 0;
	fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_set(e, ERR_INVALID,
			       "there is no terminal to ask at: confirm with --yes");
	dprintf(fd, "%s [y/N] ", question);
	n = read(fd, answer, sizeof(answer) - 1);
	if (n > 0 && (answer[0] == 'y' || answer[0] == 'Y'))
		return 0;
	return err_set(e, ERR_CANCELLED, "nothing was changed");
}

struct credential *cli_credential(struct cli *c, struct err *e)
{
	const char *path = parsed_text(&c->p, "key-file");

	return path ? credential_load(path, e) : ask_once("passphrase of the repository", e);
}

/* ---- opening ---- */

int cli_open_target(struct cli *c, bool create, struct err *e)
{
	const char *target = target_url(c, e);

	c->store = target ? store_open(target, create, e) : NULL;
	if (!c->p.command->direct)
		c->store = store_cache_wrap(c->store, e);
	if (!c->store)
		return -1;
	store_stop_with(c->store, &c->cancel);
	return 0;
}

static struct repo *open_repo(struct cli *c, struct store *s, const struct credential *key,
			      struct err *e)
{
	struct repo *r = repo_open(s, key, e);

	if (!r && e && e->kind == ERR_KEY)
		err_wrap(e, "%s", s->url);
	if (r && repo_warning(r))
		cli_note(c, LOG_LEVEL_WARN, repo_warning(r));
	return r;
}

int cli_open(struct cli *c, struct err *e)
{
	/* Whether there is anything to open is told before a passphrase is asked for. */
	return cli_open_target(c, false, e) < 0 ? -1 : cli_open_repo(c, e);
}

int cli_open_repo(struct cli *c, struct err *e)
{
	c->credential = cli_credential(c, e);
	c->repo = c->credential ? open_repo(c, c->store, c->credential, e) : NULL;
	return c->repo ? 0 : -1;
}

int cli_open_other(struct cli *c, const char *target, const char *key_file, struct other *ret_o,
		   struct err *e)
{
	struct other o = {.store = store_cache_wrap(store_open(target, false, e), e)};

	if (o.store)
		store_stop_with(o.store, &c->cancel);
	if (o.store)
		o.credential = key_file ? credential_load(key_file, e)
					: ask_once("passphrase of the other repository", e);
	if (o.credential)
		o.repo = open_repo(c, o.store, o.credential, e);
	if (o.repo) {
		*ret_o = o;
		return 0;
	}
	other_done(&o);
	return -1;
}

void other_done(struct other *o)
{
	repo_free(o->repo);
	store_free(o->store);
	credential_free(o->credential);
}
