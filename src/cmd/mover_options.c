/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every option of holdfast-mover's configuration. The parser, its messages, holdfast-mover.conf(5)
 * and the example file come from here.
 */
#include "cmd/mover.h"

static const char *const web[] = {"http", "https", NULL};
static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const formats[] = {"text", "json", NULL};

static const struct config_section sections[] = {
	{"server", "the server that it works for"},
	{"mover", "what it does"},
	{"state", "what outlives a restart"},
	{"log", "messages on standard error"},
	{0},
};

#define S "server"
static const struct config_option options[] = {
	{S, "url", CONFIG_URL, .choices = web,
	 .help = "how the server is reached, such as https://holdfast.example.com:8799; plain HTTP "
		 "only where it runs on this machine"},
	{S, "ca", CONFIG_FILE,
	 .help = "the certificate of the authority (PEM) that vouches for the server, as ca.pem in "
		 "its state directory; not set: the authorities that this system trusts"},
	{S, "invitation_file", CONFIG_PATH,
	 .help = "a file with an invitation that the server gave, which is good for one "
		 "registration; not needed any more once the mover is registered"},
	{S, "drain", CONFIG_DURATION, NULL, "30s", 0, CONFIG_HOURS(24), .live = true,
	 .help = "how long to wait for steps that run when the mover is to end; what is left is "
		 "stopped, and done again by the next that takes it"},
#undef S
#define S "mover"
	{S, "slots", CONFIG_INT, NULL, "2", 1, 256,
	 .help = "how many steps it runs at once: disks of so many machines are read or written"},
	{S, "look", CONFIG_DURATION, NULL, "30s", CONFIG_SECONDS(1), CONFIG_HOURS(1),
	 .help = "how often it looks for steps that it was not told of"},
#undef S
#define S "state"
	{S, "directory", CONFIG_PATH, NULL, "/var/lib/holdfast-mover",
	 .help = "where the mover keeps its identity, and results until the server has them"},
#undef S
#define S "log"
	{S, "level", CONFIG_TEXT, "LEVEL", "info", .choices = levels, .live = true,
	 .help = "the least important messages that are written"},
	{S, "format", CONFIG_TEXT, "FORMAT", "text", .choices = formats, .live = true,
	 .help = "lines for people, or an object of JSON for each"},
#undef S
	{0},
};

const struct config_schema mover_schema = {
	.prefix = "HOLDFAST_MOVER",
	.sections = sections,
	.options = options,
};
