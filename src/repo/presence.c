/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/presence.h"

#include <pthread.h>
#include <string.h>

#include "repo/idset.h"

#define ASK_MAX 64

struct presence {
	struct store *store;
	pthread_mutex_t lock;
	struct idset there, gone; /* names of packs: hashes like ids */
	struct idset told;	  /* of `there` */
	unsigned asked;
	bool listed;
};

struct presence *presence_new(struct store *s)
{
	struct presence *p = xcalloc(1, sizeof(*p));

	p->store = s;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void presence_free(struct presence *p)
{
	if (!p)
		return;
	idset_done(&p->there);
	idset_done(&p->gone);
	idset_done(&p->told);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static void remember(struct idset *set, const struct block_id *name)
{
	if (!block_id_is_zero(name))
		idset_add(set, name);
}

static int note(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct presence *p = arg;
	struct block_id name;

	(void)size;
	(void)e;
	if (pack_key_parse(key, name.b))
		remember(&p->there, &name);
	return 0;
}

/* Called with the lock held: others would ask the same. */
static int ask(struct presence *p, const struct block_id *name, struct err *e)
{
	char key[STORE_KEY_MAX];
	int there;

	if (!p->listed && p->asked++ == ASK_MAX) {
		p->listed = true;
		if (store_list(p->store, "packs/", note, p, e) < 0)
			return -1;
		if (idset_has(&p->there, name))
			return 1;
	}
	pack_key_name(name->b, key);
	there = store_has(p->store, key, e);
	if (there >= 0)
		remember(there ? &p->there : &p->gone, name);
	return there;
}

int presence_has(struct presence *p, const uint8_t pack[HASH_BYTES], struct err *e)
{
	struct block_id name;
	int there = 0;

	memcpy(name.b, pack, HASH_BYTES);
	pthread_mutex_lock(&p->lock);
	if (idset_has(&p->there, &name))
		there = 1;
	else if (!idset_has(&p->gone, &name))
		there = ask(p, &name, e);
	if (there > 0)
		remember(&p->told, &name);
	pthread_mutex_unlock(&p->lock);
	return there;
}

void presence_told(struct presence *p, struct pack_set *add_to)
{
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->told.cap; i++) {
		if (!block_id_is_zero(&p->told.slots[i]))
			pack_set_add(add_to, p->told.slots[i].b);
	}
	pthread_mutex_unlock(&p->lock);
	pack_set_sort(add_to);
}
