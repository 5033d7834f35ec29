// SPDX-License-Identifier: Apache-2.0
// How far an operation is: a bar, what was read and stored, how fast, and how long it will take; from its events.
import { Progress, ProgressMeasureLocation, ProgressVariant } from '@patternfly/react-core';
import { useEffect, useRef, useState } from 'react';
import { useOperation } from '../live/hooks';
import type { Operation } from '../live/store';
import { t } from '../texts';
import { bytes, duration } from './format';

export interface Told {
	bytes_done?: number;
	bytes_total?: number;
	bytes_read?: number;
	bytes_new?: number;
	bytes_stored?: number;
	steps?: number;
	steps_done?: number;
}

export interface Pace {
	told: Told;
	/** 0 … 1; undefined: nobody can say. */
	part: number | undefined;
	bytesPerSecond: number | undefined;
	secondsLeft: number | undefined;
}

const WINDOW_MS = 10000;

/** `operation`: as a list or the operation itself gave it; events go on from there. */
export function usePace(operation: Pick<Operation, 'id' | 'state' | 'progress'>): Pace {
	const live = useOperation(operation.id);
	const told = ((live?.progress ?? operation.progress) as Told | undefined) ?? {};
	const samples = useRef<{ at: number; done: number }[]>([]);
	const [speed, setSpeed] = useState<number>();
	const done = told.bytes_done ?? 0;
	useEffect(() => {
		const now = Date.now();
		const kept = samples.current.filter((s) => now - s.at < WINDOW_MS && s.done <= done);
		kept.push({ at: now, done });
		samples.current = kept;
		const first = kept[0];
		if (first && now - first.at > 500) setSpeed(((done - first.done) / (now - first.at)) * 1000);
	}, [done]);
	const total = told.bytes_total;
	const ended = (live?.state ?? operation.state) === 'succeeded';
	let part: number | undefined;
	if (ended) part = 1;
	else if (total) part = Math.min(1, done / total);
	else if (told.steps && told.steps > 1) part = (told.steps_done ?? 0) / told.steps;
	return {
		told,
		part,
		bytesPerSecond: speed,
		secondsLeft: speed && total && total > done ? (total - done) / speed : undefined,
	};
}

export function OperationProgress({
	operation,
	label,
	isCompact,
}: {
	operation: Pick<Operation, 'id' | 'state' | 'progress'>;
	label: string;
	isCompact?: boolean;
}) {
	const { told, part, bytesPerSecond, secondsLeft } = usePace(operation);
	const live = useOperation(operation.id);
	const state = live?.state ?? operation.state;
	const words = [
		told.bytes_total ? t('progress.of', { done: bytes(told.bytes_done ?? 0), total: bytes(told.bytes_total) }) : '',
		state === 'running' && bytesPerSecond ? t('progress.speed', { speed: bytes(bytesPerSecond) }) : '',
		state === 'running' && secondsLeft !== undefined ? t('progress.left', { time: duration(secondsLeft) }) : '',
	].filter(Boolean);
	const variant =
		state === 'succeeded' ? ProgressVariant.success : state === 'failed' ? ProgressVariant.danger : undefined;
	return (
		<div className="hf-progress">
			<Progress
				aria-label={label}
				value={Math.round((part ?? 0) * 100)}
				size={isCompact ? 'sm' : undefined}
				variant={variant}
				measureLocation={part === undefined ? ProgressMeasureLocation.none : ProgressMeasureLocation.outside}
			/>
			{words.length > 0 && <div className="hf-small hf-number">{words.join(' · ')}</div>}
		</div>
	);
}
