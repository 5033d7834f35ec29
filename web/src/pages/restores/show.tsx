// SPDX-License-Identifier: Apache-2.0
// A restore while it runs and afterwards: how far each machine is, and what to do when it is done or did not work.
import { Alert, Progress } from '@patternfly/react-core';
import type { ReactNode } from 'react';
import type { Schema } from '../../api/client';
import type { Params } from '../../app/pages';
import { Link } from '../../app/router';
import { useList, useOne, useOperation } from '../../live/hooks';
import { Board, Panel } from '../../parts/board';
import { Shown } from '../../parts/empty';
import { Between, bytes, duration, Time, useNow } from '../../parts/format';
import { Facts } from '../../parts/facts';
import { Page } from '../../parts/page';
import { PlainTable, type Column } from '../../parts/rows';
import { StateLabel } from '../../parts/state';
import { t, tx } from '../../texts';
import { pathOf } from '../checkpoints/model';
import type { Restore } from './model';

type Operation = Schema<'Operation'>;
type Detail = Schema<'OperationDetail'>;
type Step = Detail['steps'][number];

interface Sum {
	bytes_done?: number;
	bytes_total?: number;
}

const SHARE: Record<string, number> = { done: 100 };

function shareOf(state: string, p: Sum | undefined): number {
	return SHARE[state] ?? (p?.bytes_total ? Math.min(100, ((p.bytes_done ?? 0) / p.bytes_total) * 100) : 0);
}

function Speed({ step }: { step: Step }) {
	const now = useNow();
	const p = step.progress as Sum | undefined;
	if (step.state !== 'running' || !step.started_at || !p?.bytes_total) return null;
	const seconds = Math.max(1, (now - Date.parse(step.started_at)) / 1000);
	const rate = (p.bytes_done ?? 0) / seconds;
	const left = rate > 0 ? (p.bytes_total - (p.bytes_done ?? 0)) / rate : 0;
	return (
		<p className="hf-small">
			{t('restores.speed', { done: bytes(p.bytes_done ?? 0), total: bytes(p.bytes_total), rate: bytes(rate) })}
			{left > 0 && ` · ${t('restores.left', { time: duration(left) })}`}
		</p>
	);
}

const machines: Column<Step>[] = [
	{ key: 'machine', title: t('restores.machine'), cell: (s) => s.name.replace(/^restore /, '') },
	{
		key: 'state',
		title: t('restores.state'),
		cell: (s) => (
			<>
				{s.state === 'running' || s.state === 'done' ? (
					<Progress
						value={Math.round(shareOf(s.state, s.progress as Sum))}
						aria-label={s.name}
						size="sm"
						variant={s.state === 'done' ? 'success' : undefined}
					/>
				) : (
					<StateLabel state={s.state} title={s.reason} />
				)}
				<Speed step={s} />
				{s.reason && <p className="hf-small">{s.reason}</p>}
			</>
		),
	},
	{ key: 'took', title: t('restores.took'), cell: (s) => <Between from={s.started_at} to={s.ended_at} /> },
];

function Outcome({ of, operation }: { of: Restore; operation: string | undefined }) {
	const link = operation && <Link to={`/operations/${operation}`}>{t('restores.toOperation')}</Link>;
	if (of.status === 'success')
		return (
			<Alert isInline variant="success" title={t('restores.succeeded')} component="h2" className="hf-gap-after">
				{t('restores.succeededText')} {link}
			</Alert>
		);
	if (of.status === 'fail')
		return (
			<Alert isInline variant="danger" title={t('restores.failed')} component="h2" className="hf-gap-after">
				{of.reason} {link}
			</Alert>
		);
	return null;
}

function About({ of, platform }: { of: Restore; platform: ReactNode }) {
	const rows: [string, ReactNode][] = [
		[t('restores.state'), <StateLabel state={of.status} />],
		[
			t('restores.checkpoint'),
			<Link to={pathOf({ provider_id: of.provider_id, id: of.checkpoint_id })}>{of.checkpoint_id}</Link>,
		],
		[t('restores.platform'), platform],
		[t('restores.begun'), <Time at={of.created_at} exact />],
		[t('restores.took'), <Between from={of.created_at} to={of.ended_at} />],
		[t('restores.by'), of.created_by],
	];
	return <Facts rows={rows} />;
}

export default function RestorePage({ params }: { params: Params }) {
	const id = params.id ?? '';
	const restore = useOne<Restore>(`restores/${id}`, 'restore', ['operations']);
	const operations = useList<Operation>('operations', 'operations', { about: id, limit: 1 });
	const operation = operations.items[0]?.id;
	const detail = useOne<Detail>(operation ? `operations/${operation}` : null, 'operation');
	const now = useOperation(operation);
	const platforms = useList<Schema<'Platform'>>('platforms', 'platforms', { limit: 1000 });
	const steps = (detail.data?.steps ?? []).filter((s) => s.kind === 'checkpoint.restore');
	const total = (now?.progress ?? detail.data?.progress) as Sum | undefined;
	return (
		<Page
			title={t('restores.one')}
			crumbs={[{ title: t('restores.title'), to: '/restores' }]}
			same={{ path: `restores/${id}` }}
		>
			<Shown live={restore}>
				{(r) => (
					<>
						<Outcome of={r} operation={operation} />
						<Board>
							<Panel title={t('restores.progress')}>
								{r.status === 'in_progress' && (
									<Progress
										value={Math.round(shareOf('running', total))}
										title={
											total?.bytes_total
												? t('restores.bytes', {
														done: bytes(total.bytes_done ?? 0),
														total: bytes(total.bytes_total),
													})
												: tx('state', now?.state ?? 'queued')
										}
										aria-label={t('restores.progress')}
									/>
								)}
								{steps.length > 0 && (
									<PlainTable
										label={t('restores.machinesOf')}
										columns={machines}
										rows={steps}
										keyOf={(s) => s.id}
									/>
								)}
							</Panel>
							<Panel title={t('restores.about')}>
								<About
									of={r}
									platform={
										platforms.items.find((p) => p.id === r.restore_target)?.name ??
										t('restores.platformSame')
									}
								/>
							</Panel>
						</Board>
					</>
				)}
			</Shown>
		</Page>
	);
}
