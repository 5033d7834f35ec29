// SPDX-License-Identifier: Apache-2.0
// One operation: how far it is, its steps as they run, its log, and ways to stop or repeat it.
import {
	Alert,
	Button,
	Card,
	CardBody,
	CardTitle,
	DescriptionList,
	DescriptionListDescription,
	DescriptionListGroup,
	DescriptionListTerm,
} from '@patternfly/react-core';
import { useState, type ReactNode } from 'react';
import { api, type Schema } from '../../api/client';
import { Link } from '../../app/router';
import { useSession } from '../../app/session';
import { toast, toastError } from '../../app/toasts';
import { useOne } from '../../live/hooks';
import { changed, type Operation as Live } from '../../live/store';
import { ConfirmDialog } from '../../parts/dialogs';
import { Shown } from '../../parts/empty';
import { Between, Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { OperationProgress } from '../../parts/progress';
import { PlainTable, type Column } from '../../parts/rows';
import { StateLabel } from '../../parts/state';
import { t, tx } from '../../texts';
import { Graph, StepProgress, StepState, type Step } from './graph';
import { Log, useLog } from './log';
import { hasResults, Results } from './results';

type Operation = Schema<'OperationDetail'>;

// Where a thing that an operation is about is shown.
const PLACES: Record<string, string> = {
	plan: '/plans',
	target: '/targets',
	restore: '/restores',
};

function About({ about }: { about: Record<string, unknown> }) {
	const links = Object.entries(about).filter(([kind]) => kind !== 'subject');
	if (!links.length) return null;
	return (
		<Fact term={t('operations.subjects')}>
			{links.map(([kind, id]) => {
				const place =
					kind === 'checkpoint' && about.provider ? `/checkpoints/${String(about.provider)}` : PLACES[kind];
				const text = `${tx('operations.about', kind)} ${String(id).slice(0, 8)}`;
				return (
					<span key={kind} className="hf-listed">
						{place ? <Link to={`${place}/${String(id)}`}>{text}</Link> : text}
					</span>
				);
			})}
		</Fact>
	);
}

function Fact({ term, children }: { term: string; children: ReactNode }) {
	return (
		<DescriptionListGroup>
			<DescriptionListTerm>{term}</DescriptionListTerm>
			<DescriptionListDescription>{children}</DescriptionListDescription>
		</DescriptionListGroup>
	);
}

function Facts({ o }: { o: Operation }) {
	return (
		<DescriptionList columnModifier={{ default: '1Col', sm: '2Col', lg: '3Col' }} isCompact>
			<Fact term={t('operations.kind')}>{tx('operations.kind', o.kind)}</Fact>
			<Fact term={t('operations.by')}>{o.created_by}</Fact>
			<About about={o.about} />
			<Fact term={t('operations.created')}>
				<Time at={o.created_at} exact />
			</Fact>
			<Fact term={t('operations.started')}>
				<Time at={o.started_at} exact />
			</Fact>
			<Fact term={t('operations.took')}>
				<Between from={o.started_at} to={o.ended_at} />
			</Fact>
		</DescriptionList>
	);
}

const stepColumns: Column<Step>[] = [
	{
		key: 'step',
		title: t('operations.step'),
		cell: (s) => (
			<>
				{s.name}
				{s.reason && <div className="hf-reason">{s.reason}</div>}
			</>
		),
	},
	{
		key: 'state',
		title: t('operations.state'),
		cell: (s) => (
			<>
				<StepState step={s} />{' '}
				{s.attempt > 1 && <span className="hf-small">{t('operations.attempt', { n: s.attempt })}</span>}
				{s.not_before && (
					<div className="hf-small">
						<Time at={s.not_before} />
					</div>
				)}
			</>
		),
	},
	{ key: 'progress', title: t('operations.progress'), cell: (s) => <StepProgress step={s} /> },
	{ key: 'where', title: t('operations.where'), cell: (s) => s.taken_by ?? s.place },
	{
		key: 'took',
		title: t('operations.took'),
		isNumber: true,
		cell: (s) => <Between from={s.started_at} to={s.ended_at} />,
	},
];

function Actions({ o }: { o: Operation }) {
	const { canProtect, canRestore } = useSession();
	const [asking, ask] = useState(false);
	if (!canProtect && !canRestore) return null;
	const retry = () =>
		api.post(`operations/${o.id}/retry`).then(
			() => {
				toast('success', t('operations.retried'));
				changed('operations');
			},
			(e) => toastError(t('operations.retry'), e),
		);
	return (
		<>
			{!o.ended_at && (
				<Button variant="secondary" isDanger isDisabled={o.cancel_asked} onClick={() => ask(true)}>
					{o.cancel_asked ? t('operations.cancelAsked') : t('operations.cancel')}
				</Button>
			)}
			{o.ended_at && o.state !== 'succeeded' && (
				<Button variant="primary" onClick={() => void retry()}>
					{t('operations.retry')}
				</Button>
			)}
			{asking && (
				<ConfirmDialog
					title={t('operations.cancelTitle')}
					confirm={t('operations.cancelYes')}
					isDanger
					onClose={() => ask(false)}
					onConfirm={async () => {
						await api.post(`operations/${o.id}/cancel`);
						toast('info', t('operations.cancelled'));
						changed('operations');
					}}
				>
					{t('operations.cancelText')}
				</ConfirmDialog>
			)}
		</>
	);
}

function Body({ o }: { o: Operation }) {
	const [step, choose] = useState<string | null>(null);
	const lines = useLog(o.id, o.revision);
	const names = new Map(o.steps.map((s) => [s.id, s.name]));
	return (
		<div className="hf-stack">
			{o.state === 'failed' && (
				<Alert variant="danger" isInline title={t('operations.failedTitle')}>
					{o.reason}
				</Alert>
			)}
			{o.state === 'cancelled' && (
				<Alert variant="warning" isInline title={t('operations.cancelledTitle')}>
					{o.reason}
				</Alert>
			)}
			<Card>
				<CardBody>
					<div className="hf-run">
						<OperationProgress
							operation={{ id: o.id, state: o.state as Live['state'], progress: o.progress }}
							label={t('operations.progress')}
						/>
					</div>
					<Facts o={o} />
				</CardBody>
			</Card>
			{hasResults(o.steps) && (
				<Card>
					<CardTitle component="h2">{t('operations.found')}</CardTitle>
					<CardBody>
						<Results steps={o.steps} />
					</CardBody>
				</Card>
			)}
			<Card>
				<CardTitle component="h2">{t('operations.steps')}</CardTitle>
				<CardBody>
					<Graph steps={o.steps} chosen={step} choose={choose} />
					<PlainTable
						label={t('operations.steps')}
						columns={stepColumns}
						rows={o.steps}
						keyOf={(s) => s.id}
					/>
				</CardBody>
			</Card>
			<Card>
				<CardTitle component="h2">
					{t('operations.log')}
					{step && (
						<Button variant="link" size="sm" onClick={() => choose(null)}>
							{t('operations.showAll')}
						</Button>
					)}
				</CardTitle>
				<CardBody>
					<Log lines={lines} step={step} names={names} />
				</CardBody>
			</Card>
		</div>
	);
}

export default function OperationPage({ params }: { params: Record<string, string> }) {
	const id = params.id ?? '';
	const live = useOne<Operation>(`operations/${id}`, 'operation');
	const o = live.data;
	return (
		<Page
			title={o ? o.name || tx('operations.kind', o.kind) : t('operations.one')}
			crumbs={[{ title: t('operations.title'), to: '/operations' }]}
			text={
				o && (
					<>
						<StateLabel state={o.state} /> <Time at={o.created_at} />
					</>
				)
			}
			same={{ path: `operations/${id}`, cli: `operation show ${id}` }}
			actions={o && <Actions o={o} />}
		>
			<Shown live={live}>{(data) => <Body o={data} />}</Shown>
		</Page>
	);
}
