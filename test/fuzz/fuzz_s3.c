/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "net/s3_place.h"
#include "net/s3_xml.h"

/* What a service answers, and what a file of keys holds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct s3_error error;
	struct s3_page page;
	char value[S3_TEXT];
	struct sigv4_key key;
	struct err e = {0};

	if (s3_page_parse(data, size, &page, &e) == 0)
		s3_page_done(&page);
	if (s3_kept_parse(data, size, &page, &e) == 0)
		s3_page_done(&page);
	if (s3_uploads_parse(data, size, &page, &e) == 0)
		s3_page_done(&page);
	s3_value_parse(data, size, "InitiateMultipartUploadResult", "UploadId", value, &e);
	s3_error_parse(data, size, &error);
	if (s3_credentials_parse((const char *)data, size, "default", &key))
		sigv4_key_done(&key);
	return 0;
}
