/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/rescue.h"

struct rescue {
	struct session *session;
	struct fetch *fetch;
	struct codec *codec;
	uint8_t *content, *payload; /* BLOCK_MAX bytes each */
};

struct rescue *rescue_new(struct session *s)
{
	struct rescue *r = xcalloc(1, sizeof(*r));
	struct repo *repo = session_repo(s);

	r->session = s;
	r->fetch = fetch_new(repo);
	r->codec = codec_new(repo_keys(repo), CODEC_LEVEL);
	r->content = xmalloc(BLOCK_MAX);
	r->payload = xmalloc(BLOCK_MAX);
	return r;
}

void rescue_free(struct rescue *r)
{
	if (!r)
		return;
	fetch_free(r->fetch);
	codec_free(r->codec);
	free(r->content);
	free(r->payload);
	free(r);
}

int rescue_block(struct rescue *r, const struct block_id *id, size_t *ret_stored, struct err *e)
{
	enum block_encoding encoding;
	enum block_kind kind;
	size_t len;
	int found = fetch_any(r->fetch, id, &kind, r->content, BLOCK_MAX, &len, e);

	if (found <= 0)
		return found;
	len = codec_encode(r->codec, r->content, len, r->payload, &encoding);
	return session_put(r->session, kind, id, encoding,
			   encoding == BLOCK_RAW ? r->content : r->payload, len, ret_stored, e) < 0
		       ? -1
		       : 1;
}
