// SPDX-License-Identifier: Apache-2.0
// Everything that was found on every platform, how well it is protected, and by what.
import { Button } from '@patternfly/react-core';
import ServerIcon from '@patternfly/react-icons/dist/esm/icons/server-icon';
import { useState } from 'react';
import { Link } from '../../app/router';
import { useSession } from '../../app/session';
import { useList } from '../../live/hooks';
import { Empty } from '../../parts/empty';
import { Bytes, Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { StateLabel } from '../../parts/state';
import { DataTable, type Column } from '../../parts/table';
import { t, tn, tx } from '../../texts';
import { resourcePath, type Platform } from '../checkpoints/model';
import { PROTECTIONS, type Coverage } from './model';
import { ProtectPanel } from './protect';

const columns: Column<Coverage>[] = [
	{ key: 'name', title: t('resources.name'), sort: 'name', cell: (r) => <Link to={resourcePath(r)}>{r.name}</Link> },
	{
		key: 'protection',
		title: t('resources.protection'),
		cell: (r) => <StateLabel state={r.protection} title={r.reason} />,
	},
	{
		key: 'plans',
		title: t('resources.plans'),
		cell: (r) =>
			r.plans.length ? (
				<div className="hf-row hf-tight">
					{r.plans.slice(0, 3).map((p) => (
						<Link key={p.id} to={`/plans/${p.id}`}>
							{p.name}
						</Link>
					))}
					{r.plans.length > 3 && <span>{t('resources.more', { n: r.plans.length - 3 })}</span>}
				</div>
			) : (
				<span className="hf-none">{t('resources.noPlan')}</span>
			),
	},
	{ key: 'newest', title: t('resources.newest'), cell: (r) => <Time at={r.newest_good_at} /> },
	{ key: 'size', title: t('resources.size'), isNumber: true, isExtra: true, cell: (r) => <Bytes n={r.size_bytes} /> },
	{ key: 'type', title: t('resources.type'), isExtra: true, cell: (r) => tx('type', r.type) },
	{
		key: 'status',
		title: t('resources.status'),
		sort: 'status',
		isExtra: true,
		cell: (r) => tx('machine', r.status),
	},
	{ key: 'platform', title: t('resources.platform'), isExtra: true, cell: (r) => r.platform_name },
];

export default function Resources() {
	const { canWrite, isAdmin } = useSession();
	const [chosen, setChosen] = useState<Coverage[]>([]);
	const [protecting, protect] = useState<Coverage[]>();
	const platforms = useList<Platform>('platforms', 'platforms', { limit: 1000 });
	return (
		<Page title={t('resources.title')} text={t('resources.lead')} same={{ path: 'coverage', cli: 'resource list' }}>
			<DataTable<Coverage>
				label={t('resources.title')}
				path="coverage"
				item="coverage"
				watch={['plans', 'checkpoints', 'policies', 'platforms']}
				columns={columns}
				sort="name:asc"
				filters={[
					{ kind: 'text', name: 'name', title: t('resources.find') },
					{
						kind: 'choice',
						name: 'protection',
						title: t('resources.protection'),
						choices: PROTECTIONS.map((value) => ({ value, title: tx('state', value) })),
					},
					{
						kind: 'choice',
						name: 'platform_id',
						title: t('resources.platform'),
						choices: platforms.items.map((p) => ({ value: p.id, title: p.name })),
					},
				]}
				onChosen={canWrite ? setChosen : undefined}
				actions={
					canWrite && (
						<Button isDisabled={!chosen.length} onClick={() => protect(chosen)}>
							{chosen.length ? tn('resources.protectN', chosen.length) : t('resources.protectChosen')}
						</Button>
					)
				}
				rowActions={
					canWrite
						? (r) => (
								<Button
									variant="link"
									isInline
									onClick={() => protect([r])}
									aria-label={t('resources.protectOne', { name: r.name })}
								>
									{t('resources.protect')}
								</Button>
							)
						: undefined
				}
				empty={
					<Empty
						title={platforms.items.length ? t('resources.none') : t('resources.noPlatform')}
						icon={ServerIcon}
						actions={isAdmin && <Link to="/platforms">{t('resources.toPlatforms')}</Link>}
					>
						{platforms.items.length ? t('resources.noneText') : t('resources.noPlatformText')}
					</Empty>
				}
			/>
			{protecting && <ProtectPanel resources={protecting} onClose={() => protect(undefined)} />}
		</Page>
	);
}
