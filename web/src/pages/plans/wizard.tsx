// SPDX-License-Identifier: Apache-2.0
// Make or change a plan: its name, what it protects, where to, how often and how long. Everything has a default but
// what is protected.
import {
	Alert,
	Checkbox,
	Form,
	FormGroup,
	FormSelect,
	FormSelectOption,
	Radio,
	SearchInput,
	Switch,
	TextInput,
	Wizard,
	WizardStep,
} from '@patternfly/react-core';
import { useMemo, useState } from 'react';
import { api, type Answer, type Schema } from '../../api/client';
import type { Params } from '../../app/pages';
import { go, Link } from '../../app/router';
import { toast } from '../../app/toasts';
import { useList, useOne } from '../../live/hooks';
import { changed } from '../../live/store';
import { Failure, Loading } from '../../parts/empty';
import { bytes } from '../../parts/format';
import { Page } from '../../parts/page';
import { PlainTable } from '../../parts/rows';
import { SameByApi } from '../../parts/same';
import { useToggleNames } from '../../parts/wizard';
import { t, tn } from '../../texts';
import {
	disksOf,
	SERVER,
	sizeOf,
	type Instance,
	type Plan,
	type Platform,
	type Policy,
	type Provider,
} from '../checkpoints/model';
import { Simulator } from '../policies/editor';
import { keepWords } from '../policies/list';
import { Words } from '../policies/schedule';
import { localZone, TEMPLATES, type Spec } from '../policies/spec';
import { selectorWords } from './show';

type Selector = Schema<'Selector'>;
type Resource = Schema<'Resource'>;

interface Draft {
	name: string;
	description: string;
	by: 'names' | 'rules';
	resources: Resource[];
	selectors: Selector[];
	together: boolean;
	provider: string;
	policy: string; // an id, 'template:NAME', or ''
	now: boolean;
}

interface Around {
	instances: Instance[];
	platforms: Platform[];
	providers: Provider[];
	policies: Policy[];
}

interface StepProps {
	draft: Draft;
	set: (c: Partial<Draft>) => void;
	around: Around;
	isNew: boolean;
}

const MADE = 'template:';

// As the server matches a selector: * and ? stand for what they do in file names.
export function matches(s: Selector, i: Instance): boolean {
	const pattern = s.name
		? new RegExp(
				`^${s.name
					.replace(/[.+^${}()|\\]/g, '\\$&')
					.replace(/\*/g, '.*')
					.replace(/\?/g, '.')}$`,
			)
		: null;
	return (
		s.type === i.type &&
		(!pattern || pattern.test(i.name)) &&
		(!s.platform_id || s.platform_id === i.platform_id) &&
		(!s.state || s.state === i.status)
	);
}

function Name({ draft, set }: StepProps) {
	return (
		<Form>
			<FormGroup label={t('plans.name')} isRequired fieldId="plan-name">
				<TextInput
					id="plan-name"
					isRequired
					value={draft.name}
					maxLength={255}
					onChange={(_, name) => set({ name })}
				/>
			</FormGroup>
			<FormGroup label={t('plans.description')} fieldId="plan-description">
				<TextInput
					id="plan-description"
					value={draft.description}
					maxLength={255}
					onChange={(_, description) => set({ description })}
				/>
			</FormGroup>
		</Form>
	);
}

function ByName({ draft, set, around }: StepProps) {
	const [text, setText] = useState('');
	const chosen = new Set(draft.resources.map((r) => `${r.type}#${r.id}`));
	const shown = around.instances.filter((i) => i.name.toLowerCase().includes(text.toLowerCase())).slice(0, 200);
	const toggle = (i: Instance, on: boolean) =>
		set({
			resources: on
				? [...draft.resources, { id: i.id, type: i.type, name: i.name }]
				: draft.resources.filter((r) => r.id !== i.id || r.type !== i.type),
		});
	return (
		<>
			<SearchInput
				aria-label={t('resources.find')}
				placeholder={t('resources.find')}
				value={text}
				onChange={(_, v) => setText(v)}
				onClear={() => setText('')}
			/>
			<p className="hf-small" aria-live="polite">
				{tn('plans.chosen', draft.resources.length)}
			</p>
			<div className="hf-tall">
				<PlainTable
					label={t('resources.title')}
					rows={shown}
					keyOf={(i) => i.type + i.id}
					box={(i) => (
						<Checkbox
							id={`plan-has-${i.id}`}
							aria-label={i.name}
							isChecked={chosen.has(`${i.type}#${i.id}`)}
							onChange={(_, on) => toggle(i, on)}
						/>
					)}
					columns={[
						{
							key: 'name',
							title: t('resources.name'),
							cell: (i) => <label htmlFor={`plan-has-${i.id}`}>{i.name}</label>,
						},
						{
							key: 'platform',
							title: t('resources.platform'),
							cell: (i) => around.platforms.find((p) => p.id === i.platform_id)?.name ?? '–',
						},
						{
							key: 'size',
							title: t('resources.size'),
							isNumber: true,
							cell: (i) => bytes(sizeOf(disksOf(i.extra_info))),
						},
					]}
				/>
			</div>
		</>
	);
}

function ByRule({ draft, set, around }: StepProps) {
	const s: Selector = draft.selectors[0] ?? { type: SERVER, name: '*' };
	const put = (c: Partial<Selector>) => {
		const all = Object.fromEntries(Object.entries({ ...s, ...c }).filter(([, v]) => v)) as unknown as Selector;
		set({ selectors: [all, ...draft.selectors.slice(1)] });
	};
	const found = around.instances.filter((i) => matches(s, i));
	return (
		<>
			<FormGroup label={t('plans.rule.name')} fieldId="rule-name">
				<TextInput
					id="rule-name"
					value={s.name ?? ''}
					placeholder="web-*"
					onChange={(_, name) => put({ name })}
				/>
			</FormGroup>
			<FormGroup label={t('plans.rule.platform')} fieldId="rule-platform">
				<FormSelect
					id="rule-platform"
					value={s.platform_id ?? ''}
					onChange={(_, platform_id) => put({ platform_id })}
				>
					<FormSelectOption value="" label={t('plans.rule.anyPlatform')} />
					{around.platforms.map((p) => (
						<FormSelectOption key={p.id} value={p.id} label={p.name} />
					))}
				</FormSelect>
			</FormGroup>
			<Alert
				isInline
				variant={found.length ? 'info' : 'warning'}
				component="p"
				title={tn('plans.rule.now', found.length)}
				aria-live="polite"
			>
				{found
					.slice(0, 12)
					.map((i) => i.name)
					.join(', ')}
				{found.length > 12 && ` ${t('resources.more', { n: found.length - 12 })}`}
			</Alert>
			<p className="hf-small">{t('plans.rule.text')}</p>
		</>
	);
}

function What(p: StepProps) {
	const { draft, set } = p;
	return (
		<Form>
			<FormGroup role="radiogroup" label={t('plans.by')} fieldId="plan-by">
				<Radio
					id="plan-by-names"
					name="plan-by"
					label={t('plans.byNames')}
					description={t('plans.byNamesText')}
					isChecked={draft.by === 'names'}
					onChange={() => set({ by: 'names' })}
				/>
				<Radio
					id="plan-by-rules"
					name="plan-by"
					label={t('plans.byRules')}
					description={t('plans.byRulesText')}
					isChecked={draft.by === 'rules'}
					onChange={() =>
						set({
							by: 'rules',
							selectors: draft.selectors.length ? draft.selectors : [{ type: SERVER, name: '*' }],
						})
					}
				/>
			</FormGroup>
			{draft.by === 'names' ? <ByName {...p} /> : <ByRule {...p} />}
			<Checkbox
				id="plan-together"
				label={t('plans.together')}
				description={t('plans.togetherText')}
				isChecked={draft.together}
				onChange={(_, together) => set({ together })}
			/>
		</Form>
	);
}

export function specOf(policy: string, policies: readonly Policy[]): Spec | undefined {
	const template = TEMPLATES.find((x) => MADE + x.name === policy);
	return template ? template.spec(localZone()) : (policies.find((p) => p.id === policy)?.spec as Spec | undefined);
}

function How({ draft, set, around, isNew }: StepProps) {
	const spec = useMemo(() => specOf(draft.policy, around.policies), [draft.policy, around.policies]);
	return (
		<Form>
			<FormGroup label={t('plans.provider')} isRequired fieldId="plan-provider">
				<FormSelect
					id="plan-provider"
					value={draft.provider}
					isDisabled={!isNew}
					onChange={(_, provider) => set({ provider })}
				>
					{around.providers.map((p) => (
						<FormSelectOption key={p.id} value={p.id} label={p.name} />
					))}
				</FormSelect>
				{!isNew && <p className="hf-small">{t('plans.providerStays')}</p>}
			</FormGroup>
			{!around.providers.length && (
				<Alert isInline variant="warning" title={t('resources.noProvider')} component="p">
					{t('resources.noProviderText')} <Link to="/providers">{t('resources.toProviders')}</Link>
				</Alert>
			)}
			<FormGroup label={t('plans.policy')} fieldId="plan-policy">
				<FormSelect id="plan-policy" value={draft.policy} onChange={(_, policy) => set({ policy })}>
					{around.policies.map((p) => (
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
			</FormGroup>
			{spec ? (
				<>
					<ul className="hf-list">
						{(spec.schedules ?? []).map((s) => (
							<li key={s.name}>
								<Words trigger={s.trigger as Record<string, unknown>} />
							</li>
						))}
						<li>{t('plans.keeps', { words: keepWords(spec) })}</li>
					</ul>
					<Simulator spec={spec} />
				</>
			) : (
				<Alert isInline variant="info" title={t('plans.noPolicyHelp')} component="p" />
			)}
		</Form>
	);
}

function bodyOf(d: Draft, isNew: boolean, policy: string | null) {
	return {
		plan: {
			name: d.name.trim(),
			description: d.description.trim() || null,
			policy_id: policy,
			resources: d.by === 'names' ? d.resources : [],
			selectors: d.by === 'rules' ? d.selectors : [],
			consistency_group: d.together,
			...(isNew && { provider_id: d.provider, parameters: {} }),
		},
	};
}

async function policyId(d: Draft): Promise<string | null> {
	const template = TEMPLATES.find((x) => MADE + x.name === d.policy);
	if (!template) return d.policy || null;
	const body = { policy: { name: t(`policies.template.${template.name}`), spec: template.spec(localZone()) } };
	return (await api.post<Answer<'createPolicy'>>('policies', body)).policy.id;
}

function Summary({ draft, around, isNew, set }: StepProps) {
	const spec = specOf(draft.policy, around.policies);
	const provider = around.providers.find((p) => p.id === draft.provider);
	const members =
		draft.by === 'names'
			? draft.resources.map((r) => r.name)
			: draft.selectors.map((s) => selectorWords(s, around.platforms));
	return (
		<Form>
			<ul className="hf-list">
				<li>
					{t('plans.sum.what', {
						name: draft.name,
						what:
							members.slice(0, 8).join(', ') +
							(members.length > 8 ? ` ${t('resources.more', { n: members.length - 8 })}` : ''),
					})}
				</li>
				{draft.together && <li>{t('plans.sum.together')}</li>}
				<li>{t('plans.sum.where', { name: provider?.name ?? '–' })}</li>
				{(spec?.schedules ?? []).map((s) => (
					<li key={s.name}>
						<Words trigger={s.trigger as Record<string, unknown>} />
					</li>
				))}
				<li>{spec ? t('plans.keeps', { words: keepWords(spec) }) : t('plans.noPolicyHelp')}</li>
			</ul>
			{isNew && (
				<Switch
					id="plan-now"
					label={t('resources.now')}
					isChecked={draft.now}
					onChange={(_, now) => set({ now })}
				/>
			)}
			<SameByApi
				method={isNew ? 'POST' : 'PUT'}
				path="plans"
				body={bodyOf(draft, isNew, draft.policy.startsWith(MADE) ? null : draft.policy || null)}
			/>
		</Form>
	);
}

function Steps({ plan, around }: { plan?: Plan; around: Around }) {
	const isNew = !plan;
	const [draft, change] = useState<Draft>(() => ({
		name: plan?.name ?? '',
		description: plan?.description ?? '',
		by: plan && plan.selectors.length ? 'rules' : 'names',
		resources: plan?.resources ?? [],
		selectors: plan?.selectors ?? [],
		together: plan?.consistency_group ?? false,
		provider: plan?.provider_id ?? around.providers[0]?.id ?? '',
		policy: plan ? (plan.policy_id ?? '') : (around.policies.find((p) => !p.mandatory)?.id ?? `${MADE}silver`),
		now: true,
	}));
	const [error, setError] = useState<string>();
	useToggleNames();
	const [busy, setBusy] = useState(false);
	const props: StepProps = { draft, around, isNew, set: (c) => change((d) => ({ ...d, ...c })) };
	const something = draft.by === 'names' ? draft.resources.length > 0 : draft.selectors.length > 0;
	const save = async () => {
		setBusy(true);
		setError(undefined);
		try {
			const body = bodyOf(draft, isNew, await policyId(draft));
			const made = plan
				? (await api.put<Answer<'updatePlan'>>(`plans/${plan.id}`, body)).plan
				: (await api.post<Answer<'createPlan'>>('plans', body)).plan;
			if (isNew && draft.now)
				await api.post(`providers/${made.provider_id}/checkpoints`, { checkpoint: { plan_id: made.id } });
			changed();
			toast('success', t(isNew ? 'plans.made' : 'plans.saved', { name: made.name }));
			go(`/plans/${made.id}`);
		} catch (e) {
			setError((e as Error).message);
			setBusy(false);
		}
	};
	const words = {
		nextButtonText: t('restores.next'),
		backButtonText: t('restores.back'),
		cancelButtonText: t('parts.cancel'),
	};
	return (
		<Wizard
			className="hf-wizard"
			onClose={() => go(plan ? `/plans/${plan.id}` : '/plans')}
			onSave={() => void save()}
			shouldFocusContent
		>
			<WizardStep id="name" name={t('plans.step.name')} footer={{ ...words, isNextDisabled: !draft.name.trim() }}>
				<Name {...props} />
			</WizardStep>
			<WizardStep
				id="what"
				name={t('plans.step.what')}
				isDisabled={!draft.name.trim()}
				footer={{ ...words, isNextDisabled: !something }}
			>
				<What {...props} />
			</WizardStep>
			<WizardStep
				id="how"
				name={t('plans.step.how')}
				isDisabled={!something}
				footer={{ ...words, isNextDisabled: !draft.provider }}
			>
				<How {...props} />
			</WizardStep>
			<WizardStep
				id="summary"
				name={t('plans.step.summary')}
				isDisabled={!something || !draft.provider}
				footer={{
					...words,
					nextButtonText: isNew ? t('plans.make') : t('plans.save'),
					isNextDisabled: busy || !something || !draft.name.trim() || !draft.provider,
					nextButtonProps: { isLoading: busy },
				}}
			>
				{error && (
					<Alert isInline variant="danger" title={t('plans.refused')}>
						{error}
					</Alert>
				)}
				<Summary {...props} />
			</WizardStep>
		</Wizard>
	);
}

export default function PlanWizard({ params }: { params: Params }) {
	const id = params.id;
	const plan = useOne<Plan>(id ? `plans/${id}` : null, 'plan');
	const instances = useList<Instance>(`protectables/${SERVER}/instances`, 'instances', {
		limit: 1000,
		sort: 'name:asc',
	});
	const platforms = useList<Platform>('platforms', 'platforms', { limit: 1000 });
	const providers = useList<Provider>('providers', 'providers', { limit: 1000 });
	const policies = useList<Policy>('policies', 'policies', { limit: 1000 });
	const failed = [plan, instances, platforms, providers, policies].find((x) => x.error && !x.data)?.error;
	const ready = (!id || plan.data) && instances.data && platforms.data && providers.data && policies.data;
	const around = {
		instances: instances.items,
		platforms: platforms.items,
		providers: providers.items,
		policies: policies.items,
	};
	return (
		<Page
			title={id ? t('plans.editTitle', { name: plan.data?.name ?? '…' }) : t('plans.newTitle')}
			crumbs={[
				{ title: t('plans.title'), to: '/plans' },
				...(id ? [{ title: plan.data?.name ?? '…', to: `/plans/${id}` }] : []),
			]}
		>
			{failed ? (
				<Failure error={failed} />
			) : !ready ? (
				<Loading />
			) : (
				<Steps plan={id ? plan.data : undefined} around={around} />
			)}
		</Page>
	);
}
