/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/impact.h"

#include "base/cancel.h"

void impact_done(struct impact *im)
{
	idset_done(&im->clean);
}

static int look_below(struct impact *im, const struct tree *t, unsigned level,
		      const struct block_id *id, struct err *e);

static int look_at(struct impact *im, const struct tree *t, unsigned level, const struct node *node,
		   struct err *e)
{
	int hurt = 0;

	for (size_t i = 0; i < node->n; i++) {
		int rc;

		if (block_id_is_zero(&node->ids[i]))
			continue;
		rc = level ? look_below(im, t, level - 1, &node->ids[i], e)
			   : im->lost(im->arg, &node->ids[i], e);
		if (rc < 0)
			return -1;
		hurt |= rc;
	}
	return hurt;
}

static int look_below(struct impact *im, const struct tree *t, unsigned level,
		      const struct block_id *id, struct err *e)
{
	struct err why = {0};
	struct node node;
	int rc;

	if (idset_has(&im->clean, id))
		return 0;
	rc = im->cancel ? cancel_check(im->cancel, e) : 0;
	if (rc == 0)
		rc = im->lost(im->arg, id, e);
	if (rc)
		return rc;
	if (node_fetch(im->fetch, t, level, id, &node, &why) < 0) {
		if (why.kind == ERR_CORRUPT)
			return 1;
		if (e)
			*e = why;
		return -1;
	}
	rc = look_at(im, t, level, &node, e);
	node_done(&node);
	if (rc == 0)
		idset_add(&im->clean, id);
	return rc;
}

struct verdict {
	struct impact *im;
	int hurt;
};

static int look_at_tree(void *arg, const struct point_resource *r, const char *what,
			const struct tree *t, struct err *e)
{
	struct verdict *v = arg;
	int rc;

	(void)r;
	(void)what;
	if (t->levels == 0 || block_id_is_zero(&t->root))
		return 0;
	rc = look_below(v->im, t, t->levels - 1, &t->root, e);
	v->hurt |= rc > 0;
	return MIN(rc, 0);
}

int impact_on(struct impact *im, const struct point *p, struct err *e)
{
	struct verdict v = {.im = im};

	return point_each_tree(p, look_at_tree, &v, e) < 0 ? -1 : v.hurt;
}
