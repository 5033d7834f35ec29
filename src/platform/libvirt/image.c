/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an image file says about itself, by qemu-img: nobody but QEMU parses its formats.
 */
#include <jansson.h>
#include <string.h>

#include "base/spawn.h"
#include "platform/libvirt/priv.h"

#define INFO_MAX ((size_t)4 << 20)

void lv_image_done(struct lv_image *i)
{
	for (size_t k = 0; k < i->n_bitmaps; k++)
		free(i->bitmaps[k]);
	free(i->bitmaps);
	*i = (struct lv_image){0};
}

/* A bitmap can be used if it records and was saved cleanly. */
static bool bitmap_usable(json_t *bitmap)
{
	bool in_use = false, enabled = false;
	json_t *flag;
	size_t i;

	json_array_foreach(json_object_get(bitmap, "flags"), i, flag)
	{
		const char *name = json_string_value(flag);

		in_use = in_use || (name && strcmp(name, "in-use") == 0);
		enabled = enabled || (name && strcmp(name, "auto") == 0);
	}
	return enabled && !in_use;
}

static void read_layer(json_t *layer, bool top, struct lv_image *image)
{
	json_t *data = json_object_get(json_object_get(layer, "format-specific"), "data");
	const char *compat = json_string_value(json_object_get(data, "compat"));
	json_t *bitmaps = json_object_get(data, "bitmaps"), *b;
	size_t i;

	if (top) {
		image->qcow2_v3 = compat && strcmp(compat, "0.10") != 0;
		image->size = (uint64_t)json_integer_value(json_object_get(layer, "virtual-size"));
	}
	if (json_array_size(bitmaps) == 0)
		return;
	image->layers_with_bitmaps++;
	json_array_foreach(bitmaps, i, b)
	{
		const char *name = json_string_value(json_object_get(b, "name"));

		if (!top || !name || !bitmap_usable(b))
			continue;
		image->bitmaps =
			xreallocarray(image->bitmaps, image->n_bitmaps + 1, sizeof(char *));
		image->bitmaps[image->n_bitmaps++] = xstrdup(name);
	}
}

int lv_image_parse(const char *text, size_t n, struct lv_image *ret_i, struct err *e)
{
	struct lv_image image = {0};
	json_error_t why;
	json_t *layers = json_loadb(text, n, 0, &why), *layer;
	size_t i;

	if (!json_is_array(layers) || json_array_size(layers) == 0) {
		json_decref(layers);
		return err_set(e, ERR_CORRUPT, "qemu-img printed something unexpected");
	}
	json_array_foreach(layers, i, layer) read_layer(layer, i == 0, &image);
	json_decref(layers);
	*ret_i = image;
	return 0;
}

int lv_image_info(const char *path, const char *format, struct lv_image *ret_i, struct err *e)
{
	/* -U: it may be in use by a running domain. */
	const char *argv[] = {
		"qemu-img", "info", "-U", "--output=json", "--backing-chain", "-f", format,
		"--",	    path,   NULL};
	AUTO_BUF out = BUF_INIT;

	if (spawn_run(argv, INFO_MAX, &out, NULL, e) < 0)
		return err_wrap(e, "look at image %s", path);
	return lv_image_parse((const char *)out.data, out.len, ret_i, e);
}
