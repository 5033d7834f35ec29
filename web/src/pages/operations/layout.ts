// SPDX-License-Identifier: Apache-2.0
// Where the steps of an operation are drawn: in columns, each step right of everything that it needs; within a column
// near the middle of what it needs, so that lines cross little. Pure functions, without a page.

export interface Node {
	id: string;
	needs?: string[];
}

export interface Placed<T> {
	step: T;
	column: number;
	row: number;
}

export interface Picture<T> {
	placed: Placed<T>[];
	columns: number;
	rows: number;
	lines: { from: Placed<T>; to: Placed<T> }[];
}

// A graph of steps has no circles; should one be told, its steps stay in the columns that they have after as many
// rounds as there are steps.
function columns_of<T extends Node>(steps: T[]): Map<string, number> {
	const column = new Map(steps.map((s) => [s.id, 0]));
	for (let round = 0, changed = true; changed && round < steps.length; round++) {
		changed = false;
		for (const s of steps) {
			const least = Math.max(0, ...(s.needs ?? []).map((n) => (column.get(n) ?? -1) + 1));
			if (least > column.get(s.id)!) {
				column.set(s.id, least);
				changed = true;
			}
		}
	}
	return column;
}

export function place<T extends Node>(steps: T[]): Picture<T> {
	const column = columns_of(steps);
	const columns = steps.length ? Math.max(...column.values()) + 1 : 0;
	const at = new Map<string, Placed<T>>();
	let rows = 0;
	for (let c = 0; c < columns; c++) {
		const middle = (s: T) => {
			const before = (s.needs ?? []).flatMap((n) => at.get(n)?.row ?? []);
			return before.length ? before.reduce((a, b) => a + b, 0) / before.length : 0;
		};
		const here = steps.filter((s) => column.get(s.id) === c).map((s) => ({ s, middle: middle(s) }));
		here.sort((a, b) => a.middle - b.middle);
		here.forEach(({ s }, row) => at.set(s.id, { step: s, column: c, row }));
		rows = Math.max(rows, here.length);
	}
	const placed = [...at.values()];
	const lines = placed.flatMap((to) =>
		(to.step.needs ?? []).flatMap((n) => {
			const from = at.get(n);
			return from ? [{ from, to }] : [];
		}),
	);
	return { placed, columns, rows, lines };
}
