/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/encoder.h"

#define SMALLEST ((size_t)4 << 10) /* content worth a delta */
/* A delta takes at most so much of what the whole would: less is not worth another read. */
#define WORTH(whole) ((whole) / 8 * 7)
/* One so small is worth it without knowing what the whole would take, which costs as much time. */
#define SURE(n) ((n) / 32)
/* Where what was there before is of no use (a disk that its guest encrypts anew), reading it is in
 * vain: after so many times in a row, only one block in so many is tried. */
#define VAIN_MAX 16
#define VAIN_STEP 8

struct encoder {
	struct session *session;
	struct codec *codec;
	struct fetch *fetch;
	uint8_t *base, *delta; /* BLOCK_MAX bytes each */
	unsigned vain;	       /* tries since one was of use */
};

struct encoder *encoder_new(struct session *s)
{
	struct encoder *en = xcalloc(1, sizeof(*en));

	en->session = s;
	en->codec = codec_new(repo_keys(session_repo(s)), session_level(s));
	return en;
}

void encoder_free(struct encoder *en)
{
	if (!en)
		return;
	codec_free(en->codec);
	fetch_free(en->fetch);
	free(en->base);
	free(en->delta);
	free(en);
}

struct codec *encoder_codec(struct encoder *en)
{
	return en->codec;
}

static bool is_worth_trying(struct encoder *en, const struct block_id *before, size_t n)
{
	if (!session_deltas(en->session) || block_id_is_zero(before) || n < SMALLEST)
		return false;
	return en->vain++ < VAIN_MAX || en->vain % VAIN_STEP == 0;
}

/* The length of a delta in en->delta; 0: none is to be had that is small enough. */
static size_t make_delta(struct encoder *en, const struct block_id *before, const void *data,
			 size_t n)
{
	struct block_id base;
	size_t len;

	if (session_base(en->session, before, &base, NULL) <= 0)
		return 0;
	if (!en->fetch) {
		en->fetch = fetch_new(session_repo(en->session));
		en->base = xmalloc(BLOCK_MAX);
		en->delta = xmalloc(BLOCK_MAX);
	}
	if (fetch_block(en->fetch, BLOCK_DATA, &base, en->base, BLOCK_MAX, &len, NULL) < 0)
		return 0;
	return codec_delta(en->codec, &base, en->base, len, data, n, en->delta, WORTH(n));
}

size_t encoder_encode(struct encoder *en, const struct block_id *before, const void *data, size_t n,
		      void *out, enum block_encoding *ret_encoding)
{
	size_t delta = is_worth_trying(en, before, n) ? make_delta(en, before, data, n) : 0;
	size_t whole = n;

	if (!delta || delta > SURE(n))
		whole = codec_encode(en->codec, data, n, out, ret_encoding);
	if (!delta || delta > WORTH(whole))
		return whole;
	en->vain = 0;
	*ret_encoding = BLOCK_DELTA;
	memcpy(out, en->delta, delta);
	return delta;
}
