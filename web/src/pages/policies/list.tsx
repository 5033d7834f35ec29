// SPDX-License-Identifier: Apache-2.0
import { Button, Label } from '@patternfly/react-core';
import CalendarIcon from '@patternfly/react-icons/dist/esm/icons/calendar-alt-icon';
import { go, Link } from '../../app/router';
import { useSession } from '../../app/session';
import { useList } from '../../live/hooks';
import { Empty } from '../../parts/empty';
import { Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { DataTable, type Column } from '../../parts/table';
import { t, tn } from '../../texts';
import type { Plan, Policy } from '../checkpoints/model';
import { Words } from './schedule';
import { LEVELS, type Spec } from './spec';

/** "7 daily, 4 weekly" */
export function keepWords(spec: Spec): string {
	const parts = (spec.schedules ?? []).map((s) => {
		const levels = LEVELS.flatMap((l) => {
			const v = s.retention?.[l];
			return v === undefined
				? []
				: [t('policies.keepOne', { n: v === 'all' ? t('policies.all') : v, level: t(`policies.level.${l}`) })];
		});
		return levels.length ? levels.join(', ') : t('policies.keepForever');
	});
	return parts.join('; ') || '–';
}

export default function Policies() {
	const { canWrite } = useSession();
	const plans = useList<Plan>('plans', 'plans', { limit: 1000 });
	const columns: Column<Policy>[] = [
		{
			key: 'name',
			title: t('policies.name'),
			sort: 'name',
			cell: (p) => <Link to={`/policies/${p.id}`}>{p.name}</Link>,
		},
		{
			key: 'when',
			title: t('policies.when'),
			cell: (p) => {
				const schedules = (p.spec as Spec).schedules ?? [];
				if (!schedules.length) return <span className="hf-none">{t('policies.manualOnly')}</span>;
				return schedules.map((s) => (
					<div key={s.name}>
						<Words trigger={s.trigger as Record<string, unknown>} />
					</div>
				));
			},
		},
		{ key: 'keep', title: t('policies.keep'), isExtra: true, cell: (p) => keepWords(p.spec as Spec) },
		{
			key: 'plans',
			title: t('policies.plans'),
			cell: (p) => {
				const n = plans.items.filter((x) => x.policy_id === p.id).length;
				return p.mandatory ? (
					<Label isCompact color="orange">
						{t('policies.mandatory')}
					</Label>
				) : n ? (
					<Link to="/plans" query={{ policy_id: p.id }}>
						{tn('policies.ofPlans', n)}
					</Link>
				) : (
					'–'
				);
			},
		},
		{ key: 'changed', title: t('policies.changed'), isExtra: true, cell: (p) => <Time at={p.updated_at} /> },
	];
	const add = canWrite && <Button onClick={() => go('/policies/new')}>{t('policies.new')}</Button>;
	return (
		<Page
			title={t('policies.title')}
			text={t('policies.lead')}
			same={{ path: 'policies', cli: 'policy list' }}
			actions={add}
		>
			<DataTable<Policy>
				label={t('policies.title')}
				path="policies"
				item="policies"
				columns={columns}
				sort="name:asc"
				filters={[{ kind: 'text', name: 'name', title: t('policies.find') }]}
				empty={
					<Empty title={t('policies.none')} icon={CalendarIcon} actions={add}>
						{t('policies.noneText')}
					</Empty>
				}
			/>
		</Page>
	);
}
