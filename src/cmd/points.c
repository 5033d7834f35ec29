/* SPDX-License-Identifier: Apache-2.0 */
/* Which checkpoints a command is about. */
#include "cmd/cli.h"

int cli_load_points(struct cli *c, struct point_list *ret_l, struct err *e)
{
	if (cli_open(c, e) < 0 || point_list_load(c->repo, ret_l, e) < 0)
		return -1;
	for (size_t i = 0; i < ret_l->n_damaged; i++)
		cli_note(c, LOG_LEVEL_WARN, ret_l->damaged[i]);
	return 0;
}

int cli_choose_points(struct cli *c, const struct point_list *l, const struct point ***ret_v,
		      size_t *ret_n, struct err *e)
{
	bool all = parsed_flag(&c->p, "all");
	AUTO_FREE const struct point **v =
		xcalloc(l->n + (size_t)c->p.n_args, sizeof(struct point *));
	size_t n = 0;

	if (!all && c->p.n_args == 0)
		return err_set(e, ERR_INVALID, "name checkpoints, or give --all");
	for (int i = 0; i < c->p.n_args && !all; i++) {
		v[n] = point_list_find(l, c->p.args[i], e);
		if (!v[n++])
			return -1;
	}
	for (size_t i = 0; i < l->n && all; i++)
		v[n++] = l->points[i];
	*ret_v = steal(&v);
	*ret_n = n;
	return 0;
}
