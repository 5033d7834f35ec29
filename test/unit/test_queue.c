/* SPDX-License-Identifier: Apache-2.0 */
#include "base/queue.h"

#include <sched.h>
#include <stdatomic.h>

#include "testing.h"

/* Items are small numbers as pointers; 0 is no item. */
static void *item(uintptr_t n)
{
	return (void *)n;
}

static void test_first_in_first_out(void **state)
{
	AUTO(queue) q = queue_new(3);

	(void)state;
	assert_null(queue_try(q));
	/* More than once around the ring. */
	for (uintptr_t i = 1; i < 20; i += 2) {
		assert_true(queue_give(q, item(i)));
		assert_true(queue_give(q, item(i + 1)));
		assert_ptr_equal(queue_take(q), item(i));
		assert_ptr_equal(queue_try(q), item(i + 1));
		assert_null(queue_try(q));
	}
	queue_free(NULL);
}

static void test_closed_gives_what_is_left(void **state)
{
	AUTO(queue) q = queue_new(4);

	(void)state;
	queue_give(q, item(1));
	queue_give(q, item(2));
	queue_close(q);
	queue_close(q);
	assert_false(queue_give(q, item(3)));
	assert_ptr_equal(queue_take(q), item(1));
	assert_ptr_equal(queue_take(q), item(2));
	assert_null(queue_take(q));
	assert_null(queue_take(q));
	assert_null(queue_try(q));
}

struct bounded {
	struct queue *q;
	size_t bound;
	atomic_uint given, too_many, wrong;
};

enum { ITEMS = 3000 };

/* Thread 0 gives, thread 1 takes: gives that returned are never more than takes and the bound. */
static void give_or_take(void *arg, unsigned number)
{
	struct bounded *b = arg;

	for (uintptr_t i = 1; i <= ITEMS; i++) {
		if (number == 0) {
			b->wrong += !queue_give(b->q, item(i));
			b->given++;
		} else {
			b->wrong += queue_take(b->q) != item(i);
			b->too_many += b->given > i + b->bound;
		}
	}
}

static void test_full_makes_the_giver_wait(void **state)
{
	(void)state;
	for (size_t bound = 1; bound < 9; bound += 3) {
		struct bounded b = {.bound = bound};

		b.q = queue_new(bound);
		test_threads(2, give_or_take, &b);
		assert_int_equal(b.wrong, 0);
		assert_int_equal(b.too_many, 0);
		assert_int_equal(b.given, ITEMS);
		queue_free(b.q);
	}
}

struct crowd {
	struct queue *q;
	atomic_uint givers;
	atomic_ullong sum;
	atomic_uint taken;
};

/* Even threads give, odd ones take until the last giver closes. */
static void mill(void *arg, unsigned number)
{
	struct crowd *c = arg;
	uintptr_t n;

	if (number % 2) {
		while ((n = (uintptr_t)queue_take(c->q)) != 0) {
			c->sum += n;
			c->taken++;
		}
		return;
	}
	for (uintptr_t i = 1; i <= 1000; i++)
		queue_give(c->q, item(number * 1000 + i));
	if (--c->givers == 0)
		queue_close(c->q);
}

static void test_many_givers_and_takers(void **state)
{
	struct crowd c = {.givers = 3};

	(void)state;
	c.q = queue_new(5);
	test_threads(6, mill, &c);
	assert_int_equal(c.taken, 3000);
	assert_int_equal(c.sum, 3 * 500500 + (0 + 2 + 4) * 1000 * 1000);
	queue_free(c.q);
}

struct stuck {
	struct queue *full, *empty;
	atomic_uint began, refused, ended;
};

static void wait_for_close(void *arg, unsigned number)
{
	struct stuck *s = arg;

	if (number == 4) {
		while (s->began < 4)
			sched_yield();
		queue_close(s->full);
		queue_close(s->empty);
		return;
	}
	s->began++;
	if (number % 2)
		s->refused += !queue_give(s->full, item(9));
	else
		s->ended += queue_take(s->empty) == NULL;
}

static void test_close_wakes_all(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		struct stuck s = {.full = queue_new(1), .empty = queue_new(1)};

		queue_give(s.full, item(1));
		test_threads(5, wait_for_close, &s);
		assert_int_equal(s.refused, 2);
		assert_int_equal(s.ended, 2);
		assert_ptr_equal(queue_take(s.full), item(1));
		queue_free(s.full);
		queue_free(s.empty);
	}
}

/* ---- seq ---- */

static void test_seq_sorts(void **state)
{
	static const unsigned order[] = {3, 1, 0, 2, 5, 4};
	AUTO(seq) s = seq_new(6);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		assert_true(seq_give(s, order[i], item(order[i] + 1)));
	for (uintptr_t i = 0; i < 6; i++)
		assert_ptr_equal(seq_take(s), item(i + 1));
	assert_true(seq_give(s, 6, item(7)));
	assert_ptr_equal(seq_take(s), item(7));
	seq_free(NULL);
}

/* What follows a gap is not given: the gap would look like the end. */
static void test_closed_seq_stops_at_a_gap(void **state)
{
	AUTO(seq) s = seq_new(4);

	(void)state;
	seq_give(s, 0, item(1));
	seq_give(s, 2, item(3));
	seq_close(s);
	assert_false(seq_give(s, 1, item(2)));
	assert_ptr_equal(seq_take(s), item(1));
	assert_null(seq_take(s));
	assert_null(seq_take(s));
}

struct parallel {
	struct queue *numbers;
	struct seq *s;
	atomic_uint left, wrong, got;
};

enum { SPAN = 7, MANY = 4000 };

/* Thread 0 takes in order and hands out numbers, the others work on them. */
static void work(void *arg, unsigned number)
{
	struct parallel *p = arg;
	uintptr_t n, next = 0;

	if (number) {
		while ((n = (uintptr_t)queue_take(p->numbers)) != 0) {
			if (n % 3 == number % 3)
				sched_yield();
			seq_give(p->s, n - 1, item(n));
		}
		if (--p->left == 0)
			seq_close(p->s);
		return;
	}
	for (; next < SPAN; next++)
		queue_give(p->numbers, item(next + 1));
	while ((n = (uintptr_t)seq_take(p->s)) != 0) {
		p->wrong += n != ++p->got;
		if (next < MANY)
			queue_give(p->numbers, item(++next));
		else
			queue_close(p->numbers);
	}
}

static void test_seq_orders_parallel_work(void **state)
{
	struct parallel p = {.left = 4};

	(void)state;
	p.numbers = queue_new(SPAN);
	p.s = seq_new(SPAN);
	test_threads(5, work, &p);
	assert_int_equal(p.wrong, 0);
	assert_int_equal(p.got, MANY);
	seq_free(p.s);
	queue_free(p.numbers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_in_first_out),
		cmocka_unit_test(test_closed_gives_what_is_left),
		cmocka_unit_test(test_full_makes_the_giver_wait),
		cmocka_unit_test(test_many_givers_and_takers),
		cmocka_unit_test(test_close_wakes_all),
		cmocka_unit_test(test_seq_sorts),
		cmocka_unit_test(test_closed_seq_stops_at_a_gap),
		cmocka_unit_test(test_seq_orders_parallel_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
