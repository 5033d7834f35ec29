// SPDX-License-Identifier: Apache-2.0
// Make or change a policy; before it is saved, what the change would delete is said.
import {
	Alert,
	Button,
	Checkbox,
	Form,
	FormGroup,
	Card,
	CardBody,
	CardHeader,
	CardTitle,
	TextInput,
} from '@patternfly/react-core';
import { useState } from 'react';
import { api, type Answer } from '../../api/client';
import type { Params } from '../../app/pages';
import { go } from '../../app/router';
import { useSession } from '../../app/session';
import { toast } from '../../app/toasts';
import { useList, useOne } from '../../live/hooks';
import { changed } from '../../live/store';
import { ConfirmDialog } from '../../parts/dialogs';
import { Shown } from '../../parts/empty';
import { Page } from '../../parts/page';
import { t, tn } from '../../texts';
import type { Plan, Policy } from '../checkpoints/model';
import { SpecEditor } from './editor';
import { localZone, TEMPLATES, type Spec } from './spec';

interface Draft {
	name: string;
	description: string;
	mandatory: boolean;
	spec: Spec;
}

async function goingIf(draft: Draft, id: string | undefined): Promise<number> {
	if (!id) return 0;
	const { policy_simulation } = await api.post<Answer<'simulatePolicy'>>('policy_simulations', {
		policy_simulation: { spec: draft.spec, policy_id: id, days: 1 },
	});
	return policy_simulation.plans.reduce((n, p) => n + p.going_now.length, 0);
}

function Editor({ id, first, readOnly }: { id?: string; first: Draft; readOnly: boolean }) {
	const { isAdmin } = useSession();
	const [draft, change] = useState(first);
	const [error, setError] = useState<string>();
	const [busy, setBusy] = useState(false);
	const [going, ask] = useState(0);
	const set = (c: Partial<Draft>) => change((d) => ({ ...d, ...c }));
	const save = async () => {
		const body = {
			policy: {
				name: draft.name.trim(),
				description: draft.description,
				spec: draft.spec,
				...(isAdmin && { mandatory: draft.mandatory }),
			},
		};
		if (id) await api.put(`policies/${id}`, body);
		else await api.post('policies', body);
		changed();
		toast('success', t('policies.saved', { name: draft.name }));
		go('/policies');
	};
	const tried = async () => {
		setBusy(true);
		setError(undefined);
		try {
			const n = await goingIf(draft, id);
			if (n) ask(n);
			else await save();
		} catch (e) {
			setError((e as Error).message);
		}
		setBusy(false);
	};
	return (
		<>
			<Form
				onSubmit={(e) => {
					e.preventDefault();
					void tried();
				}}
			>
				<div className="hf-row hf-row-low">
					<FormGroup label={t('policies.name')} isRequired fieldId="policy-name">
						<TextInput
							id="policy-name"
							isRequired
							value={draft.name}
							maxLength={255}
							onChange={(_, name) => set({ name })}
						/>
					</FormGroup>
					<FormGroup label={t('policies.description')} fieldId="policy-description">
						<TextInput
							id="policy-description"
							value={draft.description}
							maxLength={255}
							onChange={(_, description) => set({ description })}
						/>
					</FormGroup>
					{isAdmin && (
						<Checkbox
							id="policy-mandatory"
							label={t('policies.mandate')}
							description={t('policies.mandateText')}
							isChecked={draft.mandatory}
							onChange={(_, mandatory) => set({ mandatory })}
						/>
					)}
				</div>
				<SpecEditor spec={draft.spec} onChange={(spec) => set({ spec })} policy={id} />
				{error && (
					<Alert isInline variant="danger" title={t('policies.refused')}>
						{error}
					</Alert>
				)}
				{!readOnly && (
					<div className="hf-row">
						<Button type="submit" isLoading={busy} isDisabled={busy || !draft.name.trim()}>
							{t('policies.save')}
						</Button>
						<Button variant="link" onClick={() => go('/policies')}>
							{t('parts.cancel')}
						</Button>
					</div>
				)}
			</Form>
			{going > 0 && (
				<ConfirmDialog
					title={t('policies.saveTitle')}
					confirm={t('policies.saveAnyway')}
					isDanger
					onClose={() => ask(0)}
					onConfirm={save}
				>
					<p>{tn('policies.goingIfSaved', going)}</p>
				</ConfirmDialog>
			)}
		</>
	);
}

export function NewPolicy() {
	const [first, start] = useState<Draft>();
	const empty = { name: '', description: '', mandatory: false, spec: { timezone: localZone(), schedules: [] } };
	return (
		<Page
			title={t('policies.newTitle')}
			crumbs={[{ title: t('policies.title'), to: '/policies' }]}
			text={first ? undefined : t('policies.startFrom')}
		>
			{first ? (
				<Editor first={first} readOnly={false} />
			) : (
				<div className="hf-choices">
					{TEMPLATES.map((x) => (
						<Card key={x.name} isClickable>
							<CardHeader
								selectableActions={{
									onClickAction: () =>
										start({
											...empty,
											name: t(`policies.template.${x.name}`),
											spec: x.spec(localZone()),
										}),
									selectableActionAriaLabel: t(`policies.template.${x.name}`),
									selectableActionId: `template-${x.name}`,
								}}
							>
								<CardTitle component="h2">{t(`policies.template.${x.name}`)}</CardTitle>
							</CardHeader>
							<CardBody>{t(`policies.template.${x.name}.words`)}</CardBody>
						</Card>
					))}
					<Card isClickable>
						<CardHeader
							selectableActions={{
								onClickAction: () => start(empty),
								selectableActionAriaLabel: t('policies.template.empty'),
								selectableActionId: 'template-empty',
							}}
						>
							<CardTitle component="h2">{t('policies.template.empty')}</CardTitle>
						</CardHeader>
						<CardBody>{t('policies.template.empty.words')}</CardBody>
					</Card>
				</div>
			)}
		</Page>
	);
}

export default function PolicyPage({ params }: { params: Params }) {
	const { canWrite, isAdmin } = useSession();
	const [deleting, remove] = useState(false);
	const id = params.id ?? '';
	const live = useOne<Policy>(`policies/${id}`, 'policy');
	const plans = useList<Plan>('plans', 'plans', { policy_id: id, limit: 1000 });
	if (id === 'new') return <NewPolicy />;
	const p = live.data;
	const mayChange = canWrite && (isAdmin || (!p?.mandatory && p?.project_id !== null));
	return (
		<Page
			title={p?.name ?? t('policies.one')}
			crumbs={[{ title: t('policies.title'), to: '/policies' }]}
			same={{ path: `policies/${id}` }}
			actions={
				mayChange &&
				p && (
					<Button
						variant="secondary"
						isDanger
						isDisabled={plans.items.length > 0}
						title={plans.items.length ? tn('policies.used', plans.items.length) : undefined}
						onClick={() => remove(true)}
					>
						{t('policies.delete')}
					</Button>
				)
			}
		>
			<Shown live={live}>
				{(x) => (
					<Editor
						key={x.id}
						id={x.id}
						readOnly={!mayChange}
						first={{
							name: x.name,
							description: x.description,
							mandatory: x.mandatory,
							spec: x.spec as Spec,
						}}
					/>
				)}
			</Shown>
			{deleting && p && (
				<ConfirmDialog
					title={t('policies.deleteTitle', { name: p.name })}
					confirm={t('policies.delete')}
					isDanger
					onClose={() => remove(false)}
					onConfirm={async () => {
						await api.remove(`policies/${id}`);
						changed('policies');
						go('/policies');
					}}
				>
					<p>{t('policies.deleteText')}</p>
				</ConfirmDialog>
			)}
		</Page>
	);
}
