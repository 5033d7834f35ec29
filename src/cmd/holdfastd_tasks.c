/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What holdfastd does once, for who administers its machine.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/account.h"
#include "auth/keystone.h"
#include "cmd/parts.h"

/* ---- a new password ---- */

/* Files that another user makes in there, the server could not open. */
static int is_owner(const struct config *c, struct err *e)
{
	const char *folder = config_text(c, "state", "directory");
	struct stat st;

	if (stat(folder, &st) < 0)
		return err_sys(e, errno, "'%s'", folder);
	if (st.st_uid == geteuid())
		return 0;
	return err_set(e, ERR_DENIED,
		       "'%s' belongs to user %u: run this as that user, such as by: runuser -u "
		       "holdfast -- holdfastd --reset-password",
		       folder, (unsigned)st.st_uid);
}

static int reset_password(struct daemon *d, const char *value, struct err *e)
{
	char password[AUTH_PASSWORD];

	if (auth_reset_password(d->auth, value, password, e) < 0)
		return -1;
	printf("The new password of %s: %s\n", value ? value : "admin", password);
	secret_wipe(password, sizeof(password));
	return 0;
}

/* ---- Keystone's catalogue ---- */

/* Who may register services, as OpenStack's own clients are told: by variables of the environment.
 */
static bool take_environment(struct keystone_options *o, struct secret **ret_password)
{
	const char *user = getenv("OS_USERNAME"), *password = getenv("OS_PASSWORD");
	const char *project = getenv("OS_PROJECT_NAME");

	if (!user || !password || !project)
		return false;
	*ret_password = secret_of(password, strlen(password));
	*o = (struct keystone_options){.user = user,
				       .user_domain = getenv("OS_USER_DOMAIN_NAME"),
				       .project = project,
				       .project_domain = getenv("OS_PROJECT_DOMAIN_NAME"),
				       .password = *ret_password};
	return true;
}

/* "https://host:8799/v1/$(project_id)s", which Keystone fills in. */
static char *endpoint(const struct config *c, const char *section, const char *name,
		      const char *otherwise)
{
	const char *url = config_text(c, section, name);
	size_t n = strlen(url ? url : otherwise);

	while (n > 0 && (url ? url : otherwise)[n - 1] == '/')
		n--;
	return xasprintf("%.*s/v1/$(project_id)s", (int)n, url ? url : otherwise);
}

static int put_into_catalogue(const struct config *c, struct keystone *k, struct err *e)
{
	const char *base = config_text(c, "server", "public_url");
	AUTO_FREE char *open_to_all = NULL;
	AUTO_FREE char *internal = NULL;
	AUTO_FREE char *admin = NULL;

	if (!base)
		return err_set(e, ERR_INVALID,
			       "[server] public_url has to be set: it is where clients will find "
			       "this server");
	open_to_all = endpoint(c, "server", "public_url", base);
	internal = endpoint(c, "keystone", "internal_url", base);
	admin = endpoint(c, "keystone", "admin_url", base);
	if (keystone_register(k,
			      &(const struct keystone_service){.name = "holdfast",
							       .type = "data-protect",
							       .description = "Backup as a service",
							       .public_url = open_to_all,
							       .internal_url = internal,
							       .admin_url = admin},
			      e) < 0)
		return -1;
	printf("The service \"data-protect\" is in Keystone's catalogue, in the region %s:\n"
	       "  public    %s\n  internal  %s\n  admin     %s\n",
	       config_text(c, "keystone", "region"), open_to_all, internal, admin);
	return 0;
}

static int register_keystone(struct daemon *d, const char *value, struct err *e)
{
	AUTO(secret) password = NULL;
	AUTO(keystone) k = NULL;
	struct keystone_options o;
	bool other = take_environment(&o, &password);

	(void)value;
	if (part_auth_keystone(d->config, other ? &o : NULL, &k, e) < 0)
		return -1;
	if (!k)
		return err_set(e, ERR_INVALID, "[keystone] url is not set");
	return put_into_catalogue(d->config, k, e);
}

const struct daemon_task holdfastd_tasks[] = {
	{"--reset-password", "USER",
	 "give a local user (admin, if none is named) a new password, print it, and end; with "
	 "SQLite, the server must not run meanwhile",
	 is_owner, &part_auth, reset_password},
	{"--register-keystone", NULL,
	 "put the service data-protect with its three endpoints into Keystone's catalogue, or "
	 "correct it there, and end; as the user of OS_USERNAME, OS_PASSWORD and OS_PROJECT_NAME "
	 "if they are set, else as the service's own",
	 NULL, NULL, register_keystone},
	{0},
};
