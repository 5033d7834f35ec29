// SPDX-License-Identifier: Apache-2.0
// How far a step is, how fast, and how long it will take.
import { useEffect, useState } from 'react';
import { bytes, duration } from '../../parts/format';
import type { Told } from '../../parts/progress';
import { t } from '../../texts';
import { keep, left, speed, type Sample } from './speed';

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
