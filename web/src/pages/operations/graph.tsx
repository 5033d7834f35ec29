// SPDX-License-Identifier: Apache-2.0
// The steps of an operation as a picture. Each is a button that shows its part of the log.
import { useMemo } from 'react';
import type { Schema } from '../../api/client';
import type { Told } from '../../parts/progress';
import { StateLabel, type Tone } from '../../parts/state';
import { t, tx } from '../../texts';
import { place, type Placed } from './layout';
import { share, useSamples, words } from './progress';

export type Step = Schema<'Step'>;

const MOST = 60; // steps that are drawn
const [WIDE, HIGH, GAP_X, GAP_Y] = [232, 92, 52, 18];

const TONES: Record<string, Tone> = {
	waiting: 'wait',
	ready: 'wait',
	running: 'busy',
	done: 'good',
	failed: 'bad',
	cancelled: 'off',
	undone: 'off',
	undo_failed: 'bad',
};

export function StepState({ step }: { step: Step }) {
	const undoing = step.undoing && ['waiting', 'ready', 'running'].includes(step.state);
	return (
		<StateLabel
			state={step.state}
			tone={undoing ? 'warn' : (TONES[step.state] ?? 'none')}
			text={undoing ? t('operations.step.undoing') : tx('operations.step', step.state)}
		/>
	);
}

export function StepProgress({ step }: { step: Step }) {
	const told = step.progress as Told | undefined;
	const samples = useSamples(told, step.state === 'running');
	if (!told || (step.state !== 'running' && !told.bytes_done)) return null;
	const part = share(told);
	return (
		<>
			{part !== undefined && step.state === 'running' && (
				<span className="hf-bar" aria-hidden="true">
					<span style={{ width: `${part}%` }} />
				</span>
			)}
			<span className="hf-small">{words(told, samples)}</span>
		</>
	);
}

function Box({ at, chosen, choose }: { at: Placed<Step>; chosen: boolean; choose: () => void }) {
	const { step } = at;
	return (
		<button
			type="button"
			className={`hf-node hf-node-${step.state}`}
			aria-pressed={chosen}
			onClick={choose}
			style={{ left: at.column * (WIDE + GAP_X), top: at.row * (HIGH + GAP_Y), width: WIDE, height: HIGH }}
		>
			<span className="hf-node-name">{step.name}</span>
			<StepState step={step} />
			<StepProgress step={step} />
		</button>
	);
}

function path({ from, to }: { from: Placed<Step>; to: Placed<Step> }): string {
	const x1 = from.column * (WIDE + GAP_X) + WIDE;
	const y1 = from.row * (HIGH + GAP_Y) + HIGH / 2;
	const x2 = to.column * (WIDE + GAP_X);
	const y2 = to.row * (HIGH + GAP_Y) + HIGH / 2;
	const bend = Math.max(GAP_X / 2, (x2 - x1) / 2);
	return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}

export function Graph({
	steps,
	chosen,
	choose,
}: {
	steps: Step[];
	chosen: string | null;
	choose: (id: string | null) => void;
}) {
	const drawn = useMemo(() => place(steps.slice(0, MOST)), [steps]);
	const width = drawn.columns * (WIDE + GAP_X) - GAP_X;
	const height = drawn.rows * (HIGH + GAP_Y) - GAP_Y;
	return (
		<>
			<div className="hf-graph" role="group" aria-label={t('operations.graph')} tabIndex={0}>
				<div className="hf-graph-inner" style={{ width, height }}>
					<svg width={width} height={height} aria-hidden="true">
						{drawn.lines.map((l) => (
							<path
								key={l.from.step.id + l.to.step.id}
								d={path(l)}
								data-done={l.from.step.state === 'done'}
							/>
						))}
					</svg>
					{drawn.placed.map((at) => (
						<Box
							key={at.step.id}
							at={at}
							chosen={chosen === at.step.id}
							choose={() => choose(chosen === at.step.id ? null : at.step.id)}
						/>
					))}
				</div>
			</div>
			{steps.length > MOST && <p className="hf-small">{t('operations.manyText', { n: MOST })}</p>}
		</>
	);
}
