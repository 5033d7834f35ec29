// SPDX-License-Identifier: Apache-2.0
// A provider is what plans choose: a target, and how it is used.
import { Button } from '@patternfly/react-core';
import { useState } from 'react';
import { api, type Schema } from '../../api/client';
import { Link } from '../../app/router';
import { useSession } from '../../app/session';
import { useList } from '../../live/hooks';
import { changed } from '../../live/store';
import { Empty } from '../../parts/empty';
import { Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { DataTable, type Column } from '../../parts/table';
import { t } from '../../texts';
import { FormPanel, type Field, type Values } from './form';
import { RowMenu } from './row';

type Provider = Schema<'Provider'>;
type Target = Schema<'Target'>;

export default function Providers() {
	const { canCare, isAdmin } = useSession();
	const [open, setOpen] = useState<Provider | 'add'>();
	const targets = useList<Target>('targets', 'targets', { limit: 1000 });
	const nameOf = (id: string) => targets.items.find((x) => x.id === id)?.name ?? id.slice(0, 8);
	const fields: Field[] = [
		{ name: 'name', label: t('admin.name'), required: true },
		{ name: 'description', label: t('admin.description') },
		{
			name: 'target_id',
			label: t('providers.target'),
			kind: 'choice',
			required: true,
			choices: targets.items.map((x) => ({ value: x.id, title: x.name })),
			when: () => open === 'add',
		},
		...(isAdmin
			? [
					{
						name: 'shared',
						label: t('admin.shared'),
						help: t('admin.sharedHelp'),
						kind: 'flag' as const,
						when: () => open === 'add',
					},
				]
			: []),
	];
	const save = async (v: Values) => {
		const { shared, ...rest } = v;
		const provider = shared ? { ...rest, shared: true } : rest;
		if (open === 'add') await api.post('providers', { provider });
		else if (open) await api.put(`providers/${open.id}`, { provider });
		changed('providers');
	};
	const columns: Column<Provider>[] = [
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
		{
			key: 'target',
			title: t('providers.target'),
			cell: (p) => <Link to={`/targets/${p.target_id}`}>{nameOf(p.target_id)}</Link>,
		},
		{
			key: 'whose',
			title: t('admin.whose'),
			cell: (p) => t(p.project_id ? 'admin.thisProject' : 'admin.allProjects'),
		},
		{
			key: 'created',
			title: t('admin.created'),
			sort: 'created_at',
			isExtra: true,
			cell: (p) => <Time at={p.created_at} />,
		},
	];
	const button = canCare && targets.items.length > 0 && (
		<Button onClick={() => setOpen('add')}>{t('providers.add')}</Button>
	);
	return (
		<Page
			title={t('providers.title')}
			text={t('providers.about')}
			same={{ path: 'providers', cli: 'provider list' }}
			actions={button}
		>
			<DataTable<Provider>
				label={t('providers.title')}
				path="providers"
				item="providers"
				columns={columns}
				sort="name:asc"
				filters={[{ kind: 'text', name: 'name', title: t('admin.name') }]}
				empty={
					<Empty
						title={t('providers.none')}
						actions={button || <Link to="/targets">{t('providers.targetFirst')}</Link>}
					>
						{t('providers.noneText')}
					</Empty>
				}
				rowActions={
					canCare
						? (p) => (
								<RowMenu
									label={p.name}
									kinds={['providers']}
									actions={[
										{ title: t('admin.edit'), run: () => setOpen(p) },
										{
											title: t('admin.remove'),
											isDanger: true,
											ask: {
												title: t('providers.removeAsk', { name: p.name }),
												text: t('providers.removeText'),
												confirm: t('admin.remove'),
											},
											done: t('admin.removed', { name: p.name }),
											run: () => api.remove(`providers/${p.id}`),
										},
									]}
								/>
							)
						: undefined
				}
			/>
			{open && (
				<FormPanel
					title={open === 'add' ? t('providers.add') : open.name}
					submit={t('admin.save')}
					fields={fields}
					start={
						open === 'add'
							? { target_id: targets.items[0]?.id ?? '' }
							: { name: open.name, description: open.description }
					}
					onSubmit={save}
					onClose={() => setOpen(undefined)}
				/>
			)}
		</Page>
	);
}
