/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first administrator, and a new password for who has lost it.
 *
 * The password lies in a file, `path`. Order: PATH.new, durably; the administrator, committed; the
 * name. If interrupted before the commit: nobody is there, and the next start begins anew. After
 * it: the next start finds PATH.new, sees that its password is right, and gives it its name. Where
 * another process was quicker, the password is nobody's, and the file goes. Processes that share
 * the folder do all of it one after the other, by a lock on it.
 */
#include "auth/account.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "auth/auth_priv.h"
#include "base/fio.h"

#define FIRST_USER "admin"
#define FIRST_PROJECT "default"
#define FILE_MAX 256

struct first {
	struct auth *a;
	const char *hash; /* NULL: only look whether there are users */
	bool made;
	char *stored; /* of the first administrator; NULL: there is none */
};

static int look_for_users(struct db_tx *t, struct first *f, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT CASE WHEN name = $1 THEN password END FROM users ORDER BY CASE WHEN "
		     "name = $1 THEN 0 ELSE 1 END LIMIT 1",
		     db_t(FIRST_USER));
	int rc = r ? db_next(r, e) : -1;

	f->made = !rc;
	free(steal(&f->stored));
	if (rc > 0)
		f->stored = xstrdup0(db_text_or_null(r, 0));
	return rc < 0 ? -1 : 0;
}

static int make_first(struct db_tx *t, void *arg, struct err *e)
{
	struct first *f = arg;
	const struct user_new u = {.name = FIRST_USER, .password_hash = f->hash};
	const struct project_new p = {.name = FIRST_PROJECT};
	const struct audit_entry x = {.action = "user:create",
				      .subject = FIRST_USER,
				      .outcome = "done",
				      .detail = "first start"};
	char project[AUTH_ID];
	char user[AUTH_ID];

	if (look_for_users(t, f, e))
		return -1;
	if (!f->made || !f->hash)
		return 0;
	if (projects_add(t, &p, project, e) || users_add(t, &u, user, e) ||
	    grants_add(t, user, AUTH_EVERYWHERE, AUTH_ADMIN, e) || audit_add(f->a, t, &x, e))
		return -1;
	return 0;
}

/* An earlier start was interrupted between the commit and the name. 1: the file has its name now.
 */
static int repair(struct first *f, const char *early, const char *path, struct err *e)
{
	AUTO_BUF b = BUF_INIT;
	char *text;
	int rc;

	if (access(early, F_OK) < 0)
		return 0;
	if (fio_slurp(early, FILE_MAX, &b, e))
		return -1;
	text = (char *)buf_str(&b);
	text[strcspn(text, "\n")] = 0;
	rc = f->stored ? passwords_check(f->a->passwords, FIRST_USER, NULL, f->stored, text, NULL,
					 NULL)
		       : -1;
	secret_wipe(b.data, b.len);
	if (rc == 0)
		return fio_move(early, path, true, e) ? -1 : 1;
	unlink(early);
	return 0;
}

static int write_early(const char *early, const char *password, struct err *e)
{
	AUTO_FREE char *text = xasprintf("%s\n", password);
	int rc = fio_replace(early, text, strlen(text), 0600, e);

	secret_wipe(text, strlen(text));
	return rc;
}

static int make(struct first *f, const char *early, const char *path, struct err *e)
{
	char password[AUTH_PASSWORD];
	AUTO_FREE char *hash = NULL;
	int rc;

	auth_random_text(password, AUTH_PASSWORD - 1);
	hash = passwords_hash(f->a->passwords, password, e);
	rc = hash ? write_early(early, password, e) : -1;
	secret_wipe(password, sizeof(password));
	f->hash = hash;
	if (rc || db_write(f->a->db, make_first, f, e))
		return -1;
	f->hash = NULL;
	if (f->made)
		return fio_move(early, path, true, e) ? -1 : 1;
	unlink(early);
	return 0;
}

/* Until it is closed. */
static int lock_folder(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *folder = slash ? xstrndup(path, (size_t)(slash - path + 1)) : xstrdup(".");
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX) == 0)
		return fd;
	err_sys(e, errno, "lock '%s'", folder);
	if (fd >= 0)
		close(fd);
	return -1;
}

int auth_first_start(struct auth *a, const char *path, struct err *e)
{
	AUTO_FREE char *early = xasprintf("%s.new", path);
	struct first f = {.a = a};
	AUTO_CLOSE int lock = lock_folder(path, e);
	int rc = lock < 0 ? -1 : db_read(a->db, make_first, &f, e);

	if (!rc)
		rc = f.made ? make(&f, early, path, e) : repair(&f, early, path, e);
	free(f.stored);
	return rc;
}

/* ---- a new password ---- */

struct reset {
	struct auth *a;
	const char *name, *hash;
};

static int write_reset(struct db_tx *t, void *arg, struct err *e)
{
	const struct reset *r = arg;
	const struct user_change to = {.password_hash = r->hash, .enabled = 1};
	AUTO(db_rows)
	rows = db_query(t, e, "SELECT id FROM users WHERE name = $1", db_t(r->name));
	struct audit_entry x = {
		.action = "user:password", .outcome = "done", .detail = "on the server's machine"};
	int rc = rows ? db_next(rows, e) : -1;

	if (rc < 0)
		return -1;
	if (!rc)
		return err_set(e, ERR_NOENT, "there is no user \"%.80s\" here", r->name);
	x.subject = db_text(rows, 0);
	return users_change(t, x.subject, &to, e) || audit_add(r->a, t, &x, e) ? -1 : 0;
}

int auth_reset_password(struct auth *a, const char *name, char ret_password[AUTH_PASSWORD],
			struct err *e)
{
	struct reset r = {.a = a, .name = name ? name : FIRST_USER};
	AUTO_FREE char *hash = NULL;
	char password[AUTH_PASSWORD];
	int rc;

	if (auth_check_name("user", r.name, e))
		return -1;
	auth_random_text(password, AUTH_PASSWORD - 1);
	hash = passwords_hash(a->passwords, password, e);
	r.hash = hash;
	rc = hash ? db_write(a->db, write_reset, &r, e) : -1;
	if (!rc)
		memcpy(ret_password, password, sizeof(password));
	secret_wipe(password, sizeof(password));
	return rc;
}
