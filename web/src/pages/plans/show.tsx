// SPDX-License-Identifier: Apache-2.0
// One plan: what it protects, when it runs next, what it keeps, its checkpoints.
import { Button } from '@patternfly/react-core';
import { useState, type ReactNode } from 'react';
import type { Schema } from '../../api/client';
import type { Params } from '../../app/pages';
import { go, Link } from '../../app/router';
import { useSession } from '../../app/session';
import { useGet, useList, useOne } from '../../live/hooks';
import { Board, Panel } from '../../parts/board';
import { moment } from '../../parts/dates';
import { Empty, Loading, Shown } from '../../parts/empty';
import { Time } from '../../parts/format';
import { Facts } from '../../parts/facts';
import { Page } from '../../parts/page';
import { t, tn, tx } from '../../texts';
import { CheckpointTable } from '../checkpoints/list';
import {
	resourcePath,
	type Checkpoint,
	type Plan,
	type Platform,
	type Policy,
	type Provider,
} from '../checkpoints/model';
import { pointOf, Timeline } from '../checkpoints/timeline';
import { Simulator } from '../policies/editor';
import { keepWords } from '../policies/list';
import { Firings } from '../policies/schedule';
import type { Spec } from '../policies/spec';
import { DeletePlan, pausePlan, runPlan } from './actions';
import { PlanState } from './list';

function About({ of, provider, policy }: { of: Plan; provider: string; policy: Policy | undefined }) {
	const rows: [string, ReactNode][] = [
		[t('plans.state'), <PlanState of={of} />],
		[t('plans.newest'), <Time at={of.newest_good_at} />],
		[t('plans.next'), of.paused ? t('plans.paused') : <Time at={of.next_at} />],
		[t('plans.policy'), policy ? <Link to={`/policies/${policy.id}`}>{policy.name}</Link> : t('plans.noPolicy')],
		[t('plans.provider'), provider],
		...(of.consistency_group
			? ([[t('plans.isTogether'), t('plans.isTogetherText')]] as [string, ReactNode][])
			: []),
		[t('plans.description'), of.description || '–'],
		[t('plans.by'), of.created_by],
	];
	return <Facts rows={rows} />;
}

export function selectorWords(s: Schema<'Selector'>, platforms: readonly Platform[]): string {
	const parts = [tx('types', s.type)];
	if (s.name) parts.push(t('plans.selector.name', { pattern: s.name }));
	if (s.platform_id)
		parts.push(
			t('plans.selector.platform', {
				name: platforms.find((p) => p.id === s.platform_id)?.name ?? s.platform_id,
			}),
		);
	if (s.state) parts.push(t('plans.selector.state', { state: tx('machine', s.state) }));
	return parts.join(' ');
}

function Members({ of }: { of: Plan }) {
	const platforms = useList<Platform>('platforms', 'platforms', { limit: 1000 });
	return (
		<ul className="hf-list">
			{of.resources.map((r) => (
				<li key={r.type + r.id}>
					<Link to={resourcePath(r)}>{r.name}</Link> <span className="hf-none">{tx('type', r.type)}</span>
				</li>
			))}
			{of.selectors.map((s, i) => (
				<li key={i}>{selectorWords(s, platforms.items)}</li>
			))}
		</ul>
	);
}

function Schedules({ policy }: { policy: Policy | undefined }) {
	const spec = policy?.spec as Spec | undefined;
	if (!spec?.schedules?.length) return <p className="hf-none">{t('plans.manualOnly')}</p>;
	return (
		<>
			{spec.schedules.map((s) => (
				<div key={s.name} className="hf-gap-after">
					<h3 className="hf-label">{s.name}</h3>
					<Firings trigger={s.trigger as Record<string, unknown>} />
				</div>
			))}
			<p>{t('plans.keeps', { words: keepWords(spec) })}</p>
		</>
	);
}

function Retention({ of }: { of: Plan }) {
	const live = useGet<{
		retention: Schema<'Kept'>[] & { kept: number; going: number; checkpoints: Schema<'Kept'>[] };
	}>(`plans/${of.id}/retention`, undefined, ['checkpoints', 'policies']);
	const r = live.data?.retention;
	const next = r?.checkpoints
		.filter((k) => k.goes_at)
		.sort((a, b) => (a.goes_at ?? '').localeCompare(b.goes_at ?? ''))[0];
	if (!r) return live.error ? <p>{live.error.message}</p> : <Loading lines={1} />;
	return (
		<p>
			{tn('plans.kept', r.kept)} {next?.goes_at && t('plans.goesNext', { when: moment(next.goes_at) })}
		</p>
	);
}

function Content({ of }: { of: Plan }) {
	const { canProtect } = useSession();
	const providers = useList<Provider>('providers', 'providers', { limit: 1000 });
	const policy = useOne<Policy>(of.policy_id ? `policies/${of.policy_id}` : null, 'policy');
	const points = useList<Checkpoint>('checkpoints', 'checkpoints', { plan_id: of.id, limit: 120 });
	return (
		<Board>
			<Panel title={t('plans.about')} span={6}>
				<About
					of={of}
					policy={policy.data}
					provider={providers.items.find((p) => p.id === of.provider_id)?.name ?? '–'}
				/>
			</Panel>
			<Panel title={t('plans.what')} span={6}>
				<Members of={of} />
			</Panel>
			<Panel title={t('plans.when')} span={6}>
				<Schedules policy={policy.data} />
				<Retention of={of} />
			</Panel>
			{policy.data && <Simulator spec={policy.data.spec as Spec} plan={of.id} />}
			<Panel title={t('checkpoints.title')}>
				{points.items.length > 1 && (
					<Timeline
						points={points.items.map((k) => pointOf(k))}
						label={t('checkpoints.timeline.label', { name: of.name })}
					/>
				)}
				<CheckpointTable
					query={{ plan_id: of.id }}
					withPlan={false}
					prefix="k_"
					empty={
						<Empty
							title={t('plans.noPoints')}
							actions={canProtect && <Button onClick={() => void runPlan(of)}>{t('plans.run')}</Button>}
						>
							{t('plans.noPointsText')}
						</Empty>
					}
				/>
			</Panel>
		</Board>
	);
}

export default function PlanPage({ params }: { params: Params }) {
	const { canWrite, canProtect } = useSession();
	const [deleting, remove] = useState(false);
	const id = params.id ?? '';
	const live = useOne<Plan>(`plans/${id}`, 'plan', ['checkpoints', 'policies']);
	const p = live.data;
	return (
		<Page
			title={p?.name ?? t('plans.one')}
			crumbs={[{ title: t('plans.title'), to: '/plans' }]}
			same={{ path: `plans/${id}`, cli: `plan show ${id}` }}
			actions={
				p && (
					<>
						{canWrite && (
							<>
								<Button variant="secondary" onClick={() => void pausePlan(p, !p.paused)}>
									{p.paused ? t('plans.resume') : t('plans.pause')}
								</Button>
								<Button variant="secondary" onClick={() => go(`/plans/${id}/edit`)}>
									{t('plans.edit')}
								</Button>
								<Button variant="secondary" isDanger onClick={() => remove(true)}>
									{t('plans.delete')}
								</Button>
							</>
						)}
						{canProtect && <Button onClick={() => void runPlan(p)}>{t('plans.run')}</Button>}
					</>
				)
			}
		>
			<Shown live={live}>{(x) => <Content of={x} />}</Shown>
			{deleting && p && <DeletePlan of={p} onClose={() => remove(false)} onDone={() => go('/plans')} />}
		</Page>
	);
}
