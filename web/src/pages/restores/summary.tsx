// SPDX-License-Identifier: Apache-2.0
// What a restore will do, in words, and what was checked before it starts.
import { Content } from '@patternfly/react-core';
import CheckCircleIcon from '@patternfly/react-icons/dist/esm/icons/check-circle-icon';
import ExclamationCircleIcon from '@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon';
import ExclamationTriangleIcon from '@patternfly/react-icons/dist/esm/icons/exclamation-triangle-icon';
import type { ReactNode } from 'react';
import { moment } from '../../parts/dates';
import { bytes } from '../../parts/format';
import { t } from '../../texts';
import type { Checkpoint } from '../checkpoints/model';
import { chosenOf, keyOf, mapped, platformFor, sumOf, type Around, type Check, type Draft } from './model';

const ICONS = { good: CheckCircleIcon, warn: ExclamationTriangleIcon, bad: ExclamationCircleIcon };

export function Checks({ checks }: { checks: readonly Check[] }) {
	return (
		<ul className="hf-checks">
			{checks.map((c) => {
				const Icon = ICONS[c.tone];
				return (
					<li key={c.text} className={`hf-check-${c.tone}`}>
						<Icon aria-label={t(`restores.tone.${c.tone}`)} /> <span>{c.text}</span>
					</li>
				);
			})}
		</ul>
	);
}

// What will happen, sentence by sentence, in the order in which it does.
function wordsOf(of: Checkpoint, draft: Draft, around: Around): string[] {
	const sum = sumOf(of, draft);
	const when = moment(of.instant_at ?? of.started_at);
	const chosen = chosenOf(of, draft);
	const start = t(`restores.will.start.${draft.start}`);
	if (draft.mode === 'in_place')
		return [
			...(draft.stop ? [t('restores.will.stop')] : []),
			...chosen.map((r) => t('restores.will.replace', { name: r.name, when })),
			t('restores.will.lost', { when }),
			start,
		];
	return [
		...chosen.map((r) =>
			t('restores.will.make', {
				name: r.name,
				as: draft.machines[keyOf(r)]?.name.trim() || r.name,
				platform: platformFor(r, draft, around)?.name ?? '–',
				when,
			}),
		),
		t(`restores.will.disks.${draft.storage}`, { disks: sum.disks, size: bytes(sum.bytes), place: draft.place }),
		...mapped(draft).map((n) => t('restores.will.network', n)),
		t(draft.keepIdentity ? 'restores.will.keep' : 'restores.will.fresh'),
		start,
		t('restores.will.undo'),
	];
}

export function Summary({
	of,
	draft,
	checks,
	around,
	same,
}: {
	of: Checkpoint;
	draft: Draft;
	checks: readonly Check[];
	around: Around;
	same: ReactNode;
}) {
	return (
		<>
			<div className="hf-title">
				<Content component="h2">{t('restores.summary')}</Content>
				{same}
			</div>
			<ol className="hf-list">
				{wordsOf(of, draft, around).map((w) => (
					<li key={w}>{w}</li>
				))}
			</ol>
			<Content component="h2">{t('restores.checks')}</Content>
			<Checks checks={checks} />
		</>
	);
}
