// SPDX-License-Identifier: Apache-2.0
import UndoIcon from '@patternfly/react-icons/dist/esm/icons/undo-icon';
import { Link } from '../../app/router';
import { Empty } from '../../parts/empty';
import { Between, Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { StateLabel } from '../../parts/state';
import { DataTable, type Column } from '../../parts/table';
import { t, tn, tx } from '../../texts';
import { pathOf } from '../checkpoints/model';
import type { Restore } from './model';

const columns: Column<Restore>[] = [
	{
		key: 'when',
		title: t('restores.when'),
		sort: 'created_at',
		cell: (r) => (
			<Link to={`/restores/${r.id}`}>
				<Time at={r.created_at} exact />
			</Link>
		),
	},
	{
		key: 'state',
		title: t('restores.state'),
		sort: 'status',
		cell: (r) => <StateLabel state={r.status} title={r.reason ?? undefined} />,
	},
	{
		key: 'what',
		title: t('restores.what'),
		cell: (r) =>
			tn('restores.machines', Math.max(Object.keys(r.resources_status).length, Object.keys(r.parameters).length)),
	},
	{
		key: 'checkpoint',
		title: t('restores.checkpoint'),
		isExtra: true,
		cell: (r) => (
			<Link to={pathOf({ provider_id: r.provider_id, id: r.checkpoint_id })}>{r.checkpoint_id.slice(0, 8)}</Link>
		),
	},
	{
		key: 'took',
		title: t('restores.took'),
		isExtra: true,
		cell: (r) => <Between from={r.created_at} to={r.ended_at} />,
	},
	{ key: 'by', title: t('restores.by'), isExtra: true, cell: (r) => r.created_by },
];

export default function Restores() {
	return (
		<Page title={t('restores.title')} text={t('restores.lead')} same={{ path: 'restores' }}>
			<DataTable<Restore>
				label={t('restores.title')}
				path="restores"
				item="restores"
				columns={columns}
				filters={[
					{
						kind: 'choice',
						name: 'status',
						title: t('restores.state'),
						choices: ['in_progress', 'success', 'fail'].map((value) => ({
							value,
							title: tx('state', value),
						})),
					},
				]}
				empty={
					<Empty
						title={t('restores.none')}
						icon={UndoIcon}
						actions={<Link to="/checkpoints">{t('restores.toCheckpoints')}</Link>}
					>
						{t('restores.noneText')}
					</Empty>
				}
			/>
		</Page>
	);
}
