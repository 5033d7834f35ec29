/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "platform/libvirt/priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lv_image image;
	struct err e = {0};

	if (lv_image_parse((const char *)data, size, &image, &e) == 0)
		lv_image_done(&image);
	return 0;
}
