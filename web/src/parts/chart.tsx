// SPDX-License-Identifier: Apache-2.0
// A value over time as a line; the value itself is said above it.
import { useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import { useIsDark } from '../app/theme';
import { bytes } from './format';

export interface Line {
	title: string;
	/** One for each moment; null: not known. */
	values: (number | null)[];
	/** A custom property of the style sheet with the colour: '--hf-chart-1'. */
	color: string;
	/** How a value is written; bytes, if it is not given. */
	format?: (n: number) => string;
}

const HEIGHT = 130;
const DAY_S = 86400;

function colorOf(name: string): string {
	return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || '#888';
}

function translucent(color: string): string {
	return `color-mix(in srgb, ${color} 15%, transparent)`;
}

// Steps of an axis that are round numbers in powers of two.
function increments(): number[] {
	const all: number[] = [];
	for (let unit = 1; unit < 2 ** 60; unit *= 1024)
		for (const n of [1, 2, 5, 10, 20, 50, 100, 200, 500]) all.push(n * unit);
	return all;
}

function optionsOf(
	line: Line,
	times: number[],
	width: number,
	onPoint: (i: number | null | undefined) => void,
): uPlot.Options {
	const text = colorOf('--pf-t--global--text--color--subtle');
	const grid = { stroke: colorOf('--pf-t--global--border--color--default'), width: 1 };
	const font = '12px RedHatText, sans-serif';
	const format = line.format ?? bytes;
	const color = colorOf(line.color);
	const [first = 0, last = 0] = [times[0], times[times.length - 1]];
	return {
		width,
		height: HEIGHT,
		cursor: { y: false, points: { size: 7 } },
		legend: { show: false },
		hooks: { setCursor: [(u) => onPoint(u.cursor.idx)] },
		// One moment alone stands at the end of a day.
		scales: {
			x: { range: () => [Math.min(first, last - DAY_S), last] },
			y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] },
		},
		axes: [
			{
				stroke: text,
				grid: { show: false },
				ticks: { show: false },
				font,
				size: 26,
				space: 48,
				values: (_, ticks) => ticks.map((v) => day.format(v * 1000)),
			},
			{
				stroke: text,
				grid,
				ticks: { show: false },
				font,
				size: 66,
				space: 34,
				...(line.format ? {} : { incrs: increments() }),
				values: (_, ticks) => ticks.map(format),
			},
		],
		series: [
			{},
			{
				stroke: color,
				width: 2,
				fill: translucent(color),
				points: { show: line.values.length < 3 },
				spanGaps: true,
			},
		],
	};
}

const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** `times`: seconds since 1970, ascending. Its head is the newest value, or the one under the pointer. */
export function TimeChart({ times, line }: { times: number[]; line: Line }) {
	const box = useRef<HTMLDivElement>(null);
	const [at, setAt] = useState<number>();
	const dark = useIsDark();
	useEffect(() => {
		const element = box.current;
		if (!element) return undefined;
		const point = (i: number | null | undefined) => setAt(i ?? undefined);
		const plot = new uPlot(
			optionsOf(line, times, element.clientWidth || 300, point),
			[times, line.values] as uPlot.AlignedData,
			element,
		);
		const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
		observer.observe(element);
		return () => {
			observer.disconnect();
			plot.destroy();
		};
	}, [times, line, dark]);
	const index = at !== undefined && at < times.length ? at : times.length - 1;
	const value = line.values[index];
	const words = value === null || value === undefined ? '–' : (line.format ?? bytes)(value);
	return (
		<figure className="hf-chart">
			<figcaption>
				<span>{line.title}</span>
				<strong className="hf-number">{words}</strong>
				<span className="hf-small">
					{at !== undefined && times[index] ? moment.format(times[index] * 1000) : ''}
				</span>
			</figcaption>
			<div ref={box} aria-hidden="true" />
		</figure>
	);
}
