// SPDX-License-Identifier: Apache-2.0
// Where recovery points are stored: directories and buckets, how full they are, whether they answer.
import { Button, Progress, ProgressMeasureLocation, ProgressSize, ProgressVariant } from '@patternfly/react-core';
import { useState } from 'react';
import { api, type Schema } from '../../api/client';
import { go, Link } from '../../app/router';
import { useSession } from '../../app/session';
import { changed } from '../../live/store';
import { Empty } from '../../parts/empty';
import { bytes, Bytes, Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { StateLabel } from '../../parts/state';
import { DataTable, type Column } from '../../parts/table';
import { t } from '../../texts';
import { FormPanel, type Field, type Values } from './form';
import { RowMenu } from './row';
import { TargetWork, type Work } from './target_work';

export type Target = Schema<'Target'>;

const FULL = 90; // per cent, from which on it is worth a colour

/** How full it is; a bucket has no end. */
export function Space({ target }: { target: Pick<Target, 'total_bytes' | 'free_bytes' | 'name'> }) {
	const { total_bytes: total, free_bytes: free } = target;
	if (!total || free === null) return <span className="hf-none">–</span>;
	const used = (100 * (total - free)) / total;
	return (
		<div className="hf-space" title={t('targets.free', { free: bytes(free), total: bytes(total) })}>
			<Progress
				aria-label={t('targets.usedOf', { name: target.name })}
				size={ProgressSize.sm}
				value={used}
				measureLocation={ProgressMeasureLocation.none}
				variant={used >= FULL ? ProgressVariant.warning : undefined}
			/>
			<span className="hf-small">{t('targets.free', { free: bytes(free), total: bytes(total) })}</span>
		</div>
	);
}

const columns: Column<Target>[] = [
	{
		key: 'name',
		title: t('admin.name'),
		sort: 'name',
		cell: (x) => (
			<>
				<Link to={`/targets/${x.id}`}>{x.name}</Link>
				{x.description && <div className="hf-small">{x.description}</div>}
			</>
		),
	},
	{ key: 'url', title: t('targets.url'), isExtra: true, cell: (x) => <code className="hf-code">{x.url}</code> },
	{
		key: 'status',
		title: t('admin.state'),
		sort: 'status',
		cell: (x) => (
			<>
				<StateLabel state={x.status} />
				{x.reason && <div className="hf-reason">{x.reason}</div>}
			</>
		),
	},
	{ key: 'stored', title: t('targets.stored'), isNumber: true, cell: (x) => <Bytes n={x.stored_bytes} /> },
	{ key: 'space', title: t('targets.space'), cell: (x) => <Space target={x} /> },
	{ key: 'checked', title: t('admin.checked'), isExtra: true, cell: (x) => <Time at={x.checked_at} /> },
];

const isBucket = (v: Values) => v.where === 's3';

export function targetFields(isAdmin: boolean): Field[] {
	const places = [
		{ value: 'dir', title: t('targets.dir') },
		{ value: 's3', title: t('targets.s3') },
	];
	return [
		{ name: 'name', label: t('admin.name'), required: true },
		{ name: 'where', label: t('targets.where'), kind: 'choice', choices: isAdmin ? places : places.slice(1) },
		{
			name: 'path',
			label: t('targets.path'),
			required: true,
			placeholder: '/srv/holdfast',
			help: t('targets.pathHelp'),
			when: (v) => !isBucket(v),
		},
		{
			name: 'host',
			label: t('targets.host'),
			placeholder: 'https://s3.example.com',
			help: t('targets.hostHelp'),
			when: isBucket,
		},
		{ name: 'bucket', label: t('targets.bucket'), required: true, placeholder: 'backup/holdfast', when: isBucket },
		{ name: 'access_key', label: t('targets.accessKey'), required: true, when: isBucket },
		{
			name: 'secret_key',
			label: t('targets.secretKey'),
			required: true,
			kind: 'password',
			help: t('targets.secretHelp'),
			when: isBucket,
		},
		{ name: 'description', label: t('admin.description') },
		...(isAdmin
			? [{ name: 'shared', label: t('admin.shared'), help: t('admin.sharedHelp'), kind: 'flag' as const }]
			: []),
	];
}

/** What the form says, as the API takes it. */
export function targetOf(v: Values) {
	const host = (v.host ?? '').replace(/\/+$/, '');
	const url = v.where === 's3' ? `s3:${host ? `${host}/` : ''}${v.bucket}` : `dir:${v.path}`;
	return {
		name: v.name,
		description: v.description,
		url,
		...(v.where === 's3' && { credentials: { access_key: v.access_key, secret_key: v.secret_key } }),
		...(v.shared && { shared: true }),
	};
}

export async function check(id: string): Promise<string> {
	const { operation_id } = await api.post<{ operation_id: string }>(`targets/${id}/check`);
	changed('targets', 'operations');
	return operation_id;
}

export default function Targets() {
	const { canCare, isAdmin } = useSession();
	const [open, setOpen] = useState<Target | 'add'>();
	const [work, setWork] = useState<{ work: Work; of: Target }>();
	const button = canCare && <Button onClick={() => setOpen('add')}>{t('targets.add')}</Button>;
	const add = async (v: Values) => {
		const { target } = await api.post<{ target: Target }>('targets', { target: targetOf(v) });
		await check(target.id);
		go(`/targets/${target.id}`);
	};
	const edit = async (v: Values) => {
		await api.put(`targets/${(open as Target).id}`, { target: v });
		changed('targets');
	};
	return (
		<Page
			title={t('targets.title')}
			text={t('targets.about')}
			same={{ path: 'targets', cli: 'target list' }}
			actions={button}
		>
			<DataTable<Target>
				label={t('targets.title')}
				path="targets"
				item="targets"
				watch={['operations']}
				columns={columns}
				sort="name:asc"
				filters={[{ kind: 'text', name: 'name', title: t('admin.name') }]}
				empty={
					<Empty title={t('targets.none')} actions={button}>
						{t('targets.noneText')}
					</Empty>
				}
				rowActions={
					canCare
						? (x) => (
								<RowMenu
									label={x.name}
									kinds={['targets', 'operations']}
									actions={[
										{
											title: t('targets.check'),
											done: t('targets.checking'),
											run: () => check(x.id),
										},
										{ title: t('targets.verify'), run: () => setWork({ work: 'verify', of: x }) },
										{ title: t('targets.collect'), run: () => setWork({ work: 'collect', of: x }) },
										{ title: t('admin.edit'), run: () => setOpen(x) },
										{
											title: t('admin.remove'),
											isDanger: true,
											ask: {
												title: t('targets.removeAsk', { name: x.name }),
												text: t('targets.removeText'),
												confirm: t('admin.remove'),
											},
											done: t('admin.removed', { name: x.name }),
											run: () => api.remove(`targets/${x.id}`),
										},
									]}
								/>
							)
						: undefined
				}
			/>
			{work && <TargetWork {...work} onClose={() => setWork(undefined)} />}
			{open === 'add' && (
				<FormPanel
					title={t('targets.add')}
					submit={t('targets.add')}
					fields={targetFields(isAdmin)}
					start={{ where: isAdmin ? 'dir' : 's3' }}
					onSubmit={add}
					onClose={() => setOpen(undefined)}
				/>
			)}
			{open && open !== 'add' && (
				<FormPanel
					title={open.name}
					submit={t('admin.save')}
					fields={[
						{ name: 'name', label: t('admin.name'), required: true },
						{ name: 'description', label: t('admin.description') },
					]}
					start={{ name: open.name, description: open.description }}
					onSubmit={edit}
					onClose={() => setOpen(undefined)}
				/>
			)}
		</Page>
	);
}
