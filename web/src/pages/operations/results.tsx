// SPDX-License-Identifier: Apache-2.0
// What steps found that verified a target or gave back its space.
import { Alert } from '@patternfly/react-core';
import type { ReactNode } from 'react';
import type { Schema } from '../../api/client';
import { Facts } from '../../parts/facts';
import { Bytes, Time } from '../../parts/format';
import { t, tx } from '../../texts';
import type { Step } from './graph';

type Verified = Schema<'VerifiedTarget'>;
type Collected = Schema<'CollectedTarget'>;

const count = (n: number | undefined): ReactNode => n?.toLocaleString();

// Rows without a value are left out: each depth has its own.
function known(rows: [string, ReactNode][]): [string, ReactNode][] {
	return rows.filter(([, value]) => value !== undefined && value !== null);
}

function VerifiedFacts({ of }: { of: Verified }) {
	const hurt = (of.damaged_objects ?? 0) + (of.damaged_checkpoints ?? 0) + (of.damaged_ranges ?? 0) > 0;
	return (
		<>
			<Alert
				className="hf-gap-after"
				variant={hurt ? 'danger' : 'success'}
				isInline
				title={t(hurt ? 'results.damaged' : 'results.whole')}
				component="p"
			>
				{of.findings.length > 0 && (
					<ul className="hf-rows">
						{of.findings.map((f, i) => (
							<li key={i}>
								<span>
									{f.message}
									{f.resource && (
										<span className="hf-small hf-listed">
											{[f.resource, f.disk].filter(Boolean).join(' · ')}
										</span>
									)}
								</span>
								{f.parity_mends && <span className="hf-small">{t('results.parityMends')}</span>}
							</li>
						))}
					</ul>
				)}
			</Alert>
			<Facts
				rows={known([
					[t('results.depth'), tx('targets.depth', of.depth)],
					[t('results.read'), <Bytes key="read" n={of.read_bytes} />],
					[t('results.objects'), count(of.objects)],
					[t('results.damagedObjects'), count(of.damaged_objects)],
					[t('results.passed'), count(of.passed_objects)],
					[t('results.due'), count(of.due_objects)],
					[t('results.oldest'), of.oldest_at && <Time at={of.oldest_at} />],
					[t('results.checkpoints'), count(of.checkpoints)],
					[t('results.damagedCheckpoints'), count(of.damaged_checkpoints)],
				])}
			/>
		</>
	);
}

function CollectedFacts({ of }: { of: Collected }) {
	const removed = of.removed_bytes - of.copied_bytes;
	return (
		<>
			{of.dry_run && (
				<Alert className="hf-gap-after" variant="info" isInline title={t('results.dry')} component="p" />
			)}
			<Facts
				rows={known([
					[t(of.dry_run ? 'results.wouldGo' : 'results.went'), <Bytes key="went" n={Math.max(0, removed)} />],
					[
						t('results.packs'),
						t('results.packsOf', { n: of.removed_packs.toLocaleString(), all: of.packs.toLocaleString() }),
					],
					[t('results.needed'), <Bytes key="needed" n={of.needed_bytes} />],
					[t('results.copied'), <Bytes key="copied" n={of.copied_bytes} />],
					[t('results.checkpoints'), count(of.checkpoints)],
					[t('results.unfinished'), count(of.unfinished_packs || undefined)],
					[t('results.locked'), count(of.locked_packs || undefined)],
					[t('results.kept'), count(of.kept_packs || undefined)],
				])}
			/>
		</>
	);
}

export function hasResults(steps: Step[]): boolean {
	return steps.some((s) => s.result);
}

export function Results({ steps }: { steps: Step[] }) {
	const told = steps.flatMap(({ id, name, result }) => (result ? [{ id, name, result }] : []));
	return (
		<div className="hf-stack">
			{told.map(({ id, name, result }) => (
				<section key={id} aria-label={name}>
					{told.length > 1 && <h3 className="hf-label">{name}</h3>}
					{'depth' in result ? <VerifiedFacts of={result} /> : <CollectedFacts of={result} />}
				</section>
			))}
		</div>
	);
}
