/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin: disks of checkpoints as read-only exports of nbdkit, which speaks the protocol. Each
 * connection's handle is an export; everything that is read goes through its view.
 *
 * nbdkit calls config for each parameter, config_complete and get_ready in the foreground, where an
 * error reaches who started it; open and everything after it in many threads at once. Keys are read
 * before it gives up privileges or goes into the background. A process that forks loses the locks
 * on its memory: 'nbdkit --foreground' keeps keys out of swap, the background does not.
 */
#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <stdio.h>
#include <string.h>

#include "base/fio.h"
#include "base/human.h"
#include "base/log.h"
#include "nbdkit/exports.h"
#include "repo/store_cache.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

#define REQUEST_PREFERRED ((uint32_t)64 << 10)
#define REQUEST_MAX ((uint32_t)32 << 20)
/* A leaf of the map tells of so much; what can be asked of the map at once, and how often for one
 * answer. A hole costs one step however long it is, data one for each block. */
#define LEAF_BYTES ((uint64_t)16 << 20)
#define EXTENT_BYTES ((uint64_t)256 << 20)
#define EXTENT_STEPS 8

/* Set by 'nbdkit -D holdfast.log=1'. */
NBDKIT_DLL_PUBLIC int holdfast_debug_log = 0;

/* nbdkit's plugins are one object for the process. */
static struct {
	const char *target, *key_file;
	struct exports_options o;
	struct credential *credential;
	struct store *store;
	struct repo *repo;
	struct exports *exports;
} plugin = {.o = {.cache = VIEW_CACHE}};

static int errno_of(const struct err *e)
{
	switch (e->kind) {
	case ERR_INVALID:
		return EINVAL;
	case ERR_NOENT:
		return ENOENT;
	case ERR_DENIED:
	case ERR_KEY:
		return EACCES;
	case ERR_UNSUPPORTED:
	case ERR_VERSION:
		return ENOTSUP;
	case ERR_LIMIT:
		return ENOMEM;
	default:
		return EIO;
	}
}

static int tell(const struct err *e)
{
	nbdkit_error("%s", e->msg);
	nbdkit_set_error(errno_of(e));
	return -1;
}

/* ---- parameters ---- */

static int take_passphrase(const char *value, struct err *e)
{
	char *text = NULL;

	/* It tells itself what is wrong. */
	if (nbdkit_read_password(value, &text) < 0)
		return -1;
	credential_free(plugin.credential);
	plugin.credential = credential_passphrase(text, strlen(text), e);
	secret_wipe(text, strlen(text));
	free(text);
	return plugin.credential ? 0 : tell(e);
}

/* For who starts us, and has the key: through locked memory only, and without a name in /proc. */
static int take_key_fd(const char *value, struct err *e)
{
	AUTO(secret) bytes = NULL;
	ssize_t n;
	int fd;

	if (nbdkit_parse_int("key-fd", value, &fd) < 0)
		return -1;
	bytes = secret_new(CREDENTIAL_MAX + 2);
	n = fio_read(fd, bytes->data, bytes->len, "key-fd", e);
	if (n < 0)
		return tell(e);
	credential_free(plugin.credential);
	plugin.credential = credential_parse(bytes->data, (size_t)n, e);
	return plugin.credential ? 0 : tell(e);
}

static int take_cache(const char *value, struct err *e)
{
	uint64_t bytes;

	if (!human_parse_bytes(value, &bytes) || bytes > SIZE_MAX / 2) {
		err_set(e, ERR_INVALID, "cache=%s: write a size like 64MiB or 1GiB", value);
		return tell(e);
	}
	plugin.o.cache = (size_t)bytes;
	return 0;
}

static int hf_config(const char *key, const char *value)
{
	struct err e = {0};
	int yes;

	if (strcmp(key, "target") == 0)
		plugin.target = value;
	else if (strcmp(key, "key-file") == 0)
		plugin.key_file = value;
	else if (strcmp(key, "passphrase") == 0)
		return take_passphrase(value, &e);
	else if (strcmp(key, "key-fd") == 0)
		return take_key_fd(value, &e);
	else if (strcmp(key, "checkpoint") == 0)
		plugin.o.checkpoint = value;
	else if (strcmp(key, "disk") == 0)
		plugin.o.disk = value;
	else if (strcmp(key, "cache") == 0)
		return take_cache(value, &e);
	else if (strcmp(key, "only") != 0) {
		err_set(&e, ERR_INVALID, "there is no parameter '%s': see 'nbdkit holdfast --help'",
			key);
		return tell(&e);
	} else {
		yes = nbdkit_parse_bool(value);
		plugin.o.only = yes > 0;
		return yes < 0 ? -1 : 0;
	}
	return 0;
}

static int hf_config_complete(void)
{
	struct err e = {0};

	if (!plugin.target)
		err_set(&e, ERR_INVALID, "no target: give target=dir:PATH or s3:BUCKET/PREFIX");
	else if (!plugin.key_file == !plugin.credential)
		err_set(&e, ERR_INVALID, "give one of key-file=, passphrase= and key-fd=");
	else if ((plugin.o.disk || plugin.o.only) && !plugin.o.checkpoint)
		err_set(&e, ERR_INVALID, "disk= and only= need checkpoint=CHECKPOINT");
	else if (plugin.key_file)
		plugin.credential = credential_load(plugin.key_file, &e);
	return e.kind ? tell(&e) : 0;
}

#define HELP                                                                                       \
	"target=TARGET        (required) dir:PATH or s3:BUCKET/PREFIX, as holdfast takes it\n"     \
	"key-file=FILE        the key, or a file with a passphrase\n"                              \
	"passphrase=+FILE     or -FD, or - to ask: a passphrase instead of a key file\n"           \
	"key-fd=FD            the key or a passphrase, from an open file descriptor\n"             \
	"checkpoint=POINT     the default: an id, its first digits, latest, NAME@latest\n"         \
	"disk=DISK            the default disk of it\n"                                            \
	"only=true            serve nothing but these\n"                                           \
	"cache=SIZE           memory for each disk that is open (32MiB)"

/* ---- life ---- */

static void hf_load(void)
{
	secret_harden();
}

static int hf_get_ready(void)
{
	const char *warning;
	struct err e = {0};

	if (holdfast_debug_log)
		log_set_level(LOG_LEVEL_DEBUG);
	plugin.store = store_cache_wrap(store_open(plugin.target, false, &e), &e);
	if (plugin.store)
		plugin.repo = repo_open(plugin.store, plugin.credential, &e);
	credential_free(steal(&plugin.credential));
	if (!plugin.repo)
		return tell(&e);
	warning = repo_warning(plugin.repo);
	if (warning)
		log_warn("%s", warning);
	plugin.exports = exports_new(plugin.repo, &plugin.o);
	return 0;
}

static void hf_unload(void)
{
	exports_free(plugin.exports);
	repo_free(plugin.repo);
	store_free(plugin.store);
	credential_free(plugin.credential);
}

static void hf_dump_plugin(void)
{
	printf("holdfast_version=%s\nholdfast_repository_format=1\n", HF_VERSION);
}

/* ---- exports ---- */

static int add_export(void *arg, const char *name, const char *description, struct err *e)
{
	if (nbdkit_add_export(arg, name, description) == 0)
		return 0;
	return err_set(e, ERR_LIMIT, "the name or description of export '%s' is too long", name);
}

static int hf_list_exports(int readonly, int is_tls, struct nbdkit_exports *exports)
{
	struct err e = {0};

	(void)readonly;
	(void)is_tls;
	return exports_list(plugin.exports, add_export, exports, &e) < 0 ? tell(&e) : 0;
}

static const char *hf_default_export(int readonly, int is_tls)
{
	AUTO_FREE char *name = exports_default(plugin.exports);

	(void)readonly;
	(void)is_tls;
	/* Opening the empty name tells why there is none. */
	return name ? nbdkit_strdup_intern(name) : "";
}

static void *hf_open(int readonly)
{
	struct err e = {0};
	struct served *sv = exports_open(plugin.exports, nbdkit_export_name(), &e);

	(void)readonly;
	if (!sv)
		tell(&e);
	return sv;
}

static void hf_close(void *handle)
{
	exports_close(plugin.exports, handle);
}

static const char *hf_export_description(void *handle)
{
	return served_description(handle);
}

static int64_t hf_get_size(void *handle)
{
	return (int64_t)view_size(served_view(handle));
}

static int hf_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
	(void)handle;
	*minimum = 1;
	*preferred = REQUEST_PREFERRED;
	*maximum = REQUEST_MAX;
	return 0;
}

static int yes(void *handle)
{
	(void)handle;
	return 1;
}

/* Reading is what fills the cache. */
static int hf_can_cache(void *handle)
{
	(void)handle;
	return NBDKIT_CACHE_EMULATE;
}

static int hf_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct err e = {0};

	(void)flags;
	if (view_read(served_view(handle), buf, count, offset, &e) == 0)
		return 0;
	err_wrap(&e, "%s: read %u bytes at %llu", served_description(handle), count,
		 (unsigned long long)offset);
	return tell(&e);
}

/* One extent from `offset` on. Where the map cannot be read, all of that leaf is told as data: who
 * reads there is told what is wrong, and what lies beside it stays readable. */
static void next_extent(struct view *v, uint64_t offset, uint64_t end, bool *ret_hole,
			uint64_t *ret_len)
{
	if (view_extent(v, offset, MIN(end - offset, EXTENT_BYTES), ret_hole, ret_len, NULL) == 0)
		return;
	*ret_hole = false;
	*ret_len = MIN(end, (offset / LEAF_BYTES + 1) * LEAF_BYTES) - offset;
}

static int hf_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
		      struct nbdkit_extents *extents)
{
	struct view *v = served_view(handle);
	uint64_t end = offset + count, len;
	bool hole;

	/* An answer may be about less than was asked; of what is alike, nbdkit makes one. */
	for (unsigned i = 0; i < EXTENT_STEPS && offset < end; i++) {
		next_extent(v, offset, end, &hole, &len);
		if (nbdkit_add_extent(extents, offset, len,
				      hole ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0) < 0)
			return -1;
		offset += len;
		if (flags & NBDKIT_FLAG_REQ_ONE)
			break;
	}
	return 0;
}

static struct nbdkit_plugin holdfast = {
	.name = "holdfast",
	.longname = "Holdfast checkpoints",
	.version = HF_VERSION,
	.description = "Disks of checkpoints, read-only. Exports are named CHECKPOINT/DISK.",
	.load = hf_load,
	.unload = hf_unload,
	.dump_plugin = hf_dump_plugin,
	.config = hf_config,
	.config_complete = hf_config_complete,
	.config_help = HELP,
	.magic_config_key = "target",
	.get_ready = hf_get_ready,
	.list_exports = hf_list_exports,
	.default_export = hf_default_export,
	.open = hf_open,
	.close = hf_close,
	.export_description = hf_export_description,
	.get_size = hf_get_size,
	.block_size = hf_block_size,
	.can_multi_conn = yes,
	.can_extents = yes,
	.can_cache = hf_can_cache,
	.pread = hf_pread,
	.extents = hf_extents,
};

struct nbdkit_plugin *plugin_init(void);
NBDKIT_REGISTER_PLUGIN(holdfast)
