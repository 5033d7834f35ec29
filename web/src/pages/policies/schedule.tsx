// SPDX-License-Identifier: Apache-2.0
// When a schedule fires: in simple choices or as a pattern, said in words by the server, with the next firings in the
// person's time.
import { Alert, Button, Checkbox, FormGroup, FormSelect, FormSelectOption, TextInput } from '@patternfly/react-core';
import { useEffect, useState } from 'react';
import { api } from '../../api/client';
import { weekdayMoment } from '../../parts/dates';
import { t, tn } from '../../texts';
import { localZone, triggerOf, type When, type WhenKind } from './spec';

interface Preview {
	firings: string[];
	words: string;
}

const KINDS: WhenKind[] = ['hours', 'daily', 'weekly', 'monthly', 'pattern'];
const EVERY = [1, 2, 3, 4, 6, 8, 12];
const WEEK = [1, 2, 3, 4, 5, 6, 0];
// 1 January 2023 was a Sunday.
const weekday = (n: number): string =>
	new Intl.DateTimeFormat(undefined, { weekday: 'short' }).format(new Date(2023, 0, 1 + n));

function zones(now: string): string[] {
	const all = Intl.supportedValuesOf?.('timeZone') ?? [];
	return [...new Set([now, localZone(), 'UTC', ...all])];
}

/** What the server makes of a trigger: its words and firings; asked for when it has not changed for a moment. */
export function usePreview(
	trigger: Record<string, unknown> | undefined,
	count = 10,
): { preview?: Preview; error?: string } {
	const key = trigger ? JSON.stringify(trigger) : '';
	const [state, set] = useState<{ preview?: Preview; error?: string }>({});
	useEffect(() => {
		if (!key) {
			set({});
			return undefined;
		}
		const stop = new AbortController();
		const timer = setTimeout(() => {
			api.post<{ schedule_preview: Preview }>(
				'schedule_previews',
				{ schedule_preview: { ...(JSON.parse(key) as object), count } },
				{ signal: stop.signal },
			).then(
				(a) => set({ preview: a.schedule_preview }),
				(e: Error) => !stop.signal.aborted && set((s) => ({ ...s, error: e.message })),
			);
		}, 250);
		return () => {
			clearTimeout(timer);
			stop.abort();
		};
	}, [key, count]);
	return state;
}

/** "every day at 02:30 (Europe/Berlin)" */
export function Words({ trigger }: { trigger: Record<string, unknown> | undefined }) {
	const { preview, error } = usePreview(trigger, 1);
	return <>{preview?.words ?? error ?? '…'}</>;
}

export function Firings({ trigger }: { trigger: Record<string, unknown> }) {
	const { preview, error } = usePreview(trigger);
	if (error) return <Alert isInline isPlain variant="danger" title={error} component="p" />;
	return (
		<div aria-live="polite">
			<p>
				<strong>{preview?.words ?? '…'}</strong>
			</p>
			{preview && (
				<>
					<p className="hf-small">
						{t('policies.next', {
							when: preview.firings[0] ? weekdayMoment(preview.firings[0]) : t('policies.never'),
						})}
					</p>
					<details>
						<summary>{tn('policies.firings', preview.firings.length)}</summary>
						<ol className="hf-list">
							{preview.firings.map((f) => (
								<li key={f}>
									<time dateTime={f}>{weekdayMoment(f)}</time>
								</li>
							))}
						</ol>
						<p className="hf-small">{t('policies.yourTime', { zone: localZone() })}</p>
					</details>
				</>
			)}
		</div>
	);
}

function Clock({ id, when, set }: { id: string; when: When; set: (w: Partial<When>) => void }) {
	return (
		<FormGroup label={t('policies.time')} fieldId={`${id}-time`}>
			<TextInput id={`${id}-time`} type="time" value={when.time} onChange={(_, time) => time && set({ time })} />
		</FormGroup>
	);
}

function Pattern({ id, when, set }: { id: string; when: When; set: (w: Partial<When>) => void }) {
	return (
		<>
			<FormGroup label={t('policies.format')} fieldId={`${id}-format`}>
				<FormSelect
					id={`${id}-format`}
					value={when.format}
					onChange={(_, format) => set({ format: format as When['format'] })}
				>
					<FormSelectOption value="crontab" label={t('policies.crontab')} />
					<FormSelectOption value="calendar" label={t('policies.calendar')} />
				</FormSelect>
			</FormGroup>
			<FormGroup label={t('policies.pattern')} fieldId={`${id}-pattern`}>
				<TextInput
					id={`${id}-pattern`}
					value={when.pattern}
					className="hf-code"
					onChange={(_, pattern) => set({ pattern })}
				/>
			</FormGroup>
		</>
	);
}

export function WhenEditor({ id, when, onChange }: { id: string; when: When; onChange: (w: When) => void }) {
	const set = (w: Partial<When>) => onChange({ ...when, ...w });
	return (
		<div className="hf-when">
			<FormGroup label={t('policies.often')} fieldId={`${id}-kind`}>
				<FormSelect
					id={`${id}-kind`}
					value={when.kind}
					onChange={(_, kind) =>
						set({
							kind: kind as WhenKind,
							...(kind === 'pattern' && { pattern: triggerOf(when).pattern, format: 'crontab' as const }),
						})
					}
				>
					{KINDS.map((k) => (
						<FormSelectOption key={k} value={k} label={t(`policies.kind.${k}`)} />
					))}
				</FormSelect>
			</FormGroup>
			{when.kind === 'hours' && (
				<>
					<FormGroup label={t('policies.every')} fieldId={`${id}-every`}>
						<FormSelect
							id={`${id}-every`}
							value={when.every}
							onChange={(_, v) => set({ every: Number(v) })}
						>
							{[...new Set([...EVERY, when.every])].map((n) => (
								<FormSelectOption key={n} value={n} label={tn('policies.hours', n)} />
							))}
						</FormSelect>
					</FormGroup>
					<FormGroup label={t('policies.minute')} fieldId={`${id}-minute`}>
						<TextInput
							id={`${id}-minute`}
							type="number"
							min={0}
							max={59}
							value={when.minute}
							onChange={(_, v) => set({ minute: Math.min(59, Math.max(0, Number(v))) })}
						/>
					</FormGroup>
				</>
			)}
			{when.kind === 'weekly' && (
				<FormGroup role="group" label={t('policies.days')} fieldId={`${id}-day-1`}>
					<div className="hf-row">
						{WEEK.map((n) => (
							<Checkbox
								key={n}
								id={`${id}-day-${n}`}
								label={weekday(n)}
								isChecked={when.days.includes(n)}
								onChange={(_, on) =>
									set({
										days: on
											? [...when.days, n]
											: when.days.length > 1
												? when.days.filter((d) => d !== n)
												: when.days,
									})
								}
							/>
						))}
					</div>
				</FormGroup>
			)}
			{when.kind === 'monthly' && (
				<FormGroup label={t('policies.day')} fieldId={`${id}-day`}>
					<TextInput
						id={`${id}-day`}
						type="number"
						min={1}
						max={31}
						value={when.day}
						onChange={(_, v) => set({ day: Math.min(31, Math.max(1, Number(v))) })}
					/>
				</FormGroup>
			)}
			{['daily', 'weekly', 'monthly'].includes(when.kind) && <Clock id={id} when={when} set={set} />}
			{when.kind === 'pattern' && <Pattern id={id} when={when} set={set} />}
			<FormGroup label={t('policies.zone')} fieldId={`${id}-zone`}>
				<FormSelect id={`${id}-zone`} value={when.timezone} onChange={(_, timezone) => set({ timezone })}>
					{zones(when.timezone).map((z) => (
						<FormSelectOption key={z} value={z} label={z} />
					))}
				</FormSelect>
			</FormGroup>
		</div>
	);
}

/** A number that can be nothing, and everything. */
export function KeepInput({
	id,
	label,
	value,
	onChange,
}: {
	id: string;
	label: string;
	value: number | 'all' | undefined;
	onChange: (v: number | 'all' | undefined) => void;
}) {
	const all = value === 'all';
	const n = typeof value === 'number' ? value : 0;
	return (
		<div className="hf-keep">
			<label htmlFor={id}>{label}</label>
			{all ? (
				<span id={id}>{t('policies.all')}</span>
			) : (
				<TextInput
					id={id}
					type="number"
					min={0}
					max={9999}
					value={n}
					onChange={(_, v) => onChange(Math.min(9999, Math.max(0, Math.trunc(Number(v)))) || undefined)}
				/>
			)}
			<Button
				variant="link"
				isInline
				size="sm"
				onClick={() => onChange(all ? undefined : 'all')}
				aria-label={all ? t('policies.someOf', { name: label }) : t('policies.allOf', { name: label })}
			>
				{all ? t('policies.some') : t('policies.all')}
			</Button>
		</div>
	);
}
