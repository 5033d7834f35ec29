/* SPDX-License-Identifier: Apache-2.0 */
/*
 * priv.h: what the files of the libvirt driver share. All of it belongs to the driver's thread, but
 * for what says otherwise.
 */
#ifndef HF_PLATFORM_LIBVIRT_PRIV_H
#define HF_PLATFORM_LIBVIRT_PRIV_H

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <libxml/tree.h>
#include <libxml/xpath.h>

#include "mover/source.h"
#include "platform/driver.h"
#include "platform/libvirt/libvirt.h"
#include "repo/session.h"

struct lv {
	struct platform p;
	virConnectPtr conn;
	char *uri;  /* as it was given, or libvirt's default */
	char *host; /* where the domains run */
	bool local; /* that is this machine */
};

/* ---- connect.c ---- */

/* The last libvirt error of this thread as ours: "what: libvirt's words". Returns -1. */
int lv_fail(struct err *e, const char *what, ...) __attribute__((format(printf, 2, 3)));
/* The code of that error (VIR_ERR_…). */
int lv_code(void);
/* A domain by name or UUID; ERR_NOENT says how to list them. */
virDomainPtr lv_domain(struct lv *lv, const char *ref, struct err *e);
/* What the domain starts from, with its passwords where the connection gives them; to be freed. */
char *lv_definition(virDomainPtr dom, struct err *e);
/* libvirtd may have been restarted: connect again if the connection is dead. */
int lv_revive(struct lv *lv, virDomainPtr *dom, struct err *e);
/* -1 with the way out when the disks are on another host. */
int lv_check_local(const struct lv *lv, const char *what, struct err *e);

static inline void lv_domain_auto(virDomainPtr *d)
{
	if (*d)
		virDomainFree(*d);
}
#define AUTO_DOMAIN CLEANUP(lv_domain_auto) virDomainPtr

/* ---- xml.c ---- */

static inline void lv_xml_auto(xmlDocPtr *d)
{
	if (*d)
		xmlFreeDoc(*d);
}
#define AUTO_XML CLEANUP(lv_xml_auto) xmlDocPtr

#define LV_XML_MAX ((size_t)8 << 20)

/* Parse XML from libvirt or from a checkpoint. */
xmlDocPtr lv_xml_parse(const char *text, const char *what, struct err *e);
/* The text of the first node that an XPath finds below `at` (NULL: the root); NULL when there is
 * none. The caller frees. */
char *lv_xml_text(xmlDocPtr doc, xmlNodePtr at, const char *xpath);
/* All nodes that it finds; the caller frees the array. */
xmlNodePtr *lv_xml_nodes(xmlDocPtr doc, xmlNodePtr at, const char *xpath, size_t *ret_n);
/* The text escaped for use inside an attribute with single quotes; the caller frees. */
char *lv_xml_quote(const char *text);

/* A disk of a domain's definition. */
struct lv_disk {
	char *name;   /* vda */
	char *type;   /* file, block, network, volume */
	char *format; /* qcow2, raw */
	char *source; /* a path for file and block; else something to show */
	char **chain; /* paths of the backing files, from the top */
	size_t n_chain;
	bool path; /* `source` is a path on the host */
};

struct lv_domain_info {
	char *uuid, *name;
	struct lv_disk *disks;
	size_t n_disks;
	char *nvram;	       /* path or NULL */
	char *kernel, *initrd; /* paths or NULL */
	bool agent;	       /* a guest-agent channel is configured */
	bool tpm;	       /* an emulated TPM */
	char **networks;       /* names of networks and bridges, each once */
	size_t n_networks;
	uid_t qemu_uid; /* who QEMU runs as, if libvirt changes it; else our own */
	gid_t qemu_gid;
};

int lv_domain_info(const char *xml, struct lv_domain_info *ret_i, struct err *e);
void lv_domain_info_done(struct lv_domain_info *i);

/* ---- offers.c ---- */

int lv_offers(struct platform *p, struct platform_offers *ret, struct err *e);

/* ---- checkpoint.c ---- */

/* The name of our libvirt checkpoint for a point of this repository. */
void lv_checkpoint_name(const struct repo *r, const struct uuid *point, char out[80]);
/* Which point of this repository a name belongs to; false for names that are not ours. */
bool lv_checkpoint_parse(const struct repo *r, const char *name, struct uuid *ret_point);

/* Our checkpoints of a domain, newest first. */
struct lv_checkpoint {
	virDomainCheckpointPtr ptr;
	struct uuid point;
	char name[80];
	char **valid; /* names of disks whose bitmap can be used (running domains) */
	size_t n_valid;
};
struct lv_checkpoint_list {
	struct lv_checkpoint *v;
	size_t n;
};
int lv_checkpoints(virDomainPtr dom, const struct repo *r, const struct point_list *history,
		   struct lv_checkpoint_list *ret_l, struct err *e);
void lv_checkpoints_done(struct lv_checkpoint_list *l);
bool lv_checkpoint_valid_for(const struct lv_checkpoint *c, const char *disk);
/* Remove a checkpoint with its bitmaps, or, where those are gone, what libvirt remembers of it. */
int lv_checkpoint_delete(virDomainCheckpointPtr c, struct err *e);
/* Remove all our checkpoints of this repository but the one named `keep` (NULL: none kept). */
void lv_checkpoints_drop(virDomainPtr dom, const struct repo *r, const char *keep,
			 const struct platform_watch *w);
/* libvirt lost its knowledge of a checkpoint whose bitmaps are still in the images: tell it again.
 */
void lv_checkpoint_restore(virDomainPtr dom, const char *name, const struct lv_domain_info *info,
			   const struct point_resource *from);

/* ---- plan.c: how each disk is read ---- */

struct lv_plan_disk {
	const struct lv_disk *disk;
	bool bitmap_able;		 /* its format can hold one */
	const struct point_disk *base;	 /* what the increment starts from; NULL: all is read */
	char base_name[80];		 /* the libvirt checkpoint of `base` */
	const struct point_disk *parent; /* the newest state we have, to compare with; NULL */
	char *reason;			 /* why all is read; NULL when nobody asked for less */
};

struct lv_plan {
	struct lv_plan_disk *v;
	size_t n;
	const struct point *parent; /* the newest point of the domain; NULL */
};

/* Which disks are read, and from what they start. `running` decides how bitmaps are looked at. */
int lv_plan_make(const struct protect *job, const struct protect_machine *ask,
		 const struct lv_domain_info *info, virDomainPtr dom, bool running,
		 struct lv_plan *ret_p, struct err *e);
void lv_plan_done(struct lv_plan *p);
/* Read this disk as a whole after all. */
void lv_plan_widen(struct lv_plan_disk *d, const struct platform_watch *w, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- freeze.c ---- */

struct lv_freeze {
	virDomainPtr dom;
	struct spawn *guard;
	int guard_in;
	bool asked, frozen;
	uint64_t since_us;
	uint64_t timeout_us;
};

/* Start the guard. -1: it does not watch, so nothing may be frozen. */
int lv_freeze_ready(struct lv_freeze *f, virDomainPtr dom, const struct lv *lv,
		    const struct protect *job, struct err *e);
/* Freeze the guest's file systems. -1: it did not say that they are within `wait_us`; they may be,
 * until lv_freeze_end(). In any thread. */
int lv_freeze_begin(struct lv_freeze *f, uint64_t wait_us, struct err *e);
/* Thaw, whatever happened. *ret_frozen_us is how long it was frozen. -1 when it had been thawed by
 * somebody else before, so that nobody knows what the guest wrote meanwhile. In any thread. */
int lv_freeze_end(struct lv_freeze *f, uint64_t *ret_frozen_us, struct err *e);

/* ---- job.c: the backup job inside QEMU ---- */

struct lv_job {
	struct lv *lv;
	virDomainPtr dom;
	const struct protect *job;
	char *dir;    /* folder of this job */
	char *socket; /* of the NBD server */
	int lock_fd;  /* held as long as the job is ours */
	bool active;
	char checkpoint[80];
	bool has_checkpoint;
	struct err failed; /* why it could not be begun, and libvirt's code and words */
	int code;
	char *said;
	struct scratch_watch *scratch;
};

/* Take the domain for a backup: lock it against other backups of ours, find what a dead one left,
 * clean it up. ERR_BUSY: another backup, or another program's, is running. */
struct lv_job *lv_job_take(struct lv *lv, virDomainPtr dom, const struct lv_domain_info *info,
			   const struct protect *job, struct err *e);
/* Start the job in QEMU, with a new checkpoint if a disk can have one. In any thread. */
void lv_job_begin(struct lv_job *j, const struct lv_plan *plan, const struct lv_domain_info *info,
		  const struct uuid *point);
/* What became of that. 1: it did not work as planned, and the plan was widened: try again. */
int lv_job_begun(struct lv_job *j, struct lv_plan *plan, const struct lv_domain_info *info,
		 struct err *e);
/* As if it had not been begun: its new checkpoint goes, too. */
void lv_job_withdraw(struct lv_job *j);
/* ERR_NOSPACE when there is too little scratch space to begin with. */
int lv_job_check_scratch(const struct lv_job *j, struct err *e);
/* Watch the scratch space from now on, until lv_job_end. */
int lv_job_watch(struct lv_job *j, struct err *e);
/* All is read: end the job in QEMU. The checkpoint stays. */
int lv_job_end(struct lv_job *j, struct err *e);
/* Give the domain back; without lv_job_keep also the new checkpoint goes. NULL is fine. */
void lv_job_free(struct lv_job *j);
/* The point is committed: the new checkpoint is the base of the next one. */
void lv_job_keep(struct lv_job *j);
/* -1 when the job had to be stopped because scratch space ran short. */
int lv_job_check(struct lv_job *j, struct err *e);
/* The user's flag, raised too when the job was stopped for lack of scratch space: for the mover. */
const struct cancel *lv_job_cancel(const struct lv_job *j);

/* ---- scratch.c ---- */

/* Watches the scratch file system from a thread of its own. */
struct scratch_watch;
/* ERR_NOSPACE when there is too little to begin with. */
int scratch_check(const char *dir, uint64_t reserve, struct err *e);
struct scratch_watch *scratch_watch_new(const char *uri, virDomainPtr dom, const char *dir,
					uint64_t reserve, const struct cancel *user, struct err *e);
void scratch_watch_free(struct scratch_watch *w);
int scratch_watch_check(struct scratch_watch *w, struct err *e);
const struct cancel *scratch_watch_cancel(const struct scratch_watch *w);

/* ---- items.c ---- */

/* Store everything that belongs to the domain besides its disks. */
int lv_items_store(struct lv *lv, virDomainPtr dom, const struct lv_domain_info *info,
		   struct session *s, struct point_resource *res, const struct protect *job,
		   struct err *e);

/* Put back a file of the TPM's state, "tpm2/tpm2-00.permall", for the domain with this UUID. */
int lv_tpm_put(const struct lv *lv, const char *uuid, const char *file, const void *data, size_t n,
	       struct err *e);

/* ---- backup.c, instant.c, offline.c, image.c ---- */

/* A machine while its point is made. */
struct lv_member {
	struct lv *lv;
	struct protect job; /* with notes that name the machine, where there are several */
	const struct platform_watch *ask_watch; /* without the name */
	const struct protect_machine *ask;
	size_t of; /* how many there are */
	virDomainPtr dom;
	bool runs;
	struct lv_domain_info info;
	struct lv_plan plan;
	struct session *s;
	struct point_resource *res;
	struct lv_job *j;
	struct lv_offline *offline; /* NULL: it runs */
	/* instant.c */
	struct lv_freeze freeze;
	struct err why_not, why_thawed; /* not frozen; not so for long enough */
	uint64_t from_us, to_us;	/* monotonic: its backup began between */
};

int lv_protect(struct platform *p, const struct protect *job, struct err *e);
/*
 * Begin the backup jobs of all that run, at one instant: freeze, begin, thaw, each of them in all
 * machines at once. The point's instant and window, and what was achieved, are set. -1: some may
 * have begun; lv_job_free() ends them.
 */
int lv_instant(struct lv_member *m, size_t n, struct point *point, struct err *e);

/* The disks of a domain that does not run; it cannot be started while they are open. */
struct lv_offline;
struct lv_offline *lv_offline_open(const struct protect *job, struct lv_plan *plan, struct err *e);
int lv_offline_read(struct lv_offline *o, const struct protect *job, struct session *s,
		    struct point_resource *res, struct err *e);
void lv_offline_free(struct lv_offline *o);
/* Read one disk into the session and note it in the point. `source` may be NULL: *source failed*.
 */
struct lv_read {
	struct source *source;
	const struct lv_plan_disk *plan;
	bool incremental;
	const char *tracking; /* the new checkpoint, or NULL */
};
int lv_read_disk(const struct protect *job, struct session *s, const struct lv_read *r,
		 const struct cancel *cancel, struct point_resource *res, struct err *e);
/* What an image says about itself; -1 when qemu-img cannot read it. */
struct lv_image {
	bool qcow2_v3;
	uint64_t size;
	char **bitmaps; /* usable ones */
	size_t n_bitmaps;
	size_t layers_with_bitmaps;
};
/* The same from what "qemu-img info --output=json --backing-chain" printed. */
int lv_image_parse(const char *text, size_t n, struct lv_image *ret_i, struct err *e);
int lv_image_info(const char *path, const char *format, struct lv_image *ret_i, struct err *e);
void lv_image_done(struct lv_image *i);

/* ---- restore.c ---- */

int lv_restore(struct platform *p, const struct platform_restore *job,
	       struct platform_restored *ret, struct err *e);

/* ---- unmake.c ---- */

int lv_unmake(struct platform *p, enum platform_made kind, const char *what, struct err *e);

#endif
