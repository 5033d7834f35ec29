// SPDX-License-Identifier: Apache-2.0
// What a policy keeps, as a picture: each recovery point is a line from when it is made to when it goes; below, the
// points that are there on a day that is chosen.
import { useId, useMemo, useState } from 'react';
import type { Schema } from '../../api/client';
import { day } from '../../parts/dates';
import { t, tn } from '../../texts';

export type Simulation = Schema<'PlanSimulation'>;
type Life = Simulation['lives'][number];

const WIDTH = 720;
const HEIGHT = 260;
const STRIP = 34;
const COLORS = 6; // --hf-chart-1 and so on

export function colorOf(makers: readonly string[], maker: string): string {
	const at = makers.indexOf(maker);
	return `var(--hf-chart-${(Math.max(0, at) % COLORS) + 1})`;
}

interface Line extends Life {
	from: number;
	to: number;
}

const DAY = 86400000;

function lines(lives: readonly Life[], start: number, end: number): Line[] {
	return lives
		.map((l) => ({ ...l, from: Date.parse(l.at), to: l.until ? Date.parse(l.until) : Infinity }))
		.filter((l) => l.to > start && l.from <= end)
		.sort((a, b) => a.from - b.from);
}

function ticks(start: number, end: number): number[] {
	const n = 6;
	return Array.from({ length: n + 1 }, (_, i) => start + ((end - start) / n) * i);
}

export function RetentionPicture({ simulation, days }: { simulation: Simulation; days: number }) {
	const id = useId();
	const start = Date.parse(simulation.timeline[0]?.at ?? new Date().toISOString());
	const end = start + days * DAY;
	const [chosen, choose] = useState(days);
	const at = start + Math.min(chosen, days) * DAY;
	const all = useMemo(() => lines(simulation.lives, start, end), [simulation, start, end]);
	const makers = useMemo(() => [...new Set(all.map((l) => l.made_by))].sort(), [all]);
	const alive = all.filter((l) => l.from <= at && l.to > at);
	const first = Math.min(start, ...all.map((l) => l.from));
	const x = (time: number): number => ((Math.min(time, end) - first) / (end - first)) * WIDTH;
	const height = Math.min(HEIGHT, Math.max(60, all.length * 8));
	const step = height / Math.max(1, all.length);
	// Beyond what is told one by one, the number is the server's.
	const count = simulation.more_lives
		? ([...simulation.timeline].reverse().find((m) => Date.parse(m.at) <= at)?.checkpoints ?? alive.length)
		: alive.length;
	if (!all.length) return <p>{t('policies.picture.none')}</p>;
	const said = tn('policies.picture.onDay', count, { day: day(new Date(at).toISOString()) });
	return (
		<figure className="hf-picture" aria-labelledby={`${id}-said`}>
			<svg
				viewBox={`0 0 ${WIDTH} ${height + STRIP + 22}`}
				role="img"
				aria-label={said}
				preserveAspectRatio="none"
			>
				{ticks(first, end).map((tick) => (
					<line key={tick} className="hf-picture-grid" x1={x(tick)} x2={x(tick)} y1={0} y2={height + STRIP} />
				))}
				{all.map((l, i) => (
					<rect
						key={`${l.made_by} ${l.at} ${i}`}
						x={x(l.from)}
						width={Math.max(2, x(l.to) - x(l.from))}
						y={i * step}
						height={Math.max(1, step * 0.7)}
						rx={Math.min(2, step / 3)}
						fill={colorOf(makers, l.made_by)}
						opacity={l.from <= at && l.to > at ? 1 : 0.4}
					/>
				))}
				<line className="hf-picture-now" x1={x(at)} x2={x(at)} y1={0} y2={height + STRIP} />
				{alive.map((l, i) => (
					<rect
						key={`${l.made_by} ${l.at} ${i}`}
						x={x(l.from) - 1.5}
						width={3}
						y={height + 10}
						height={STRIP - 14}
						rx={1.5}
						fill={colorOf(makers, l.made_by)}
					/>
				))}
			</svg>
			<div className="hf-picture-axis" aria-hidden="true">
				<span>{day(new Date(first).toISOString())}</span>
				<span>{day(new Date(end).toISOString())}</span>
			</div>
			<label className="hf-picture-day">
				<span>{t('policies.picture.day')}</span>
				<input
					type="range"
					min={0}
					max={days}
					value={Math.min(chosen, days)}
					onChange={(e) => choose(Number(e.target.value))}
					aria-valuetext={said}
				/>
			</label>
			<figcaption id={`${id}-said`} aria-live="polite">
				<strong>{said}</strong>
				<ul className="hf-legend">
					{makers.map((m) => (
						<li key={m}>
							<svg width="12" height="12" aria-hidden="true">
								<rect width="12" height="12" rx="3" fill={colorOf(makers, m)} />
							</svg>
							{tn('policies.picture.of', alive.filter((l) => l.made_by === m).length, { name: m })}
						</li>
					))}
				</ul>
				{simulation.more_lives && <p>{tn('policies.picture.more', simulation.lives.length)}</p>}
			</figcaption>
		</figure>
	);
}
