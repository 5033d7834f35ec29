/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of what only a server has. Most rows share their functions: the kind of thing that
 * they are about is their first word (remote_kinds.c). */
#include "cmd/commands.h"

static const char *const yes_no[] = {"yes", "no", NULL};
static const char *const statuses[] = {"started", "suspended", NULL};
static const char *const consistencies[] = {"required", "best-effort", "off", NULL};

static const char *const usage_by[] = {"project", "target", "plan", "resource", NULL};
static const char *const severities[] = {"info", "warning", "error", "critical", NULL};
static const char *const channel_kinds[] = {"webhook", "mail", "slack", NULL};

static const char *const protections[] = {"protected",	 "late",     "failing",
					  "unprotected", "excluded", NULL};

#define OPT_YES "yes", 'y', NULL, "do not ask"
#define OPT_RENAME "name", 'n', "NAME", "a new name"
#define OPT_DESCRIPTION "description", 0, "TEXT", "a note for people"
#define OPT_SHARED "shared", 0, NULL, "for all projects; administrators only"
#define OPT_MOVER                                                                                  \
	"mover", 0, "NAME", "reach it through this mover; none: through the server's own",         \
		.fallback = "the server's own"
#define OPT_CRON "cron", 0, "PATTERN", "as in a crontab: minute hour day month weekday"
#define OPT_CALENDAR "calendar", 0, "TEXT", "a calendar's event with RRULE (RFC 5545)"
#define OPT_ZONE "timezone", 0, "ZONE", "of the pattern: Europe/Vienna", .fallback = "UTC"
#define OPT_ENABLED "enabled", 0, "WHETHER", "switch it on or off", .choices = yes_no

static const struct opt yes_opts[] = {{OPT_YES}, {0}};
static const struct opt wait_opts[] = {{OPT_NO_WAIT}, {0}};

static const struct opt login_opts[] = {
	{"user", 'u', "NAME", "who you are", "HOLDFAST_USER", "admin"},
	{"password-file", 0, "FILE",
	 "file with the password (-: standard input); without it, and without HOLDFAST_PASSWORD, "
	 "it "
	 "is asked for"},
	{"token", 0, NULL,
	 "come with an API token instead, which is asked for, or is in HOLDFAST_TOKEN"},
	{"token-file", 0, "FILE", "file with an API token (-: standard input)"},
	{"fingerprint", 0, "SHA256",
	 "trust the server's own certificate authority if it has this fingerprint"},
	{"days", 0, "NUMBER", "the login ends after so many days", .fallback = "90"},
	{0},
};

static const struct opt target_add_opts[] = {
	{OPT_DESCRIPTION},
	{"access-key", 0, "KEY", "of a bucket"},
	{"secret-key-file", 0, "FILE", "file with the secret key that belongs to it"},
	{"from-host", 0, NULL, "keys of a bucket are those of the mover's host"},
	{OPT_MOVER},
	{OPT_SHARED},
	{0},
};
static const struct opt target_update_opts[] = {
	{OPT_RENAME},
	{OPT_DESCRIPTION},
	{"access-key", 0, "KEY", "of a bucket"},
	{"secret-key-file", 0, "FILE", "file with the secret key that belongs to it"},
	{"from-host", 0, NULL, "keys of a bucket are those of the mover's host"},
	{OPT_MOVER},
	{0},
};
static const struct opt provider_add_opts[] = {
	{"to", 0, "TARGET", "the target that it stores in (required)"},
	{OPT_DESCRIPTION},
	{OPT_SHARED},
	{0},
};
static const struct opt provider_update_opts[] = {{OPT_RENAME}, {OPT_DESCRIPTION}, {0}};
static const struct opt platform_add_opts[] = {
	{"kind", 0, "KIND", "what it is", .fallback = "libvirt"},
	{OPT_DESCRIPTION},
	{OPT_MOVER},
	{OPT_SHARED},
	{OPT_NO_WAIT},
	{0},
};
static const struct opt platform_update_opts[] = {
	{OPT_RENAME}, {OPT_DESCRIPTION}, {"uri", 0, "URI", "where it is"}, {OPT_MOVER}, {0},
};
static const struct opt invite_opts[] = {
	{"hours", 0, "NUMBER", "the invitation is good for so long", .fallback = "24"},
	{0},
};
static const struct opt mover_update_opts[] = {
	{"drain", 0, "WHETHER", "give it nothing new to do", .choices = yes_no},
	{0},
};
static const struct opt plan_create_opts[] = {
	{"provider", 0, "NAME", "store with this provider (required)"},
	{"policy", 0, "NAME", "its policy", .fallback = "none: only when it is run"},
	{"resource", 'r', "NAME", "protect this machine", .many = true},
	{"select", 0, "WHAT",
	 "protect all machines that this fits whenever it runs: name=PATTERN,platform=NAME,"
	 "state=STATE",
	 .many = true},
	{"consistency", 0, "HOW", "freeze the guests' file systems", NULL, "best-effort",
	 consistencies},
	{"consistency-group", 0, "WHETHER", "protect the machines of each platform at one instant",
	 NULL, "no", yes_no},
	{OPT_DESCRIPTION},
	{0},
};
static const struct opt plan_update_opts[] = {
	{OPT_RENAME},
	{"provider", 0, "NAME", "store with this provider"},
	{"policy", 0, "NAME", "its policy; none: only when it is run"},
	{"resource", 'r', "NAME", "protect these machines instead", .many = true},
	{"select", 0, "WHAT", "protect what this fits instead", .many = true},
	{"consistency", 0, "HOW", "freeze the guests' file systems", .choices = consistencies},
	{"consistency-group", 0, "WHETHER", "protect the machines of each platform at one instant",
	 .choices = yes_no},
	{"status", 0, "STATUS", "started: its schedules go; suspended: they do not",
	 .choices = statuses},
	{OPT_DESCRIPTION},
	{0},
};
static const struct opt plan_run_opts[] = {
	{"tag", 0, "KEY=VALUE", "note this with the checkpoint", .many = true},
	{OPT_NO_WAIT},
	{0},
};
static const struct opt policy_create_opts[] = {
	{OPT_CRON},
	{OPT_CALENDAR},
	{OPT_ZONE},
	{"keep", 0, "RULE=NUMBER",
	 "what stays: last, hours, days, hourly, daily, weekly, monthly, yearly; all for ever",
	 .many = true},
	{"spec", 0, "FILE", "everything at once, as JSON (-: standard input); see /docs there"},
	{OPT_DESCRIPTION},
	{"mandatory", 0, NULL, "it holds for every plan; administrators only"},
	{OPT_SHARED},
	{0},
};
static const struct opt policy_update_opts[] = {
	{OPT_RENAME},
	{OPT_CRON},
	{OPT_CALENDAR},
	{OPT_ZONE},
	{"keep", 0, "RULE=NUMBER", "what stays", .many = true},
	{"spec", 0, "FILE", "everything at once, as JSON (-: standard input)"},
	{OPT_DESCRIPTION},
	{0},
};
#define OPTS_TRIGGER                                                                               \
	{OPT_CRON}, {OPT_CALENDAR}, {OPT_ZONE},                                                    \
		{"webhook", 0, NULL, "it fires when its address is asked for, with its token"},    \
		{"after", 0, "KIND", "it fires after an operation: protect, restore, verify …"},   \
		{"state", 0, "STATE", "with --after: of operations that ended so"},                \
	{                                                                                          \
		"plan", 0, "NAME", "with --after: of this plan"                                    \
	}
static const struct opt trigger_create_opts[] = {OPTS_TRIGGER, {0}};
static const struct opt trigger_update_opts[] = {OPTS_TRIGGER, {OPT_RENAME}, {OPT_ENABLED}, {0}};
static const struct opt schedule_create_opts[] = {
	{"plan", 0, "NAME", "protect this plan (required)"},
	{"trigger", 0, "NAME", "when this trigger fires (required)"},
	{"keep-last", 0, "NUMBER", "delete what it made but so many of the newest"},
	{"keep-days", 0, "NUMBER", "delete what it made after so many days"},
	{OPT_DESCRIPTION},
	{0},
};
static const struct opt schedule_update_opts[] = {{OPT_ENABLED}, {0}};
static const struct opt coverage_opts[] = {
	{"only", 0, "PROTECTION", "only what is so", .choices = protections},
	{0},
};
static const struct opt operation_list_opts[] = {
	{"state", 0, "STATE", "only those in this state"},
	{"kind", 0, "KIND", "only this kind"},
	{"running", 0, NULL, "only those that have not ended"},
	{"limit", 0, "NUMBER", "the newest of them", .fallback = "50"},
	{0},
};

static const struct opt history_opts[] = {
	{"days", 0, "NUMBER", "of so many days", .fallback = "90"},
	{0},
};
static const struct opt usage_opts[] = {
	{"from", 0, "DAY", "from this day on, as 2026-01-31 (UTC)",
	 .fallback = "the first of this month"},
	{"to", 0, "DAY", "to this day", .fallback = "today"},
	{"by", 0, "WHAT", "a row for each", .fallback = "resource", .choices = usage_by},
	{"limit", 0, "NUMBER", "so many rows at most", .fallback = "10000"},
	{"csv", 0, NULL, "as CSV, with all columns"},
	{"all-projects", 0, NULL, "of every project; administrators only"},
	{0},
};
static const struct opt search_opts[] = {
	{"limit", 0, "NUMBER", "so many of each kind", .fallback = "10"},
	{0},
};
#define OPTS_USER                                                                                  \
	{"email", 0, "ADDRESS", "the mail address"},                                               \
		{"password-file", 0, "FILE",                                                       \
		 "file with the password; without one, nobody logs in with it"},                   \
	{                                                                                          \
		OPT_ENABLED                                                                        \
	}
static const struct opt user_create_opts[] = {OPTS_USER, {0}};
static const struct opt user_update_opts[] = {{OPT_RENAME}, OPTS_USER, {0}};
static const struct opt grant_opts[] = {
	{"everywhere", 0, NULL, "in all projects, instead of this one"},
	{0},
};
static const struct opt token_create_opts[] = {
	{"days", 0, "NUMBER", "it ends after so many days", .fallback = "never"},
	{"role", 0, "ROLE", "it is good for this role only", .fallback = "all that you have",
	 .many = true},
	{"this-project", 0, NULL, "it is good for the project in which you work only"},
	{0},
};
#define OPTS_NOTIFICATION                                                                          \
	{OPT_DESCRIPTION}, {"url", 0, "URL", "of a webhook, or of a channel of Slack"},            \
		{"recipient", 0, "ADDRESS", "send mail to this address", .many = true},            \
		{"event",     0, "EVENT", "tell of this", .fallback = "every kind of trouble",     \
		 .many = true},                                                                    \
		{"severity", 0,	     "SEVERITY", "tell of nothing that is less",                   \
		 NULL,	     "info", severities},                                                  \
		{"plan", 0, "NAME", "tell of this plan only", .many = true},                       \
		{"remind-hours", 0, "NUMBER", "again after so long, while it goes on",             \
		 .fallback = "0: not again"},                                                      \
	{                                                                                          \
		OPT_ENABLED                                                                        \
	}
#define OPT_SECRET_FILE                                                                            \
	"secret-file", 0, "FILE", "file with the secret that signs, whsec_…",                      \
		.fallback = "one is made, and shown once"
static const struct opt notification_create_opts[] = {
	OPTS_NOTIFICATION,
	{"kind", 0, "KIND", "what it is", NULL, "by its URL or its recipients", channel_kinds},
	{OPT_SECRET_FILE},
	{OPT_SHARED},
	{0},
};
static const struct opt notification_update_opts[] = {{OPT_RENAME}, OPTS_NOTIFICATION, {0}};
static const struct opt rotate_opts[] = {
	{OPT_SECRET_FILE},
	{"old-hours", 0, "NUMBER", "so long the old secret signs, too", .fallback = "24"},
	{0},
};

/* A kind's rows that are all alike: where remove has another name, it is written out. */
#define LIST(noun, what)                                                                           \
	noun " list", "", 0, 0, "list " what, "Lists the project's " what ".", NULL, NULL, NULL,   \
		.remote = remote_list
#define SHOW(noun, what)                                                                           \
	noun " show", "NAME", 1, 1, "show " what,                                                  \
		"Shows all that the server tells of it. It is named by its name, its id, or the "  \
		"first digits of that (at least four).",                                           \
		NULL, NULL, NULL, .remote = remote_show
#define REMOVE(noun, verb, what, text)                                                             \
	noun " " verb, "NAME", 1, 1, "remove " what, text, NULL, yes_opts, NULL,                   \
		.remote = remote_remove
#define UPDATE(noun, what, options, example)                                                       \
	noun " update", "NAME", 1, 1, "change " what, "What is not named stays as it is.",         \
		example, options, NULL, .remote = remote_update

const struct command server_commands[] = {
	{"login", "URL", 1, 1, "log in to a server",
	 "Logs in with name and password, makes an API token for this machine, and keeps that in "
	 "$XDG_CONFIG_HOME/holdfast/logins.json (~/.config), which only you can read. The password "
	 "is not kept. From then on commands that can work on a server do, unless they are told "
	 "otherwise: what counts is, in this order, --target or --server; the environment "
	 "variables "
	 "HOLDFAST_TARGET, then HOLDFAST_SERVER; the last login. With --server none a command "
	 "works "
	 "without a server. There may be logins to several servers; --server says which.\n\n"
	 "Without a file, HOLDFAST_SERVER, HOLDFAST_TOKEN, HOLDFAST_PROJECT and HOLDFAST_CA_FILE "
	 "together do the same, for programs.\n\n"
	 "A server that made its own certificate is not known to anybody: its authority's "
	 "fingerprint is shown, to be compared with the one in the server's log, and trusted from "
	 "then on. Give --fingerprint, or its ca.pem with --ca-file, where nobody can be asked.\n\n"
	 "URL is https://HOST:PORT; HOST alone has the port 8799.",
	 "holdfast login backup.example.org\n"
	 "holdfast login https://localhost:8799 --ca-file /var/lib/holdfast/ca.pem "
	 "--password-file /var/lib/holdfast/first-password\n"
	 "holdfast login https://backup.example.org:8799 --token-file token --project web\n",
	 login_opts, NULL, .remote = remote_login},
	{"logout", "[URL]", 0, 1, "log out of a server",
	 "Revokes the token that the login made, and forgets it.", NULL, NULL, NULL,
	 .remote = remote_logout},
	{"status", "", 0, 0, "show who is logged in, and how well things are protected",
	 "Shows the server, the user and his roles, the project, how well its machines are "
	 "protected, "
	 "how many operations run, and what somebody has to do something about.",
	 NULL, NULL, NULL, .remote = remote_status},
	{LIST("target", "targets")},
	{"target add", "NAME URL", 2, 2, "let a server store in a target",
	 "The server makes a repository there when something is stored first; its key is the "
	 "server's. A directory is one of the mover's host. URL is as for --target.",
	 "holdfast target add local dir:/srv/backup\n"
	 "holdfast target add offsite s3:https://s3.example.org/backup/site1 --access-key AKIA… "
	 "--secret-key-file secret\n",
	 target_add_opts, NULL, .remote = remote_make},
	{UPDATE("target", "a target of a server", target_update_opts, NULL)},
	{"target check", "NAME", 1, 1, "see whether a server reaches a target",
	 "Looks whether the target answers, and how much room it has.", NULL, wait_opts, NULL,
	 .remote = remote_action},
	{"target history", "NAME", 1, 1, "list how full a target was",
	 "Lists what was stored in it and how much room it had, the oldest first.", NULL,
	 history_opts, NULL, .remote = remote_target_history},
	{REMOVE("target", "remove", "a target from a server",
		"The server forgets it. What is stored there stays.")},
	{LIST("provider", "providers")},
	{SHOW("provider", "a provider")},
	{"provider add", "NAME", 1, 1, "make a provider",
	 "A provider is what plans store with: a target, and how things are protected.",
	 "holdfast provider add gold --to local\n", provider_add_opts, NULL, .remote = remote_make},
	{UPDATE("provider", "a provider", provider_update_opts, NULL)},
	{REMOVE("provider", "remove", "a provider", "It must have no plans and no checkpoints.")},
	{LIST("platform", "platforms")},
	{SHOW("platform", "a platform")},
	{"platform add", "NAME URI", 2, 2, "let a server find machines on a host",
	 "Its machines are found at once, and from then on every few minutes.",
	 "holdfast platform add kvm1 qemu:///system\n"
	 "holdfast platform add kvm2 qemu+ssh://kvm2/system\n",
	 platform_add_opts, NULL, .remote = remote_make},
	{UPDATE("platform", "a platform", platform_update_opts, NULL)},
	{"platform discover", "NAME", 1, 1, "find the machines of a platform now",
	 "As it is done every few minutes.", NULL, wait_opts, NULL, .remote = remote_action},
	{REMOVE("platform", "remove", "a platform",
		"The server forgets it and its machines. Checkpoints of them stay.")},
	{LIST("mover", "movers")},
	{SHOW("mover", "a mover")},
	{"mover invite", "NAME", 1, 1, "let a new mover register",
	 "Shows a word that lets one holdfast-mover register with the server, once.",
	 "holdfast mover invite kvm2\n", invite_opts, NULL, .remote = remote_make},
	{UPDATE("mover", "a mover", mover_update_opts, "holdfast mover update kvm2 --drain yes\n")},
	{REMOVE("mover", "remove", "a mover",
		"It may not come back; what it was doing is done by others.")},
	{"resource coverage", "", 0, 0, "list how well each machine is protected",
	 "Lists all machines that were found, with the age of the newest good checkpoint of each, "
	 "and "
	 "why one is not protected, late or failing.",
	 "holdfast resource coverage --only unprotected\n", coverage_opts, NULL,
	 .remote = remote_resource_coverage},
	{"resource show", "NAME", 1, 1, "show how well a machine is protected, and by what",
	 "Shows which plans take it in, its newest good checkpoint, when the next one is due, and "
	 "why it is not protected, late or failing.",
	 "holdfast resource show web1\n", NULL, NULL, .remote = remote_resource_show},
	{LIST("plan", "plans")},
	{SHOW("plan", "a plan")},
	{"plan create", "NAME", 1, 1, "make a plan",
	 "A plan says what is protected together, as one checkpoint, and where to; its policy says "
	 "when, and what is kept.\n\n"
	 "With --consistency-group, the machines belong together, as those of one application: "
	 "those on one platform are frozen together, all their backups begin, and they are thawed "
	 "together, so that nothing that one of them wrote is without what another had written "
	 "before. Machines on several platforms are a group on each.",
	 "holdfast plan create web --provider gold --policy nightly -r web1 -r web2\n"
	 "holdfast plan create all --provider gold --policy nightly --select 'name=*'\n"
	 "holdfast plan create shop --provider gold -r db1 -r app1 --consistency-group yes\n",
	 plan_create_opts, NULL, .remote = remote_make},
	{UPDATE("plan", "a plan", plan_update_opts, "holdfast plan update web --policy none\n")},
	{"plan run", "NAME", 1, 1, "protect a plan now",
	 "Makes a checkpoint of all that the plan protects. The server does it: when this command "
	 "is stopped it goes on there, and when the server restarts meanwhile it is waited for.",
	 "holdfast plan run web\n", plan_run_opts, NULL, .remote = remote_plan_run},
	{REMOVE("plan", "delete", "a plan", "Its checkpoints stay.")},
	{LIST("policy", "policies")},
	{SHOW("policy", "a policy")},
	{"policy create", "NAME", 1, 1, "make a policy",
	 "A policy with one schedule is written with options; more of them, windows, limits and "
	 "copies with --spec.",
	 "holdfast policy create nightly --cron '0 2 * * *' --timezone Europe/Vienna --keep "
	 "daily=14 "
	 "--keep monthly=12\n"
	 "holdfast policy create gold --spec gold.json\n",
	 policy_create_opts, NULL, .remote = remote_make},
	{UPDATE("policy", "a policy", policy_update_opts, NULL)},
	{REMOVE("policy", "delete", "a policy", "No plan may have it.")},
	{LIST("trigger", "triggers")},
	{SHOW("trigger", "a trigger")},
	{"trigger create", "NAME", 1, 1, "make a trigger",
	 "It fires at times, when it is called over HTTP, or after an operation.",
	 "holdfast trigger create often --cron '*/15 * * * *'\n"
	 "holdfast trigger create then --after protect --state succeeded\n",
	 trigger_create_opts, NULL, .remote = remote_make},
	{UPDATE("trigger", "a trigger", trigger_update_opts,
		"holdfast trigger update often --enabled no\n")},
	{REMOVE("trigger", "delete", "a trigger", "No schedule may have it.")},
	{LIST("schedule", "schedules")},
	{SHOW("schedule", "a schedule")},
	{"schedule create", "NAME", 1, 1, "protect a plan whenever a trigger fires",
	 "For what no policy says. With --keep-last or --keep-days, older checkpoints that it made "
	 "are deleted.",
	 "holdfast schedule create 'keep two' --plan web --trigger often --keep-last 2\n",
	 schedule_create_opts, NULL, .remote = remote_make},
	{UPDATE("schedule", "a schedule", schedule_update_opts, NULL)},
	{REMOVE("schedule", "delete", "a schedule", "The trigger and the plan stay.")},
	{"operation list", "", 0, 0, "list operations", "Lists what runs and ran, newest first.",
	 "holdfast operation list --running\n", operation_list_opts, NULL,
	 .remote = remote_operation_list},
	{SHOW("operation", "an operation, with its steps")},
	{"operation log", "OPERATION", 1, 1, "show the log of an operation",
	 "Shows what it said while it ran.", NULL, NULL, NULL, .remote = remote_operation_log},
	{"operation wait", "OPERATION", 1, 1, "wait for an operation",
	 "Waits for its end. The exit code is 0 if it succeeded.", NULL, NULL, NULL,
	 .remote = remote_operation_wait},
	{"operation cancel", "OPERATION", 1, 1, "stop an operation",
	 "Stops it; what it did is undone.", NULL, NULL, NULL, .remote = remote_action},
	{"operation retry", "OPERATION", 1, 1, "run an operation again that failed",
	 "Goes on where it failed.", NULL, NULL, NULL, .remote = remote_action},
	{LIST("notification", "notifications")},
	{SHOW("notification", "a notification")},
	{"notification create", "NAME", 1, 1, "let somebody be told of what happens",
	 "A webhook gets messages that are signed as Standard Webhooks has it; Slack and mail are "
	 "for people. Without --event it is told of every kind of trouble.",
	 "holdfast notification create pager --url https://pager.example.org/in --severity error\n"
	 "holdfast notification create staff --recipient ops@example.org\n",
	 notification_create_opts, NULL, .remote = remote_make},
	{UPDATE("notification", "a notification", notification_update_opts,
		"holdfast notification update pager --enabled no\n")},
	{"notification test", "NAME", 1, 1, "see whether a notification arrives",
	 "Sends a message that says that it is a test, and waits for what comes of it.", NULL, NULL,
	 NULL, .remote = remote_notification_test},
	{"notification rotate", "NAME", 1, 1, "give a webhook another secret",
	 "Messages are signed with the new and the old one for a while, so that the receiver can "
	 "take over the new one meanwhile.",
	 "holdfast notification rotate pager --old-hours 48\n", rotate_opts, NULL,
	 .remote = remote_notification_rotate},
	{"notification deliveries", "NAME", 1, 1, "list what was sent",
	 "Lists the messages that were sent, and what came of them.", NULL, NULL, NULL,
	 .remote = remote_notification_deliveries},
	{REMOVE("notification", "delete", "a notification", "Nobody is told any more.")},
	{"usage", "", 0, 0, "show what was stored for whom",
	 "Shows what was made, stored and restored in a time, and what is kept now: for charging, "
	 "or to see who takes up the space.",
	 "holdfast usage --by plan\n"
	 "holdfast usage --from 2026-01-01 --to 2026-01-31 --csv > january.csv\n",
	 usage_opts, NULL, .remote = remote_usage},
	{"search", "TEXT", 1, 1, "find anything by its name",
	 "Finds everything of the project whose name has these letters in it, or whose id begins "
	 "so.",
	 "holdfast search web\n", search_opts, NULL, .remote = remote_search},
	{LIST("user", "users")},
	{SHOW("user", "a user")},
	{"user create", "NAME", 1, 1, "make a user",
	 "He can do nothing until he is granted a role.",
	 "holdfast user create alice --password-file word\n"
	 "holdfast user grant alice member -p web\n",
	 user_create_opts, NULL, .remote = remote_make},
	{UPDATE("user", "a user", user_update_opts, "holdfast user update alice --enabled no\n")},
	{"user grants", "[NAME]", 0, 1, "list who has which role where",
	 "Lists the roles of a user, or of all.", NULL, NULL, NULL, .remote = remote_user_grants},
	{"user grant", "NAME ROLE", 2, 2, "give a user a role in this project",
	 "Roles are admin, operator, member, viewer, backup-only and restore-only.", NULL,
	 grant_opts, NULL, .remote = remote_user_grant},
	{"user revoke", "NAME ROLE", 2, 2, "take a role away from a user",
	 "What he does with it ends within seconds.", NULL, grant_opts, NULL,
	 .remote = remote_user_grant},
	{REMOVE("user", "delete", "a user", "His tokens and sessions end with him.")},
	{"token list", "", 0, 0, "list your API tokens", "Lists your own tokens.", NULL, NULL, NULL,
	 .remote = remote_list},
	{"token create", "NAME", 1, 1, "make an API token",
	 "Shows a word by which a program is you, or less of you: see --role. It is shown once.",
	 "holdfast token create ci --role backup-only --this-project --days 90\n",
	 token_create_opts, NULL, .remote = remote_make},
	{REMOVE("token", "delete", "an API token", "Who uses it is refused from then on.")},
	{0},
};
