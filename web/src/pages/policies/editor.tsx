// SPDX-License-Identifier: Apache-2.0
// A policy's document: schedules with what each keeps, what holds for all, and, at the side, what will live when.
import { Alert, Button, FormGroup, FormSelect, FormSelectOption, TextInput } from '@patternfly/react-core';
import PlusCircleIcon from '@patternfly/react-icons/dist/esm/icons/plus-circle-icon';
import TrashIcon from '@patternfly/react-icons/dist/esm/icons/trash-icon';
import { useEffect, useState } from 'react';
import { api, type Answer } from '../../api/client';
import { Board, Panel } from '../../parts/board';
import { t, tn } from '../../texts';
import { RetentionPicture, type Simulation } from './picture';
import { Firings, KeepInput, WhenEditor } from './schedule';
import { LEVELS, localZone, tidy, triggerOf, whenOf, type Retention, type Schedule, type Spec } from './spec';

function Levels({
	id,
	value,
	onChange,
}: {
	id: string;
	value: Retention | undefined;
	onChange: (r: Retention | undefined) => void;
}) {
	const [open, setOpen] = useState(false);
	const shown = LEVELS.filter(
		(l) => open || ['last', 'daily', 'weekly', 'monthly'].includes(l) || value?.[l] !== undefined,
	);
	return (
		<>
			<div className="hf-levels" role="group" aria-label={t('policies.keep')}>
				{shown.map((l) => (
					<KeepInput
						key={l}
						id={`${id}-${l}`}
						label={t(`policies.level.${l}`)}
						value={value?.[l]}
						onChange={(v) => onChange(tidy({ ...value, [l]: v }))}
					/>
				))}
			</div>
			{shown.length < LEVELS.length && (
				<Button variant="link" isInline size="sm" onClick={() => setOpen(true)}>
					{t('policies.moreLevels')}
				</Button>
			)}
			{!value && <p className="hf-small">{t('policies.forever')}</p>}
		</>
	);
}

function ScheduleCard({
	id,
	value,
	onChange,
	onRemove,
}: {
	id: string;
	value: Schedule;
	onChange: (s: Schedule) => void;
	onRemove: () => void;
}) {
	const [when, setWhen] = useState(() => whenOf(value.trigger));
	return (
		<Panel
			title={value.name || t('policies.schedule')}
			level="h3"
			actions={
				<Button
					variant="plain"
					icon={<TrashIcon />}
					aria-label={t('policies.removeSchedule', { name: value.name })}
					onClick={onRemove}
				/>
			}
		>
			<FormGroup label={t('policies.scheduleName')} isRequired fieldId={`${id}-name`}>
				<TextInput
					id={`${id}-name`}
					value={value.name}
					maxLength={64}
					onChange={(_, name) => onChange({ ...value, name })}
				/>
			</FormGroup>
			<WhenEditor
				id={id}
				when={when}
				onChange={(w) => {
					setWhen(w);
					onChange({ ...value, trigger: { ...value.trigger, ...triggerOf(w) } as Schedule['trigger'] });
				}}
			/>
			<Firings trigger={(value.trigger ?? {}) as Record<string, unknown>} />
			<p className="hf-label">{t('policies.keep')}</p>
			<Levels
				id={`${id}-keep`}
				value={value.retention}
				onChange={(retention) => onChange({ ...value, retention })}
			/>
		</Panel>
	);
}

function More({ spec, set }: { spec: Spec; set: (s: Partial<Spec>) => void }) {
	const bandwidth = spec.limits?.bandwidth;
	const limits = (c: NonNullable<Spec['limits']>) => {
		const now = Object.fromEntries(
			Object.entries({ ...spec.limits, ...c }).filter(([, v]) => v !== undefined && v !== '' && v !== 0),
		);
		set({ limits: Object.keys(now).length ? now : undefined });
	};
	return (
		<details className="hf-options">
			<summary>{t('policies.moreOptions')}</summary>
			<FormGroup label={t('policies.consistency')} fieldId="policy-consistency">
				<FormSelect
					id="policy-consistency"
					value={spec.consistency ?? ''}
					onChange={(_, v) => set({ consistency: (v || undefined) as Spec['consistency'] })}
				>
					<FormSelectOption value="" label={t('policies.consistency.default')} />
					{(['required', 'best-effort', 'off'] as const).map((c) => (
						<FormSelectOption key={c} value={c} label={t(`policies.consistency.${c}`)} />
					))}
				</FormSelect>
			</FormGroup>
			<FormGroup label={t('policies.rpo')} fieldId="policy-rpo">
				<TextInput
					id="policy-rpo"
					value={spec.rpo === undefined ? '' : String(spec.rpo)}
					placeholder={t('policies.rpoDefault')}
					onChange={(_, v) => set({ rpo: v.trim() || undefined })}
				/>
			</FormGroup>
			<FormGroup label={t('policies.verify')} fieldId="policy-verify">
				<TextInput
					id="policy-verify"
					type="number"
					min={0}
					value={spec.verify?.every_days ?? ''}
					placeholder={t('policies.verifyNever')}
					onChange={(_, v) => set({ verify: Number(v) > 0 ? { every_days: Number(v) } : undefined })}
				/>
			</FormGroup>
			<FormGroup label={t('policies.bandwidth')} fieldId="policy-bandwidth">
				<TextInput
					id="policy-bandwidth"
					value={bandwidth === undefined ? '' : String(bandwidth)}
					placeholder="100MiB"
					onChange={(_, v) => limits({ bandwidth: v || undefined })}
				/>
			</FormGroup>
			<FormGroup label={t('policies.concurrent')} fieldId="policy-concurrent">
				<TextInput
					id="policy-concurrent"
					type="number"
					min={0}
					value={spec.limits?.concurrent ?? ''}
					onChange={(_, v) => limits({ concurrent: Number(v) || undefined })}
				/>
			</FormGroup>
			<p className="hf-label">{t('policies.window')}</p>
			<div className="hf-row">
				<TextInput
					type="time"
					aria-label={t('policies.windowStart')}
					value={spec.window?.start ?? ''}
					onChange={(_, start) =>
						set({ window: start ? { ...spec.window, start, end: spec.window?.end ?? '06:00' } : undefined })
					}
				/>
				<span aria-hidden="true">–</span>
				<TextInput
					type="time"
					aria-label={t('policies.windowEnd')}
					value={spec.window?.end ?? ''}
					onChange={(_, end) =>
						set({ window: end ? { ...spec.window, start: spec.window?.start ?? '22:00', end } : undefined })
					}
				/>
			</div>
			<p className="hf-label">{t('policies.manual')}</p>
			<Levels id="policy-manual" value={spec.manual} onChange={(manual) => set({ manual })} />
			<FormGroup label={t('policies.minimum')} fieldId="policy-minimum">
				<TextInput
					id="policy-minimum"
					type="number"
					min={0}
					value={spec.minimum ?? ''}
					onChange={(_, v) => set({ minimum: Number(v) || undefined })}
				/>
			</FormGroup>
		</details>
	);
}

const HORIZONS = [30, 90, 365, 1095];

function useSimulation(
	spec: Spec,
	days: number,
	policy?: string,
	plan?: string,
): { plans: Simulation[]; error?: string } {
	const key = JSON.stringify({ spec, days, policy, plan });
	const [state, set] = useState<{ plans: Simulation[]; error?: string }>({ plans: [] });
	useEffect(() => {
		const stop = new AbortController();
		const timer = setTimeout(() => {
			const body = { spec, days, ...(plan ? { plan_id: plan } : policy && { policy_id: policy }) };
			// A policy that no plan has yet is shown for a plan that begins now.
			api.post<Answer<'simulatePolicy'>>(
				'policy_simulations',
				{ policy_simulation: body },
				{ signal: stop.signal },
			)
				.then((a) =>
					a.policy_simulation.plans.length
						? a
						: api.post<Answer<'simulatePolicy'>>(
								'policy_simulations',
								{ policy_simulation: { spec, days } },
								{ signal: stop.signal },
							),
				)
				.then(
					(a) => set({ plans: a.policy_simulation.plans }),
					(e: Error) => !stop.signal.aborted && set((s) => ({ ...s, error: e.message })),
				);
		}, 400);
		return () => {
			clearTimeout(timer);
			stop.abort();
		};
	}, [key]);
	return state;
}

/** What the policy keeps: for the plans that have it, else for a plan that begins now. */
export function Simulator({ spec, policy, plan }: { spec: Spec; policy?: string; plan?: string }) {
	const [days, setDays] = useState(365);
	const [chosen, choose] = useState('');
	const { plans, error } = useSimulation(spec, days, policy, plan);
	const one = plans.find((p) => p.plan_id === chosen) ?? plans[0];
	const going = plans.reduce((n, p) => n + p.going_now.length, 0);
	return (
		<Panel
			title={t('policies.picture')}
			span={6}
			actions={
				<FormSelect
					className="hf-narrow"
					aria-label={t('policies.horizon')}
					value={days}
					onChange={(_, v) => setDays(Number(v))}
				>
					{HORIZONS.map((d) => (
						<FormSelectOption key={d} value={d} label={t(`policies.horizon.${d as 30}`)} />
					))}
				</FormSelect>
			}
		>
			{error && <Alert isInline variant="danger" title={error} component="p" />}
			{going > 0 && (
				<Alert
					isInline
					variant="warning"
					title={tn('policies.goingNow', going)}
					component="p"
					className="hf-gap-after"
				/>
			)}
			{plans.length > 1 && (
				<FormSelect aria-label={t('policies.ofPlan')} value={one?.plan_id} onChange={(_, v) => choose(v)}>
					{plans.map((p) => (
						<FormSelectOption key={p.plan_id} value={p.plan_id} label={p.plan_name} />
					))}
				</FormSelect>
			)}
			<p className="hf-small">
				{one?.plan_id ? t('policies.pictureOf', { name: one.plan_name }) : t('policies.pictureNew')}
			</p>
			{one && !error && <RetentionPicture key={days} simulation={one} days={days} />}
		</Panel>
	);
}

export function newSchedule(spec: Spec): Schedule {
	const taken = new Set(spec.schedules?.map((s) => s.name));
	const name = ['nightly', 'hourly', 'weekly', 'monthly'].find((n) => !taken.has(n)) ?? `schedule ${taken.size + 1}`;
	return { name, trigger: triggerOf(whenOf(undefined)) as Schedule['trigger'], retention: { daily: 7, weekly: 4 } };
}

export function SpecEditor({ spec, onChange, policy }: { spec: Spec; onChange: (s: Spec) => void; policy?: string }) {
	const schedules = spec.schedules ?? [];
	const set = (c: Partial<Spec>) =>
		onChange(Object.fromEntries(Object.entries({ ...spec, ...c }).filter(([, v]) => v !== undefined)) as Spec);
	const setSchedule = (i: number, s: Schedule | undefined) =>
		set({ schedules: schedules.flatMap((x, j) => (i === j ? (s ? [s] : []) : [x])) });
	return (
		<Board>
			<div className="hf-span-6 hf-stack">
				{schedules.map((s, i) => (
					<ScheduleCard
						key={i}
						id={`schedule-${i}`}
						value={s}
						onChange={(v) => setSchedule(i, v)}
						onRemove={() => setSchedule(i, undefined)}
					/>
				))}
				{!schedules.length && (
					<Alert
						isInline
						variant="info"
						title={t('policies.noSchedules')}
						component="p"
						className="hf-gap-after"
					/>
				)}
				<Button
					variant="secondary"
					icon={<PlusCircleIcon />}
					onClick={() =>
						set({ schedules: [...schedules, newSchedule(spec)], timezone: spec.timezone ?? localZone() })
					}
				>
					{t('policies.addSchedule')}
				</Button>
				<div className="hf-gap">
					<More spec={spec} set={set} />
				</div>
			</div>
			<Simulator spec={spec} policy={policy} />
		</Board>
	);
}
