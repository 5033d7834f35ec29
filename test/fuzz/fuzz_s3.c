/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "net/s3_keys.h"
#include "net/s3_metadata.h"
#include "net/s3_xml.h"

/* What a service answers, what a file of keys holds, and what a cloud gives. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct s3_error error;
	struct s3_page page;
	char value[S3_TEXT];
	struct s3_given_key given;
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
	if (s3_metadata_parse(data, size, &given, &e) == 0)
		sigv4_key_done(&given.key);
	if (s3_credentials_parse((const char *)data, size, "default", &key))
		sigv4_key_done(&key);
	return 0;
}
