// SPDX-License-Identifier: Apache-2.0
// What was done: in each of the last 24 hours, and on each of the last 30 days as a calendar.
import { useMemo } from 'react';
import type { Answer, Schema } from '../../api/client';
import { Link } from '../../app/router';
import { useGet, useList } from '../../live/hooks';
import { Shown } from '../../parts/empty';
import { bytes, useNow } from '../../parts/format';
import { t, tn } from '../../texts';

const HOUR_MS = 3600000;
const DAY_MS = 24 * HOUR_MS;
const APART_MS = 5000;

/** As the server takes times in filters. */
const timeOf = (ms: number) => new Date(ms).toISOString().replace(/\.\d+/, '');

// Counted from the start of an hour, so that the request stays the same for an hour.
function useDayStart(): number {
	return Math.floor(useNow() / HOUR_MS) * HOUR_MS + HOUR_MS - DAY_MS;
}

export function LastDay() {
	const from = useDayStart();
	const list = useList<Schema<'Operation'>>(
		'operations',
		'operations',
		{ created_from: timeOf(from), limit: 1000 },
		undefined,
		APART_MS,
	);
	const hours = useMemo(() => {
		const all = Array.from({ length: 24 }, (_, i) => ({ at: from + i * HOUR_MS, good: 0, bad: 0 }));
		for (const o of list.items) {
			const hour = all[Math.floor((Date.parse(o.created_at) - from) / HOUR_MS)];
			if (hour && o.state === 'succeeded') hour.good++;
			else if (hour && o.state === 'failed') hour.bad++;
		}
		return all;
	}, [list.items, from]);
	const good = hours.reduce((n, h) => n + h.good, 0);
	const bad = hours.reduce((n, h) => n + h.bad, 0);
	const most = Math.max(1, ...hours.map((h) => h.good + h.bad));
	const since = timeOf(from);
	return (
		<Shown live={list}>
			{() => (
				<>
					<div className="hf-day-sum">
						<Link to="/operations" query={{ state: 'succeeded', created_from: since }}>
							<strong className="hf-number">{good.toLocaleString()}</strong> {t('overview.succeeded')}
						</Link>
						<Link
							to="/operations"
							query={{ state: 'failed', created_from: since }}
							className={bad ? 'hf-icon-bad' : undefined}
						>
							<strong className="hf-number">{bad.toLocaleString()}</strong> {t('overview.failed')}
						</Link>
					</div>
					<div className="hf-day" role="img" aria-label={t('overview.dayWords', { good, bad })}>
						{hours.map((h) => (
							<span
								key={h.at}
								title={t('overview.hour', {
									at: new Date(h.at).toLocaleTimeString(undefined, { timeStyle: 'short' }),
									good: h.good,
									bad: h.bad,
								})}
							>
								<i className="hf-is-failing" style={{ height: `${(h.bad / most) * 100}%` }} />
								<i className="hf-is-protected" style={{ height: `${(h.good / most) * 100}%` }} />
							</span>
						))}
					</div>
					<div className="hf-axis hf-small" aria-hidden="true">
						<span>{t('overview.dayAgo')}</span>
						<span>{t('overview.now')}</span>
					</div>
					{list.next && (
						<p className="hf-small">{t('overview.newest', { n: list.items.length.toLocaleString() })}</p>
					)}
				</>
			)}
		</Shown>
	);
}

type Day = Answer<'getOverviewHistory'>['history'][number];

const weekday = new Intl.DateTimeFormat(undefined, { weekday: 'narrow', timeZone: 'UTC' });
const longDay = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long', timeZone: 'UTC' });

// 0: nothing ran; 1 … 4: all went well, the more the darker; -1 … -2: some failed, all failed.
function heatOf(d: Day, most: number): number {
	if (d.failed) return d.succeeded ? -1 : -2;
	return d.succeeded ? Math.max(1, Math.ceil((d.succeeded / most) * 4)) : 0;
}

function dayWords(d: Day): string {
	const words = [longDay.format(new Date(d.date)), tn('overview.day.succeeded', d.succeeded)];
	if (d.failed) words.push(tn('overview.day.failed', d.failed));
	if (d.read_bytes) words.push(t('overview.day.bytes', { read: bytes(d.read_bytes), stored: bytes(d.stored_bytes) }));
	return words.join(', ');
}

function Calendar({ days }: { days: Day[] }) {
	const most = Math.max(1, ...days.map((d) => d.succeeded));
	// Weeks are columns that begin on a Monday.
	const first = days[0] ? (new Date(days[0].date).getUTCDay() + 6) % 7 : 0;
	return (
		<>
			<div className="hf-calendar">
				<div className="hf-weekdays hf-small" aria-hidden="true">
					{Array.from({ length: 7 }, (_, i) => (
						<span key={i}>{i % 2 === 0 ? weekday.format(new Date(Date.UTC(2024, 0, 1 + i))) : ''}</span>
					))}
				</div>
				<ol className="hf-heat">
					{Array.from({ length: first }, (_, i) => (
						<li key={`-${i}`} aria-hidden="true" />
					))}
					{days.map((d) => (
						<li key={d.date}>
							<Link
								to="/operations"
								query={{
									created_from: `${d.date}T00:00:00Z`,
									created_until: timeOf(Date.parse(d.date) + DAY_MS),
								}}
								className={`hf-heat-${heatOf(d, most)}`}
								title={dayWords(d)}
								aria-label={dayWords(d)}
							/>
						</li>
					))}
				</ol>
			</div>
			<p className="hf-heat-legend hf-small">
				<i className="hf-heat-0" /> {t('overview.heat.none')} <i className="hf-heat-1" />
				<i className="hf-heat-4" /> {t('overview.heat.good')} <i className="hf-heat--1" />{' '}
				{t('overview.heat.some')} <i className="hf-heat--2" /> {t('overview.heat.all')}
			</p>
		</>
	);
}

export function LastMonth() {
	const live = useGet<Answer<'getOverviewHistory'>>('overview/history', { days: 30 }, ['operations'], APART_MS);
	return <Shown live={live}>{({ history }) => <Calendar days={history} />}</Shown>;
}
