/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <dirent.h>
#include <ftw.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t random_next(struct random *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545f4914f6cdd1dU;
}

uint64_t random_below(struct random *r, uint64_t n)
{
	return random_next(r) % n;
}

void random_fill(struct random *r, void *out, size_t n, bool noise)
{
	static const char words[] =
		"backup restore checkpoint mover target repository policy plan ";
	uint8_t *p = out;

	for (size_t i = 0; i < n; i += 8) {
		uint64_t v = random_next(r);

		for (size_t j = i; j < MIN(i + 8, n); j++, v >>= 8)
			p[j] = noise ? (uint8_t)v : (uint8_t)words[v % 16 + j % 40];
	}
}

uint64_t random_seed(void)
{
	const char *s = getenv("HF_SEED");

	return s ? strtoull(s, NULL, 0) | 1 : 0x1d872b41f3a5c96dU;
}

struct credential *test_credential(uint8_t byte)
{
	struct credential *c = xcalloc(1, sizeof(*c));

	c->kind = CREDENTIAL_KEY_FILE;
	c->secret = secret_new(SEAL_KEY);
	memset(c->secret->data, byte, SEAL_KEY);
	return c;
}

struct keyring *test_keys(void)
{
	AUTO(credential) c = test_credential(1);
	struct uuid id = {{7}};

	return OK_PTR(keyring_new(&id, c, "", NULL, e));
}

struct repo *test_reopen(struct store *s)
{
	AUTO(credential) c = test_credential(1);

	return OK_PTR(repo_open(s, c, e));
}

int repo_fixture_up(void **state)
{
	struct repo_fixture *f = xcalloc(1, sizeof(*f));

	f->r = test_repo(&f->s);
	*state = f;
	return 0;
}

int repo_fixture_down(void **state)
{
	struct repo_fixture *f = *state;

	repo_free(f->r);
	store_free(f->s);
	free(f);
	return 0;
}

struct repo *test_repo(struct store **ret_store)
{
	return test_repo_parity(ret_store, 0);
}

struct repo *test_repo_parity(struct store **ret_store, unsigned percent)
{
	struct repo_options o = {.parity = percent};
	AUTO(credential) c = test_credential(1);
	struct store *s = store_mem_new();

	OK(repo_create(s, c, "test", &o, e));
	*ret_store = s;
	return test_reopen(s);
}

char *test_folder(void)
{
	/* Flushing costs nothing in memory, and these tests flush a lot. */
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	char *path = xasprintf("%s/holdfast-test-XXXXXX", base);

	assert_non_null(mkdtemp(path));
	return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void test_folder_done(char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(path);
}

unsigned test_entries(const char *folder)
{
	DIR *d = opendir(folder);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

char *test_path(const char *folder, const char *name)
{
	return xasprintf("%s/%s", folder, name);
}

struct pick {
	size_t n, want;
	char *out;
};

static int pick_one(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct pick *p = arg;

	(void)size;
	(void)e;
	if (p->out && p->n == p->want)
		snprintf(p->out, STORE_KEY_MAX, "%s", key);
	p->n++;
	return 0;
}

size_t test_count(struct store *s, const char *prefix)
{
	struct pick p = {0};

	OK(store_list(s, prefix, pick_one, &p, e));
	return p.n;
}

void test_nth(struct store *s, const char *prefix, size_t n, char out[STORE_KEY_MAX])
{
	struct pick p = {.want = n, .out = out};

	OK(store_list(s, prefix, pick_one, &p, e));
	if (p.n <= n)
		fail_msg("%s holds %zu objects, wanted number %zu", prefix, p.n, n);
}

struct thread {
	pthread_t id;
	test_thread_fn *fn;
	void *arg;
	unsigned number;
};

static void *run_thread(void *arg)
{
	struct thread *t = arg;

	t->fn(t->arg, t->number);
	return NULL;
}

void test_threads(unsigned n, test_thread_fn *fn, void *arg)
{
	AUTO_FREE struct thread *t = xcalloc(n, sizeof(*t));

	for (unsigned i = 0; i < n; i++) {
		t[i] = (struct thread){.fn = fn, .arg = arg, .number = i};
		assert_int_equal(pthread_create(&t[i].id, NULL, run_thread, &t[i]), 0);
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(t[i].id, NULL);
}

static int count_delta(void *arg, const struct location *l, bool marked, struct err *e)
{
	(void)marked;
	(void)e;
	*(uint64_t *)arg += l->at.encoding == BLOCK_DELTA;
	return 0;
}

uint64_t test_count_deltas(struct repo *r)
{
	AUTO(index_marks) all = NULL;
	uint64_t n = 0;

	OK(index_refresh(repo_index(r), e));
	all = index_marks_new(repo_index(r));
	OK(index_marks_each(all, count_delta, &n, e));
	return n;
}
