/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "platform/driver.h"
#include "platform/libvirt/libvirt.h"

/* Which URIs a driver takes. A new driver is one more row. */
static const struct {
	const char *scheme; /* prefix of the URI */
	struct platform *(*open)(const char *uri, struct err *e);
} drivers[] = {
	{"qemu", libvirt_open},
};

struct platform *platform_open(const char *uri, struct err *e)
{
	if (!uri)
		return libvirt_open(NULL, e);
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
		if (strncmp(uri, drivers[i].scheme, strlen(drivers[i].scheme)) == 0)
			return drivers[i].open(uri, e);
	}
	err_set(e, ERR_UNSUPPORTED,
		"no driver for the platform '%s': give a libvirt URI like qemu:///system", uri);
	return NULL;
}

static void names_done(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

void platform_resource_list_done(struct platform_resource_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct platform_resource *r = &l->v[i];

		for (size_t j = 0; j < r->n_disks; j++) {
			free(r->disks[j].name);
			free(r->disks[j].source);
			free(r->disks[j].format);
		}
		free(r->disks);
		names_done(r->networks, r->n_networks);
		free(r->type);
		free(r->id);
		free(r->name);
		free(r->state);
	}
	free(l->v);
	*l = (struct platform_resource_list){0};
}

void platform_offers_done(struct platform_offers *o)
{
	names_done(o->networks, o->n_networks);
	for (size_t i = 0; i < o->n_pools; i++) {
		free(o->pools[i].name);
		free(o->pools[i].path);
	}
	free(o->pools);
	*o = (struct platform_offers){0};
}

void platform_about_done(struct platform_about *a)
{
	free(a->uri);
	free(a->host);
	free(a->version);
	free(a->hypervisor);
	free(a->hypervisor_version);
	*a = (struct platform_about){0};
}

void platform_note(const struct platform_watch *w, enum log_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	w->note(w->arg, level, text);
}

bool platform_listed(const char *const *list, const char *name)
{
	for (; list && *list; list++) {
		if (strcmp(*list, name) == 0)
			return true;
	}
	return false;
}
