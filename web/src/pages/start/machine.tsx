// SPDX-License-Identifier: Apache-2.0
// Which machines, how often; then policy, plan and the first backup are made in one go.
import { ActionGroup, Alert, Button, Checkbox, Form, FormGroup, Radio, SearchInput } from '@patternfly/react-core';
import { useState, type FormEvent } from 'react';
import { api, type Schema } from '../../api/client';
import { useList } from '../../live/hooks';
import { changed } from '../../live/store';
import { Loading } from '../../parts/empty';
import { bytes } from '../../parts/format';
import { PlainTable } from '../../parts/rows';
import { StateLabel } from '../../parts/state';
import { t, tn } from '../../texts';

const SERVER = 'OS::Nova::Server';

export interface Started {
	checkpoint: string;
	operation: string | undefined;
	provider: string;
	plan: string;
	name: string;
}

type Preset = 'nightly' | 'hourly' | 'manual';

function specOf(preset: Preset) {
	const timezone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
	const schedule = (name: string, pattern: string, retention: object) => ({
		schedules: [{ name, trigger: { format: 'crontab', pattern, timezone }, retention }],
		manual: { last: 'all' },
	});
	return preset === 'nightly'
		? schedule('nightly', '30 2 * * *', { daily: 7, weekly: 4, monthly: 12 })
		: schedule('hourly', '0 * * * *', { hourly: 24, daily: 14, monthly: 3 });
}

async function policyFor(choice: string, known: Schema<'Policy'>[]): Promise<string | null> {
	if (choice === 'manual') return null;
	if (choice !== 'nightly' && choice !== 'hourly') return choice;
	const same = known.find((p) => p.name === choice);
	if (same) return same.id;
	const { policy } = await api.post<{ policy: Schema<'Policy'> }>('policies', {
		policy: { name: choice, spec: specOf(choice) },
	});
	return policy.id;
}

export async function backUp(provider: string, plan: string, name: string): Promise<Started> {
	const { checkpoint } = await api.post<{ checkpoint: Schema<'Checkpoint'> }>(`providers/${provider}/checkpoints`, {
		checkpoint: { plan_id: plan },
	});
	return { checkpoint: checkpoint.id, operation: checkpoint.operation_id ?? undefined, provider, plan, name };
}

function sizeOf(i: Schema<'Instance'>): string {
	const disks = (i.extra_info as { disks?: { bytes?: number }[] } | null)?.disks ?? [];
	const sum = disks.reduce((n, d) => n + (d.bytes ?? 0), 0);
	return sum ? bytes(sum) : '–';
}

export function MachineStep({
	provider,
	onStarted,
}: {
	provider: Schema<'Provider'>;
	onStarted: (s: Started) => void;
}) {
	const [text, setText] = useState('');
	const machines = useList<Schema<'Instance'>>(`protectables/${SERVER}/instances`, 'instances', {
		limit: 200,
		sort: 'name:asc',
	});
	const policies = useList<Schema<'Policy'>>('policies', 'policies');
	const [chosen, choose] = useState<ReadonlySet<string>>(new Set());
	const [policy, setPolicy] = useState<string>('nightly');
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState<string>();
	const shown = machines.items.filter((m) => m.name.toLowerCase().includes(text.toLowerCase()));
	const picked = machines.items.filter((m) => chosen.has(m.id));
	const others = policies.items.filter((p) => p.name !== 'nightly' && p.name !== 'hourly');

	const submit = async (e: FormEvent) => {
		e.preventDefault();
		setBusy(true);
		setError(undefined);
		try {
			const name = picked.map((m) => m.name).join(', ');
			const { plan } = await api.post<{ plan: Schema<'Plan'> }>('plans', {
				plan: {
					name: picked.length === 1 ? picked[0]!.name : t('start.machine.planName'),
					provider_id: provider.id,
					policy_id: await policyFor(policy, policies.items),
					parameters: {},
					resources: picked.map((m) => ({ id: m.id, type: m.type, name: m.name })),
				},
			});
			onStarted(await backUp(provider.id, plan.id, name));
			changed();
		} catch (x) {
			setError((x as Error).message);
			setBusy(false);
		}
	};

	if (!machines.data) return <Loading />;
	return (
		<Form onSubmit={(e) => void submit(e)}>
			<FormGroup label={t('start.machine.pick')} fieldId="machines">
				{machines.items.length > 8 && (
					<SearchInput
						className="hf-find"
						aria-label={t('start.machine.find')}
						placeholder={t('start.machine.find')}
						value={text}
						onChange={(_, v) => setText(v)}
						onClear={() => setText('')}
					/>
				)}
				<div className="hf-pick">
					<PlainTable
						label={t('start.machine.pick')}
						rows={shown}
						keyOf={(m) => m.id}
						box={(m) => (
							<Checkbox
								id={`machine-${m.id}`}
								aria-label={m.name}
								isChecked={chosen.has(m.id)}
								onChange={(_, on) => {
									const ids = new Set(chosen);
									if (on) ids.add(m.id);
									else ids.delete(m.id);
									choose(ids);
								}}
							/>
						)}
						columns={[
							{
								key: 'name',
								title: t('start.platform.name'),
								cell: (m) => <label htmlFor={`machine-${m.id}`}>{m.name}</label>,
							},
							{
								key: 'state',
								title: t('start.machine.state'),
								cell: (m) => (
									<StateLabel
										state={m.status ?? 'unknown'}
										tone={m.status === 'running' ? 'good' : 'off'}
									/>
								),
							},
							{ key: 'disks', title: t('start.machine.disks'), isNumber: true, cell: sizeOf },
						]}
					/>
				</div>
			</FormGroup>
			<FormGroup role="radiogroup" label={t('start.machine.policy')} fieldId="policy">
				{(['nightly', 'hourly', 'manual'] as const).map((p) => (
					<Radio
						key={p}
						id={`policy-${p}`}
						name="policy"
						label={t(`start.machine.${p}`)}
						description={t(`start.machine.${p}.text`)}
						isChecked={policy === p}
						onChange={() => setPolicy(p)}
					/>
				))}
				{others.map((p) => (
					<Radio
						key={p.id}
						id={`policy-${p.id}`}
						name="policy"
						label={p.name}
						description={p.description || t('start.machine.existing')}
						isChecked={policy === p.id}
						onChange={() => setPolicy(p.id)}
					/>
				))}
			</FormGroup>
			{error && <Alert variant="danger" isInline title={error} component="p" />}
			<ActionGroup>
				<Button type="submit" isLoading={busy} isDisabled={busy || !picked.length}>
					{tn('start.machine.submit', Math.max(1, picked.length))}
				</Button>
			</ActionGroup>
		</Form>
	);
}
