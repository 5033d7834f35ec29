// SPDX-License-Identifier: Apache-2.0
// Checkpoints along the time: one column each, as high as what was read and, darker, what that took in the target.
// Where there is little room, it shows the newest and can be moved to the older ones.
import { useEffect, useRef } from 'react';
import { href } from '../../app/router';
import { moment } from '../../parts/dates';
import { bytes } from '../../parts/format';
import { t } from '../../texts';
import { pathOf, stateWord, type Checkpoint } from './model';

const HIGH = 96;
const WIDE = 14;

export interface Point {
	checkpoint: Checkpoint;
	read: number;
	stored: number;
	state: string;
}

export function pointOf(k: Checkpoint, resource?: string): Point {
	const r = resource ? k.resources?.find((x) => x.id === resource) : undefined;
	return { checkpoint: k, read: (r ?? k).bytes_read, stored: (r ?? k).bytes_stored, state: r?.status ?? k.status };
}

// Sizes differ by thousands between a first read and the next: the root shows both.
function heightOf(n: number, most: number): number {
	return n <= 0 ? 2 : Math.max(3, (Math.sqrt(n) / Math.sqrt(most)) * HIGH);
}

function say(p: Point): string {
	const k = p.checkpoint;
	return t('checkpoints.timeline.one', {
		when: moment(k.instant_at ?? k.started_at),
		state: stateWord(k),
		read: bytes(p.read),
		stored: bytes(p.stored),
	});
}

/** `points` with the newest first, as lists have them. */
export function Timeline({ points, label }: { points: readonly Point[]; label: string }) {
	const most = Math.max(1, ...points.map((p) => p.read));
	const ordered = [...points].reverse();
	const width = ordered.length * WIDE;
	const frame = useRef<HTMLDivElement>(null);
	// The newest is what people want to see first.
	useEffect(() => {
		if (frame.current) frame.current.scrollLeft = frame.current.scrollWidth;
	}, [ordered.length]);
	return (
		<figure className="hf-timeline">
			<div className="hf-timeline-scroll" ref={frame}>
				<svg
					width={width}
					height={HIGH + 24}
					viewBox={`0 0 ${width} ${HIGH + 24}`}
					role="group"
					aria-label={label}
				>
					{ordered.map((p, i) => {
						const k = p.checkpoint;
						const good = k.status === 'available';
						const high = heightOf(p.read, most);
						const low = Math.min(high, heightOf(p.stored, most));
						const state = good
							? 'good'
							: k.status === 'protecting' || k.status === 'copying'
								? 'running'
								: 'bad';
						return (
							<a
								key={k.id}
								href={href(pathOf(k))}
								aria-label={say(p)}
								className={`hf-point hf-point-${state}`}
							>
								<title>{say(p)}</title>
								<rect className="hf-point-hit" x={i * WIDE} y={0} width={WIDE} height={HIGH + 24} />
								<rect
									className="hf-point-read"
									x={i * WIDE + 2}
									y={HIGH - high}
									width={WIDE - 4}
									height={high}
									rx={2}
								/>
								<rect
									className="hf-point-stored"
									x={i * WIDE + 2}
									y={HIGH - low}
									width={WIDE - 4}
									height={low}
									rx={2}
								/>
								{k.verified_ok !== null && (
									<path
										className={k.verified_ok ? 'hf-point-proof' : 'hf-point-broken'}
										d={
											k.verified_ok
												? `M${i * WIDE + 3.5} ${HIGH + 11}l2.5 2.5 4.5 -5`
												: `M${i * WIDE + 4} ${HIGH + 8}l6 6m0 -6l-6 6`
										}
									/>
								)}
								{k.hold && (
									<circle className="hf-point-hold" cx={i * WIDE + WIDE / 2} cy={HIGH + 20} r={2.5} />
								)}
							</a>
						);
					})}
				</svg>
			</div>
			<figcaption className="hf-legend">
				<span className="hf-key hf-key-read">{t('checkpoints.timeline.read')}</span>
				<span className="hf-key hf-key-stored">{t('checkpoints.timeline.stored')}</span>
				<span className="hf-key hf-key-proof">{t('checkpoints.timeline.proof')}</span>
				<span className="hf-key hf-key-hold">{t('checkpoints.timeline.hold')}</span>
			</figcaption>
		</figure>
	);
}
