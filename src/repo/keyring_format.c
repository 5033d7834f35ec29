/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of the key ring: format section 5.
 */
#include "repo/keyring_priv.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "repo/box.h"
#include "repo/record.h"

#define MAGIC "HFKEYS" /* with its NUL: 7 bytes */
#define LAYOUT 1
#define HEAD 32
#define SLOT_PLAIN 64 /* bytes of a slot before the wrapped key */
#define ARGON2_MEMORY_MAX ((uint32_t)4 << 20)
#define ARGON2_PASSES_MAX 1024
#define ARGON2_LANES_MAX 64

enum tag { TAG_TIME = 1, TAG_ID_KEY = 2, TAG_GENERATION = 3, TAG_SLOT = 4, TAG_SLOTS_HASH = 5 };

/* What RFC 9106 recommends where 2 GiB of memory are too much. */
const struct keyring_cost keyring_cost_default = {3, 65536, 4};

/* ---- slots ---- */

static int derive(const uint8_t *slot, const struct credential *c, uint8_t kek[SEAL_KEY],
		  struct err *e)
{
	uint32_t passes = get_le32(slot + 20), memory = get_le32(slot + 24);
	uint32_t lanes = get_le32(slot + 28);

	if (slot[17] == DERIVE_HKDF) {
		hkdf(c->secret->data, c->secret->len, slot + 32, SEAL_SALT, "holdfast slot v1", kek,
		     SEAL_KEY);
		return 0;
	}
	if (slot[17] != DERIVE_ARGON2ID)
		return err_set(e, ERR_VERSION,
			       "a key slot uses a derivation that this version does not know (%u)",
			       slot[17]);
	if (memory > ARGON2_MEMORY_MAX || passes > ARGON2_PASSES_MAX || lanes > ARGON2_LANES_MAX)
		return err_set(e, ERR_LIMIT,
			       "a key slot asks for %u passes over %u MiB with %u lanes: too much",
			       passes, memory / 1024, lanes);
	return argon2id(c->secret->data, c->secret->len, slot + 32, passes, memory, lanes, kek, e);
}

/* What the wrapping is bound to: the repository and the slot's own fields. */
static void slot_aad(const struct keyring *k, const uint8_t *slot, uint8_t out[16 + SLOT_PLAIN])
{
	memcpy(out, k->repo_id.b, 16);
	memcpy(out + 16, slot, SLOT_PLAIN);
}

int keyring_wrap(struct keyring *k, size_t i, const struct credential *c,
		 const struct keyring_cost *cost, struct err *e)
{
	uint8_t slot[SLOT_BYTES] = {0}, aad[16 + SLOT_PLAIN], kek[SEAL_KEY];
	bool plain_hkdf = c->kind != CREDENTIAL_PASSPHRASE;
	AUTO(aead) a = NULL;

	if (!cost)
		cost = &keyring_cost_default;
	memcpy(slot, k->slots[i].id.b, 16);
	slot[16] = (uint8_t)c->kind;
	slot[17] = plain_hkdf ? DERIVE_HKDF : DERIVE_ARGON2ID;
	put_le32(slot + 20, plain_hkdf ? 0 : cost->passes);
	put_le32(slot + 24, plain_hkdf ? 0 : cost->memory_kib);
	put_le32(slot + 28, plain_hkdf ? 0 : cost->lanes);
	random_bytes(slot + 32, SEAL_SALT);
	if (derive(slot, c, kek, e) < 0)
		return -1;
	a = aead_new(kek);
	secret_wipe(kek, sizeof(kek));
	slot_aad(k, slot, aad);
	aead_seal(a, 0, aad, sizeof(aad), ring_keys(k)->root, SEAL_KEY, slot + SLOT_PLAIN);
	memcpy(k->raw[i], slot, SLOT_BYTES);
	k->slots[i].kind = c->kind;
	return 0;
}

int keyring_unwrap(const struct keyring *k, size_t i, const struct credential *c,
		   uint8_t root[SEAL_KEY], struct err *e)
{
	const uint8_t *slot = k->raw[i];
	uint8_t aad[16 + SLOT_PLAIN], kek[SEAL_KEY];
	AUTO(aead) a = NULL;

	if (slot[16] != c->kind)
		return 0;
	if (derive(slot, c, kek, e) < 0)
		return -1;
	a = aead_new(kek);
	secret_wipe(kek, sizeof(kek));
	slot_aad(k, slot, aad);
	return aead_open(a, 0, aad, sizeof(aad), slot + SLOT_PLAIN, SEAL_KEY + SEAL_TAG, root);
}

/* ---- the object ---- */

static void encode_body(const struct keyring *k, const struct buf *head, struct buf *body)
{
	const struct ring_keys *keys = ring_keys(k);
	uint8_t id_key[1 + SEAL_KEY], hash[HASH_BYTES];

	record_u64(body, TAG_TIME, clock_wall_us());
	id_key[0] = 1; /* HMAC-SHA-256 */
	memcpy(id_key + 1, keys->id_key, SEAL_KEY);
	record_add(body, TAG_ID_KEY, id_key, sizeof(id_key));
	secret_wipe(id_key, sizeof(id_key));
	for (size_t i = 0; i < k->n_gens; i++) {
		size_t open = record_open(body, TAG_GENERATION);

		buf_u32(body, keys->gens[i].number);
		buf_u64(body, keys->gens[i].time_us);
		buf_add(body, keys->gens[i].key, SEAL_KEY);
		record_close(body, open);
	}
	for (size_t i = 0; i < k->n_slots; i++) {
		size_t open = record_open(body, TAG_SLOT);

		buf_add(body, k->slots[i].id.b, 16);
		buf_u64(body, k->slots[i].added_us);
		buf_text(body, k->slots[i].label);
		record_close(body, open);
	}
	sha256(head->data, head->len, hash);
	record_add(body, TAG_SLOTS_HASH, hash, HASH_BYTES);
}

void keyring_encode(const struct keyring *k, struct buf *out)
{
	AUTO_BUF body = BUF_INIT;
	uint8_t hash[HASH_BYTES];

	buf_add(out, MAGIC, 7);
	buf_u8(out, LAYOUT);
	buf_add(out, k->repo_id.b, 16);
	buf_u32(out, k->version);
	buf_u16(out, (uint16_t)k->n_slots);
	buf_u16(out, 0);
	for (size_t i = 0; i < k->n_slots; i++)
		buf_add(out, k->raw[i], SLOT_BYTES);
	/* All of it at once: growing would leave copies of keys in freed memory. */
	buf_reserve(&body, 4096 + k->n_gens * 64 + k->n_slots * (64 + KEYRING_LABEL_MAX));
	encode_body(k, out, &body);
	box_seal(ring_keys(k)->root, 0, BOX_KEYS, body.data, body.len, out);
	secret_wipe(body.data, body.cap);
	sha256(out->data, out->len, hash);
	buf_add(out, hash, HASH_BYTES);
}

int keyring_decode_slots(struct keyring *k, const uint8_t *p, size_t n, struct err *e)
{
	struct cur c = cur_of(p, n);
	const uint8_t *magic = cur_bytes(&c, 7);
	uint8_t layout = cur_u8(&c), hash[HASH_BYTES];

	if (!cur_ok(&c) || memcmp(magic, MAGIC, 7) != 0)
		return err_set(e, ERR_CORRUPT, "this is not a key ring");
	if (layout != LAYOUT)
		return err_set(e, ERR_VERSION,
			       "the key ring has layout %u, which this version does not know: use "
			       "a newer version of holdfast",
			       layout);
	cur_copy(&c, k->repo_id.b, 16);
	k->version = cur_u32(&c);
	k->n_slots = cur_u16(&c);
	cur_u16(&c);
	if (!cur_ok(&c) || k->n_slots < 1 || k->n_slots > SLOTS_MAX ||
	    c.left < k->n_slots * SLOT_BYTES + HASH_BYTES) {
		k->n_slots = 0;
		return err_set(e, ERR_CORRUPT, "the key ring is cut short or damaged");
	}
	sha256(p, n - HASH_BYTES, hash);
	if (memcmp(hash, p + n - HASH_BYTES, HASH_BYTES) != 0) {
		k->n_slots = 0;
		return err_set(e, ERR_CORRUPT, "the key ring is damaged: its checksum is wrong");
	}
	for (size_t i = 0; i < k->n_slots; i++) {
		cur_copy(&c, k->raw[i], SLOT_BYTES);
		memcpy(k->slots[i].id.b, k->raw[i], 16);
		k->slots[i].kind = k->raw[i][16];
		k->slots[i].label = xstrdup("");
	}
	return 0;
}

static int decode_generation(struct keyring *k, struct cur v, struct err *e)
{
	struct generation *g = &ring_keys(k)->gens[k->n_gens];

	if (k->n_gens == GENERATIONS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d key generations", GENERATIONS_MAX);
	g->number = cur_u32(&v);
	g->time_us = cur_u64(&v);
	cur_copy(&v, g->key, SEAL_KEY);
	if (!cur_done(&v) || g->number == 0 || (k->n_gens && g->number <= g[-1].number))
		return err_set(e, ERR_CORRUPT, "a key generation is damaged");
	k->n_gens++;
	return 0;
}

static int decode_slot_name(struct keyring *k, struct cur v, struct err *e)
{
	struct uuid id;
	uint64_t added;

	cur_copy(&v, id.b, 16);
	added = cur_u64(&v);
	if (!cur_ok(&v) || v.left > KEYRING_LABEL_MAX)
		return err_set(e, ERR_CORRUPT, "the name of a key slot is damaged");
	for (size_t i = 0; i < k->n_slots; i++) {
		if (!uuid_equal(&k->slots[i].id, &id))
			continue;
		free(k->slots[i].label);
		k->slots[i].label = xstrndup((const char *)v.p, v.left);
		k->slots[i].added_us = added;
	}
	return 0;
}

static int decode_id_key(struct keyring *k, struct cur v, struct err *e)
{
	uint8_t algorithm = cur_u8(&v);

	if (algorithm != 1)
		return err_set(
			e, ERR_VERSION,
			"block ids use algorithm %u, which this version does not know: use a "
			"newer version of holdfast",
			algorithm);
	cur_copy(&v, ring_keys(k)->id_key, SEAL_KEY);
	return cur_done(&v) ? 0 : err_set(e, ERR_CORRUPT, "the id key is damaged");
}

/* `head` is the object up to the end of the slots. */
static int decode_records(struct keyring *k, const uint8_t *head, size_t head_len, struct cur list,
			  struct err *e)
{
	uint8_t want[HASH_BYTES], have[HASH_BYTES] = {0};
	bool id_key = false;
	struct record r;
	int rc;

	while ((rc = record_next(&list, &r, e)) > 0) {
		if (r.tag == TAG_ID_KEY) {
			rc = decode_id_key(k, r.value, e);
			id_key = true;
		} else if (r.tag == TAG_GENERATION) {
			rc = decode_generation(k, r.value, e);
		} else if (r.tag == TAG_SLOT) {
			rc = decode_slot_name(k, r.value, e);
		} else if (r.tag == TAG_SLOTS_HASH) {
			rc = record_get_bytes(&r, have, HASH_BYTES, e);
		} else if (r.tag != TAG_TIME) {
			rc = record_unknown(&r, "the key ring", e);
		}
		if (rc < 0)
			return -1;
	}
	if (rc < 0)
		return -1;
	sha256(head, head_len, want);
	if (!id_key || k->n_gens == 0 || memcmp(want, have, HASH_BYTES) != 0)
		return err_set(e, ERR_CORRUPT, "the key ring's parts do not belong together");
	return 0;
}

int keyring_decode_body(struct keyring *k, const uint8_t *p, size_t n, struct err *e)
{
	size_t head_len = HEAD + k->n_slots * SLOT_BYTES;
	const uint8_t *box = p + head_len;
	size_t box_n = n - head_len - HASH_BYTES;
	AUTO_BUF body = BUF_INIT;
	struct box_head h;
	int rc;

	if (box_head_parse(box, box_n, BOX_KEYS, &h, e) < 0)
		return -1;
	if (box_open(ring_keys(k)->root, &h, box, box_n, &body, e) < 0)
		return -1;
	rc = decode_records(k, p, head_len, cur_of(body.data, body.len), e);
	secret_wipe(body.data, body.cap);
	return rc;
}
