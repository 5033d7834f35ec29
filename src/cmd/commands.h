/* SPDX-License-Identifier: Apache-2.0 */
/* commands.h: what the tables of commands share; option.h is what others see of them. */
#ifndef HF_CMD_COMMANDS_H
#define HF_CMD_COMMANDS_H

#include "cmd/cli.h"
#include "cmd/remote.h"

/* A command that starts something on a server waits for it, so that it means the same there. */
#define OPT_NO_WAIT                                                                                \
	"no-wait", 0, NULL, "only start it on the server, and do not wait for its end",            \
		.side = SIDE_SERVER

/* Commands that only a server has. */
extern const struct command server_commands[];

#endif
