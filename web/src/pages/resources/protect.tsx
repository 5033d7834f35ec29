// SPDX-License-Identifier: Apache-2.0
// Protect one machine or many: put them into a plan that is there, or make one, with a policy that is there or one of
// the usual ones.
import {
	Alert,
	Button,
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
} from '@patternfly/react-core';
import { useState } from 'react';
import { api, type Answer } from '../../api/client';
import { go, Link } from '../../app/router';
import { toast } from '../../app/toasts';
import { useList } from '../../live/hooks';
import { changed } from '../../live/store';
import { SidePanel } from '../../parts/dialogs';
import { Loading } from '../../parts/empty';
import { SameByApi } from '../../parts/same';
import { t, tn } from '../../texts';
import type { Plan, Policy, Provider } from '../checkpoints/model';
import { localZone, TEMPLATES } from '../policies/spec';

interface Thing {
	id: string;
	type: string;
	name: string;
}

interface Choice {
	into: 'new' | 'plan';
	plan: string;
	name: string;
	provider: string;
	policy: string; // an id, 'template:NAME', or '' for none
	now: boolean;
}

const MADE = 'template:';

function nameFor(things: readonly Thing[]): string {
	const [first] = things;
	return things.length === 1 && first ? first.name : tn('resources.planName', things.length);
}

const plain = ({ id, type, name }: Thing): Thing => ({ id, type, name });

async function policyOf(c: Choice): Promise<string | null> {
	if (!c.policy.startsWith(MADE)) return c.policy || null;
	const name = c.policy.slice(MADE.length);
	const template = TEMPLATES.find((x) => x.name === name);
	if (!template) return null;
	const { policy } = await api.post<Answer<'createPolicy'>>('policies', {
		policy: { name: t(`policies.template.${template.name}`), spec: template.spec(localZone()) },
	});
	return policy.id;
}

async function join(plan: Plan, things: readonly Thing[]): Promise<Plan> {
	const had = new Set(plan.resources.map((r) => `${r.type}#${r.id}`));
	const resources = [...plan.resources, ...things.filter((x) => !had.has(`${x.type}#${x.id}`)).map(plain)];
	return (await api.put<Answer<'updatePlan'>>(`plans/${plan.id}`, { plan: { resources } })).plan;
}

async function make(c: Choice, things: readonly Thing[]): Promise<Plan> {
	const body = {
		name: c.name.trim(),
		provider_id: c.provider,
		policy_id: await policyOf(c),
		parameters: {},
		resources: things.map(plain),
	};
	return (await api.post<Answer<'createPlan'>>('plans', { plan: body })).plan;
}

function useChoice(things: readonly Thing[], plans: Plan[], providers: Provider[], policies: Policy[]) {
	const [given, give] = useState<Partial<Choice>>({});
	const choice: Choice = {
		into: plans.length && things.length === 1 && given.into === undefined ? 'new' : (given.into ?? 'new'),
		plan: given.plan ?? plans[0]?.id ?? '',
		name: given.name ?? nameFor(things),
		provider: given.provider ?? providers[0]?.id ?? '',
		policy: given.policy ?? policies.find((p) => !p.mandatory)?.id ?? `${MADE}silver`,
		now: given.now ?? true,
	};
	return { choice, set: (c: Partial<Choice>) => give({ ...given, ...c }) };
}

function NewPlan({
	choice,
	set,
	providers,
	policies,
}: {
	choice: Choice;
	set: (c: Partial<Choice>) => void;
	providers: Provider[];
	policies: Policy[];
}) {
	return (
		<>
			<FormGroup label={t('plans.name')} isRequired fieldId="protect-name">
				<TextInput
					id="protect-name"
					isRequired
					value={choice.name}
					onChange={(_, name) => set({ name })}
					maxLength={255}
				/>
			</FormGroup>
			<FormGroup label={t('plans.provider')} isRequired fieldId="protect-provider">
				<FormSelect id="protect-provider" value={choice.provider} onChange={(_, provider) => set({ provider })}>
					{providers.map((p) => (
						<FormSelectOption key={p.id} value={p.id} label={p.name} />
					))}
				</FormSelect>
			</FormGroup>
			<FormGroup label={t('plans.policy')} fieldId="protect-policy">
				<FormSelect id="protect-policy" value={choice.policy} onChange={(_, policy) => set({ policy })}>
					{policies.map((p) => (
						<FormSelectOption key={p.id} value={p.id} label={p.name} />
					))}
					{TEMPLATES.map((x) => (
						<FormSelectOption
							key={x.name}
							value={MADE + x.name}
							label={t('resources.newPolicy', {
								name: t(`policies.template.${x.name}`),
								words: t(`policies.template.${x.name}.words`),
							})}
						/>
					))}
					<FormSelectOption value="" label={t('plans.noPolicy')} />
				</FormSelect>
				<FormHelperText>
					<HelperText>
						<HelperTextItem>
							{choice.policy ? t('plans.policyHelp') : t('plans.noPolicyHelp')}
						</HelperTextItem>
					</HelperText>
				</FormHelperText>
			</FormGroup>
		</>
	);
}

function sameOf(c: Choice, things: readonly Thing[]) {
	if (c.into === 'plan')
		return { method: 'PUT' as const, path: `plans/${c.plan}`, body: { plan: { resources: things.map(plain) } } };
	return {
		method: 'POST' as const,
		path: 'plans',
		body: {
			plan: {
				name: c.name,
				provider_id: c.provider,
				...(c.policy && !c.policy.startsWith(MADE) && { policy_id: c.policy }),
				parameters: {},
				resources: things.map(plain),
			},
		},
	};
}

export function ProtectPanel({ resources, onClose }: { resources: readonly Thing[]; onClose: () => void }) {
	const plans = useList<Plan>('plans', 'plans', { limit: 1000 });
	const providers = useList<Provider>('providers', 'providers', { limit: 1000 });
	const policies = useList<Policy>('policies', 'policies', { limit: 1000 });
	const { choice, set } = useChoice(resources, plans.items, providers.items, policies.items);
	const [error, setError] = useState<string>();
	const [busy, setBusy] = useState(false);
	const ready = plans.data && providers.data && policies.data;
	const valid = choice.into === 'plan' ? choice.plan !== '' : choice.name.trim() !== '' && choice.provider !== '';
	const run = async () => {
		setBusy(true);
		setError(undefined);
		try {
			const old = plans.items.find((p) => p.id === choice.plan);
			const plan = choice.into === 'plan' && old ? await join(old, resources) : await make(choice, resources);
			if (choice.now)
				await api.post(`providers/${plan.provider_id}/checkpoints`, { checkpoint: { plan_id: plan.id } });
			changed();
			toast(
				'success',
				tn(choice.now ? 'resources.startedN' : 'resources.protectedN', resources.length),
				<Link to={`/plans/${plan.id}`}>{plan.name}</Link>,
			);
			onClose();
			go(`/plans/${plan.id}`);
		} catch (e) {
			setError((e as Error).message);
			setBusy(false);
		}
	};
	const title =
		resources.length === 1
			? t('resources.protectOne', { name: resources[0]?.name ?? '' })
			: tn('resources.protectN', resources.length);
	return (
		<SidePanel
			title={title}
			onClose={onClose}
			footer={
				<>
					<Button onClick={() => void run()} isDisabled={!ready || !valid || busy} isLoading={busy}>
						{choice.now ? t('resources.protectNow') : t('resources.protect')}
					</Button>
					<Button variant="link" onClick={onClose}>
						{t('parts.cancel')}
					</Button>
					{ready && <SameByApi {...sameOf(choice, resources)} />}
				</>
			}
		>
			{!ready ? (
				<Loading />
			) : !providers.items.length ? (
				<Alert isInline variant="info" title={t('resources.noProvider')} component="p">
					{t('resources.noProviderText')} <Link to="/providers">{t('resources.toProviders')}</Link>
				</Alert>
			) : (
				<Form
					onSubmit={(e) => {
						e.preventDefault();
						if (valid && !busy) void run();
					}}
				>
					{error && <Alert variant="danger" isInline title={error} component="p" />}
					<p>{resources.map((r) => r.name).join(', ')}</p>
					<FormGroup role="radiogroup" label={t('resources.into')} fieldId="protect-into">
						<Radio
							id="protect-new"
							name="protect-into"
							label={t('resources.intoNew')}
							isChecked={choice.into === 'new'}
							onChange={() => set({ into: 'new' })}
						/>
						<Radio
							id="protect-plan"
							name="protect-into"
							label={t('resources.intoPlan')}
							isDisabled={!plans.items.length}
							isChecked={choice.into === 'plan'}
							onChange={() => set({ into: 'plan' })}
						/>
					</FormGroup>
					{choice.into === 'new' ? (
						<NewPlan choice={choice} set={set} providers={providers.items} policies={policies.items} />
					) : (
						<FormGroup label={t('resources.plan')} fieldId="protect-which">
							<FormSelect id="protect-which" value={choice.plan} onChange={(_, plan) => set({ plan })}>
								{plans.items.map((p) => (
									<FormSelectOption key={p.id} value={p.id} label={p.name} />
								))}
							</FormSelect>
						</FormGroup>
					)}
					<Switch
						id="protect-now"
						label={t('resources.now')}
						isChecked={choice.now}
						onChange={(_, now) => set({ now })}
					/>
				</Form>
			)}
		</SidePanel>
	);
}
