// SPDX-License-Identifier: Apache-2.0
// How many resources are protected, late, failing, unprotected: as a ring with the numbers beside it, and for each
// platform a bar.
import type { Schema } from '../../api/client';
import { Link } from '../../app/router';
import { StateLabel } from '../../parts/state';
import { t, tn, tx } from '../../texts';

type Counts = Schema<'ProtectionCounts'>;

const STATES = ['protected', 'late', 'failing', 'unprotected', 'excluded'] as const;
const RADIUS = 42;
const ROUND = 2 * Math.PI * RADIUS;

function wordsOf(counts: Counts): string {
	return STATES.filter((s) => counts[s])
		.map((s) => `${tx('state', s)}: ${counts[s]}`)
		.join(', ');
}

function Ring({ counts }: { counts: Counts }) {
	let from = 0;
	// Those that somebody left out on purpose lower nothing.
	const wanted = counts.total - counts.excluded;
	const share = wanted ? Math.floor((counts.protected / wanted) * 100) : 0;
	return (
		<svg className="hf-ring" viewBox="0 0 100 100" role="img" aria-label={wordsOf(counts)}>
			<circle cx="50" cy="50" r={RADIUS} className="hf-ring-back" />
			{STATES.map((s) => {
				const length = counts.total ? (counts[s] / counts.total) * ROUND : 0;
				const at = from;
				from += length;
				return length ? (
					<circle
						key={s}
						cx="50"
						cy="50"
						r={RADIUS}
						className={`hf-ring-part hf-is-${s}`}
						strokeDasharray={`${Math.max(0, length - 1.2)} ${ROUND}`}
						strokeDashoffset={-at}
					/>
				) : null;
			})}
			<text x="50" y="50" className="hf-ring-number">
				{t('overview.percent', { n: share })}
			</text>
			<text x="50" y="64" className="hf-ring-word">
				{t('overview.isProtected')}
			</text>
		</svg>
	);
}

export function Protection({ counts }: { counts: Counts }) {
	return (
		<div className="hf-protection">
			<Ring counts={counts} />
			<ul className="hf-counts">
				{STATES.filter((s) => s !== 'excluded' || counts.excluded).map((s) => (
					<li key={s}>
						<Link to="/resources" query={{ protection: s }}>
							<span className={`hf-dot hf-is-${s}`} aria-hidden="true" />
							<span className="hf-counts-word">{tx('state', s)}</span>
							<strong className="hf-number">{counts[s].toLocaleString()}</strong>
						</Link>
					</li>
				))}
				<li className="hf-counts-sum">
					<Link to="/resources">
						<span className="hf-counts-word">{t('overview.all')}</span>
						<strong className="hf-number">{counts.total.toLocaleString()}</strong>
					</Link>
				</li>
			</ul>
		</div>
	);
}

export function Platforms({
	platforms,
}: {
	platforms: { id: string; name: string; status: string; resources: Counts }[];
}) {
	return (
		<ul className="hf-lines">
			{platforms.map((p) => (
				<li key={p.id}>
					<div className="hf-row-head">
						<Link to="/resources" query={{ platform_id: p.id }}>
							{p.name}
						</Link>
						{p.status === 'error' && <StateLabel state="error" />}
						<span className="hf-small hf-row-end">{tn('overview.machines', p.resources.total)}</span>
					</div>
					<div className="hf-share" role="img" aria-label={wordsOf(p.resources)} title={wordsOf(p.resources)}>
						{STATES.map((s) =>
							p.resources[s] ? (
								<span key={s} className={`hf-is-${s}`} style={{ flexGrow: p.resources[s] }} />
							) : null,
						)}
					</div>
				</li>
			))}
		</ul>
	);
}
