// SPDX-License-Identifier: Apache-2.0
// What a restore will do, in words, and what was checked before it starts.
import { Content } from '@patternfly/react-core';
import CheckCircleIcon from '@patternfly/react-icons/dist/esm/icons/check-circle-icon';
import ExclamationCircleIcon from '@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon';
import ExclamationTriangleIcon from '@patternfly/react-icons/dist/esm/icons/exclamation-triangle-icon';
import { moment } from '../../parts/dates';
import { Facts } from '../../parts/facts';
import { bytes } from '../../parts/format';
import { t } from '../../texts';
import type { Checkpoint } from '../checkpoints/model';
import { chosenOf, keyOf, sumOf, type Around, type Check, type Draft } from './model';

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

export function Summary({
	of,
	draft,
	checks,
	around,
}: {
	of: Checkpoint;
	draft: Draft;
	checks: readonly Check[];
	around: Around;
}) {
	const sum = sumOf(of, draft);
	const inPlace = draft.mode === 'in_place';
	const platform = around.platforms.find((p) => p.id === draft.platform)?.name ?? t('restores.platformSame');
	const rows: [string, string][] = [
		[t('restores.from'), moment(of.instant_at ?? of.started_at)],
		[t('restores.what'), t('restores.sum', { machines: sum.machines, disks: sum.disks, size: bytes(sum.bytes) })],
		[t('restores.mode'), t(inPlace ? 'restores.modeInPlace' : 'restores.modeNew')],
		...(inPlace
			? []
			: ([
					[t('restores.platform'), platform],
					[t('restores.storage'), draft.storage === 'as_was' ? t('restores.storage.as_was') : draft.place],
				] as [string, string][])),
		[t('restores.start'), t(`restores.start.${draft.start}`)],
	];
	return (
		<>
			<Content component="h2">{t('restores.checks')}</Content>
			<Checks checks={checks} />
			<Content component="h2">{t('restores.summary')}</Content>
			<Facts rows={rows} />
			<ul className="hf-list">
				{chosenOf(of, draft).map((r) => (
					<li key={r.id}>
						{inPlace
							? t('restores.willReplace', { name: r.name })
							: t('restores.willMake', {
									name: r.name,
									as: draft.machines[keyOf(r)]?.name.trim() || r.name,
								})}
					</li>
				))}
			</ul>
		</>
	);
}
