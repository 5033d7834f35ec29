// SPDX-License-Identifier: Apache-2.0
// How fast something goes, from what was told of its progress in the last while: only while it is told, never guessed.

export interface Sample {
	at: number; // milliseconds
	done: number; // bytes
}

const WINDOW = 15000;

// The samples that are kept, with one more.
export function keep(samples: Sample[], now: Sample): Sample[] {
	const last = samples.at(-1);
	if (last && now.done < last.done) return [now];
	if (last && now.done === last.done && now.at - last.at < 1000) return samples;
	const kept = [...samples, now];
	while (kept.length > 2 && now.at - kept[1]!.at > WINDOW) kept.shift();
	return kept;
}

// Bytes a second, or undefined while there is too little to tell.
export function speed(samples: Sample[]): number | undefined {
	const first = samples[0];
	const last = samples.at(-1);
	if (!first || !last || last.at - first.at < 900) return undefined;
	return ((last.done - first.done) * 1000) / (last.at - first.at);
}

// Seconds that are left, or undefined.
export function left(samples: Sample[], total: number): number | undefined {
	const rate = speed(samples);
	const last = samples.at(-1);
	return rate && last && total > last.done ? (total - last.done) / rate : undefined;
}
