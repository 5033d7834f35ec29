/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "base/mem.h"
#include "net/s3_keys.h"
#include "net/s3_lock.h"
#include "net/s3_metadata.h"
#include "net/s3_place.h"
#include "net/s3_versions.h"
#include "net/s3_xml.h"

/* What a service answers, what a file of keys holds, and what a cloud gives. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct s3_error error;
	struct s3_page page;
	char value[S3_TEXT];
	struct s3_given_key given;
	struct sigv4_key key;
	AUTO_FREE char *text = xmalloc(size + 1);
	struct s3_versions versions;
	struct s3_place place;
	struct s3_lock lock;
	struct err e = {0};

	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	s3_place_arbiter(text);
	if (s3_place_parse(text, &place, &e) == 0)
		s3_place_done(&place);
	s3_lock_parse("GOVERNANCE", text, text, &lock);
	if (s3_versions_parse(data, size, &versions, &e) == 0)
		s3_versions_done(&versions);
	if (s3_page_parse(data, size, &page, &e) == 0)
		s3_page_done(&page);
	if (s3_kept_parse(data, size, &page, &e) == 0)
		s3_page_done(&page);
	if (s3_uploads_parse(data, size, &page, &e) == 0)
		s3_page_done(&page);
	s3_value_parse(data, size, "InitiateMultipartUploadResult", "UploadId", value, &e);
	s3_error_parse(data, size, &error);
	if (s3_metadata_parse(data, size, &given, &e) == 0)
		sigv4_key_done(&given.key);
	if (s3_credentials_parse((const char *)data, size, "default", &key))
		sigv4_key_done(&key);
	return 0;
}
