// SPDX-License-Identifier: Apache-2.0
// What was stored for whom, for chargeback; as a table, and as CSV.
import { Button, Checkbox, FormSelect, FormSelectOption, TextInput } from '@patternfly/react-core';
import DownloadIcon from '@patternfly/react-icons/dist/esm/icons/download-icon';
import { useState } from 'react';
import { api, type Answer, type Schema } from '../../api/client';
import { setQuery, usePlace } from '../../app/router';
import { useSession } from '../../app/session';
import { toastError } from '../../app/toasts';
import { useGet } from '../../live/hooks';
import { Empty, Shown } from '../../parts/empty';
import { Bytes } from '../../parts/format';
import { Page } from '../../parts/page';
import { PlainTable, type Column } from '../../parts/rows';
import { t } from '../../texts';

type Row = Schema<'Usage'>;

const BY = ['project', 'target', 'plan', 'resource'] as const;
type By = (typeof BY)[number];
const SHOWN = 500; // rows; the file has all

const day = (d: Date) => d.toISOString().slice(0, 10);

// What a row is about, in the order of its depth.
const names: Record<By, (r: Row) => string | null> = {
	project: (r) => r.project_name ?? r.project_id,
	target: (r) => r.target_name ?? r.target_id,
	plan: (r) => r.plan_name ?? r.plan_id,
	resource: (r) => r.resource_name ?? r.resource_id,
};

const number = (key: 'points' | 'restores' | 'kept', cell: (r: Row) => number): Column<Row> => ({
	key,
	title: t(`usage.${key}`),
	isNumber: true,
	cell: (r) => cell(r).toLocaleString(),
});
const size = (key: 'logical' | 'stored' | 'keptStored', cell: (r: Row) => number): Column<Row> => ({
	key,
	title: t(`usage.${key}`),
	isNumber: true,
	cell: (r) => <Bytes n={cell(r)} />,
});

const numbers: Column<Row>[] = [
	number('points', (r) => r.points),
	size('logical', (r) => r.logical_bytes),
	size('stored', (r) => r.stored_bytes),
	number('restores', (r) => r.restores),
	number('kept', (r) => r.kept_points),
	size('keptStored', (r) => r.kept_stored_bytes),
];

function UsageTable({ rows, by }: { rows: Row[]; by: By }) {
	const columns = BY.filter(
		(b) => b === by || (by === 'resource' && b !== 'project') || (b === 'project' && by !== 'resource'),
	).map((b): Column<Row> => ({ key: b, title: t(`usage.by.${b}`), cell: (r) => names[b](r) ?? '–' }));
	return (
		<>
			<PlainTable
				label={t('usage.title')}
				columns={[...columns, ...numbers]}
				rows={rows.slice(0, SHOWN)}
				keyOf={(r) => [r.project_id, r.target_id, r.plan_id, r.type, r.resource_id].join()}
			/>
			{rows.length > SHOWN && <p className="hf-small">{t('usage.more', { n: SHOWN })}</p>}
		</>
	);
}

async function download(query: Record<string, string | undefined>, name: string): Promise<void> {
	const answer = await api.raw('GET', 'usage', undefined, { query, headers: { Accept: 'text/csv' } });
	const link = document.createElement('a');
	link.href = URL.createObjectURL(await answer.blob());
	link.download = name;
	link.click();
	URL.revokeObjectURL(link.href);
}

export default function UsagePage() {
	const { isAdmin } = useSession();
	const place = usePlace().query;
	const [today] = useState(() => new Date());
	const from = place.get('from') ?? day(new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), 1)));
	const to = place.get('to') ?? day(today);
	const by = BY.find((b) => b === place.get('by')) ?? 'resource';
	const everybody = isAdmin && place.get('all') === 'yes';
	const asked = { from, to, by, all_tenants: everybody ? 'true' : undefined };
	const live = useGet<Answer<'getUsage'>>('usage', { ...asked, limit: SHOWN + 1 }, ['operations']);
	return (
		<Page
			title={t('usage.title')}
			text={t('usage.about')}
			same={{ path: 'usage', query: asked, cli: `usage --from ${from} --to ${to}` }}
			actions={
				<Button
					variant="secondary"
					icon={<DownloadIcon />}
					onClick={() =>
						void download(asked, `usage-${from}-${to}.csv`).catch((e: unknown) =>
							toastError(t('usage.csv'), e),
						)
					}
				>
					{t('usage.csv')}
				</Button>
			}
		>
			<div className="hf-inline hf-gap-after">
				<TextInput
					type="date"
					aria-label={t('usage.from')}
					value={from}
					max={to}
					onChange={(_, v) => setQuery({ from: v })}
				/>
				<span aria-hidden="true">–</span>
				<TextInput
					type="date"
					aria-label={t('usage.to')}
					value={to}
					min={from}
					onChange={(_, v) => setQuery({ to: v })}
				/>
				<FormSelect aria-label={t('usage.by')} value={by} onChange={(_, v) => setQuery({ by: v })}>
					{BY.map((b) => (
						<FormSelectOption key={b} value={b} label={`${t('usage.by')}: ${t(`usage.by.${b}`)}`} />
					))}
				</FormSelect>
				{isAdmin && (
					<Checkbox
						id="usage-all"
						label={t('usage.all')}
						isChecked={everybody}
						onChange={(_, on) => setQuery({ all: on ? 'yes' : null })}
					/>
				)}
			</div>
			<Shown live={live}>
				{({ usage }) =>
					usage.length ? (
						<UsageTable rows={usage} by={by} />
					) : (
						<Empty title={t('usage.none')}>{t('usage.noneText')}</Empty>
					)
				}
			</Shown>
		</Page>
	);
}
