// SPDX-License-Identifier: Apache-2.0
// What a machine stands on and consists of, as a small graph: platform → machine → disks, and the plans it is in.
import { href } from '../../app/router';
import { bytes } from '../../parts/format';
import { t, tx } from '../../texts';
import { disksOf, type Instance } from '../checkpoints/model';

const BOX = { w: 150, h: 40 };
const GAP = { x: 60, y: 14 };

interface Node {
	key: string;
	title: string;
	text: string;
	to?: string;
	main?: boolean;
}

const short = (s: string): string => (s.length > 19 ? `${s.slice(0, 18)}…` : s);

function columnOf(nodes: readonly Node[], x: number, height: number) {
	const all = nodes.length * BOX.h + (nodes.length - 1) * GAP.y;
	return nodes.map((n, i) => ({ ...n, x, y: (height - all) / 2 + i * (BOX.h + GAP.y) }));
}

type Placed = ReturnType<typeof columnOf>[number];

function Box({ n }: { n: Placed }) {
	const inner = (
		<>
			<title>{`${n.text}: ${n.title}`}</title>
			<rect
				className={`hf-node${n.main ? ' hf-node-main' : ''}`}
				x={n.x}
				y={n.y}
				width={BOX.w}
				height={BOX.h}
				rx={6}
			/>
			<text className="hf-node-title" x={n.x + 10} y={n.y + 17}>
				{short(n.title)}
			</text>
			<text className="hf-node-text" x={n.x + 10} y={n.y + 32}>
				{short(n.text)}
			</text>
		</>
	);
	return n.to ? <a href={href(n.to)}>{inner}</a> : <g>{inner}</g>;
}

function Edge({ from, to }: { from: Placed; to: Placed }) {
	const x1 = from.x + BOX.w;
	const y1 = from.y + BOX.h / 2;
	const y2 = to.y + BOX.h / 2;
	const mid = (x1 + to.x) / 2;
	return <path className="hf-edge" d={`M${x1} ${y1}C${mid} ${y1} ${mid} ${y2} ${to.x} ${y2}`} />;
}

export function Parts({
	of,
	platform,
	plans,
}: {
	of: Instance;
	platform?: string;
	plans: readonly { id: string; name: string }[];
}) {
	const left: Node[] = [
		...(platform ? [{ key: 'platform', title: platform, text: t('resources.platform') }] : []),
		...plans
			.slice(0, 4)
			.map((p) => ({ key: p.id, title: p.name, text: t('resources.plan'), to: `/plans/${p.id}` })),
	];
	const main: Node[] = [{ key: of.id, title: of.name, text: tx('type', of.type), main: true }];
	const disks = disksOf(of.extra_info).map((d) => ({
		key: d.name,
		title: d.name,
		text: `${t('resources.disk')} · ${bytes(d.bytes ?? 0)}`,
	}));
	const rows = Math.max(1, left.length, disks.length);
	const height = rows * BOX.h + (rows - 1) * GAP.y + 8;
	const columns = [left, main, disks].filter((c) => c.length);
	const placed = columns.map((c, i) => columnOf(c, i * (BOX.w + GAP.x) + 2, height));
	const width = columns.length * BOX.w + (columns.length - 1) * GAP.x + 4;
	return (
		<div className="hf-scroll">
			<svg
				viewBox={`0 0 ${width} ${height}`}
				className="hf-parts"
				style={{ maxWidth: width * 1.15 }}
				role="group"
				aria-label={t('resources.partsOf', { name: of.name })}
			>
				{placed
					.slice(1)
					.flatMap((column, i) =>
						(placed[i] ?? []).flatMap((from) =>
							column.map((to) => <Edge key={`${from.key} ${to.key}`} from={from} to={to} />),
						),
					)}
				{placed.flat().map((n) => (
					<Box key={n.key} n={n} />
				))}
			</svg>
		</div>
	);
}
