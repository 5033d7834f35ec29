// SPDX-License-Identifier: Apache-2.0
// Projects (tenants), and how much each may have.
import { Button } from '@patternfly/react-core';
import { useState } from 'react';
import { api, type Schema } from '../../api/client';
import { useSession } from '../../app/session';
import { useGet } from '../../live/hooks';
import { changed } from '../../live/store';
import { Empty } from '../../parts/empty';
import { Page } from '../../parts/page';
import { StateLabel } from '../../parts/state';
import { DataTable, type Column } from '../../parts/table';
import { t } from '../../texts';
import { FormPanel, type Field, type Values } from './form';
import { RowMenu } from './row';

type Project = Schema<'Project'>;
type Detail = Schema<'QuotaDetail'>;

const UNLIMITED = -1;
const most = (n: number) => (n === UNLIMITED ? '∞' : n.toLocaleString());

function InUse({ id }: { id: string }) {
	const { data } = useGet<{ quota: Detail }>(`quotas/${id}/detail`);
	if (!data) return <span className="hf-none">–</span>;
	const { plans, checkpoints } = data.quota;
	const full = [plans, checkpoints].some((q) => q.limit !== UNLIMITED && q.in_use >= q.limit);
	return (
		<span className={full ? 'hf-full' : undefined}>
			{t('projects.inUse', {
				plans: plans.in_use,
				mostPlans: most(plans.limit),
				checkpoints: checkpoints.in_use,
				mostCheckpoints: most(checkpoints.limit),
			})}
		</span>
	);
}

const columns: Column<Project>[] = [
	{
		key: 'name',
		title: t('admin.name'),
		cell: (p) => (
			<>
				{p.name}
				{p.description && <div className="hf-small">{p.description}</div>}
			</>
		),
	},
	{ key: 'state', title: t('admin.state'), cell: (p) => <StateLabel state={p.enabled ? 'enabled' : 'disabled'} /> },
	{ key: 'use', title: t('projects.use'), cell: (p) => <InUse id={p.id} /> },
	{ key: 'source', title: t('admin.source'), isExtra: true, cell: (p) => p.source },
	{ key: 'id', title: t('admin.id'), isExtra: true, cell: (p) => <code className="hf-code">{p.id}</code> },
];

const fields: Field[] = [
	{ name: 'name', label: t('admin.name'), required: true },
	{ name: 'description', label: t('admin.description') },
];

function Quotas({ project, onClose }: { project: Project; onClose: () => void }) {
	const { data } = useGet<{ quota: Detail }>(`quotas/${project.id}/detail`);
	if (!data) return null;
	const number = (v: string | undefined) => (v === '' || v === undefined ? UNLIMITED : Number(v));
	const text = (n: number) => (n === UNLIMITED ? '' : String(n));
	return (
		<FormPanel
			title={t('projects.quotasOf', { name: project.name })}
			submit={t('admin.save')}
			fields={[
				{ name: 'plans', label: t('projects.plans'), kind: 'number', help: t('projects.noLimit') },
				{ name: 'checkpoints', label: t('projects.checkpoints'), kind: 'number', help: t('projects.noLimit') },
			]}
			start={{ plans: text(data.quota.plans.limit), checkpoints: text(data.quota.checkpoints.limit) }}
			onSubmit={async (v) => {
				await api.put(`quotas/${project.id}`, {
					quota: { plans: number(v.plans), checkpoints: number(v.checkpoints) },
				});
				changed('quotas');
			}}
			onClose={onClose}
		/>
	);
}

type Open = { kind: 'add' } | { kind: 'edit' | 'quotas'; project: Project };

export default function Projects() {
	const { isAdmin } = useSession();
	const [open, setOpen] = useState<Open>();
	const close = () => setOpen(undefined);
	const save = async (v: Values) => {
		if (open?.kind === 'edit') await api.put(`/projects/${open.project.id}`, { project: v });
		else await api.post('/projects', { project: v });
		changed('projects');
	};
	const button = isAdmin && <Button onClick={() => setOpen({ kind: 'add' })}>{t('projects.add')}</Button>;
	return (
		<Page title={t('projects.title')} text={t('projects.about')} same={{ path: '/projects' }} actions={button}>
			<DataTable<Project>
				label={t('projects.title')}
				path="/projects"
				item="projects"
				columns={columns}
				empty={<Empty title={t('projects.none')} actions={button} />}
				rowActions={
					isAdmin
						? (p) => (
								<RowMenu
									label={p.name}
									kinds={['projects']}
									actions={[
										{ title: t('admin.edit'), run: () => setOpen({ kind: 'edit', project: p }) },
										{
											title: t('projects.quotas'),
											run: () => setOpen({ kind: 'quotas', project: p }),
										},
										{
											title: p.enabled ? t('admin.disable') : t('admin.enable'),
											run: () =>
												api.put(`/projects/${p.id}`, { project: { enabled: !p.enabled } }),
										},
										{
											title: t('admin.remove'),
											isDanger: true,
											ask: {
												title: t('projects.removeAsk', { name: p.name }),
												text: t('projects.removeText'),
												confirm: t('admin.remove'),
												word: p.name,
											},
											done: t('admin.removed', { name: p.name }),
											run: () => api.remove(`/projects/${p.id}`),
										},
									]}
								/>
							)
						: undefined
				}
			/>
			{open && open.kind !== 'quotas' && (
				<FormPanel
					title={open.kind === 'add' ? t('projects.add') : open.project.name}
					submit={t('admin.save')}
					fields={fields}
					start={
						open.kind === 'edit'
							? { name: open.project.name, description: open.project.description }
							: undefined
					}
					onSubmit={save}
					onClose={close}
				/>
			)}
			{open?.kind === 'quotas' && <Quotas project={open.project} onClose={close} />}
		</Page>
	);
}
