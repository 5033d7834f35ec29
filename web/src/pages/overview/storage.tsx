// SPDX-License-Identifier: Apache-2.0
// What is stored, what it stands for, and when a target fills.
import { FormSelect, FormSelectOption } from '@patternfly/react-core';
import { useMemo, useState } from 'react';
import type { Answer } from '../../api/client';
import { Link } from '../../app/router';
import { useGet } from '../../live/hooks';
import { TimeChart, type Line } from '../../parts/chart';
import { Failure, Loading } from '../../parts/empty';
import { ago, bytes, useNow } from '../../parts/format';
import { StateLabel } from '../../parts/state';
import { t } from '../../texts';
import type { Overview } from '.';

const APART_MS = 10000;

type Point = Answer<'getTargetHistory'>['history'][number];

const times = (n: number) =>
	t('overview.times', { n: n.toLocaleString(undefined, { maximumFractionDigits: n < 10 ? 1 : 0 }) });

function linesOf(points: Point[]): Line[] {
	return [
		{ title: t('overview.stored'), values: points.map((p) => p.stored_bytes), color: '--hf-chart-1' },
		{ title: t('overview.logical'), values: points.map((p) => p.logical_bytes), color: '--hf-chart-2' },
		{
			title: t('overview.reduction'),
			values: points.map((p) => (p.stored_bytes && p.logical_bytes ? p.logical_bytes / p.stored_bytes : null)),
			color: '--hf-chart-3',
			format: times,
		},
	];
}

function History({ target }: { target: { id: string; name: string } }) {
	const live = useGet<Answer<'getTargetHistory'>>(`targets/${target.id}/history`, { days: 90 }, undefined, APART_MS);
	const points = live.data?.history;
	const at = useMemo(() => (points ?? []).map((p) => Date.parse(p.at) / 1000), [points]);
	const lines = useMemo(() => linesOf(points ?? []), [points]);
	if (!points) return live.error ? <Failure error={live.error} reload={live.reload} /> : <Loading lines={4} />;
	if (!points.length) return <p className="hf-fine hf-none">{t('overview.noHistory')}</p>;
	return (
		<div className="hf-trend">
			{lines.map((l) => (
				<TimeChart key={l.title} times={at} line={l} />
			))}
		</div>
	);
}

function Target({ target }: { target: Overview['targets'][number] }) {
	const now = useNow();
	const used =
		target.total_bytes && target.free_bytes !== null ? 1 - target.free_bytes / target.total_bytes : undefined;
	const tone = used === undefined || used < 0.8 ? 'protected' : used < 0.95 ? 'late' : 'failing';
	return (
		<li>
			<div className="hf-row-head">
				<Link to={`/targets/${target.id}`}>{target.name}</Link>
				{target.status === 'error' && <StateLabel state="error" />}
				<span className="hf-small hf-row-end">
					{target.free_bytes !== null ? t('overview.free', { n: bytes(target.free_bytes) }) : ''}
				</span>
			</div>
			{used !== undefined && (
				<div
					className="hf-share hf-share-thin"
					role="img"
					aria-label={t('overview.used', { n: Math.round(used * 100) })}
				>
					<span className={`hf-is-${tone}`} style={{ flexGrow: 0, flexBasis: `${used * 100}%` }} />
				</div>
			)}
			<p className="hf-small">
				{target.full_at
					? t('overview.full', { when: ago(new Date(target.full_at), now) })
					: t('overview.notFull')}
			</p>
		</li>
	);
}

export function Storage({ targets }: { targets: Overview['targets'] }) {
	const [chosen, choose] = useState<string>();
	const target = targets.find((x) => x.id === chosen) ?? targets[0];
	if (!target) return <p className="hf-fine hf-none">{t('overview.noTargets')}</p>;
	return (
		<div className="hf-storage">
			<ul className="hf-lines">
				{targets.map((x) => (
					<Target key={x.id} target={x} />
				))}
			</ul>
			<div className="hf-storage-charts">
				{targets.length > 1 && (
					<FormSelect
						className="hf-storage-choice"
						aria-label={t('overview.target')}
						value={target.id}
						onChange={(_, v) => choose(v)}
					>
						{targets.map((x) => (
							<FormSelectOption key={x.id} value={x.id} label={x.name} />
						))}
					</FormSelect>
				)}
				<History key={target.id} target={target} />
			</div>
		</div>
	);
}
