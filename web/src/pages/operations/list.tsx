// SPDX-License-Identifier: Apache-2.0
// Everything that runs or ran. Filters are in the URL: '#/operations?state=failed&time=day', '…?subject=ID'.
import { Button, FormSelect, FormSelectOption, Label } from '@patternfly/react-core';
import { useMemo } from 'react';
import type { Schema } from '../../api/client';
import { Link, setQuery, usePlace } from '../../app/router';
import { Empty } from '../../parts/empty';
import { Between, Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { OperationProgress } from '../../parts/progress';
import { StateLabel } from '../../parts/state';
import { DataTable, type Column, type Filter } from '../../parts/table';
import { t, tx, type Key } from '../../texts';

type Operation = Schema<'Operation'>;

const KINDS = [
	'protect',
	'restore',
	'verify',
	'copy',
	'delete',
	'clean',
	'discover',
	'target_check',
	'target_verify',
	'collect',
];
const STATES = ['queued', 'running', 'undoing', 'succeeded', 'failed', 'cancelled'];
const TIMES: [string, number][] = [
	['hour', 1],
	['day', 24],
	['week', 168],
	['month', 720],
];
const HOUR = 3600 * 1000;

const choices = (prefix: string, values: string[]) => values.map((value) => ({ value, title: tx(prefix, value) }));

const filters: Filter[] = [
	{
		kind: 'choice',
		name: 'live',
		title: t('operations.live'),
		choices: choices('operations.live', ['true', 'false']),
	},
	{ kind: 'choice', name: 'state', title: t('operations.state'), choices: choices('state', STATES) },
	{ kind: 'choice', name: 'kind', title: t('operations.kind'), choices: choices('operations.kind', KINDS) },
];

const columns: Column<Operation>[] = [
	{
		key: 'name',
		title: t('operations.name'),
		sort: 'name',
		cell: (o) => (
			<>
				<Link to={`/operations/${o.id}`}>{o.name || tx('operations.kind', o.kind)}</Link>
				{o.state === 'failed' && o.reason && <div className="hf-reason">{o.reason}</div>}
			</>
		),
	},
	{
		key: 'kind',
		title: t('operations.kind'),
		sort: 'kind',
		isExtra: true,
		cell: (o) => tx('operations.kind', o.kind),
	},
	{
		key: 'state',
		title: t('operations.state'),
		sort: 'state',
		cell: (o) => (
			<>
				<StateLabel
					state={o.state}
					text={o.cancel_asked && !o.ended_at ? t('operations.cancelAsked') : undefined}
				/>
				{!o.ended_at && <OperationProgress operation={o} label={t('operations.progress')} isCompact />}
			</>
		),
	},
	{ key: 'by', title: t('operations.by'), isExtra: true, cell: (o) => o.created_by },
	{ key: 'when', title: t('operations.when'), sort: 'created_at', cell: (o) => <Time at={o.created_at} /> },
	{
		key: 'took',
		title: t('operations.took'),
		isNumber: true,
		cell: (o) => <Between from={o.started_at} to={o.ended_at} />,
	},
];

function TimeFilter({ time }: { time: string }) {
	return (
		<FormSelect
			className="hf-time-filter"
			aria-label={t('operations.time')}
			value={time}
			onChange={(_, v) => setQuery({ time: v, marker: null })}
		>
			<FormSelectOption value="" label={`${t('operations.time')}: ${t('parts.any')}`} />
			{TIMES.map(([name]) => (
				<FormSelectOption key={name} value={name} label={t(`operations.time.${name}` as Key)} />
			))}
		</FormSelect>
	);
}

export default function Operations() {
	const { query } = usePlace();
	const time = query.get('time') ?? '';
	const subject = query.get('subject') ?? '';
	// A fixed moment for as long as the filter is not touched: the page is asked for again with the same words.
	const from = useMemo(() => {
		const hours = TIMES.find(([name]) => name === time)?.[1];
		return hours ? new Date(Date.now() - hours * HOUR).toISOString().replace(/\.\d+Z$/, 'Z') : undefined;
	}, [time]);
	const asked = { created_from: from, subject };
	const narrowed = time || subject;
	return (
		<Page title={t('operations.title')} text={t('operations.about')} same={{ path: 'operations', query: asked }}>
			<DataTable<Operation>
				label={t('operations.title')}
				path="operations"
				item="operations"
				query={asked}
				columns={columns}
				filters={filters}
				sort="created_at:desc"
				actions={
					<>
						<TimeFilter time={time} />
						{subject && (
							<Label
								className="hf-chip"
								onClose={() => setQuery({ subject: null, marker: null })}
								closeBtnAriaLabel={t('operations.subjectRemove')}
							>
								{t('operations.subject')}: {subject.slice(0, 8)}
							</Label>
						)}
					</>
				}
				empty={
					narrowed ? (
						<Empty
							title={t('operations.noneMatch')}
							actions={
								<Button variant="link" onClick={() => setQuery({ time: null, subject: null })}>
									{t('operations.clear')}
								</Button>
							}
						>
							{t('operations.noneMatchText')}
						</Empty>
					) : (
						<Empty
							title={t('operations.none')}
							actions={<Link to="/resources">{t('operations.protect')}</Link>}
						>
							{t('operations.noneText')}
						</Empty>
					)
				}
			/>
		</Page>
	);
}
