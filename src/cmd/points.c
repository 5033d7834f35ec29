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

static int note_chosen(struct cli *c, const struct point_list *l, bool *chosen, struct err *e)
{
	for (int i = 0; i < c->p.n_args; i++) {
		const struct point *p = point_list_find(l, c->p.args[i], e);

		if (!p)
			return -1;
		for (size_t k = 0; k < l->n; k++)
			chosen[k] = chosen[k] || l->points[k] == p;
	}
	return 0;
}

int cli_choose_points(struct cli *c, const struct point_list *l, const struct point ***ret_v,
		      size_t *ret_n, struct err *e)
{
	bool all = parsed_flag(&c->p, "all");
	AUTO_FREE bool *chosen = xcalloc(l->n, sizeof(bool));

	if (!all && c->p.n_args == 0)
		return err_set(e, ERR_INVALID, "name checkpoints, or give --all");
	if (!all && note_chosen(c, l, chosen, e) < 0)
		return -1;
	*ret_v = xcalloc(l->n, sizeof(struct point *));
	*ret_n = 0;
	for (size_t i = 0; i < l->n; i++) {
		if (all || chosen[i])
			(*ret_v)[(*ret_n)++] = l->points[i];
	}
	return 0;
}
