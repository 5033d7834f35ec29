// SPDX-License-Identifier: Apache-2.0
// How far something is, how fast, and how long it will take.
import { Progress, ProgressMeasureLocation, ProgressSize, ProgressVariant } from '@patternfly/react-core';
import { useEffect, useState } from 'react';
import { useOperation } from '../../live/hooks';
import { bytes, duration } from '../../parts/format';
import { t } from '../../texts';
import { keep, left, speed, type Sample } from './speed';

/** What movers tell of a step, and its sum over an operation. */
export interface Told {
	bytes_done?: number;
	bytes_total?: number;
	bytes_read?: number;
	bytes_new?: number;
	bytes_stored?: number;
	steps?: number;
	steps_done?: number;
}

export function useSamples(told: Told | undefined, running: boolean): Sample[] {
	const [samples, set] = useState<Sample[]>([]);
	const done = told?.bytes_done;
	useEffect(() => {
		if (!running || done === undefined) set([]);
		else set((s) => keep(s, { at: Date.now(), done }));
	}, [done, running]);
	return samples;
}

export function share(told: Told | undefined): number | undefined {
	if (!told?.bytes_total) return undefined;
	return Math.min(100, (100 * (told.bytes_done ?? 0)) / told.bytes_total);
}

/** "1.2 GiB of 8 GiB · 210 MiB/s · 33 s left", as far as it is known. */
export function words(told: Told, samples: Sample[]): string {
	const total = told.bytes_total ?? 0;
	const rate = speed(samples);
	const rest = left(samples, total);
	return [
		total ? t('operations.ofBytes', { done: bytes(told.bytes_done ?? 0), total: bytes(total) }) : '',
		rate !== undefined ? t('operations.speed', { speed: bytes(rate) }) : '',
		rest !== undefined ? t('operations.left', { time: duration(rest) }) : '',
	]
		.filter(Boolean)
		.join(' · ');
}

/** The whole line of a page: a bar, and the words below it. */
export function ProgressLine({ told, state, label }: { told: Told; state: string; label: string }) {
	const running = state === 'running';
	const samples = useSamples(told, running);
	const part = share(told);
	if (part === undefined && !told.steps) return null;
	const steps = told.steps ? (100 * (told.steps_done ?? 0)) / told.steps : 0;
	const variant = { succeeded: ProgressVariant.success, failed: ProgressVariant.danger }[state];
	return (
		<div className="hf-run">
			<Progress
				aria-label={label}
				value={state === 'succeeded' ? 100 : (part ?? steps)}
				measureLocation={ProgressMeasureLocation.outside}
				label={`${Math.floor(state === 'succeeded' ? 100 : (part ?? steps))} %`}
				variant={variant}
			/>
			<p className="hf-small">
				{[
					words(told, samples),
					told.steps ? t('operations.stepsDone', { done: told.steps_done ?? 0, n: told.steps }) : '',
				]
					.filter(Boolean)
					.join(' · ')}
			</p>
		</div>
	);
}

/** A small bar in a list; moves as events come. */
export function Meter({ id }: { id: string }) {
	const told = useOperation(id)?.progress as Told | undefined;
	const part = share(told);
	if (part === undefined) return null;
	return (
		<Progress
			className="hf-meter"
			aria-label={t('operations.progress')}
			size={ProgressSize.sm}
			measureLocation={ProgressMeasureLocation.none}
			value={part}
		/>
	);
}
