// SPDX-License-Identifier: Apache-2.0
// Times, sizes and durations as people read them; the exact value is in the title.
import { useSyncExternalStore } from 'react';
import { t } from '../texts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

export function bytes(n: number): string {
	let i = 0;
	let v = Math.abs(n);
	while (v >= 1024 && i < UNITS.length - 1) {
		v /= 1024;
		i++;
	}
	const digits = i === 0 || v >= 100 ? 0 : v >= 10 ? 1 : 2;
	return `${n < 0 ? '−' : ''}${v.toFixed(digits)} ${UNITS[i]}`;
}

export function Bytes({ n }: { n: number | null | undefined }) {
	if (n === null || n === undefined) return <span className="hf-none">–</span>;
	return (
		<span className="hf-number" title={t('parts.bytes', { n: n.toLocaleString() })}>
			{bytes(n)}
		</span>
	);
}

const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto', style: 'long' });
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
	['year', 31536000],
	['month', 2592000],
	['week', 604800],
	['day', 86400],
	['hour', 3600],
	['minute', 60],
];

export function ago(at: Date, now = Date.now()): string {
	const s = (at.getTime() - now) / 1000;
	for (const [unit, length] of STEPS) if (Math.abs(s) >= length) return relative.format(Math.round(s / length), unit);
	return relative.format(Math.round(s), 'second');
}

/** 75 s: "1 min 15 s". */
export function duration(seconds: number): string {
	const s = Math.max(0, Math.round(seconds));
	if (s < 60) return t('parts.seconds', { s });
	if (s < 3600) return t('parts.minutes', { m: Math.floor(s / 60), s: s % 60 });
	if (s < 86400) return t('parts.hours', { h: Math.floor(s / 3600), m: Math.floor((s % 3600) / 60) });
	return t('parts.days', { d: Math.floor(s / 86400), h: Math.floor((s % 86400) / 3600) });
}

// One clock for all times on the screen: it only moves words along, nothing is asked of the server.
const tick = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function onTick(fn: () => void): () => void {
	tick.add(fn);
	timer ??= setInterval(() => {
		now = Date.now();
		tick.forEach((f) => f());
	}, 5000);
	return () => {
		tick.delete(fn);
		if (!tick.size) {
			clearInterval(timer);
			timer = undefined;
		}
	};
}

export function useNow(): number {
	return useSyncExternalStore(onTick, () => now);
}

export function Time({ at, exact }: { at: string | null | undefined; exact?: boolean }) {
	const n = useNow();
	if (!at) return <span className="hf-none">–</span>;
	const d = new Date(at);
	const long = absolute.format(d);
	return (
		<time dateTime={at} title={long}>
			{exact ? long : ago(d, Math.max(n, Date.now() - 5000))}
		</time>
	);
}

export function Between({ from, to }: { from: string | null | undefined; to?: string | null }) {
	const n = useNow();
	if (!from) return <span className="hf-none">–</span>;
	return <span className="hf-number">{duration(((to ? Date.parse(to) : n) - Date.parse(from)) / 1000)}</span>;
}
