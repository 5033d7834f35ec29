/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h: what random histories back up: the content of a disk, with what changed of it since
 * its last checkpoint, or of a stream.
 */
#ifndef HF_TEST_MACHINE_H
#define HF_TEST_MACHINE_H

#include "mover/backup.h"
#include "writer.h"

enum { BLOCKS_MAX = 30, GRAIN = 20000, GRAINS = BLOCKS_MAX * 65536 / GRAIN + 1 };

struct machine {
	uint8_t *data;
	uint64_t size;
	bool stream;
	bool dirty[GRAINS]; /* since its last checkpoint */
	struct uuid parent; /* that checkpoint; zero: none */
};

void machine_init(struct machine *m, struct random *rnd, bool stream);
void machine_done(struct machine *m);

/* Other content somewhere, perhaps what `other` has there. */
void machine_write(struct machine *m, const struct machine *other, struct random *rnd);
/* A little here and there. */
void machine_sprinkle(struct machine *m, struct random *rnd);
/* What follows some place moves there from elsewhere. */
void machine_shift(struct machine *m, struct random *rnd);
void machine_resize(struct machine *m, struct random *rnd);

/* Back it up, compared with a parent or (NULL) alone; true: only what changed was read. */
bool machine_back_up(struct machine *m, struct session *s, struct random *rnd,
		     const struct tree *parent, const struct uuid *parent_point,
		     struct tree *ret_tree);

#endif
