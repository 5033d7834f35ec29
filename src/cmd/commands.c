/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar: every command and option that there is. A new command is one row here and one
 * function in a cmd_*.c file; parser, help, man page and completion follow.
 */
#include "cmd/commands.h"

const struct noun nouns[] = {
	{"login", "log in to a server"},
	{"logout", "log out of a server"},
	{"status", "who is logged in, and how well things are protected"},
	{"target", "the place where checkpoints are stored, and its keys"},
	{"protect", "make a checkpoint"},
	{"checkpoint", "look at, check, copy and remove checkpoints"},
	{"restore", "bring something back from a checkpoint"},
	{"resource", "what can be protected"},
	{"plan", "what a server protects, and where to"},
	{"policy", "when a server protects, and what is kept for how long"},
	{"trigger", "times and events at which a server does something"},
	{"schedule", "what a server does when a trigger fires"},
	{"operation", "what runs and ran on a server"},
	{"provider", "what a server stores with"},
	{"platform", "where a server finds machines"},
	{"mover", "the processes that move data for a server"},
	{"notification", "whom a server tells of what happens"},
	{"usage", "what was stored for whom"},
	{"search", "find anything of a server by its name"},
	{"user", "the users of a server, and what they may do"},
	{"token", "words by which programs log in to a server"},
	{"completion", "shell completion"},
	{"version", "the version of this program"},
	{0},
};

static const char *const outputs[] = {"table", "json", NULL};
static const char *const deltas[] = {"auto", "on", "off", NULL};
static const char *const lock_modes[] = {"governance", "compliance", NULL};
static const char *const consistencies[] = {"required", "best-effort", "off", NULL};
static const char *const image_formats[] = {"raw", "qcow2", NULL};

const struct opt global_opts[] = {
	{"target", 't', "TARGET", "where checkpoints are stored: dir:PATH or s3:BUCKET/PREFIX",
	 "HOLDFAST_TARGET", .side = SIDE_TARGET},
	{"key-file", 'k', "FILE",
	 "file with the key, or with a passphrase; without it the passphrase is asked for",
	 "HOLDFAST_KEY_FILE", .side = SIDE_TARGET},
	{"server", 's', "URL",
	 "the server to ask, if not the one that was logged in to last; none: no server",
	 "HOLDFAST_SERVER", .side = SIDE_SERVER},
	{"project", 'p', "NAME", "work in this project of the server", "HOLDFAST_PROJECT",
	 "the one that was chosen with the login", .side = SIDE_SERVER},
	{"ca-file", 0, "FILE", "certificates to trust the server by, instead of the system's",
	 "HOLDFAST_CA_FILE", .side = SIDE_SERVER},
	{"output", 'o', "FORMAT", "how results are printed", NULL, "table", outputs},
	{"quiet", 'q', NULL, "no progress, no notes"},
	{"verbose", 'v', NULL, "say more, for finding out what went wrong"},
	{"help", 'h', NULL, "show help"},
	{0},
};

/* Rows that several tables have. */
#define OPT_PROVIDER(help) "provider", 0, "NAME", help, .side = SIDE_SERVER
#define OPT_CONNECT                                                                                \
	"connect", 'c', "URI", "libvirt connection: qemu:///system, qemu+ssh://HOST/system …",     \
		"LIBVIRT_DEFAULT_URI", "libvirt's default", .side = SIDE_TARGET
#define OPT_COMPRESSION                                                                            \
	"compression", 0, "LEVEL", "zstd level, 1 to 19", .fallback = "1", .side = SIDE_TARGET
#define OPT_DELTA                                                                                  \
	"delta", 0, "WHEN",                                                                        \
		"store of a block that changed a little what changed since the last checkpoint; "  \
		"auto: not in a bucket, from which old blocks come slowly",                        \
		NULL, "auto", deltas, .side = SIDE_TARGET
#define OPT_TAG "tag", 0, "KEY=VALUE", "note this with the checkpoint", .many = true
#define OPT_LOCK                                                                                   \
	"lock", 0, "TIME",                                                                         \
		"nobody can remove the checkpoint for this time, as 30d; needs a bucket with "     \
		"Object Lock",                                                                     \
		.side = SIDE_TARGET
#define OPT_LOCK_MODE                                                                              \
	"lock-mode", 0, "MODE",                                                                    \
		"governance: but who has a right of its own to; compliance: nobody at all", NULL,  \
		"governance", lock_modes, .side = SIDE_TARGET
#define OPT_NAME(help) "name", 'n', "NAME", help

static const struct opt init_opts[] = {
	{"new-key-file", 0, "FILE", "make a new key, write it to this file, and use it"},
	{"label", 0, "TEXT", "name of the first key slot", .fallback = "first key"},
	{"parity", 0, "PERCENT",
	 "store so much more with every pack, to mend it from when it is damaged: 5%, say"},
	{0},
};

static const struct opt key_add_opts[] = {
	{"new-key-file", 0, "FILE", "make a new key and write it to this file"},
	{"from-file", 0, "FILE", "use the key or passphrase in this file"},
	{"label", 0, "TEXT", "name of the slot"},
	{0},
};

static const struct opt key_rotate_opts[] = {
	{"keep-key", 0, "FILE", "a further key, or passphrase, whose slot stays", .many = true},
	{"drop-others", 0, NULL, "remove the slots whose keys are not given"},
	{0},
};

static const struct opt protect_domain_opts[] = {
	{OPT_CONNECT},
	{"disk", 0, "NAME", "only this disk", .many = true, .side = SIDE_TARGET},
	{"except", 0, "NAME", "all disks but this one", .many = true, .side = SIDE_TARGET},
	{"consistency", 0, "HOW",
	 "freeze the guest's file systems for the instant: required (else fail), best-effort, off",
	 NULL, "best-effort", consistencies, .side = SIDE_TARGET},
	{"freeze-timeout", 0, "TIME", "how long the guest may stand still", .fallback = "10s",
	 .side = SIDE_TARGET},
	{"scratch", 0, "DIR",
	 "folder for blocks that the guest overwrites during the backup; fast and local",
	 "HOLDFAST_SCRATCH", "/var/tmp", .side = SIDE_TARGET},
	{"scratch-reserve", 0, "BYTES", "stop the backup before less than this is free there",
	 .fallback = "1GiB", .side = SIDE_TARGET},
	{"full", 0, NULL, "read everything, do not rely on change tracking this time",
	 .side = SIDE_TARGET},
	{OPT_COMPRESSION},
	{OPT_DELTA},
	{OPT_TAG},
	{OPT_LOCK},
	{OPT_LOCK_MODE},
	{OPT_PROVIDER("store with this provider, where no plan for the machine says so")},
	{"plan", 0, "NAME", "run this plan, which may protect other machines, too",
	 .side = SIDE_SERVER},
	{OPT_NO_WAIT},
	{0},
};

static const struct opt protect_disk_opts[] = {
	{OPT_NAME("what to call it; checkpoints of one name are compared with each other")},
	{"format", 0, "FORMAT", "format of the image: raw, qcow2, vmdk … or auto",
	 .fallback = "raw"},
	{OPT_COMPRESSION},
	{OPT_DELTA},
	{OPT_TAG},
	{OPT_LOCK},
	{OPT_LOCK_MODE},
	{0},
};

static const struct opt protect_stdin_opts[] = {
	{OPT_NAME("what to call it (required); streams of one name are compared with each other")},
	{OPT_COMPRESSION},
	{OPT_DELTA},
	{OPT_TAG},
	{OPT_LOCK},
	{OPT_LOCK_MODE},
	{0},
};

static const struct opt list_opts[] = {
	{"resource", 'r', "NAME",
	 "only checkpoints of the resource (of a server: or plan) with this name or id"},
	{0},
};

static const struct opt diff_opts[] = {
	{"disk", 0, "NAME", "only this disk"},
	{"ranges", 0, NULL, "list every range that differs"},
	{0},
};

static const struct opt verify_opts[] = {
	{"all", 'a', NULL, "every checkpoint in the repository"},
	{"structure", 0, NULL, "read no blocks: only see that each is in a pack that is there"},
	{OPT_NO_WAIT},
	{0},
};

static const struct opt copy_opts[] = {
	{"all", 'a', NULL, "every checkpoint in the repository"},
	{"to", 0, "TARGET", "the other target, of a server the other provider (required)"},
	{"to-key-file", 0, "FILE",
	 "file with its key or passphrase; without it the passphrase is asked for",
	 .side = SIDE_TARGET},
	{OPT_LOCK},
	{OPT_LOCK_MODE},
	{OPT_NO_WAIT},
	{0},
};

#define OPT_ALL_PROJECTS                                                                           \
	"all-projects", 0, NULL, "what every project has in it; administrators only",              \
		.side = SIDE_SERVER
static const char *const depths[] = {"stored", "structure", "content", NULL};
static const struct opt target_verify_opts[] = {
	{"max-age", 0, "TIME", "pass over what was read less than this ago"},
	{"for", 0, "TIME", "begin nothing new after this time"},
	{"limit", 0, "BYTES", "read no more than this of packs and index runs"},
	{"rate", 0, "BYTES", "read no more than this in a second"},
	{"depth", 0, "DEPTH",
	 "every stored byte, or of every checkpoint that all of it is there, "
	 "or every block",
	 .fallback = "stored", .choices = depths, .side = SIDE_SERVER},
	{OPT_ALL_PROJECTS},
	{OPT_NO_WAIT},
	{0},
};

static const struct opt parity_opts[] = {
	{"percent", 0, "PERCENT", "how much of a pack, 1 to 25",
	 .fallback = "as the target was created with, else 5"},
	{"for", 0, "TIME", "begin nothing new after this time"},
	{"limit", 0, "BYTES", "read no more than this of packs"},
	{"rate", 0, "BYTES", "read no more than this in a second"},
	{0},
};

static const struct opt repair_opts[] = {
	{"from", 0, "TARGET", "another target, with copies"},
	{"from-key-file", 0, "FILE",
	 "file with its key or passphrase; without it the passphrase is asked for"},
	{0},
};

static const struct opt collect_opts[] = {
	{"dry-run", 'n', NULL, "only tell what would be removed"},
	{"waste", 0, "PERCENT", "rewrite packs of which at least so much is not needed",
	 .fallback = "25"},
	{"dead-after", 0, "TIME", "take a backup for dead that shows no sign of life for so long",
	 .fallback = "3m", .side = SIDE_TARGET},
	{OPT_ALL_PROJECTS},
	{OPT_NO_WAIT},
	{0},
};

static const struct opt delete_opts[] = {
	{"yes", 'y', NULL, "do not ask"},
	{0},
};

static const struct opt checkpoint_delete_opts[] = {
	{"yes", 'y', NULL, "do not ask"},
	{"bypass-governance", 0, NULL,
	 "also what is locked in governance mode; the access key must have the right to",
	 .side = SIDE_TARGET},
	{OPT_NO_WAIT},
	{0},
};

static const struct opt hold_opts[] = {
	{"all", 'a', NULL, "every checkpoint in the repository"},
	{"reason", 0, "TEXT", "why, for people", .side = SIDE_SERVER},
	{0},
};

static const struct opt serve_opts[] = {
	{"socket", 0, "PATH", "listen on this unix socket", .fallback = "one in a private folder"},
	{"listen", 0, "[ADDRESS:]PORT",
	 "listen on this TCP port instead, at 127.0.0.1 unless an address is given"},
	{"overlay", 0, "FILE",
	 "keep what is written in this qcow2 file, which is made if it is not there"},
	{"cache", 0, "BYTES", "memory for what was read, for each disk that is open",
	 .fallback = "64MiB"},
	{0},
};

static const struct opt restore_domain_opts[] = {
	{OPT_CONNECT},
	{OPT_NAME("name of the restored domain")},
	{"to", 0, "DIR", "folder for its disks", .fallback = "where they were"},
	{"pool", 0, "POOL", "storage pool for its disks, instead of a folder"},
	{"disk", 0, "NAME", "only this disk", .many = true},
	{"in-place", 0, NULL,
	 "replace the disks and the definition of the domain itself; the old disks stay until the "
	 "new "
	 "ones are complete"},
	{"stop", 0, NULL, "with --in-place: shut the domain down if it runs"},
	{"keep-old", 0, NULL,
	 "with --in-place: leave the old disks beside the new ones, as PATH.old, or PATH.old.2 and "
	 "so on",
	 .side = SIDE_TARGET},
	{"keep-identity", 0, NULL, "the same UUID and MAC addresses, also under another name"},
	{"network", 0, "FROM=TO", "attach to network or bridge TO what was attached to FROM",
	 .many = true},
	{"definition-only", 0, NULL, "define the domain, restore no disks", .side = SIDE_TARGET},
	{"start", 0, NULL, "start it when it is complete"},
	{"resource", 'r', "NAME", "of a checkpoint with several machines this one"},
	{"platform", 0, "NAME", "restore to this platform", .fallback = "where it was",
	 .side = SIDE_SERVER},
	{OPT_NO_WAIT},
	{0},
};

static const struct opt restore_disk_opts[] = {
	{"format", 0, "FORMAT", "format of the file that is made", NULL, "raw", image_formats},
	{"overwrite", 0, NULL, "replace what is there; needed for block devices"},
	{0},
};

static const struct opt resource_opts[] = {
	{OPT_CONNECT},
	{0},
};

static const struct command commands[] = {
	{"target init", "", 0, 0, "create a repository in a target",
	 "Creates the repository that keeps checkpoints: deduplicated, compressed and encrypted. "
	 "It "
	 "can be opened with the key that is given now, and with others that are added later.\n\n"
	 "Keep the key apart from the target. Without a key nothing in the target can be read by "
	 "anybody. Add a second key ('holdfast target key add') and put it in a safe place.\n\n"
	 "A target is a directory, local or NFS (dir:PATH), or lies in a bucket of an S3 service: "
	 "s3:BUCKET/PREFIX at Amazon or at the service that AWS_ENDPOINT_URL_S3 names, else "
	 "s3:https://HOST:PORT/BUCKET/PREFIX. The bucket must exist. The service must keep the "
	 "conditions of writes (If-Match, If-None-Match), which is tried first, or there must be "
	 "an arbiter. Options may follow: ?region=NAME, style=path or style=virtual, retry=TIME "
	 "(how long to "
	 "try again what fails, 1m unless told otherwise), part=SIZE (in what parts larger objects "
	 "are sent, 128M unless told otherwise), arbiter=TARGET (the last one), joined by '&'. The "
	 "access key is taken "
	 "from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or from the "
	 "profile AWS_PROFILE in ~/.aws/credentials, or from the role of a container or of an "
	 "instance (AWS_CONTAINER_CREDENTIALS_FULL_URI …, AWS_EC2_METADATA_DISABLED); AWS_REGION "
	 "and AWS_CA_BUNDLE count, too.\n\n"
	 "A pack is spooled to TMPDIR (/var/tmp) before it is sent: up to 180 MiB. What never "
	 "changes in a bucket is kept, sealed as it is there, in ~/.cache/holdfast "
	 "(XDG_CACHE_HOME; /var/cache/holdfast for root), so that it is read once: up to 2 GiB, or "
	 "HOLDFAST_CACHE_SIZE; 0 keeps nothing.\n\n"
	 "An arbiter is a small place where what must have a first and a second is decided, for a "
	 "bucket whose service cannot: arbiter=dir:PATH, a directory that every machine which "
	 "writes to the target sees (on one machine any, else NFS), or arbiter=s3:…, a bucket "
	 "elsewhere that takes the same access key. Each target needs its own. It holds nothing "
	 "that a restore needs: to read, leave it out. If it is lost, no checkpoint is; see "
	 "'holdfast target arbiter'.\n\n"
	 "With --parity, whatever is stored from now on gets parity: flipped bits, sectors that "
	 "cannot be read and a tail that is cut off are then mended by 'holdfast target repair' "
	 "without another copy, as long as less of a pack is lost than it has parity. What is gone "
	 "as a whole only a copy in another target brings back. It costs space, one more object "
	 "for each pack of 60 MiB, and little time.",
	 "holdfast target init -t dir:/srv/backup --new-key-file /root/backup.key\n"
	 "holdfast target init -t dir:/mnt/disk --new-key-file /root/backup.key --parity 5%\n"
	 "holdfast target init -t dir:/srv/backup\n"
	 "holdfast target init -t s3:https://s3.example.org/backup/site1\n"
	 "holdfast target init -t 's3:https://s3.example.org/backup/site2?arbiter=dir:/srv/a2'\n",
	 init_opts, cmd_target_init},
	{"target show", "[NAME]", 0, 1, "show a repository, or a target of a server",
	 "Shows what is in the target: its format, keys, number of checkpoints, and how much it "
	 "takes. With the name of one, what a server says of it.",
	 "holdfast target show -t dir:/srv/backup -k /root/backup.key\n", NULL, cmd_target_show,
	 .remote = remote_show},
	{"target verify", "[NAME]", 0, 1, "check every stored byte, without a key",
	 "Reads everything in the target and checks that every byte is as it was written. No key "
	 "is "
	 "needed, so a machine that must not be able to read backups can watch over them.\n\n"
	 "That something is missing, and which checkpoints damage hurts, only 'holdfast checkpoint "
	 "verify' can tell, which needs a key.\n\n"
	 "When what was read is remembered in the target. With bounds, what was read least "
	 "recently "
	 "comes first, so a timer that runs this every night reads every byte within a time that "
	 "can be promised.\n\n"
	 "With the name of a target of a server, a mover of the server does it.",
	 "holdfast target verify -t dir:/srv/backup\n"
	 "holdfast target verify -t dir:/srv/backup --max-age 30d --for 2h\n"
	 "holdfast target verify local --depth content\n",
	 target_verify_opts, cmd_target_verify, .direct = true, .remote = remote_target_work},
	{"target arbiter", "", 0, 0, "give a target an arbiter, or another one",
	 "From now on the arbiter that the target names decides what is written to it: after the "
	 "one that did was lost, to move it, or when the bucket has come to a service that does "
	 "not "
	 "keep the conditions of writes. See 'holdfast help target init'.\n\n"
	 "First end every backup and collection of the target, on every machine: what is still "
	 "under way would not hear of it. Afterwards nobody can write with another arbiter, or "
	 "without.",
	 "holdfast target arbiter -t "
	 "'s3:https://s3.example.org/backup/site1?arbiter=dir:/srv/a1'\n",
	 delete_opts, cmd_target_arbiter},
	{"target parity", "", 0, 0, "make parity for packs that have none",
	 "Reads the packs that have no parity, and makes it: see --parity of 'holdfast target "
	 "init'. A target that was created with --parity needs this only where a backup was killed "
	 "at the wrong moment; in another one, run it from time to time, and what was stored until "
	 "then is protected. No key is needed. Backups and collectors can go on meanwhile, and it "
	 "can be stopped and started again: what was made stays.\n\n"
	 "Parity is removed with its pack by 'holdfast target collect'. Nothing counts on it, so "
	 "the folder 'parity' can be removed at any time.",
	 "holdfast target parity\n"
	 "holdfast target parity --percent 10% --for 2h\n",
	 parity_opts, cmd_target_parity, .direct = true},
	{"target repair", "", 0, 0, "mend what is damaged",
	 "Reads everything in the target. Packs that have parity are brought back from it, in "
	 "place, if less of them is lost than it has. What stays damaged is never again counted "
	 "on: the next "
	 "backup that comes across what was lost stores it anew, and that mends every checkpoint "
	 "that needs it. With --from, what is lost is fetched from copies in another target at "
	 "once (see 'holdfast checkpoint copy'), and compared bit for bit.\n\n"
	 "What is whole of damaged packs is saved; the next 'holdfast target collect' removes them "
	 "once nothing is needed of them. Backups and restores can go on meanwhile; it can be "
	 "stopped and started again.",
	 "holdfast target repair --from s3:offsite/holdfast --from-key-file /etc/offsite.key\n",
	 repair_opts, cmd_target_repair, .direct = true},
	{"target unhide", "", 0, 0, "bring back what was removed or overwritten in spite of locks",
	 "Whoever has the access key of a bucket can hide what is locked behind markers, or write "
	 "other objects before it; the locked ones are still there. This removes what lies before "
	 "them: the repository opens again, with every checkpoint that was locked. No key is "
	 "needed. Index runs are not locked; 'holdfast target collect' makes them anew from the "
	 "packs.\n\n"
	 "First take the access key away from whoever has it.",
	 "holdfast target unhide -t s3:https://s3.example.org/backup/site1\n", NULL,
	 cmd_target_unhide, .direct = true},
	{"target collect", "[NAME]", 0, 1, "give back the space of deleted checkpoints",
	 "Finds what no checkpoint needs, and removes it. What is needed of packs that are mostly "
	 "not needed is copied to new ones first. Backups, restores and other collectors can go on "
	 "meanwhile; it waits for the backups that began before, and they never wait for it. It "
	 "runs at the lowest priority (nice 19), can be stopped at any time and started again.\n\n"
	 "A backup that shows no sign of life is taken for dead: if it was not, it fails and has "
	 "to "
	 "be started again, and nothing is lost. Over NFS, mount the target with 'noac' where "
	 "several machines use it, so that they see each other's files at once.\n\n"
	 "In a bucket with Object Lock, what is locked stays until its lock ends; what checkpoints "
	 "that are locked need is locked for as long as they are. Old versions of objects go.\n\n"
	 "With the name of a target of a server, a mover of the server does it.",
	 "holdfast target collect --dry-run\n"
	 "holdfast target collect --waste 10\n",
	 collect_opts, cmd_target_collect, .remote = remote_target_work},
	{"target key list", "", 0, 0, "list the keys that open a repository",
	 "Every key has a slot. Any of them opens the whole repository.", NULL, NULL, cmd_key_list},
	{"target key add", "", 0, 0, "add a key",
	 "Adds a slot for another key or passphrase. Without an option the new passphrase is asked "
	 "for.",
	 "holdfast target key add --new-key-file /media/safe/recovery.key --label recovery\n",
	 key_add_opts, cmd_key_add},
	{"target key remove", "SLOT", 1, 1, "remove a key",
	 "Removes a slot, named by its id or the first digits of it. Whoever has a copy of the "
	 "target "
	 "from before, and the removed key, can still read what was there; rotate the keys if the "
	 "key "
	 "is in wrong hands.",
	 NULL, delete_opts, cmd_key_remove},
	{"target key rotate", "", 0, 0, "replace the repository's inner keys",
	 "From now on everything is written under new keys; what is stored stays readable and is "
	 "not "
	 "rewritten. The slot of the key that opens the repository stays, and those of further "
	 "keys "
	 "that are given; the others cannot be renewed without their keys, and have to be dropped.",
	 "holdfast target key rotate --keep-key /media/safe/recovery.key\n", key_rotate_opts,
	 cmd_key_rotate},
	{"protect domain", "DOMAIN …", 1, -1, "back up virtual machines",
	 "Makes a checkpoint of libvirt domains, running or shut off: all their disks at one "
	 "instant, "
	 "their definitions, firmware variables, TPM state, and the networks and pools they refer "
	 "to. "
	 "Only "
	 "what changed since the last checkpoint is read, where the disk's format can track that "
	 "(qcow2); whatever is in the repository already is not stored again.\n\n"
	 "A running domain's file systems are frozen for an instant if a guest agent answers. "
	 "Blocks "
	 "that the guest overwrites during the backup are kept in a scratch folder; the backup is "
	 "stopped before that could fill up, because then the guest's own writes would fail.",
	 "holdfast protect domain web1\n"
	 "holdfast protect domain db1 --consistency required --scratch /fast/scratch\n"
	 "holdfast protect domain db1 app1 --consistency required\n",
	 protect_domain_opts, cmd_protect_domain, .remote = remote_protect_domain},
	{"protect disk", "PATH", 1, 1, "back up a disk image or block device",
	 "Makes a checkpoint of a file or device. It must not change meanwhile, and one that QEMU "
	 "writes to is refused: for the disks of a running machine use 'holdfast protect domain', "
	 "or a snapshot.\n\n"
	 "With --lock, the checkpoint and everything that it needs is locked in the bucket: nobody "
	 "can remove it before that time. Packs are locked for longer, so that the next backups "
	 "need not look at all of them: by a quarter, at least by three days, at most for twice "
	 "the time. The access key needs the rights s3:PutObjectRetention and "
	 "s3:GetObjectRetention, and s3:ListBucketVersions and s3:DeleteObjectVersion to give "
	 "space back; to lock in compliance mode what was in governance mode, "
	 "s3:BypassGovernanceRetention.",
	 "holdfast protect disk /dev/vg0/data-snap --name data\n"
	 "holdfast protect disk appliance.vmdk --format vmdk\n",
	 protect_disk_opts, cmd_protect_disk},
	{"protect stdin", "", 0, 0, "back up what comes from standard input",
	 "Makes a checkpoint of a stream: a database dump, an archive. It is cut where its content "
	 "says so, so that what is the same as in an earlier stream is found wherever it lies; of "
	 "what changed a "
	 "little since the last stream of this name, only the change is stored.\n\n"
	 "A stream that ends early looks like one that is complete: use 'set -o pipefail' and "
	 "delete "
	 "the checkpoint if the program before it failed.",
	 "pg_dumpall | holdfast protect stdin --name pg-dump\n", protect_stdin_opts,
	 cmd_protect_stdin},
	{"checkpoint list", "", 0, 0, "list checkpoints", "Lists checkpoints, oldest first.", NULL,
	 list_opts, cmd_checkpoint_list, .remote = remote_checkpoint_list},
	{"checkpoint show", "CHECKPOINT", 1, 1, "show one checkpoint",
	 "Shows what a checkpoint holds, how consistent it is, and what it cost.\n\n"
	 "A checkpoint is named by its id, by the first digits of it (at least four), by 'latest', "
	 "or "
	 "by NAME@latest: the newest one of that resource.",
	 "holdfast checkpoint show web1@latest\n", NULL, cmd_checkpoint_show,
	 .remote = remote_checkpoint_show},
	{"checkpoint diff", "OLD NEW", 2, 2, "show what changed between two checkpoints",
	 "Compares the disks of two checkpoints. Only what differs is looked at.",
	 "holdfast checkpoint diff 3f2a web1@latest --ranges\n", diff_opts, cmd_checkpoint_diff},
	{"checkpoint verify", "[CHECKPOINT …]", 0, -1, "check that checkpoints restore",
	 "Reads every block of the checkpoints, what they share once, and compares it with what "
	 "was "
	 "backed up. Damage is named with the disks and offsets that it hurts.\n\n"
	 "With --structure no block is read, which takes seconds: it finds what is missing, not "
	 "what is bent.",
	 "holdfast checkpoint verify --all\n"
	 "holdfast checkpoint verify --all --structure\n",
	 verify_opts, cmd_checkpoint_verify, .direct = true, .remote = remote_checkpoint_verify},
	{"checkpoint delete", "CHECKPOINT …", 1, -1, "delete checkpoints",
	 "Deletes checkpoints. Others do not depend on them and stay whole. The space comes back "
	 "with 'holdfast target collect'.\n\n"
	 "One that is locked (see 'holdfast help protect disk', --lock) or held cannot be deleted. "
	 "In governance mode who has the right to can (--bypass-governance); the space that it "
	 "takes comes back when the locks of its packs have ended.",
	 NULL, checkpoint_delete_opts, cmd_checkpoint_delete, .remote = remote_checkpoint_delete},
	{"checkpoint hold", "[CHECKPOINT …]", 0, -1, "keep checkpoints until they are released",
	 "Puts a legal hold on checkpoints and on everything that they need: nobody can remove "
	 "these, with any right, until 'holdfast checkpoint release'. Needs a bucket with Object "
	 "Lock. Whoever has the right to set holds can also end them: against a thief of the "
	 "access key, lock checkpoints (--lock) besides.",
	 "holdfast checkpoint hold 3f2a\n", hold_opts, cmd_checkpoint_hold,
	 .remote = remote_checkpoint_hold},
	{"checkpoint release", "[CHECKPOINT …]", 0, -1, "end legal holds",
	 "Ends the legal hold on checkpoints, and on what no other held checkpoint needs.",
	 "holdfast checkpoint release 3f2a\n", hold_opts, cmd_checkpoint_release,
	 .remote = remote_checkpoint_release},
	{"checkpoint cat", "CHECKPOINT NAME", 2, 2, "write a disk or an item to standard output",
	 "NAME is a disk (its raw content is written) or an item, such as domain.xml.",
	 "holdfast checkpoint cat web1@latest domain.xml\n"
	 "holdfast checkpoint cat pg-dump@latest stdin | psql\n",
	 NULL, cmd_checkpoint_cat},
	{"checkpoint copy", "[CHECKPOINT …]", 0, -1, "copy checkpoints to another target",
	 "Copies checkpoints into another repository, which has keys of its own: one far away, or "
	 "one that this machine's keys cannot open. Those that are there already are passed over, "
	 "so the same command, run from time to time, keeps a second target complete. Only what "
	 "changed since a checkpoint that was copied before is read, and only what the other "
	 "repository does not have is stored.\n\n"
	 "A copy is a checkpoint like any other: it has an id of its own, restores without the "
	 "repository that it came from, and stays when the original is deleted.",
	 "holdfast checkpoint copy --all --to s3:offsite/holdfast --to-key-file /etc/offsite.key\n"
	 "holdfast checkpoint copy web1@latest --to dir:/media/disk --to-key-file disk.key\n",
	 copy_opts, cmd_checkpoint_copy, .remote = remote_checkpoint_copy},
	{"checkpoint serve", "CHECKPOINT [DISK]", 1, 2, "give access to disks over NBD",
	 "Serves the disks of a checkpoint, or one of them, until it is stopped (Ctrl-C): QEMU "
	 "boots from them, nbdcopy and qemu-img read them, guestfish and guestmount find files in "
	 "them. Nothing is restored first; blocks are fetched when they are read. The address of "
	 "each disk is printed once it can be read; with -o json on one line.\n\n"
	 "Disks are read-only. With --overlay one disk can be written to: what is written lies in "
	 "the file, never in the repository, and what a client flushed is there after anything, "
	 "also if everything was killed. Serve the same disk with the same file again to go on. "
	 "The file is good for nothing without the checkpoint, so keep that. Its backing file is "
	 "named for us alone: to check it while it is not served, use 'qemu-img check' on "
	 "'json:{\"file.filename\":\"FILE\",\"driver\":\"qcow2\",\"backing\":null}'.\n\n"
	 "Whoever reaches a TCP port reads the disk: here NBD has neither encryption nor "
	 "passwords. Listen at an address of your own and tunnel it (ssh -L). For disks of several "
	 "checkpoints at once there is the plugin itself: 'nbdkit holdfast --help'.",
	 "holdfast checkpoint serve web1@latest\n"
	 "holdfast checkpoint serve web1@latest vda --socket /run/web1.sock\n"
	 "holdfast checkpoint serve 3f2a vda --overlay /var/tmp/web1.qcow2 --listen 10809\n",
	 serve_opts, cmd_checkpoint_serve},
	{"restore domain", "CHECKPOINT", 1, 1, "bring a virtual machine back",
	 "Restores the disks and definition of a domain. Where the original is gone, it comes back "
	 "as "
	 "it was: same name, UUID, addresses and paths. Where it is still there, give a new name "
	 "and a "
	 "place for the disks (--to or --pool), or replace it with --in-place.",
	 "holdfast restore domain web1@latest --start\n"
	 "holdfast restore domain 3f2a --name web1-test --to /var/lib/libvirt/images "
	 "--network default=isolated\n"
	 "holdfast restore domain web1@latest --in-place --stop --start\n",
	 restore_domain_opts, cmd_restore_domain, .remote = remote_restore_domain},
	{"restore disk", "CHECKPOINT DISK TO", 3, 3, "bring one disk back",
	 "Writes a disk to a file (sparse), a block device, an NBD export given as a URI, or "
	 "standard "
	 "output (-). A file appears under its name when it is complete.",
	 "holdfast restore disk web1@latest vda /srv/vda.raw\n"
	 "holdfast restore disk 3f2a vda /srv/vda.qcow2 --format qcow2\n"
	 "holdfast restore disk 3f2a vda /dev/vg0/web1 --overwrite\n"
	 "holdfast restore disk 3f2a vda 'nbd://127.0.0.1/export'\n",
	 restore_disk_opts, cmd_restore_disk},
	{"resource list", "", 0, 0, "list what can be protected",
	 "Lists the domains of a libvirt host with their disks.",
	 "holdfast resource list -c qemu+ssh://kvm1/system\n", resource_opts, cmd_resource_list,
	 .remote = remote_resource_list},
	{0},
};

static const struct command last_commands[] = {
	{"completion", "SHELL", 1, 1, "print completion rules for a shell",
	 "SHELL is bash, zsh or fish.", "source <(holdfast completion bash)\n", NULL,
	 cmd_completion},
	{"version", "", 0, 0, "show the version of this program", "Shows the version.", NULL, NULL,
	 cmd_version},
	{"freeze-guard", "URI UUID MS", 3, 3, "", "", NULL, NULL, cmd_freeze_guard, true},
	{0},
};

const struct command *const command_tables[] = {commands, server_commands, last_commands, NULL};
