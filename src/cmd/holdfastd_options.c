/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every option of holdfastd's configuration. The parser, its messages, holdfastd.conf(5) and the
 * example file come from here.
 */
#include "cmd/daemon.h"

#include <string.h>

#include "net/mail.h"
#include "net/networks.h"

#define KIB INT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

static const char *const roles[] = {"api", "scheduler", "worker", "conductor", NULL};
static const char *const web[] = {"http", "https", NULL};
static const char *const mails[] = {"smtp", "smtps", NULL};
static const char *const databases[] = {"sqlite", "postgresql", "postgres", NULL};
static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const formats[] = {"text", "json", NULL};

static const struct config_section sections[] = {
	{"server", "how it is reached, and what it does"},
	{"database", "where all state is kept"},
	{"state", "what is kept besides the database"},
	{"auth", "local users, sessions and what roles may do"},
	{"keystone", "an OpenStack identity service whose tokens are taken"},
	{"oidc", "an OpenID Connect provider whose users are taken"},
	{"mail", "the server that takes mail for people who want to be notified"},
	{"notifications", "webhooks that projects make, and what they may reach"},
	{"worker", "what runs the steps of operations"},
	{"mover", "the mover that is started on this machine"},
	{"limits", "what one client, project or target may use at most"},
	{"log", "messages on standard error"},
	{"retention", "how long records are kept; checkpoints follow their policies"},
	{0},
};

#define S "server"
static const struct config_option options[] = {
	{S, "listen", CONFIG_LIST, "ADDRESS:PORT, ...", "*:8799", 1, 16, NULL, config_check_address,
	 .help = "where to listen: 192.0.2.1:8799, [2001:db8::1]:8799, or *:8799 for all addresses "
		 "of the machine"},
	{S, "tls", CONFIG_BOOL, NULL, "yes",
	 .help = "speak HTTPS; can be switched off only where all addresses are of the machine "
		 "itself (127.0.0.1, [::1])"},
	{S, "certificate", CONFIG_FILE, .live = true,
	 .help = "the server's certificate and those between it and a known authority (PEM); if it "
		 "is not set, an authority is made at the first start, as ca.pem in the state "
		 "directory, and a certificate by it"},
	{S, "key", CONFIG_SECRET, .live = true,
	 .help = "the private key (PEM) that belongs to the certificate"},
	{S, "public_url", CONFIG_URL, .choices = web,
	 .help = "how clients reach the server, if it is not by https:// and the machine's name; "
		 "for links, and for names in the certificate that is made"},
	{S, "trusted_proxies", CONFIG_LIST, "NETWORK, ...", .max = 64, .check = networks_check,
	 .help = "reverse proxies before the server (192.0.2.7, 10.1.0.0/16): of them it is "
		 "believed what X-Forwarded-For says, so that limits and the audit log go by the "
		 "addresses of clients; each has to add the address that it got the request from. "
		 "connections_per_address of [limits] counts a proxy as one client"},
	{S, "dashboard", CONFIG_PATH, NULL, HF_DATADIR "/web",
	 .help = "the folder with the files of the dashboard, which is at the server's address"},
	{S, "roles", CONFIG_LIST, "ROLE, ...", "api, scheduler, worker, conductor", 1, 4, roles,
	 .help = "what this process does; several processes on one PostgreSQL database may share "
		 "the roles"},
	{S, "threads", CONFIG_INT, NULL, "0", 0, 1024,
	 .help = "how many requests are worked on at once; 0: as many as the machine can do"},
	{S, "connections", CONFIG_INT, NULL, "1000", 1, 100000,
	 .help = "how many clients may be connected at once"},
	{S, "idle", CONFIG_DURATION, NULL, "60s", CONFIG_SECONDS(1), CONFIG_HOURS(1),
	 .help = "a client that sends nothing for so long is disconnected"},
	{S, "body_max", CONFIG_SIZE, NULL, "1MiB", 4 * KIB, 64 * MIB,
	 .help = "the largest request that is taken"},
	{S, "drain", CONFIG_DURATION, NULL, "30s", 0, CONFIG_HOURS(1), .live = true,
	 .help = "how long to wait for what runs when the server is to end; what is left then goes "
		 "on after the next start"},
#undef S
#define S "database"
	{S, "url", CONFIG_URL, .choices = databases,
	 .help = "sqlite:/PATH for one process, which is what holds if it is not set, with "
		 "holdfast.db in the state directory; or postgresql://[USER@]HOST[:PORT]/NAME for "
		 "any "
		 "number; a password belongs in a file that is named with ?passfile=/PATH"},
#undef S
#define S "state"
	{S, "directory", CONFIG_PATH, NULL, "/var/lib/holdfast",
	 .help = "where the server keeps its keys and certificates"},
	{S, "server_key_file", CONFIG_PATH,
	 .help = "the key that seals passwords and keys in the database; made at the first start, "
		 "as seal.key in the state directory if it is not set. Without it they are lost: "
		 "keep a copy of it elsewhere than the database's"},
#undef S
#define S "auth"
	{S, "session", CONFIG_DURATION, NULL, "12h", CONFIG_SECONDS(60), CONFIG_DAYS(30),
	 .live = true, .help = "how long somebody who logged in stays so"},
	{S, "policy_file", CONFIG_FILE, .live = true,
	 .help = "rules that replace the built-in ones on which role may do what"},
#undef S
#define S "keystone"
	{S, "url", CONFIG_URL, .choices = web,
	 .help = "of its API, such as https://keystone.example.com:5000/v3; not set: no Keystone"},
	{S, "username", CONFIG_TEXT, NULL, "holdfast",
	 .help = "the service user that asks about tokens"},
	{S, "user_domain", CONFIG_TEXT, NULL, "Default", .help = "the domain of that user"},
	{S, "password_file", CONFIG_SECRET, .help = "a file with the password of that user"},
	{S, "project", CONFIG_TEXT, NULL, "service", .help = "the project of that user"},
	{S, "project_domain", CONFIG_TEXT, NULL, "Default", .help = "the domain of that project"},
	{S, "region", CONFIG_TEXT, NULL, "RegionOne",
	 .help = "the region under which the service stands in the catalogue"},
	{S, "internal_url", CONFIG_URL, .choices = web,
	 .help = "how services of the cloud reach this server, for the catalogue "
		 "(holdfastd --register-keystone); not set: as everybody, [server] public_url"},
	{S, "admin_url", CONFIG_URL, .choices = web, .help = "the same for administrators"},
	{S, "ca", CONFIG_FILE,
	 .help = "certificates of authorities (PEM) to trust besides the system's"},
	{S, "login", CONFIG_BOOL, NULL, "yes",
	 .help = "its users may log in here with name and password, too, which are asked of it"},
	{S, "cache", CONFIG_DURATION, NULL, "60s", 0, CONFIG_HOURS(1), .live = true,
	 .help = "how long a token that was found good is taken without asking again"},
	{S, "roles", CONFIG_TEXT,
	 .help = "what Keystone's roles mean here, such as: admin = admin@*, member = member, "
		 "reader = viewer (which is the default, with manager = operator); @*: everywhere"},
#undef S
#define S "oidc"
	{S, "issuer", CONFIG_URL, .choices = web,
	 .help = "the provider's URL, under which .well-known/openid-configuration is found; not "
		 "set: no OpenID Connect"},
	{S, "name", CONFIG_TEXT,
	 .help = "how the provider is called where people choose how to log in; not set: its host"},
	{S, "client_id", CONFIG_TEXT, NULL, "holdfast",
	 .help = "our name at the provider, which has to know the address to come back to: "
		 "[server] public_url and /v1/login/oidc/callback"},
	{S, "client_secret_file", CONFIG_SECRET,
	 .help = "a file with our secret at the provider; not set: a public client with PKCE"},
	{S, "scopes", CONFIG_LIST, NULL, "openid, profile, email", 1, 16,
	 .help = "what is asked for at a log-in"},
	{S, "user_claim", CONFIG_TEXT, NULL, "preferred_username",
	 .help = "the claim that holds the user's name"},
	{S, "groups_claim", CONFIG_TEXT, NULL, "groups",
	 .help = "the claim that holds the user's groups, to which roles in projects are given"},
	{S, "roles", CONFIG_TEXT,
	 .help = "what members of groups may be, such as: ops = operator@*, web = member@PROJECT, "
		 "* = viewer@PROJECT; the group *: everybody; @*: everywhere"},
	{S, "audience", CONFIG_TEXT,
	 .help = "whom tokens of programs may be for, besides client_id"},
	{S, "ca", CONFIG_FILE,
	 .help = "certificates of authorities (PEM) to trust besides the system's"},
#undef S
#define S "mail"
	{S, "server", CONFIG_URL, .choices = mails,
	 .help = "smtp://HOST[:PORT] or smtps://HOST[:PORT]; not set: no mail is sent, and "
		 "notifications of that kind cannot be made"},
	{S, "starttls", CONFIG_BOOL, NULL, "yes",
	 .help = "smtp: send nothing before the connection is encrypted and the server's "
		 "certificate is checked; no: nothing is encrypted"},
	{S, "username", CONFIG_TEXT, .help = "to log in with; not set: without"},
	{S, "password_file", CONFIG_SECRET, .help = "a file with the password of that user"},
	{S, "from", CONFIG_TEXT, "ADDRESS", .check = mail_check_address,
	 .help = "whom mail comes from; holdfast@ and the machine's name if it is not set"},
	{S, "ca", CONFIG_FILE,
	 .help = "certificates of authorities (PEM) to trust in place of the system's"},
#undef S
#define S "notifications"
	{S, "networks", CONFIG_LIST, "NETWORK, ...", .max = 64, .check = networks_check,
	 .help = "what webhooks of projects may reach besides public addresses: 10.1.0.0/16, "
		 "fd00:1::/32, 192.0.2.7. Addresses of this machine, of its links and of private "
		 "networks are closed to them otherwise, and proxies are not used; those that an "
		 "administrator shares with all projects may reach anything"},
	{S, "ca", CONFIG_FILE,
	 .help = "certificates of authorities (PEM) to trust in place of the system's"},
#undef S
#define S "worker"
	{S, "threads", CONFIG_INT, NULL, "8", 1, 1024,
	 .help = "how many steps of operations run at once in this process, besides those of "
		 "movers"},
#undef S
#define S "mover"
	{S, "local", CONFIG_BOOL, NULL, HF_LOCAL_MOVER,
	 .help = "start a mover on this machine, which needs no registration; it has no more "
		 "rights than the server, and under the server's unit too few for the disks of "
		 "machines: there, the mover's own unit is started in its place"},
	{S, "program", CONFIG_PATH, NULL, HF_SBINDIR "/holdfast-mover",
	 .help = "the program to start"},
	{S, "slots", CONFIG_INT, NULL, "2", 1, 256, .help = "how many disks it copies at once"},
#undef S
#define S "limits"
	{S, "requests_per_project", CONFIG_INT, NULL, "200", 0, 1000000,
	 .help = "how many requests a second a project may make on average; 0: any number"},
	{S, "requests_per_address", CONFIG_INT, NULL, "500", 0, 1000000,
	 .help = "how many requests a second may come from one address on average; 0: any number"},
	{S, "connections_per_address", CONFIG_INT, NULL, "0", 0, 100000,
	 .help = "how many connections one address may have; 0: any number"},
	{S, "operations_per_project", CONFIG_INT, NULL, "0", 0, 100000,
	 .help = "how many steps may run at once for a project; 0: any number"},
	{S, "operations_per_platform", CONFIG_INT, NULL, "0", 0, 100000,
	 .help = "how many machines of one platform may be protected and restored at once; 0: any "
		 "number"},
	{S, "operations_per_target", CONFIG_INT, NULL, "0", 0, 100000,
	 .help = "how many steps may store to one target, or verify it, at once; 0: any number"},
#undef S
#define S "log"
	{S, "level", CONFIG_TEXT, "LEVEL", "info", .choices = levels, .live = true,
	 .help = "the least important messages that are written"},
	{S, "format", CONFIG_TEXT, "FORMAT", "text", .choices = formats, .live = true,
	 .help = "lines for people, or an object of JSON for each"},
#undef S
#define S "retention"
	{S, "operations", CONFIG_DURATION, NULL, "90d", CONFIG_DAYS(1), CONFIG_DAYS(36500),
	 .live = true, .help = "how long operations that have ended can be looked at"},
	{S, "deliveries", CONFIG_DURATION, NULL, "30d", CONFIG_DAYS(1), CONFIG_DAYS(36500),
	 .help = "how long the log of what was delivered to notifications is kept"},
#undef S
	{0},
};

const struct config_schema holdfastd_schema = {"HOLDFAST", sections, options};
