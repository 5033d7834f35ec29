/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h: a bounded queue of pointers between threads, and a bounded re-ordering queue.
 *
 * Both block: a full queue makes the giver wait, an empty one the taker, so the slowest stage of a
 * pipeline holds the others back and nothing grows. queue_close() ends the flow: givers are
 * refused, takers get what is left and then NULL.
 *
 * A seq is the queue at the end of parallel work: items come in any order with numbers 0, 1, 2 …,
 * and are taken in the order of their numbers. Its bound is that numbers in flight span less than
 * its size; whoever numbers the items owns at most that many of them.
 *
 * Thread-safe.
 */
#ifndef HF_BASE_QUEUE_H
#define HF_BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct queue;

struct queue *queue_new(size_t bound);
/* Items that are left are not freed. NULL is fine. */
void queue_free(struct queue *q);
/* Wait for room; false when the queue is closed (the item stays with the caller). */
bool queue_give(struct queue *q, void *item);
/* Wait for an item; NULL when the queue is closed and empty. */
void *queue_take(struct queue *q);
/* As queue_take without waiting; NULL when there is nothing now. */
void *queue_try(struct queue *q);
void queue_close(struct queue *q);

DEFINE_AUTO(queue, queue_free);

struct seq;

/* `span` is how far apart the numbers in flight may be. */
struct seq *seq_new(size_t span);
void seq_free(struct seq *s);
/* Put `item` in the place `number`; false when closed. Never waits: see the bound above. */
bool seq_give(struct seq *s, uint64_t number, void *item);
/* Wait for the next number's item; NULL when closed and that item is not there. */
void *seq_take(struct seq *s);
void seq_close(struct seq *s);

DEFINE_AUTO(seq, seq_free);

#endif
