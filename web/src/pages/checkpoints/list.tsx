// SPDX-License-Identifier: Apache-2.0
// All checkpoints, of every plan and provider.
import { Button, Label } from '@patternfly/react-core';
import HistoryIcon from '@patternfly/react-icons/dist/esm/icons/history-icon';
import { useState } from 'react';
import { Link, usePlace } from '../../app/router';
import { useSession } from '../../app/session';
import { useList } from '../../live/hooks';
import { Empty } from '../../parts/empty';
import { Bytes, Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { StateLabel } from '../../parts/state';
import { DataTable, type Column, type Filter } from '../../parts/table';
import { t, tx } from '../../texts';
import { Proof } from '../resources/show';
import { ActDialog, ActMenu, actsOf, type Act } from './actions';
import { pathOf, planName, type Checkpoint, type Plan, type Provider } from './model';
import { pointOf, Timeline } from './timeline';

const STATES = ['available', 'protecting', 'copying', 'error', 'deleting', 'error-deleting'];

export function columnsOf(providers: readonly Provider[], withPlan: boolean): Column<Checkpoint>[] {
	const name = (id: string) => providers.find((p) => p.id === id)?.name ?? '–';
	return [
		{
			key: 'when',
			title: t('checkpoints.when'),
			sort: 'created_at',
			cell: (k) => (
				<Link to={pathOf(k)}>
					<Time at={k.instant_at ?? k.started_at} exact />
				</Link>
			),
		},
		{
			key: 'state',
			title: t('checkpoints.state'),
			sort: 'status',
			cell: (k) => (
				<div className="hf-row hf-tight">
					<StateLabel state={k.status} title={k.reason ?? undefined} />
					{k.hold && (
						<Label isCompact color="purple" title={k.hold_reason ?? undefined}>
							{t('checkpoints.held')}
						</Label>
					)}
				</div>
			),
		},
		...(withPlan
			? [
					{
						key: 'plan',
						title: t('checkpoints.plan'),
						cell: (k: Checkpoint) => <Link to={`/plans/${k.plan_id}`}>{planName(k)}</Link>,
					},
				]
			: []),
		{
			key: 'read',
			title: t('checkpoints.read'),
			sort: 'bytes_read',
			isNumber: true,
			cell: (k) => <Bytes n={k.bytes_read} />,
		},
		{
			key: 'stored',
			title: t('checkpoints.stored'),
			sort: 'bytes_stored',
			isNumber: true,
			cell: (k) => <Bytes n={k.bytes_stored} />,
		},
		{
			key: 'by',
			title: t('checkpoints.by'),
			isExtra: true,
			cell: (k) => (k.copy_of ? t('checkpoints.isCopy') : tx('maker', k.made_by)),
		},
		{ key: 'provider', title: t('checkpoints.provider'), isExtra: true, cell: (k) => name(k.provider_id) },
		{ key: 'proof', title: t('checkpoints.proof'), isExtra: true, cell: (k) => <Proof of={k} /> },
	];
}

/** A list of checkpoints with everything that can be done with them; `query` is what it is limited to. */
export function CheckpointTable({
	query,
	filters,
	withPlan,
	prefix,
	empty,
}: {
	query?: Record<string, string>;
	filters?: Filter[];
	withPlan: boolean;
	prefix?: string;
	empty: React.ReactNode;
}) {
	const { canWrite } = useSession();
	const providers = useList<Provider>('providers', 'providers', { limit: 1000 });
	const [chosen, choose] = useState<Checkpoint[]>([]);
	const [acting, act] = useState<{ act: Act; of: readonly Checkpoint[] }>();
	return (
		<>
			<DataTable<Checkpoint>
				label={t('checkpoints.title')}
				path="checkpoints"
				item="checkpoints"
				query={query}
				columns={columnsOf(providers.items, withPlan)}
				filters={filters}
				prefix={prefix}
				onChosen={canWrite ? choose : undefined}
				actions={
					canWrite && (
						<div className="hf-row hf-tight">
							{actsOf(chosen).map((a) => (
								<Button
									key={a}
									variant={a === 'delete' ? 'danger' : 'secondary'}
									size="sm"
									onClick={() => act({ act: a, of: chosen })}
								>
									{t(`checkpoints.${a}`)}
								</Button>
							))}
						</div>
					)
				}
				rowActions={(k) => <ActMenu of={k} onAct={(a) => act({ act: a, of: [k] })} />}
				empty={empty}
			/>
			{acting && <ActDialog act={acting.act} of={acting.of} onClose={() => act(undefined)} />}
		</>
	);
}

function Along() {
	const { query } = usePlace();
	const filtered = Object.fromEntries(['plan_id', 'status', 'provider_id', 'hold'].map((k) => [k, query.get(k)]));
	const live = useList<Checkpoint>('checkpoints', 'checkpoints', { ...filtered, limit: 120 });
	if (live.items.length < 2) return null;
	return <Timeline points={live.items.map((k) => pointOf(k))} label={t('checkpoints.timeline.all')} />;
}

export default function Checkpoints() {
	const plans = useList<Plan>('plans', 'plans', { limit: 1000 });
	const providers = useList<Provider>('providers', 'providers', { limit: 1000 });
	const filters: Filter[] = [
		{
			kind: 'choice',
			name: 'plan_id',
			title: t('checkpoints.plan'),
			choices: plans.items.map((p) => ({ value: p.id, title: p.name })),
		},
		{
			kind: 'choice',
			name: 'status',
			title: t('checkpoints.state'),
			choices: STATES.map((value) => ({ value, title: tx('state', value) })),
		},
		{
			kind: 'choice',
			name: 'provider_id',
			title: t('checkpoints.provider'),
			choices: providers.items.map((p) => ({ value: p.id, title: p.name })),
		},
		{
			kind: 'choice',
			name: 'hold',
			title: t('checkpoints.held'),
			choices: [
				{ value: 'true', title: t('checkpoints.held') },
				{ value: 'false', title: t('checkpoints.notHeld') },
			],
		},
	];
	return (
		<Page
			title={t('checkpoints.title')}
			text={t('checkpoints.lead')}
			same={{ path: 'checkpoints', cli: 'checkpoint list' }}
		>
			<Along />
			<CheckpointTable
				withPlan
				filters={filters}
				empty={
					<Empty
						title={t('checkpoints.none')}
						icon={HistoryIcon}
						actions={<Link to="/resources">{t('checkpoints.toResources')}</Link>}
					>
						{t('checkpoints.noneText')}
					</Empty>
				}
			/>
		</Page>
	);
}
