// SPDX-License-Identifier: Apache-2.0
// Where machines run: hosts and clouds. A new one is tried at once; if that fails, its own words say why.
import { Alert, Button, Spinner } from '@patternfly/react-core';
import { useState } from 'react';
import { api, type Answer, type Schema } from '../../api/client';
import { Link } from '../../app/router';
import { useSession } from '../../app/session';
import { useOne } from '../../live/hooks';
import { changed } from '../../live/store';
import { SidePanel } from '../../parts/dialogs';
import { Empty } from '../../parts/empty';
import { Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { StateLabel } from '../../parts/state';
import { DataTable, type Column } from '../../parts/table';
import { t, tn } from '../../texts';
import { FormPanel, type Field, type Values } from './form';
import { RowMenu } from './row';

type Platform = Schema<'Platform'>;

const columns: Column<Platform>[] = [
	{
		key: 'name',
		title: t('admin.name'),
		sort: 'name',
		cell: (p) => (
			<>
				{p.name}
				{p.description && <div className="hf-small">{p.description}</div>}
			</>
		),
	},
	{ key: 'uri', title: t('platforms.uri'), isExtra: true, cell: (p) => <code className="hf-code">{p.uri}</code> },
	{
		key: 'status',
		title: t('admin.state'),
		sort: 'status',
		cell: (p) => (
			<>
				<StateLabel state={p.status} />
				{p.reason && <div className="hf-reason">{p.reason}</div>}
			</>
		),
	},
	{
		key: 'resources',
		title: t('platforms.resources'),
		isNumber: true,
		cell: (p) => (
			<Link to="/resources" query={{ platform_id: p.id }}>
				{p.resources}
			</Link>
		),
	},
	{ key: 'checked', title: t('admin.checked'), cell: (p) => <Time at={p.checked_at} /> },
];

const fields: Field[] = [
	{ name: 'name', label: t('admin.name'), required: true, placeholder: 'kvm1' },
	{
		name: 'uri',
		label: t('platforms.uri'),
		required: true,
		placeholder: 'qemu+ssh://root@kvm1/system',
		help: t('platforms.uriHelp'),
	},
	{ name: 'description', label: t('admin.description') },
];

// Looks on while the server tries to reach it.
function Trial({
	id,
	operation,
	onClose,
	onChange,
}: {
	id: string;
	operation: string;
	onClose: () => void;
	onChange: () => void;
}) {
	const o = useOne<Schema<'OperationDetail'>>(`operations/${operation}`, 'operation').data;
	const p = useOne<Platform>(`platforms/${id}`, 'platform', ['operations']).data;
	const over = Boolean(o?.ended_at);
	const good = o?.state === 'succeeded';
	return (
		<SidePanel
			title={t('platforms.trial', { name: p?.name ?? '' })}
			onClose={onClose}
			footer={
				over && (
					<>
						{good ? (
							<Button onClick={onClose}>{t('admin.close')}</Button>
						) : (
							<Button onClick={onChange}>{t('platforms.change')}</Button>
						)}
						<Link to={`/operations/${operation}`} className="pf-v6-c-button pf-m-link">
							{t('admin.showOperation')}
						</Link>
					</>
				)
			}
		>
			<div role="status">
				{!over && (
					<>
						<Spinner size="md" aria-label={t('app.loading')} /> {t('platforms.trying')}
					</>
				)}
				{over && good && (
					<Alert variant="success" isInline title={t('platforms.reached')} component="p">
						{tn('platforms.found', p?.resources ?? 0)}
					</Alert>
				)}
				{over && !good && (
					<Alert variant="danger" isInline title={t('platforms.notReached')} component="p">
						{o?.reason ?? p?.reason}
					</Alert>
				)}
			</div>
		</SidePanel>
	);
}

type Open = { kind: 'add' } | { kind: 'edit'; platform: Platform } | { kind: 'try'; id: string; operation: string };

export default function Platforms() {
	const { isAdmin, canCare } = useSession();
	const [open, setOpen] = useState<Open>();
	const close = () => setOpen(undefined);

	const begin = (id: string, operation: string) => setOpen({ kind: 'try', id, operation });
	const add = async (v: Values) => {
		const made = await api.post<Answer<'createPlatform'>>('platforms', { platform: { ...v, kind: 'libvirt' } });
		changed('platforms', 'operations');
		setTimeout(() => begin(made.platform.id, made.platform.operation_id ?? ''));
	};
	const change = async (p: Platform, v: Values) => {
		await api.put(`platforms/${p.id}`, { platform: v });
		const { operation_id } = await api.post<{ operation_id: string }>(`platforms/${p.id}/discover`);
		changed('platforms', 'operations');
		setTimeout(() => begin(p.id, operation_id));
	};
	const addButton = isAdmin && <Button onClick={() => setOpen({ kind: 'add' })}>{t('platforms.add')}</Button>;
	return (
		<Page
			title={t('platforms.title')}
			text={t('platforms.about')}
			same={{ path: 'platforms', cli: 'platform list' }}
			actions={addButton}
		>
			<DataTable<Platform>
				label={t('platforms.title')}
				path="platforms"
				item="platforms"
				watch={['operations']}
				columns={columns}
				sort="name:asc"
				filters={[{ kind: 'text', name: 'name', title: t('admin.name') }]}
				empty={
					<Empty title={t('platforms.none')} actions={addButton}>
						{t('platforms.noneText')}
					</Empty>
				}
				rowActions={
					canCare
						? (p) => (
								<RowMenu
									label={p.name}
									kinds={['platforms', 'operations']}
									actions={[
										{
											title: t('platforms.discover'),
											run: async () => {
												const done = await api.post<{ operation_id: string }>(
													`platforms/${p.id}/discover`,
												);
												begin(p.id, done.operation_id);
											},
										},
										...(isAdmin
											? [
													{
														title: t('admin.edit'),
														run: () => setOpen({ kind: 'edit', platform: p }),
													},
												]
											: []),
										{
											title: t('admin.remove'),
											isDanger: true,
											ask: {
												title: t('platforms.removeAsk', { name: p.name }),
												text: t('platforms.removeText'),
												confirm: t('admin.remove'),
											},
											done: t('admin.removed', { name: p.name }),
											run: () => api.remove(`platforms/${p.id}`),
										},
									]}
								/>
							)
						: undefined
				}
			/>
			{open?.kind === 'add' && (
				<FormPanel
					title={t('platforms.add')}
					submit={t('platforms.addAndTry')}
					fields={fields}
					onSubmit={add}
					onClose={close}
				/>
			)}
			{open?.kind === 'edit' && (
				<FormPanel
					title={open.platform.name}
					submit={t('platforms.addAndTry')}
					fields={fields}
					start={{ name: open.platform.name, uri: open.platform.uri, description: open.platform.description }}
					onSubmit={(v) => change(open.platform, v)}
					onClose={close}
				/>
			)}
			{open?.kind === 'try' && (
				<Trial
					id={open.id}
					operation={open.operation}
					onClose={close}
					onChange={() =>
						void api
							.get<Answer<'getPlatform'>>(`platforms/${open.id}`)
							.then(({ platform }) => setOpen({ kind: 'edit', platform }))
					}
				/>
			)}
		</Page>
	);
}
