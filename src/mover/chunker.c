/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gear hash shifts left for every byte, so its upper bits depend on the last 64 bytes; the
 * masks take bits from there, spread so that they come from different ages. Normalised chunking:
 * two more bits before the average length and two fewer after it keep lengths near the average.
 */
#include "mover/chunker.h"

#include "base/buf.h"
#include "base/mem.h"

/* `bits` ones spread over the upper 48 bits. */
static uint64_t spread_mask(unsigned bits)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < bits; i++)
		mask |= (uint64_t)1 << (63 - i * 48 / bits);
	return mask;
}

void chunker_init(struct chunker *c, const struct keyring *k, size_t average)
{
	unsigned bits = (unsigned)__builtin_ctzll(average);
	uint8_t raw[sizeof(c->gear)];

	c->min = average / 4;
	c->average = average;
	c->max = average * 4;
	c->before = spread_mask(bits + 2);
	c->after = spread_mask(bits - 2);
	keyring_derive(k, "holdfast chunker", raw, sizeof(raw));
	for (int i = 0; i < 256; i++)
		c->gear[i] = get_le64(raw + 8 * i);
	secret_wipe(raw, sizeof(raw));
}

size_t chunker_cut(const struct chunker *c, const uint8_t *data, size_t n)
{
	size_t end = MIN(n, c->max), middle = MIN(end, c->average), i = c->min;
	uint64_t hash = 0;

	if (n <= c->min)
		return n;
#pragma GCC unroll 8
	for (; i < middle; i++) {
		hash = (hash << 1) + c->gear[data[i]];
		if (!(hash & c->before))
			return i + 1;
	}
#pragma GCC unroll 8
	for (; i < end; i++) {
		hash = (hash << 1) + c->gear[data[i]];
		if (!(hash & c->after))
			return i + 1;
	}
	return end;
}
