/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint serve: nbdkit with our plugin, as a child in the foreground; with an overlay, qemu-nbd
 * on top of it, which reads the checkpoint from nbdkit's socket in a private folder. Nothing ever
 * writes to the repository.
 *
 * If killed: both children are told to end with us; sockets stay, and are removed by who uses the
 * path next. An overlay has what was flushed.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/human.h"
#include "cmd/cli.h"
#include "mover/nbd_folder.h"
#include "mover/nbd_server.h"
#include "mover/overlay.h"

#define PLUGIN "nbdkit-holdfast-plugin.so"

struct serving {
	struct cli *c;
	const char *overlay;	  /* or NULL */
	struct nbd_folder folder; /* private */
	char *own_socket;	  /* in it, for clients, when no place was asked for */
	char *below;		  /* in it, nbdkit's below an overlay; or NULL */
	struct nbd_place at;	  /* where clients come to */
	char *address, *port;	  /* what --listen says */
	char id[UUID_TEXT];	  /* of the checkpoint */
	struct point *point;
	const char *disk;		 /* the only one to be served, or NULL */
	const struct point_disk **disks; /* those that are served */
	char **labels;			 /* of these */
	size_t n_disks;
	struct nbd_server *nbdkit, *qemu;
};

/* ---- what to serve ---- */

static void choose_disk(struct serving *s, const struct point_resource *r,
			const struct point_disk *d)
{
	if (d->tree.type != TREE_MAP ||
	    (s->disk && !point_is_called(s->point, r, d->name, s->disk)))
		return;
	s->disks = xreallocarray(s->disks, s->n_disks + 1, sizeof(struct point_disk *));
	s->labels = xreallocarray(s->labels, s->n_disks + 1, sizeof(char *));
	s->labels[s->n_disks] = point_label(s->point, r, d->name);
	s->disks[s->n_disks++] = d;
}

static void choose_disks(struct serving *s)
{
	for (size_t i = 0; i < s->point->n_resources; i++) {
		const struct point_resource *r = &s->point->resources[i];

		for (size_t k = 0; k < r->n_disks; k++)
			choose_disk(s, r, &r->disks[k]);
	}
}

static int check_disks(struct serving *s, struct err *e)
{
	if (s->n_disks == 0 && s->disk)
		return err_set(e, ERR_NOENT,
			       "the checkpoint has no disk '%s' that can be served: see 'holdfast "
			       "checkpoint show'",
			       s->disk);
	if (s->n_disks == 0)
		return err_set(e, ERR_NOENT,
			       "the checkpoint has no disk that can be served: a stream is read "
			       "with 'holdfast checkpoint cat'");
	if (s->overlay && s->n_disks > 1)
		return err_set(e, ERR_INVALID,
			       "--overlay is for one disk, and the checkpoint has %zu: name one "
			       "after the checkpoint",
			       s->n_disks);
	if (s->overlay)
		s->disk = s->labels[0];
	return 0;
}

static int load_point(struct serving *s, struct err *e)
{
	const struct point *p;
	struct point_list l;

	if (cli_open(s->c, e) < 0 || point_list_load(s->c->repo, &l, e) < 0)
		return -1;
	p = point_list_find(&l, s->c->p.args[0], e);
	if (p)
		s->point = point_load(s->c->repo, &p->id, e);
	point_list_done(&l);
	if (!s->point)
		return -1;
	uuid_text(&s->point->id, s->id);
	choose_disks(s);
	return check_disks(s, e);
}

/* ---- where ---- */

/* "PORT", "ADDRESS:PORT", "[ADDRESS]:PORT" */
static int parse_listen(struct serving *s, const char *text, struct err *e)
{
	const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text, *from = text;
	size_t n = colon ? (size_t)(colon - text) : 0;
	char *end;
	long number = strtol(port, &end, 10);

	if (n >= 2 && from[0] == '[' && from[n - 1] == ']') {
		from++;
		n -= 2;
	}
	if (!isdigit((unsigned char)port[0]) || *end || number < 1 || number > 65535 ||
	    (colon && n == 0))
		return err_set(e, ERR_INVALID,
			       "--listen '%s': write a port from 1 to 65535, or ADDRESS:PORT with "
			       "an address in numbers",
			       text);
	s->address = colon ? xstrndup(from, n) : xstrdup("127.0.0.1");
	s->port = xasprintf("%ld", number);
	s->at.address = s->address;
	s->at.port = s->port;
	return 0;
}

static int choose_place(struct serving *s, struct err *e)
{
	const char *listen = parsed_text(&s->c->p, "listen");

	s->at.socket = parsed_text(&s->c->p, "socket");
	if (listen && s->at.socket)
		return err_set(e, ERR_INVALID, "give one of --socket and --listen");
	if (listen && parse_listen(s, listen, e) < 0)
		return -1;
	if ((listen || s->at.socket) && nbd_place_check(&s->at, e) < 0)
		return -1;
	if ((s->overlay || (!listen && !s->at.socket)) && nbd_folder_make(&s->folder, e) < 0)
		return -1;
	if (s->overlay)
		s->below = xasprintf("%s/below", s->folder.path);
	if (!listen && !s->at.socket)
		s->at.socket = s->own_socket = xasprintf("%s/s", s->folder.path);
	return 0;
}

/* The plugin: beside this program where it was built, else where nbdkit's plugins are. */
static char *find_plugin(const struct cli *c, struct err *e)
{
	const char *slash = c->self ? strrchr(c->self, '/') : NULL;
	AUTO_FREE char *path = NULL;

	if (slash)
		path = xasprintf("%.*s/" PLUGIN, (int)(slash - c->self), c->self);
	if (path && access(path, R_OK) == 0)
		return steal(&path);
	free(path);
	path = xstrdup(HF_PLUGIN_DIR "/" PLUGIN);
	if (access(path, R_OK) == 0)
		return steal(&path);
	err_set(e, ERR_NOENT, "%s is not there: install holdfast's plugin for nbdkit", path);
	return NULL;
}

/* ---- servers ---- */

/* Text from clients and from the repository: nothing of it may command a terminal. */
static void relay(void *arg, const char *line)
{
	char text[512];
	size_t n = 0;

	for (; line[n] && n < sizeof(text) - 1; n++)
		text[n] = (unsigned char)line[n] < 0x20 || line[n] == 0x7f ? '?' : line[n];
	text[n] = 0;
	cli_note(arg, LOG_LEVEL_WARN, text);
}

/* A pipe with the passphrase that was typed, as a line; its end for reading. */
static int passphrase_pipe(const struct secret *s, struct err *e)
{
	AUTO(secret) line = secret_new(s->len + 1);

	memcpy(line->data, s->data, s->len);
	line->data[s->len] = '\n';
	return spawn_input(line->data, line->len, "pipe to nbdkit", e);
}

static struct nbd_server *start_nbdkit(struct serving *s, const char *plugin, int in, struct err *e)
{
	struct nbd_place at = s->below ? (struct nbd_place){.socket = s->below} : s->at;
	const char *key = parsed_text(&s->c->p, "key-file");
	const char *cache = parsed_text(&s->c->p, "cache");
	AUTO_FREE char *target = xasprintf("target=%s", parsed_text(&s->c->p, "target"));
	AUTO_FREE char *secret = key ? xasprintf("key-file=%s", key) : xstrdup("key-fd=0");
	AUTO_FREE char *point = xasprintf("checkpoint=%s", s->id);
	AUTO_FREE char *disk = s->disk ? xasprintf("disk=%s", s->disk) : NULL;
	AUTO_FREE char *size = cache ? xasprintf("cache=%s", cache) : NULL;
	const char *argv[24] = {"nbdkit", "--foreground", "--exit-with-parent", "--readonly"};
	int n = 4;

	argv[n++] = at.socket ? "--unix" : "--ipaddr";
	argv[n++] = at.socket ? at.socket : at.address;
	if (!at.socket) {
		argv[n++] = "--port";
		argv[n++] = at.port;
	}
	argv[n++] = plugin;
	argv[n++] = target;
	argv[n++] = secret;
	argv[n++] = point;
	argv[n++] = "only=true";
	if (disk)
		argv[n++] = disk;
	if (size)
		argv[n++] = size;
	return nbd_server_start(argv, in, &at, &s->c->cancel, e);
}

static int start_reading(struct serving *s, struct err *e)
{
	AUTO_FREE char *plugin = find_plugin(s->c, e);
	AUTO_CLOSE int in = -1;

	if (!plugin)
		return -1;
	if (!parsed_text(&s->c->p, "key-file")) {
		in = passphrase_pipe(s->c->credential->secret, e);
		if (in < 0)
			return -1;
	}
	s->nbdkit = start_nbdkit(s, plugin, in, e);
	if (s->nbdkit)
		spawn_listen(nbd_server_process(s->nbdkit), relay, s->c);
	return s->nbdkit ? 0 : -1;
}

static int start_writing(struct serving *s, struct err *e)
{
	AUTO_FREE char *image = overlay_image(s->overlay, s->below);
	/* Any number of clients share one image: what one flushed the others see. */
	const char *argv[24] = {
		"qemu-nbd",	   "--persistent",	    "--shared=0",    "--cache=writeback",
		"--discard=unmap", "--detect-zeroes=unmap", "--export-name", s->disk};
	int n = 8;

	if (!image)
		return err_set(e, ERR_INVALID, "the path of overlay %s is not UTF-8", s->overlay);
	argv[n++] = s->at.socket ? "--socket" : "--bind";
	argv[n++] = s->at.socket ? s->at.socket : s->at.address;
	if (!s->at.socket) {
		argv[n++] = "--port";
		argv[n++] = s->at.port;
	}
	argv[n++] = image;
	s->qemu = nbd_server_start(argv, -1, &s->at, &s->c->cancel, e);
	if (s->qemu)
		spawn_listen(nbd_server_process(s->qemu), relay, s->c);
	return s->qemu ? 0 : -1;
}

static int prepare_overlay(struct serving *s, struct err *e)
{
	struct overlay_base base = {
		.checkpoint = s->id, .disk = s->disk, .size = s->disks[0]->tree.size};

	return overlay_prepare(s->overlay, &base, e);
}

static int start(struct serving *s, struct err *e)
{
	if (choose_place(s, e) < 0 || (s->overlay && prepare_overlay(s, e) < 0) ||
	    start_reading(s, e) < 0)
		return -1;
	/* From here on only nbdkit needs keys. */
	repo_free(steal(&s->c->repo));
	store_free(steal(&s->c->store));
	credential_free(steal(&s->c->credential));
	return s->overlay ? start_writing(s, e) : 0;
}

/* ---- telling ---- */

/* Of one disk, to be freed. */
static char *uri_of(const struct serving *s, const char *disk)
{
	return nbd_uri(&s->at, disk);
}

static int tell_json(const struct serving *s, struct err *e)
{
	json_t *list = json_array(), *j;
	AUTO_FREE char *text = NULL;

	for (size_t i = 0; i < s->n_disks; i++) {
		AUTO_FREE char *uri = uri_of(s, s->labels[i]);

		json_array_append_new(list,
				      json_pack("{s:s,s:I,s:s}", "disk", s->labels[i], "size_bytes",
						(json_int_t)s->disks[i]->tree.size, "uri", uri));
	}
	j = json_pack("{s:s,s:o,s:s?,s:b}", "checkpoint", s->id, "exports", list, "overlay",
		      s->overlay, "writable", s->overlay != NULL);
	text = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(j);
	if (!text)
		return err_set(e, ERR_INVALID, "a disk's name is not UTF-8");
	printf("%s\n", text);
	return 0;
}

static void tell_people(const struct serving *s)
{
	static const char *const titles[] = {"disk", "size", "uri", NULL};
	AUTO_FREE char *first = uri_of(s, s->labels[0]);
	struct table *t = table_new(titles, "lrl");
	AUTO_FREE char *names = point_resource_names(s->point);
	char when[CLOCK_TEXT], size[HUMAN_TEXT];

	printf("checkpoint %s of %s, %s\n", s->id, names, clock_local(s->point->instant_us, when));
	if (s->overlay)
		printf("what is written is kept in %s\n", s->overlay);
	for (size_t i = 0; i < s->n_disks; i++) {
		AUTO_FREE char *uri = uri_of(s, s->labels[i]);
		const char *const cells[] = {s->labels[i],
					     human_bytes(s->disks[i]->tree.size, size), uri};

		table_row(t, cells);
	}
	table_print(t);
	printf("\nlook at it:  qemu-img info '%s'\n", first);
	/* libguestfs writes these addresses in its own way. */
	printf("its files:   guestfish %s--format=raw -a 'nbd%s' -i\n", s->overlay ? "" : "--ro ",
	       first + (s->at.socket ? strlen("nbd+unix") : strlen("nbd")));
	printf("stop:        Ctrl-C\n");
}

static int tell(const struct serving *s, struct err *e)
{
	if (s->c->json && tell_json(s, e) < 0)
		return -1;
	if (!s->c->json)
		tell_people(s);
	/* Whoever waits for this line connects then. */
	return fflush(stdout) == 0 ? 0 : err_sys(e, errno, "write standard output");
}

/* ---- until it is stopped ---- */

static int died(struct nbd_server *server, struct err *e)
{
	struct err why = {0};

	if (!server || !spawn_ended(nbd_server_process(server), &why))
		return 0;
	if (why.kind == ERR_NONE)
		err_set(&why, ERR_IO, "%s ended, and was not asked to",
			nbd_server_process(server)->name);
	if (e)
		*e = why;
	return -1;
}

static int wait_for_the_end(struct serving *s, struct err *e)
{
	while (!cancel_asked(&s->c->cancel)) {
		if (died(s->nbdkit, e) < 0 || died(s->qemu, e) < 0)
			return -1;
		clock_sleep_ms(100);
	}
	return 0;
}

static int serve(struct serving *s, struct err *e)
{
	if (load_point(s, e) < 0 || start(s, e) < 0 || tell(s, e) < 0 || wait_for_the_end(s, e) < 0)
		return -1;
	/* An overlay is closed while what lies beneath can still be read. */
	return s->qemu ? nbd_server_stop(steal(&s->qemu), e) : 0;
}

static void serving_done(struct serving *s)
{
	nbd_server_free(s->qemu);
	nbd_server_free(s->nbdkit);
	nbd_folder_remove(&s->folder);
	for (size_t i = 0; i < s->n_disks; i++)
		free(s->labels[i]);
	free(s->labels);
	free(s->disks);
	point_free(s->point);
	free(s->own_socket);
	free(s->below);
	free(s->address);
	free(s->port);
}

int cmd_checkpoint_serve(struct cli *c, struct err *e)
{
	struct serving s = {.c = c,
			    .overlay = parsed_text(&c->p, "overlay"),
			    .disk = c->p.n_args > 1 ? c->p.args[1] : NULL};
	uint64_t cache;
	int rc = cli_bytes(c, "cache", &cache, e);

	if (rc == 0)
		rc = serve(&s, e);
	serving_done(&s);
	return rc;
}
