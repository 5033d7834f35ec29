/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfast-mover: the program that moves data, next to the disks. As a daemon it takes steps from
 * its server; each runs as 'holdfast-mover step', a process of its own.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "cmd/mover.h"
#include "platform/libvirt/libvirt.h"

/* The only thing that a signal may touch. */
static struct cancel stop_flag;

static void on_signal(int sig)
{
	/* Asked a second time: now. What was not committed is reclaimable; a guard thaws guests. */
	if (cancel_asked(&stop_flag))
		_exit(128 + sig);
	cancel_set(&stop_flag);
}

static void catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int run_step(int argc, char **argv)
{
	AUTO_FREE char *self = mover_path();
	const char *state = NULL;

	if (argc == 4 && strcmp(argv[2], "--state") == 0) {
		state = argv[3];
	} else if (argc != 2) {
		fputs("usage: holdfast-mover step [--state FOLDER]\n", stderr);
		return 2;
	}
	secret_harden();
	catch_signals();
	return mover_step(state, self, &stop_flag);
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	if (strcmp(command, "step") == 0)
		return run_step(argc, argv);
	if (strcmp(command, "freeze-guard") == 0 && argc == 5)
		return libvirt_freeze_guard(argv[2], argv[3], strtoull(argv[4], NULL, 10) * 1000);
	return daemon_main(&mover_program, argc, argv);
}
