/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "repo/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = {0};
	struct node node;
	struct tree t;

	if (size >= TREE_DESC)
		tree_decode(data, TREE_DESC, &t, &e);
	if (node_decode(data, size, &node, &e) == 0)
		node_done(&node);
	return 0;
}
