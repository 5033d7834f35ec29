// SPDX-License-Identifier: Apache-2.0
// How old the newest recovery point of each plan is, against when the next one is due.
import { Link } from '../../app/router';
import { Empty } from '../../parts/empty';
import { ago, duration, useNow } from '../../parts/format';
import { StateLabel } from '../../parts/state';
import { t, tn } from '../../texts';
import type { Overview } from '.';

type Plan = Overview['plans'][number];

const SHOWN = 8;

function ageWords(p: Plan, now: number): string {
	if (!p.newest_good_at) return t('overview.plan.never');
	const newest = t('overview.plan.newest', { ago: ago(new Date(p.newest_good_at), now) });
	if (!p.due_by) return newest;
	const left = (Date.parse(p.due_by) - now) / 1000;
	const due = t(left >= 0 ? 'overview.plan.due' : 'overview.plan.overdue', { time: duration(Math.abs(left)) });
	return `${newest} · ${due}`;
}

// How much of the time until the next one is due has gone by.
function gone(p: Plan, now: number): number | undefined {
	if (!p.newest_good_at || !p.due_by) return undefined;
	const from = Date.parse(p.newest_good_at);
	const to = Date.parse(p.due_by);
	return to > from ? Math.min(1, Math.max(0, (now - from) / (to - from))) : 1;
}

export function Plans({ plans }: { plans: Plan[] }) {
	const now = useNow();
	if (!plans.length) return <Empty title={t('overview.noPlans')} />;
	return (
		<>
			<ul className="hf-lines">
				{plans.slice(0, SHOWN).map((p) => {
					const part = gone(p, now);
					return (
						<li key={p.id}>
							<div className="hf-row-head">
								<Link to={`/plans/${p.id}`}>{p.name}</Link>
								<StateLabel state={p.running ? 'protecting' : p.state} />
								<span className="hf-small hf-row-end">{ageWords(p, now)}</span>
							</div>
							<div className="hf-share hf-share-thin" aria-hidden="true">
								{part !== undefined && (
									<span
										className={`hf-is-${p.state}`}
										style={{ flexGrow: 0, flexBasis: `${part * 100}%` }}
									/>
								)}
							</div>
						</li>
					);
				})}
			</ul>
			{plans.length > SHOWN && <Link to="/plans">{tn('overview.more', plans.length - SHOWN)}</Link>}
		</>
	);
}
