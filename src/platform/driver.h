/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver.h: what a platform can do: list what can be protected, protect it, restore it.
 *
 * A driver knows its platform's ways of getting a consistent view of disks and of what changed; the
 * data goes through the mover. Drivers are listed in drivers.c.
 *
 * Threads: a platform belongs to one thread; `note` is called in it.
 */
#ifndef HF_PLATFORM_DRIVER_H
#define HF_PLATFORM_DRIVER_H

#include "base/cancel.h"
#include "base/log.h"
#include "base/pace.h"
#include "base/progress.h"
#include "repo/point.h"
#include "repo/repo.h"
#include "repo/session.h"

struct platform;

struct platform_disk {
	char *name, *source, *format;
	uint64_t bytes; /* 0: not known */
};

/* Something that can be protected. */
struct platform_resource {
	char *type, *id, *name, *state;
	struct platform_disk *disks;
	size_t n_disks;
	char **networks; /* that it is connected to, by the names that a restore maps */
	size_t n_networks;
};

struct platform_resource_list {
	struct platform_resource *v;
	size_t n;
};
void platform_resource_list_done(struct platform_resource_list *l);

struct platform_pool {
	char *name, *path; /* path: "" where it has none */
	uint64_t bytes, free_bytes;
};

/* What a restore to this platform can name: those that are active now. */
struct platform_offers {
	char **networks;
	size_t n_networks;
	struct platform_pool *pools;
	size_t n_pools;
};
void platform_offers_done(struct platform_offers *o);

/* What the person watching should know now: a fallback and why, a step that takes long. */
typedef void platform_note_fn(void *arg, enum log_level level, const char *text);

struct platform_watch {
	platform_note_fn *note; /* never NULL */
	void *arg;
	struct progress *progress;
	const struct cancel *cancel;
};

/* A machine that is to be protected, and how. */
struct protect_machine {
	const char *resource;	   /* name or id */
	const char *const *only;   /* names of disks; NULL-terminated list or NULL: all */
	const char *const *except; /* likewise */
	enum consistency consistency;
	bool full; /* do not trust change tracking this time */
};

/*
 * What goes into one point. Several machines are of one instant: those that can be are frozen
 * before the first backup job is begun, and thawed after the last. All of them are in the point, in
 * this order, or there is none.
 */
struct protect {
	const struct protect_machine *machines;
	size_t n_machines;	    /* at least 1 */
	uint64_t freeze_timeout_us; /* how long a machine may be frozen */
	const char *scratch;	    /* folder for overwritten blocks; NULL: the default */
	uint64_t scratch_reserve;   /* bytes to keep free there; 0: the default */
	struct pace *pace;	    /* of reading, all disks together; NULL: as fast as it goes */
	const char *self;	    /* path of the program that has the freeze guard; NULL: none */
	struct session_options packing; /* zero members: the defaults */
	struct repo *repo;
	const struct point_list *history;
	struct point *point; /* tags are in; the rest is filled in, and it is committed */
	struct platform_watch watch;
};

/* What a platform says of itself. */
struct platform_about {
	char *uri, *host;
	char *version;			       /* of the driver's service: "9.0.0" */
	char *hypervisor, *hypervisor_version; /* "QEMU", "7.2.22" */
	bool local;			       /* its disks are reached from this machine */
};
void platform_about_done(struct platform_about *a);

/* What a restore makes: enough to find it again and remove it. */
enum platform_made {
	PLATFORM_FILE,	   /* path; what lies beside it as PATH.part-… goes with it */
	PLATFORM_VOLUME,   /* "POOL/NAME" */
	PLATFORM_RESOURCE, /* id */
};

struct rename_pair {
	const char *from, *to;
};

struct platform_restore {
	struct repo *repo;
	const struct point *point;
	const struct point_resource *resource;
	bool in_place;	       /* replace the disks of the resource itself */
	bool definition_only;  /* no disks */
	bool keep_identity;    /* UUID and MACs too, even where the original is still there */
	bool start;	       /* when it is complete */
	bool stop;	       /* in place: shut it down if it runs */
	bool keep_old;	       /* in place: leave the old disks beside the new ones */
	const char *name;      /* NULL: as it was */
	const char *directory; /* for disks; NULL: where they were */
	const char *pool;      /* for disks, instead of a directory */
	const char *const *only;
	const struct rename_pair *networks;
	size_t n_networks;
	struct pace *pace; /* of reading the repository; NULL: as fast as it goes */
	struct platform_watch watch;
	/*
	 * Not in place: called before something is made that was not there, which `unmake` removes
	 * if this process does not live to do it. -1 ends the restore. May be NULL.
	 */
	int (*making)(void *arg, enum platform_made kind, const char *what, struct err *e);
	void *making_arg;
};

struct platform_restored {
	char *name, *id;
};
static inline void platform_restored_done(struct platform_restored *r)
{
	free(r->name);
	free(r->id);
	*r = (struct platform_restored){0};
}

struct platform_ops {
	void (*free)(struct platform *p);
	int (*list)(struct platform *p, struct platform_resource_list *ret_l, struct err *e);
	/* Kinds of which the platform knows nothing are empty. */
	int (*offers)(struct platform *p, struct platform_offers *ret, struct err *e);
	int (*protect)(struct platform *p, const struct protect *job, struct err *e);
	/* The restored resource's name and id are the caller's. */
	int (*restore)(struct platform *p, const struct platform_restore *job,
		       struct platform_restored *ret, struct err *e);
	/* Remove what a restore made (a resource is stopped first); that it is gone is no error. */
	int (*unmake)(struct platform *p, enum platform_made kind, const char *what, struct err *e);
	int (*about)(struct platform *p, struct platform_about *ret, struct err *e);
};

struct platform {
	const struct platform_ops *ops;
	char *name; /* "libvirt"; owned by the driver */
};

static inline void platform_free(struct platform *p)
{
	if (p)
		p->ops->free(p);
}

DEFINE_AUTO(platform, platform_free);

/* Connect to a platform by URI; NULL: the default one of this machine. */
struct platform *platform_open(const char *uri, struct err *e);

/* The text of a note. */
void platform_note(const struct platform_watch *w, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Is `name` in a NULL-terminated list (which may be NULL)? */
bool platform_listed(const char *const *list, const char *name);

#endif
