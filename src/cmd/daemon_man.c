/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfastd-man 8|5|example: writes the source of holdfastd(8) or holdfastd.conf(5), for scdoc(1),
 * or the example file, from the tables of the program. Used while building; not installed.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/daemon.h"

static void program_page(void)
{
	printf("holdfastd(8)\n\n# NAME\n\nholdfastd - the server of Holdfast\n\n"
	       "# SYNOPSIS\n\n*holdfastd* [_OPTION_]...\n\n# DESCRIPTION\n\n"
	       "Backup as a service for private clouds: an API that tenants use, durable "
	       "operations, schedules and policies. One process does everything and keeps its "
	       "state in a SQLite database; several processes share the work over a PostgreSQL "
	       "database. Data is moved by *holdfast-mover*, never by the server.\n\n"
	       "It speaks HTTPS. Without a certificate of yours it makes an authority at its "
	       "first start and a certificate by it, which it makes anew before it ends; "
	       "_ca.pem_ in the state directory is what clients are to trust. Its SHA-256 is "
	       "written to the log at that start.\n\n"
	       "Options of the configuration are set, each going before those named earlier: by "
	       "default, in the file (see *holdfastd.conf*(5)), in the environment "
	       "(*HOLDFAST\\_SECTION\\_OPTION*), on the command line.\n\n# OPTIONS\n\n");
	daemon_args_manual(&holdfastd_program);
	printf("# A LOST PASSWORD\n\n"
	       "At the first start, the password of _admin_ is in _first-password_ in the state "
	       "directory. Whoever may become the server's user on its machine can have a new "
	       "one; the audit log tells of it, and sessions of that user end:\n\n"
	       "\tsystemctl stop holdfastd++\n"
	       "runuser -u holdfast -- holdfastd --reset-password++\n"
	       "systemctl start holdfastd\n\n"
	       "With PostgreSQL it need not be stopped.\n\n"
	       "# SIGNALS\n\n"
	       "*SIGHUP*\n\tReads the configuration and the files that it names anew. If anything "
	       "is wrong, all of it is told and nothing changes. Options that need a restart are "
	       "told, too.\n\n"
	       "*SIGTERM*, *SIGINT*\n\tTakes no more work, waits for what runs (*drain* in "
	       "[server]), and ends. What is left goes on after the next start. A second signal "
	       "ends it at once, which does no harm.\n\n"
	       "# HEALTH\n\n"
	       "_/livez_ answers while the process takes requests; _/healthz_ with 200 when every "
	       "part of it can do its work, else with 503 and the part's name.\n\n"
	       "# EXIT STATUS\n\n"
	       "0: it ended as it was told to, or *--check* found nothing wrong. 2: something is "
	       "wrong with the command line or the configuration. 10: another process has the "
	       "database. Other numbers are those of *holdfast*(1).\n\n"
	       "# FILES\n\n"
	       "_/etc/holdfast/holdfastd.conf_\n\tThe configuration.\n\n"
	       "_/var/lib/holdfast_\n\tThe state: _holdfast.db_ (the database), _seal.key_ (opens "
	       "what is sealed in it: keep a copy elsewhere), _ca.pem_, _ca-key.pem_, "
	       "_server.pem_.\n\n"
	       "# SEE ALSO\n\n*holdfastd.conf*(5), *holdfast*(1)\n");
}

static void file_page(void)
{
	printf("holdfastd.conf(5)\n\n# NAME\n\nholdfastd.conf - the configuration of "
	       "holdfastd\n\n# DESCRIPTION\n\n"
	       "Lines of _name = value_ in [sections]. A line that begins with # or ; is a "
	       "comment; after a value there can be none. A list may go on over lines that begin "
	       "with a space. Double quotes around a value keep its spaces. Sizes are like 64K or "
	       "1MiB, durations like 30s, 5m, 12h or 7d.\n\n"
	       "*holdfastd --check* tells everything that is wrong, with its place; "
	       "*--print-config* shows what holds and where it comes from; *--example-config* "
	       "prints a file with every option.\n\n"
	       "Passwords and secrets lie in files of their own, which others may not read.\n\n"
	       "What is marked with Reload takes effect at a reload (*systemctl reload "
	       "holdfastd*); other options need a restart. The variable of the environment that "
	       "sets an option stands at its end.\n\n# OPTIONS\n\n");
	config_print_manual(holdfastd_program.schema, stdout);
	printf("# SEE ALSO\n\n*holdfastd*(8)\n");
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (strcmp(what, "8") == 0)
		program_page();
	else if (strcmp(what, "5") == 0)
		file_page();
	else if (strcmp(what, "example") == 0)
		config_print_example(holdfastd_program.schema,
				     "The configuration of holdfastd: see holdfastd.conf(5)",
				     stdout);
	else
		return 2;
	return fflush(stdout) == 0 ? 0 : 1;
}
