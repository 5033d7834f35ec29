// SPDX-License-Identifier: Apache-2.0
// Bring back a checkpoint, whole or in part: what, where to, what it is called and connected to there, what will
// happen.
import {
	Alert,
	Button,
	Checkbox,
	Form,
	FormGroup,
	FormHelperText,
	FormSelect,
	FormSelectOption,
	HelperText,
	HelperTextItem,
	Radio,
	Switch,
	TextInput,
	Wizard,
	WizardStep,
} from '@patternfly/react-core';
import { useEffect, useState } from 'react';
import { api, type Answer } from '../../api/client';
import type { Params } from '../../app/pages';
import { go, usePlace } from '../../app/router';
import { useSession } from '../../app/session';
import { useList, useOne } from '../../live/hooks';
import { changed } from '../../live/store';
import { moment } from '../../parts/dates';
import { Failure, Loading } from '../../parts/empty';
import { bytes } from '../../parts/format';
import { Page } from '../../parts/page';
import { SameByApi } from '../../parts/same';
import { useToggleNames } from '../../parts/wizard';
import { t, tx } from '../../texts';
import {
	apiOf,
	disksOf,
	pathOf,
	planName,
	SERVER,
	sizeOf,
	type Checkpoint,
	type Instance,
	type Platform,
	type Provider,
} from '../checkpoints/model';
import { bodyOf, checksOf, firstDraft, keyOf, optionsOf, type Around, type Draft, type Machine } from './model';
import { Summary } from './summary';

type Set = (change: Partial<Draft>) => void;

interface StepProps {
	of: Checkpoint;
	draft: Draft;
	set: Set;
	around: Around;
	has: ReadonlySet<string>;
}

function setMachine(d: Draft, key: string, change: Partial<Machine>): Partial<Draft> {
	return { machines: { ...d.machines, [key]: { ...d.machines[key]!, ...change } } };
}

function What({ of, draft, set, has }: StepProps) {
	return (
		<Form>
			<p>{t('restores.whatText')}</p>
			{(of.resources ?? []).map((r) => {
				const key = keyOf(r);
				const m = draft.machines[key]!;
				const disks = disksOf(r.extra_info);
				const isOn = (name: string) => m.chosen && (m.disks?.includes(name) ?? true);
				const toggle = (name: string, on: boolean) => {
					const now = disks.map((d) => d.name).filter((n) => (n === name ? on : isOn(n)));
					set(
						setMachine(draft, key, {
							chosen: now.length > 0,
							disks: now.length === disks.length ? null : now,
						}),
					);
				};
				return (
					<fieldset key={key} className="hf-fieldset">
						<Checkbox
							id={`what-${r.id}`}
							label={<strong>{r.name}</strong>}
							description={`${tx('type', r.type)} · ${bytes(sizeOf(disks))}`}
							isChecked={m.chosen ? (m.disks ? null : true) : false}
							onChange={(_, on) => set(setMachine(draft, key, { chosen: on, disks: null }))}
						/>
						{has.has('disks') && disks.length > 1 && (
							<div className="hf-indent">
								{disks.map((d) => (
									<Checkbox
										key={d.name}
										id={`what-${r.id}-${d.name}`}
										label={`${d.name} (${bytes(d.bytes ?? 0)})`}
										isChecked={isOn(d.name)}
										onChange={(_, on) => toggle(d.name, on)}
									/>
								))}
							</div>
						)}
					</fieldset>
				);
			})}
		</Form>
	);
}

function Where({ draft, set, around }: StepProps) {
	return (
		<Form>
			<FormGroup role="radiogroup" label={t('restores.mode')} fieldId="restore-mode">
				<Radio
					id="mode-new"
					name="mode"
					label={t('restores.modeNew')}
					description={t('restores.modeNewText')}
					isChecked={draft.mode === 'new'}
					onChange={() => set({ mode: 'new' })}
				/>
				<Radio
					id="mode-in-place"
					name="mode"
					label={t('restores.modeInPlace')}
					description={t('restores.modeInPlaceText')}
					isChecked={draft.mode === 'in_place'}
					onChange={() => set({ mode: 'in_place' })}
				/>
			</FormGroup>
			{draft.mode === 'new' ? (
				<FormGroup label={t('restores.platform')} fieldId="restore-platform">
					<FormSelect
						id="restore-platform"
						value={draft.platform}
						onChange={(_, platform) => set({ platform })}
					>
						<FormSelectOption value="" label={t('restores.platformSame')} />
						{around.platforms.map((p) => (
							<FormSelectOption key={p.id} value={p.id} label={p.name} />
						))}
					</FormSelect>
				</FormGroup>
			) : (
				<>
					<Alert isInline variant="warning" title={t('restores.inPlaceWarning')} component="p" />
					<Switch
						id="restore-stop"
						label={t('restores.stop')}
						isChecked={draft.stop}
						onChange={(_, stop) => set({ stop })}
					/>
				</>
			)}
			<FormGroup label={t('restores.start')} fieldId="restore-start">
				<FormSelect
					id="restore-start"
					value={draft.start}
					onChange={(_, start) => set({ start: start as Draft['start'] })}
				>
					{(['as_was', 'yes', 'no'] as const).map((x) => (
						<FormSelectOption key={x} value={x} label={t(`restores.start.${x}`)} />
					))}
				</FormSelect>
			</FormGroup>
		</Form>
	);
}

function Names({ of, draft, set, around }: StepProps) {
	return (
		<>
			{(of.resources ?? [])
				.filter((r) => draft.machines[keyOf(r)]?.chosen)
				.map((r) => {
					const key = keyOf(r);
					const name = draft.machines[key]?.name ?? '';
					const platform = draft.platform || r.platform_id;
					const taken = around.instances.some(
						(i) => i.platform_id === platform && i.name === (name.trim() || r.name),
					);
					return (
						<FormGroup key={key} label={t('restores.nameFor', { name: r.name })} fieldId={`name-${r.id}`}>
							<TextInput
								id={`name-${r.id}`}
								value={name}
								placeholder={r.name}
								maxLength={255}
								validated={taken ? 'error' : 'default'}
								onChange={(_, v) => set(setMachine(draft, key, { name: v }))}
							/>
							{taken && (
								<FormHelperText>
									<HelperText>
										<HelperTextItem variant="error">
											{t('restores.check.taken', { name: name.trim() || r.name })}
										</HelperTextItem>
									</HelperText>
								</FormHelperText>
							)}
						</FormGroup>
					);
				})}
		</>
	);
}

function Networks({ draft, set }: { draft: Draft; set: Set }) {
	const rows = [...draft.networks, { from: '', to: '' }];
	const change = (i: number, c: Partial<{ from: string; to: string }>) =>
		set({ networks: rows.map((r, j) => (i === j ? { ...r, ...c } : r)).filter((r) => r.from || r.to) });
	return (
		<FormGroup label={t('restores.networks')} fieldId="network-0-from">
			<p className="hf-small">{t('restores.networksText')}</p>
			{rows.map((r, i) => (
				<div key={i} className="hf-pair">
					<TextInput
						id={`network-${i}-from`}
						aria-label={t('restores.networkFrom')}
						placeholder={t('restores.networkFrom')}
						value={r.from}
						onChange={(_, from) => change(i, { from })}
					/>
					<span aria-hidden="true">→</span>
					<TextInput
						id={`network-${i}-to`}
						aria-label={t('restores.networkTo')}
						placeholder={t('restores.networkTo')}
						value={r.to}
						onChange={(_, to) => change(i, { to })}
					/>
				</div>
			))}
		</FormGroup>
	);
}

function Maps(p: StepProps) {
	const { isAdmin } = useSession();
	const { draft, set, has } = p;
	if (draft.mode === 'in_place')
		return (
			<Form>
				<p>{t('restores.mapsInPlace')}</p>
			</Form>
		);
	return (
		<Form>
			{has.has('restore_name') && <Names {...p} />}
			<FormGroup role="radiogroup" label={t('restores.storage')} fieldId="restore-storage">
				{(['as_was', 'pool', 'directory'] as const)
					.filter((x) => x === 'as_was' || has.has(x))
					.map((x) => (
						<Radio
							key={x}
							id={`storage-${x}`}
							name="storage"
							label={t(`restores.storage.${x}`)}
							description={x === 'directory' && !isAdmin ? t('restores.adminOnly') : undefined}
							isDisabled={x === 'directory' && !isAdmin}
							isChecked={draft.storage === x}
							onChange={() => set({ storage: x })}
						/>
					))}
			</FormGroup>
			{draft.storage !== 'as_was' && (
				<FormGroup label={t(`restores.place.${draft.storage}`)} isRequired fieldId="restore-place">
					<TextInput
						id="restore-place"
						value={draft.place}
						placeholder={draft.storage === 'directory' ? '/var/lib/libvirt/images' : 'default'}
						onChange={(_, place) => set({ place })}
					/>
				</FormGroup>
			)}
			{has.has('networks') && <Networks draft={draft} set={set} />}
			{has.has('keep_identity') && (
				<FormGroup fieldId="restore-identity">
					<Switch
						id="restore-identity"
						label={t('restores.identity')}
						isChecked={draft.keepIdentity}
						onChange={(_, keepIdentity) => set({ keepIdentity })}
					/>
					<p className="hf-small">{t('restores.identityText')}</p>
				</FormGroup>
			)}
		</Form>
	);
}

function Steps({ of, provider, around }: { of: Checkpoint; provider: Provider | undefined; around: Around }) {
	const { query } = usePlace();
	const { isAdmin } = useSession();
	const [draft, change] = useState(() => firstDraft(of, around.instances, query.get('resource'), isAdmin));
	useToggleNames();
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState<string>();
	const set: Set = (c) => change((d) => ({ ...d, ...c }));
	const type = of.resources?.[0]?.type ?? SERVER;
	const props: StepProps = { of, draft, set, around, has: optionsOf(provider, type) };
	const checks = checksOf(of, draft, around);
	const blocked = checks.some((c) => c.tone === 'bad');
	const nothing = !Object.values(draft.machines).some((m) => m.chosen);
	const body = bodyOf(of, draft, provider);
	const run = async () => {
		setBusy(true);
		setError(undefined);
		try {
			const { restore } = await api.post<Answer<'createRestore'>>('restores', body);
			changed('restores', 'operations');
			go(`/restores/${restore.id}`);
		} catch (e) {
			setError((e as Error).message);
			setBusy(false);
		}
	};
	return (
		<Wizard
			className="hf-wizard"
			onClose={() => go(pathOf(of))}
			title={undefined}
			onSave={() => void run()}
			shouldFocusContent
		>
			<WizardStep
				id="what"
				name={t('restores.what')}
				footer={{
					isNextDisabled: nothing,
					nextButtonText: t('restores.next'),
					backButtonText: t('restores.back'),
					cancelButtonText: t('parts.cancel'),
				}}
			>
				<What {...props} />
			</WizardStep>
			<WizardStep
				id="where"
				name={t('restores.where')}
				footer={{
					nextButtonText: t('restores.next'),
					backButtonText: t('restores.back'),
					cancelButtonText: t('parts.cancel'),
				}}
			>
				<Where {...props} />
			</WizardStep>
			<WizardStep
				id="maps"
				name={t('restores.maps')}
				footer={{
					nextButtonText: t('restores.next'),
					backButtonText: t('restores.back'),
					cancelButtonText: t('parts.cancel'),
				}}
			>
				<Maps {...props} />
			</WizardStep>
			<WizardStep
				id="check"
				name={t('restores.checkStep')}
				footer={{
					isNextDisabled: blocked || busy,
					nextButtonText: t('restores.run'),
					nextButtonProps: { isLoading: busy },
					backButtonText: t('restores.back'),
					cancelButtonText: t('parts.cancel'),
				}}
			>
				{error && (
					<Alert isInline variant="danger" title={t('restores.refused')}>
						{error}
					</Alert>
				)}
				<Summary of={of} draft={draft} checks={checks} around={around} />
				<SameByApi method="POST" path="restores" body={body} />
			</WizardStep>
		</Wizard>
	);
}

export default function RestoreWizard({ params }: { params: Params }) {
	const at = { provider_id: params.provider ?? '', id: params.id ?? '' };
	const k = useOne<Checkpoint>(apiOf(at), 'checkpoint');
	const provider = useOne<Provider>(`providers/${at.provider_id}`, 'provider');
	const platforms = useList<Platform>('platforms', 'platforms', { limit: 1000 });
	const instances = useList<Instance>(`protectables/${SERVER}/instances`, 'instances', { limit: 1000 });
	const failed = k.error ?? platforms.error ?? instances.error ?? provider.error;
	const ready = k.data && platforms.data && instances.data && provider.data;
	// What was there when the wizard opened decides how it begins; checks go on to look at what is there now.
	const [begun, begin] = useState(false);
	useEffect(() => {
		if (ready) begin(true);
	}, [ready]);
	const name = k.data
		? t('checkpoints.of', { plan: planName(k.data), when: moment(k.data.instant_at ?? k.data.started_at) })
		: '…';
	return (
		<Page
			title={t('restores.new')}
			crumbs={[
				{ title: t('checkpoints.title'), to: '/checkpoints' },
				{ title: name, to: pathOf(at) },
			]}
		>
			{failed && !begun ? (
				<Failure error={failed} />
			) : !ready && !begun ? (
				<Loading />
			) : k.data && k.data.status !== 'available' ? (
				<Alert
					isInline
					variant="warning"
					title={t('restores.notAvailable', { state: tx('state', k.data.status) })}
				>
					<Button variant="link" isInline onClick={() => go('/checkpoints')}>
						{t('restores.other')}
					</Button>
				</Alert>
			) : (
				k.data && (
					<Steps
						of={k.data}
						provider={provider.data}
						around={{ platforms: platforms.items, instances: instances.items }}
					/>
				)
			)}
		</Page>
	);
}
