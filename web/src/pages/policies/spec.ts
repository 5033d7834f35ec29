// SPDX-License-Identifier: Apache-2.0
// A policy's document as people edit it: when schedules fire, as a choice of simple words or as a pattern, and what is
// kept.
import type { Schema } from '../../api/client';

export type Spec = Schema<'PolicySpec'>;
export type Retention = Schema<'Retention'>;
export type Schedule = NonNullable<Spec['schedules']>[number];
export type Level = keyof Retention;

/** In the order in which people think of them. */
export const LEVELS: readonly Level[] = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly', 'hours', 'days'];

export type WhenKind = 'hours' | 'daily' | 'weekly' | 'monthly' | 'pattern';

/** When a schedule fires. Fields that its kind does not use keep what was chosen last. */
export interface When {
	kind: WhenKind;
	every: number; // hours
	minute: number; // of the hour
	time: string; // "02:30"
	days: number[]; // of the week, 0 is Sunday
	day: number; // of the month
	format: 'crontab' | 'calendar';
	pattern: string;
	timezone: string;
}

export function localZone(): string {
	return Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
}

export function defaultWhen(): When {
	return {
		kind: 'daily',
		every: 4,
		minute: 0,
		time: '02:30',
		days: [1],
		day: 1,
		format: 'crontab',
		pattern: '30 2 * * *',
		timezone: localZone(),
	};
}

/** The properties of a trigger. */
export function triggerOf(w: When): Record<string, string> {
	const { timezone } = w;
	if (w.kind === 'pattern') return { format: w.format, pattern: w.pattern.trim(), timezone };
	return { format: 'crontab', pattern: cronOf(w), timezone };
}

function cronOf(w: When): string {
	const [hour = 0, minute = 0] = w.time.split(':').map(Number);
	switch (w.kind) {
		case 'hours':
			return w.every === 1 ? `${w.minute} * * * *` : `${w.minute} */${w.every} * * *`;
		case 'weekly':
			return `${minute} ${hour} * * ${[...w.days].sort().join(',') || '1'}`;
		case 'monthly':
			return `${minute} ${hour} ${w.day} * *`;
		default:
			return `${minute} ${hour} * * *`;
	}
}

const two = (n: string): string => n.padStart(2, '0');

// What a pattern of five fields says in the simple words above; undefined: none of them.
function simple(pattern: string): Partial<When> | undefined {
	const m = /^(\d{1,2}) (\*|\*\/\d{1,2}|\d{1,2}) (\*|\d{1,2}) \* (\*|[0-6](?:,[0-6])*)$/.exec(
		pattern.trim().replace(/\s+/g, ' '),
	);
	if (!m) return undefined;
	const [, minute = '', hour = '', day = '', week = ''] = m;
	if (/^\*/.test(hour)) {
		if (day !== '*' || week !== '*') return undefined;
		return { kind: 'hours', minute: Number(minute), every: hour === '*' ? 1 : Number(hour.slice(2)) };
	}
	const time = `${two(hour)}:${two(minute)}`;
	if (day === '*' && week === '*') return { kind: 'daily', time };
	if (day === '*') return { kind: 'weekly', time, days: week.split(',').map(Number) };
	return week === '*' ? { kind: 'monthly', time, day: Number(day) } : undefined;
}

export function whenOf(trigger: Record<string, unknown> | undefined): When {
	const w = defaultWhen();
	if (!trigger) return w;
	const pattern = String(trigger.pattern ?? '');
	const format = trigger.format === 'calendar' ? 'calendar' : 'crontab';
	const timezone = String(trigger.timezone ?? 'UTC');
	const words = format === 'crontab' ? simple(pattern) : undefined;
	return { ...w, format, pattern, timezone, ...(words ?? { kind: 'pattern' as const }) };
}

export interface Template {
	name: 'gold' | 'silver' | 'bronze';
	spec: (zone: string) => Spec;
}

const at = (pattern: string, timezone: string) => ({ format: 'crontab', pattern, timezone });

/** Where to begin: what most people need. */
export const TEMPLATES: readonly Template[] = [
	{
		name: 'gold',
		spec: (zone) => ({
			timezone: zone,
			schedules: [
				{ name: 'hourly', trigger: at('0 * * * *', zone), retention: { hourly: 24 } },
				{ name: 'nightly', trigger: at('30 2 * * *', zone), retention: { daily: 14, weekly: 8, monthly: 12 } },
			],
		}),
	},
	{
		name: 'silver',
		spec: (zone) => ({
			timezone: zone,
			schedules: [
				{ name: 'nightly', trigger: at('30 2 * * *', zone), retention: { daily: 7, weekly: 4, monthly: 6 } },
			],
		}),
	},
	{
		name: 'bronze',
		spec: (zone) => ({
			timezone: zone,
			schedules: [{ name: 'weekly', trigger: at('0 3 * * 0', zone), retention: { weekly: 8 } }],
		}),
	},
];

/** Without levels that say nothing; undefined: kept until somebody deletes it. */
export function tidy(r: Retention | undefined): Retention | undefined {
	const kept = Object.entries(r ?? {}).filter(([, v]) => v === 'all' || Number(v) > 0);
	return kept.length ? (Object.fromEntries(kept) as Retention) : undefined;
}
