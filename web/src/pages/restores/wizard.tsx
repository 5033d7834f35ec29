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
import { useEffect, useMemo, useState } from 'react';
import { api, type Answer, type ApiError } from '../../api/client';
import type { Params } from '../../app/pages';
import { go, usePlace } from '../../app/router';
import { useSession } from '../../app/session';
import { useList, useOne } from '../../live/hooks';
import { useLook } from '../../live/look';
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
import {
	bodyOf,
	checksOf,
	firstDraft,
	keyOf,
	networksThen,
	optionsOf,
	placeOf,
	platformsOf,
	poolsOf,
	type Around,
	type Draft,
	type Machine,
} from './model';
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

function Where({ of, draft, set, around }: StepProps) {
	const toPlatform = (platform: string) => {
		const there = poolsOf(of, { ...draft, platform }, around);
		set({ platform, ...(draft.storage === 'pool' && { place: placeOf('pool', of, there) }) });
	};
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
						onChange={(_, platform) => toPlatform(platform)}
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

// What is typed is completed from what the platform has; a bridge is not listed there and can be typed as well.
function Networks({ of, draft, set, around }: StepProps) {
	const known = networksThen(of);
	const there = platformsOf(of, draft, around)[0]?.offers?.networks ?? [];
	const rows = known ? draft.networks : [...draft.networks, { from: '', to: '' }];
	const change = (i: number, c: Partial<{ from: string; to: string }>) =>
		set({ networks: rows.map((r, j) => (i === j ? { ...r, ...c } : r)).filter((r) => r.from || r.to) });
	return (
		<FormGroup role="group" label={t('restores.networks')} fieldId="networks">
			<p className="hf-small">{t(rows.length ? 'restores.networksText' : 'restores.networksNone')}</p>
			<datalist id="networks-there">
				{there.map((n) => (
					<option key={n} value={n} />
				))}
			</datalist>
			{rows.map((r, i) => (
				<div key={i} className="hf-pair">
					<TextInput
						id={`network-${i}-from`}
						aria-label={t('restores.networkFrom')}
						placeholder={t('restores.networkFrom')}
						readOnlyVariant={known ? 'default' : undefined}
						value={r.from}
						onChange={(_, from) => change(i, { from })}
					/>
					<span aria-hidden="true">→</span>
					<TextInput
						id={`network-${i}-to`}
						list="networks-there"
						aria-label={t('restores.networkTo', { name: r.from })}
						placeholder={r.from || t('restores.networkNow')}
						value={r.to}
						onChange={(_, to) => change(i, { to })}
					/>
				</div>
			))}
		</FormGroup>
	);
}

function Place({ of, draft, set, around }: StepProps) {
	const pools = draft.storage === 'pool' ? poolsOf(of, draft, around) : undefined;
	const label = t(draft.storage === 'pool' ? 'restores.place.pool' : 'restores.place.directory');
	return (
		<FormGroup label={label} isRequired fieldId="restore-place">
			{pools?.length ? (
				<FormSelect id="restore-place" value={draft.place} onChange={(_, place) => set({ place })}>
					{pools.map((p) => (
						<FormSelectOption
							key={p.name}
							value={p.name}
							label={t('restores.pool', {
								name: p.name,
								free: bytes(p.free_bytes),
								total: bytes(p.bytes),
							})}
						/>
					))}
				</FormSelect>
			) : (
				<TextInput
					id="restore-place"
					value={draft.place}
					placeholder={draft.storage === 'directory' ? '/var/lib/libvirt/images' : 'default'}
					onChange={(_, place) => set({ place })}
				/>
			)}
			{pools?.length === 0 && <p className="hf-small">{t('restores.noPools')}</p>}
		</FormGroup>
	);
}

function Maps(p: StepProps) {
	const { isAdmin } = useSession();
	const { of, draft, set, around, has } = p;
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
							onChange={() => set({ storage: x, place: placeOf(x, of, poolsOf(of, draft, around)) })}
						/>
					))}
			</FormGroup>
			{draft.storage !== 'as_was' && <Place {...p} />}
			{has.has('networks') && <Networks {...p} />}
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

const BUTTONS = {
	nextButtonText: t('restores.next'),
	backButtonText: t('restores.back'),
	cancelButtonText: t('parts.cancel'),
};

function Steps({
	of,
	provider,
	first,
	around,
}: {
	of: Checkpoint;
	provider: Provider | undefined;
	first: Around;
	around: Around;
}) {
	const { query } = usePlace();
	const { isAdmin } = useSession();
	const [draft, change] = useState(() => firstDraft(of, first, query.get('resource'), isAdmin));
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
					...BUTTONS,
					isNextDisabled: nothing,
				}}
			>
				<What {...props} />
			</WizardStep>
			<WizardStep id="where" name={t('restores.where')} footer={BUTTONS}>
				<Where {...props} />
			</WizardStep>
			<WizardStep id="maps" name={t('restores.maps')} footer={BUTTONS}>
				<Maps {...props} />
			</WizardStep>
			<WizardStep
				id="check"
				name={t('restores.checkStep')}
				footer={{
					...BUTTONS,
					isNextDisabled: blocked || busy,
					nextButtonText: t('restores.run'),
					nextButtonProps: { isLoading: busy },
				}}
			>
				{error && (
					<Alert isInline variant="danger" title={t('restores.refused')}>
						{error}
					</Alert>
				)}
				<Summary
					of={of}
					draft={draft}
					checks={checks}
					around={around}
					same={<SameByApi method="POST" path="restores" body={body} />}
				/>
			</WizardStep>
		</Wizard>
	);
}

const INSTANCES = `protectables/${SERVER}/instances`;

/** What is there as the wizard opens, read anew: it decides what is proposed. Checks go on to look. */
function useFirst(looked: boolean): { first?: Around; error?: ApiError } {
	const [now, set] = useState<{ first?: Around; error?: ApiError }>({});
	useEffect(() => {
		if (!looked) return;
		changed('platforms', 'instances');
		Promise.all([
			api.get<Answer<'listPlatforms'>>('platforms', { limit: 1000 }),
			api.get<Answer<'listInstances'>>(INSTANCES, { limit: 1000 }),
		]).then(
			([{ platforms }, { instances }]) => set({ first: { platforms, instances } }),
			(error: ApiError) => set({ error }),
		);
	}, [looked]);
	return now;
}

export default function RestoreWizard({ params }: { params: Params }) {
	const at = { provider_id: params.provider ?? '', id: params.id ?? '' };
	const k = useOne<Checkpoint>(apiOf(at), 'checkpoint');
	const provider = useOne<Provider>(`providers/${at.provider_id}`, 'provider');
	// What is proposed depends on what is there now, which may have changed since the platforms were looked at.
	const ids = useMemo(() => k.data && [...new Set((k.data.resources ?? []).map((r) => r.platform_id))], [k.data]);
	const { first, error } = useFirst(useLook(ids));
	const platforms = useList<Platform>('platforms', 'platforms', { limit: 1000 });
	const instances = useList<Instance>(INSTANCES, 'instances', { limit: 1000 });
	const failed = k.error ?? provider.error ?? error;
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
			{failed ? (
				<Failure error={failed} />
			) : !k.data || !provider.data || !first ? (
				<>
					<p className="hf-small" role="status">
						{t('restores.looking')}
					</p>
					<Loading />
				</>
			) : k.data.status !== 'available' ? (
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
				<Steps
					of={k.data}
					provider={provider.data}
					first={first}
					around={{
						platforms: platforms.data ? platforms.items : first.platforms,
						instances: instances.data ? instances.items : first.instances,
					}}
				/>
			)}
		</Page>
	);
}
