/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mover-man 8|5|example: as daemon_man.c, for holdfast-mover. Used while building; not installed.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/mover.h"

static void program_page(void)
{
	printf("holdfast-mover(8)\n\n# NAME\n\nholdfast-mover - moves data for a server of "
	       "Holdfast\n\n# SYNOPSIS\n\n*holdfast-mover* [_OPTION_]...\n\n"
	       "*holdfast-mover step* [--state _DIRECTORY_]\n\n# DESCRIPTION\n\n"
	       "It runs where the disks are: on each hypervisor, or anywhere that reaches them. It "
	       "dials out to its server, takes steps of operations, protects and restores machines "
	       "and looks after targets, and tells what came of it. No port has to be open on its "
	       "side.\n\n"
	       "A new mover needs an invitation, which an administrator of the server gives, and "
	       "which is good once. From then on it is known by a token of its own, in its state "
	       "directory, until the server revokes that.\n\n"
	       "Each step runs in a process of its own, *holdfast-mover step*, with its job on "
	       "standard input as JSON, and lines of JSON on standard output; so it can be run by "
	       "hand, too. SIGTERM cancels it.\n\n"
	       "What was done while the server could not be reached is told when it is back, also "
	       "by a mover that was started anew meanwhile.\n\n# OPTIONS\n\n");
	daemon_args_manual(&mover_program);
	printf("# SIGNALS\n\n"
	       "*SIGTERM*, *SIGINT*\n\tTakes no more steps, waits for those that run (*drain* in "
	       "[server]), stops the others, and ends. A second signal ends it at once, which does "
	       "no harm.\n\n"
	       "*SIGHUP*\n\tReads the configuration anew.\n\n"
	       "# EXIT STATUS\n\n"
	       "0: it ended as it was told to, or because its server does not know it. 2: "
	       "something is wrong with the command line or the configuration. Other numbers are "
	       "those of *holdfast*(1).\n\n"
	       "# FILES\n\n"
	       "_/etc/holdfast/holdfast-mover.conf_\n\tThe configuration.\n\n"
	       "_/var/lib/holdfast-mover_\n\tThe state: _identity.json_ (its token), _spool_ "
	       "(results that the server does not have yet), _restore-\\*.json_ (what restores "
	       "made).\n\n"
	       "# SEE ALSO\n\n*holdfast-mover.conf*(5), *holdfastd*(8), *holdfast*(1)\n");
}

static void file_page(void)
{
	printf("holdfast-mover.conf(5)\n\n# NAME\n\nholdfast-mover.conf - the configuration of "
	       "holdfast-mover\n\n# DESCRIPTION\n\n"
	       "It is written as *holdfastd.conf*(5). *holdfast-mover --check* tells everything "
	       "that is wrong, with its place.\n\n# OPTIONS\n\n");
	config_print_manual(mover_program.schema, stdout);
	printf("# SEE ALSO\n\n*holdfast-mover*(8)\n");
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (strcmp(what, "8") == 0)
		program_page();
	else if (strcmp(what, "5") == 0)
		file_page();
	else if (strcmp(what, "example") == 0)
		config_print_example(mover_program.schema,
				     "The configuration of holdfast-mover: see "
				     "holdfast-mover.conf(5)",
				     stdout);
	else
		return 2;
	return fflush(stdout) == 0 ? 0 : 1;
}
