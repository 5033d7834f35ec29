// SPDX-License-Identifier: Apache-2.0
import { Button } from '@patternfly/react-core';
import ClipboardListIcon from '@patternfly/react-icons/dist/esm/icons/clipboard-list-icon';
import { useState } from 'react';
import { go, Link } from '../../app/router';
import { useSession } from '../../app/session';
import { useList } from '../../live/hooks';
import { Empty } from '../../parts/empty';
import { Time } from '../../parts/format';
import { ActionMenu, type MenuAction } from '../../parts/menu';
import { Page } from '../../parts/page';
import { StateLabel } from '../../parts/state';
import { DataTable, type Column } from '../../parts/table';
import { t, tn } from '../../texts';
import type { Plan, Policy, Provider } from '../checkpoints/model';
import { DeletePlan, pausePlan, runPlan } from './actions';

/** How a plan is, in one word. */
export function PlanState({ of }: { of: Plan }) {
	if (of.running) return <StateLabel state="running" />;
	if (of.paused) return <StateLabel state="paused" tone="paused" text={t('plans.paused')} />;
	if (of.newest_good_at) return <StateLabel state="has-points" tone="good" text={t('plans.good')} />;
	return <StateLabel state="none" tone="none" text={t('plans.empty')} />;
}

export function what(p: Plan): string {
	const names = p.resources.slice(0, 3).map((r) => r.name);
	const more = p.resources.length - names.length;
	const parts = [...names, ...(more > 0 ? [t('resources.more', { n: more })] : [])];
	if (p.selectors.length) parts.push(tn('plans.selectorsN', p.selectors.length));
	return parts.join(', ');
}

function PlanMenu({ of, onDelete }: { of: Plan; onDelete: () => void }) {
	const { canWrite, canProtect } = useSession();
	const actions: MenuAction[] = canProtect ? [{ title: t('plans.run'), run: () => void runPlan(of) }] : [];
	if (canWrite)
		actions.push(
			{ title: t(of.paused ? 'plans.resume' : 'plans.pause'), run: () => void pausePlan(of, !of.paused) },
			{ title: t('plans.edit'), run: () => go(`/plans/${of.id}/edit`) },
			{ title: t('plans.delete'), run: onDelete, isDanger: true },
		);
	return <ActionMenu name={of.name} actions={actions} />;
}

export default function Plans() {
	const { canWrite } = useSession();
	const [deleting, remove] = useState<Plan>();
	const policies = useList<Policy>('policies', 'policies', { limit: 1000 });
	const providers = useList<Provider>('providers', 'providers', { limit: 1000 });
	const columns: Column<Plan>[] = [
		{ key: 'name', title: t('plans.name'), sort: 'name', cell: (p) => <Link to={`/plans/${p.id}`}>{p.name}</Link> },
		{ key: 'state', title: t('plans.state'), cell: (p) => <PlanState of={p} /> },
		{ key: 'newest', title: t('plans.newest'), cell: (p) => <Time at={p.newest_good_at} /> },
		{
			key: 'next',
			title: t('plans.next'),
			cell: (p) => (p.paused ? <span className="hf-none">{t('plans.paused')}</span> : <Time at={p.next_at} />),
		},
		{ key: 'what', title: t('plans.what'), isExtra: true, cell: (p) => what(p) },
		{
			key: 'policy',
			title: t('plans.policy'),
			isExtra: true,
			cell: (p) =>
				p.policy_id ? (
					<Link to={`/policies/${p.policy_id}`}>
						{policies.items.find((x) => x.id === p.policy_id)?.name ?? '…'}
					</Link>
				) : (
					<span className="hf-none">{t('plans.noPolicy')}</span>
				),
		},
		{
			key: 'provider',
			title: t('plans.provider'),
			isExtra: true,
			cell: (p) => providers.items.find((x) => x.id === p.provider_id)?.name ?? '–',
		},
	];
	const add = canWrite && <Button onClick={() => go('/plans/new')}>{t('plans.new')}</Button>;
	return (
		<Page title={t('plans.title')} text={t('plans.lead')} same={{ path: 'plans', cli: 'plan list' }} actions={add}>
			<DataTable<Plan>
				label={t('plans.title')}
				path="plans"
				item="plans"
				watch={['checkpoints', 'policies', 'triggers']}
				columns={columns}
				sort="name:asc"
				filters={[
					{ kind: 'text', name: 'name', title: t('plans.find') },
					{
						kind: 'choice',
						name: 'policy_id',
						title: t('plans.policy'),
						choices: policies.items.map((p) => ({ value: p.id, title: p.name })),
					},
					{
						kind: 'choice',
						name: 'provider_id',
						title: t('plans.provider'),
						choices: providers.items.map((p) => ({ value: p.id, title: p.name })),
					},
				]}
				rowActions={(p) => <PlanMenu of={p} onDelete={() => remove(p)} />}
				empty={
					<Empty title={t('plans.none')} icon={ClipboardListIcon} actions={add}>
						{t('plans.noneText')}
					</Empty>
				}
			/>
			{deleting && <DeletePlan of={deleting} onClose={() => remove(undefined)} />}
		</Page>
	);
}
