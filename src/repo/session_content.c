/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored in a session without a pipeline: nodes of trees, and small buffers. */
#include "repo/session.h"

int session_put_node(void *arg, const struct block_id *id, const uint8_t *bytes, size_t n,
		     struct err *e)
{
	struct session *s = arg;
	AUTO_FREE uint8_t *out = xmalloc(n);
	enum block_encoding encoding;
	int known = session_knows(s, id, e);
	size_t len;

	if (known)
		return known < 0 ? -1 : 0;
	len = codec_encode(session_codec(s), bytes, n, out, &encoding);
	return session_put(s, BLOCK_NODE, id, encoding, encoding == BLOCK_RAW ? bytes : out, len,
			   NULL, e);
}

#define ITEM_BLOCK ((size_t)64 << 10)

static int put_item_block(struct session *s, struct tree_seq *ts, const uint8_t *p, size_t n,
			  struct err *e)
{
	AUTO_FREE uint8_t *out = xmalloc(n);
	enum block_encoding encoding;
	struct block_ref ref = {0};
	size_t len;
	int known;

	if (!block_all_zero(p, n)) {
		codec_id(session_codec(s), BLOCK_DATA, p, n, &ref.id);
		codec_print(session_codec(s), p, n, &ref.print);
		known = session_knows(s, &ref.id, e);
		if (known < 0)
			return -1;
		len = known ? 0 : codec_encode(session_codec(s), p, n, out, &encoding);
		if (!known && session_put(s, BLOCK_DATA, &ref.id, encoding,
					  encoding == BLOCK_RAW ? p : out, len, NULL, e) < 0)
			return -1;
	}
	return tree_seq_add(ts, &ref, n, e);
}

int session_put_item(struct session *s, const void *data, size_t n, struct tree *ret_t,
		     struct err *e)
{
	AUTO(tree_seq) ts = tree_seq_new(session_codec(s), session_put_node, s);

	for (size_t off = 0; off < n; off += ITEM_BLOCK) {
		if (put_item_block(s, ts, (const uint8_t *)data + off, MIN(ITEM_BLOCK, n - off),
				   e) < 0)
			return -1;
	}
	return tree_seq_finish(ts, ret_t, e);
}
