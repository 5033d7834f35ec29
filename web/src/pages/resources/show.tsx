// SPDX-License-Identifier: Apache-2.0
// One machine: how well it is protected, its checkpoints along the time, its disks, what it consists of, and what was
// done with it.
import { Button } from '@patternfly/react-core';
import { useState, type ReactNode } from 'react';
import type { Schema } from '../../api/client';
import { Link } from '../../app/router';
import type { Params } from '../../app/pages';
import { useSession } from '../../app/session';
import { useList, useOne } from '../../live/hooks';
import { Board, Panel } from '../../parts/board';
import { localTimes } from '../../parts/dates';
import { Empty, Loading, Shown } from '../../parts/empty';
import { Between, Bytes, Time } from '../../parts/format';
import { Facts } from '../../parts/facts';
import { Page } from '../../parts/page';
import { PlainTable } from '../../parts/rows';
import { StateLabel } from '../../parts/state';
import { DataTable, type Column } from '../../parts/table';
import { t, tx } from '../../texts';
import { disksOf, pathOf, planName, sizeOf, type Checkpoint, type Instance } from '../checkpoints/model';
import { pointOf, Timeline } from '../checkpoints/timeline';
import type { Coverage } from './model';
import { Parts } from './parts';
import { ProtectPanel } from './protect';

type Operation = Schema<'Operation'>;

function How({ of, coverage }: { of: Instance; coverage: Coverage | undefined }) {
	const rows: [string, ReactNode][] = [
		[
			t('resources.protection'),
			coverage ? <StateLabel state={coverage.protection} title={coverage.reason} /> : '–',
		],
		[t('resources.why'), coverage?.reason ? localTimes(coverage.reason) : '–'],
		[
			t('resources.plans'),
			coverage?.plans.length
				? coverage.plans.map((p, i) => (
						<span key={p.id}>
							{i > 0 && ', '}
							<Link to={`/plans/${p.id}`}>{p.name}</Link>
						</span>
					))
				: t('resources.noPlan'),
		],
		[t('resources.newest'), <Time at={coverage?.newest_good_at} />],
		[t('resources.due'), <Time at={coverage?.due_by} />],
		[t('resources.status'), tx('machine', of.status ?? 'unknown')],
		[t('resources.platform'), coverage?.platform_name ?? '–'],
		[t('resources.size'), <Bytes n={sizeOf(disksOf(of.extra_info))} />],
		[t('resources.seen'), <Time at={of.seen_at} />],
	];
	return <Facts rows={rows} />;
}

function Disks({ of }: { of: Instance }) {
	const disks = disksOf(of.extra_info);
	if (!disks.length) return <p>{t('resources.noDisks')}</p>;
	return (
		<PlainTable
			label={t('resources.disks')}
			rows={disks}
			keyOf={(d) => d.name}
			columns={[
				{ key: 'disk', title: t('resources.disk'), cell: (d) => d.name },
				{ key: 'size', title: t('resources.size'), isNumber: true, cell: (d) => <Bytes n={d.bytes} /> },
				{ key: 'format', title: t('resources.format'), cell: (d) => d.format ?? '–' },
				{
					key: 'source',
					title: t('resources.source'),
					cell: (d) => <span className="hf-break">{d.source ?? '–'}</span>,
				},
			]}
		/>
	);
}

const history: Column<Operation>[] = [
	{ key: 'name', title: t('resources.operation'), cell: (o) => <Link to={`/operations/${o.id}`}>{o.name}</Link> },
	{
		key: 'state',
		title: t('resources.state'),
		cell: (o) => <StateLabel state={o.state} title={o.reason ?? undefined} />,
	},
	{ key: 'when', title: t('resources.when'), sort: 'created_at', cell: (o) => <Time at={o.created_at} /> },
	{
		key: 'took',
		title: t('resources.took'),
		isExtra: true,
		cell: (o) => <Between from={o.started_at} to={o.ended_at} />,
	},
	{ key: 'by', title: t('resources.by'), isExtra: true, cell: (o) => o.created_by },
];

const points = (id: string): Column<Checkpoint>[] => [
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
		cell: (k) => <StateLabel state={k.status} title={k.reason ?? undefined} />,
	},
	{ key: 'plan', title: t('checkpoints.plan'), cell: (k) => <Link to={`/plans/${k.plan_id}`}>{planName(k)}</Link> },
	{ key: 'read', title: t('checkpoints.read'), isNumber: true, cell: (k) => <Bytes n={pointOf(k, id).read} /> },
	{ key: 'stored', title: t('checkpoints.stored'), isNumber: true, cell: (k) => <Bytes n={pointOf(k, id).stored} /> },
	{
		key: 'consistency',
		title: t('checkpoints.consistency'),
		isExtra: true,
		cell: (k) => tx('consistency', k.resources?.[0]?.consistency ?? '–'),
	},
	{ key: 'proof', title: t('checkpoints.proof'), isExtra: true, cell: (k) => <Proof of={k} /> },
];

export function Proof({ of }: { of: Pick<Checkpoint, 'verified_ok' | 'verified_at'> }) {
	if (of.verified_ok === null) return <span className="hf-none hf-number">{t('checkpoints.unproven')}</span>;
	return (
		<span>
			<StateLabel
				state={of.verified_ok ? 'proven' : 'broken'}
				tone={of.verified_ok ? 'good' : 'bad'}
				text={of.verified_ok ? t('checkpoints.proven') : t('checkpoints.broken')}
			/>{' '}
			<Time at={of.verified_at} />
		</span>
	);
}

export default function Resource({ params }: { params: Params }) {
	const { canWrite, canRestore } = useSession();
	const [protecting, protect] = useState(false);
	const { type = '', id = '' } = params;
	const path = `protectables/${encodeURIComponent(type)}/instances/${encodeURIComponent(id)}`;
	const one = useOne<Instance>(path, 'instance');
	const coverage = useOne<Coverage>(`coverage/${encodeURIComponent(id)}`, 'coverage', ['checkpoints', 'plans']);
	const checkpoints = useList<Checkpoint>('checkpoints', 'checkpoints', { resource_id: id, limit: 200 });
	const newest = checkpoints.items.find((k) => k.status === 'available');
	const name = one.data?.name ?? checkpoints.items[0]?.resources?.[0]?.name ?? id;
	return (
		<Page
			title={name}
			crumbs={[{ title: t('resources.title'), to: '/resources' }]}
			same={{ path }}
			actions={
				<>
					{canRestore && newest && (
						<Button
							component="a"
							variant="secondary"
							href={`#${pathOf(newest)}/restore?resource=${encodeURIComponent(id)}`}
						>
							{t('resources.restore')}
						</Button>
					)}
					{canWrite && one.data && <Button onClick={() => protect(true)}>{t('resources.protect')}</Button>}
				</>
			}
		>
			<Board>
				<Panel title={t('resources.points')}>
					{!checkpoints.data && !checkpoints.error ? (
						<Loading lines={3} />
					) : checkpoints.items.length ? (
						<Timeline
							points={checkpoints.items.map((k) => pointOf(k, id))}
							label={t('checkpoints.timeline.label', { name })}
						/>
					) : (
						<Empty
							title={t('resources.noPoints')}
							actions={
								canWrite &&
								one.data && <Button onClick={() => protect(true)}>{t('resources.protect')}</Button>
							}
						>
							{t('resources.noPointsText')}
						</Empty>
					)}
				</Panel>
				<Panel title={t('resources.about')} span={6}>
					<Shown live={one}>{(r) => <How of={r} coverage={coverage.data} />}</Shown>
				</Panel>
				<Panel title={t('resources.parts')} span={6}>
					{one.data ? (
						<Parts
							of={one.data}
							platform={coverage.data?.platform_name}
							plans={coverage.data?.plans ?? []}
						/>
					) : (
						<Loading lines={3} />
					)}
					{one.data && <Disks of={one.data} />}
				</Panel>
				{checkpoints.items.length > 0 && (
					<Panel title={t('checkpoints.title')}>
						<DataTable<Checkpoint>
							label={t('checkpoints.title')}
							path="checkpoints"
							item="checkpoints"
							query={{ resource_id: id }}
							columns={points(id)}
							limit={20}
							prefix="k_"
							empty={null}
						/>
					</Panel>
				)}
				<Panel title={t('resources.history')}>
					<DataTable<Operation>
						label={t('resources.history')}
						path="operations"
						item="operations"
						query={{ resource_id: id }}
						columns={history}
						limit={10}
						prefix="o_"
						empty={<p className="hf-none">{t('resources.noHistory')}</p>}
					/>
				</Panel>
			</Board>
			{protecting && one.data && <ProtectPanel resources={[{ id, type, name }]} onClose={() => protect(false)} />}
		</Page>
	);
}
