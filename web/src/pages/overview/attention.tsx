// SPDX-License-Identifier: Apache-2.0
// What somebody has to do something about, the worst first, each with the button that mends it or leads there.
import { Button } from '@patternfly/react-core';
import CheckCircleIcon from '@patternfly/react-icons/dist/esm/icons/check-circle-icon';
import ExclamationCircleIcon from '@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon';
import ExclamationTriangleIcon from '@patternfly/react-icons/dist/esm/icons/exclamation-triangle-icon';
import { useState } from 'react';
import { api, type Schema } from '../../api/client';
import { go } from '../../app/router';
import { useSession } from '../../app/session';
import { toast, toastError } from '../../app/toasts';
import { changed } from '../../live/store';
import { t, tn } from '../../texts';
import type { Overview } from '.';

type Item = Overview['attention'][number];

const SHOWN = 6;

interface Mend {
	text: string;
	run: () => Promise<void> | void;
	writes: boolean;
}

async function backUp(plan: string): Promise<void> {
	const { plan: p } = await api.get<{ plan: Schema<'Plan'> }>(`plans/${plan}`);
	const { checkpoint } = await api.post<{ checkpoint: Schema<'Checkpoint'> }>(
		`providers/${p.provider_id}/checkpoints`,
		{ checkpoint: { plan_id: plan } },
	);
	toast('success', t('overview.mend.started', { name: p.name }));
	if (checkpoint.operation_id) changed('operations');
}

function mendOf({ kind, subject: s }: Item): Mend {
	switch (kind) {
		case 'resources_unprotected':
			return {
				text: t('overview.mend.protect'),
				run: () => go('/resources', { protection: 'unprotected' }),
				writes: false,
			};
		case 'plan_failing':
		case 'plan_late':
			return { text: t('overview.mend.backUp'), run: () => backUp(s.id), writes: true };
		case 'platform_error':
			return { text: t('overview.mend.again'), run: () => api.post(`platforms/${s.id}/discover`), writes: true };
		case 'target_error':
			return { text: t('overview.mend.again'), run: () => api.post(`targets/${s.id}/check`), writes: true };
		case 'checkpoint_damaged':
			return { text: t('overview.mend.look'), run: () => go('/checkpoints', { id: s.id }), writes: false };
		case 'target_full':
		case 'target_damaged':
			return { text: t('overview.mend.look'), run: () => go(`/targets/${s.id}`), writes: false };
	}
}

function placeOf({ subject: s }: Item): string | undefined {
	switch (s.type) {
		case 'plan':
			return `/plans/${s.id}`;
		case 'target':
			return `/targets/${s.id}`;
		case 'platform':
			return '/platforms';
		default:
			return undefined;
	}
}

function Row({ item }: { item: Item }) {
	const { canWrite } = useSession();
	const [busy, setBusy] = useState(false);
	const mend = mendOf(item);
	const place = placeOf(item);
	const run = async () => {
		setBusy(true);
		try {
			await mend.run();
		} catch (e) {
			toastError(t('overview.mend.failed'), e);
		}
		setBusy(false);
	};
	const bad = item.severity === 'error';
	return (
		<li>
			<span
				className={bad ? 'hf-icon-bad' : 'hf-icon-warn'}
				role="img"
				aria-label={t(bad ? 'overview.error' : 'overview.warning')}
			>
				{bad ? <ExclamationCircleIcon /> : <ExclamationTriangleIcon />}
			</span>
			<div className="hf-attention-text">
				<p>{place ? <a href={`#${place}`}>{item.text}</a> : item.text}</p>
				<p className="hf-small">{item.action}</p>
			</div>
			{(canWrite || !mend.writes) && (
				<Button variant="secondary" size="sm" isLoading={busy} isDisabled={busy} onClick={() => void run()}>
					{mend.text}
				</Button>
			)}
		</li>
	);
}

export function Attention({ items }: { items: Item[] }) {
	const [all, showAll] = useState(false);
	if (!items.length)
		return (
			<p className="hf-fine">
				<CheckCircleIcon className="hf-icon-good" /> {t('overview.nothing')}
			</p>
		);
	const shown = all ? items : items.slice(0, SHOWN);
	return (
		<>
			<ul className="hf-attention">
				{shown.map((i) => (
					<Row key={`${i.kind} ${i.subject.id}`} item={i} />
				))}
			</ul>
			{items.length > shown.length && (
				<Button variant="link" isInline onClick={() => showAll(true)}>
					{tn('overview.more', items.length - shown.length)}
				</Button>
			)}
		</>
	);
}
