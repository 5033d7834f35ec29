// SPDX-License-Identifier: Apache-2.0
// What runs now, as it goes on.
import { useEffect, useState } from 'react';
import type { Schema } from '../../api/client';
import { Link } from '../../app/router';
import { onOperation, type Operation } from '../../live/store';
import { Between } from '../../parts/format';
import { OperationProgress } from '../../parts/progress';
import { StateLabel } from '../../parts/state';
import { t, tn } from '../../texts';

const SHOWN = 5;
const ENDED = ['succeeded', 'failed', 'cancelled'];

// An event comes before the overview that counts it: what it says of the state holds at once.
function useStates(operations: Schema<'Operation'>[]): Map<string, Operation> {
	const [states, set] = useState<Map<string, Operation>>(new Map());
	useEffect(() => onOperation((o) => set((m) => new Map(m).set(o.id, o))), []);
	useEffect(() => set((m) => new Map([...m].filter(([id]) => operations.some((o) => o.id === id)))), [operations]);
	return states;
}

export function Running({ operations }: { operations: Schema<'Operation'>[] }) {
	const states = useStates(operations);
	const live = operations.filter((o) => !ENDED.includes(states.get(o.id)?.state ?? o.state));
	if (!live.length) return <p className="hf-fine hf-none">{t('overview.idle')}</p>;
	return (
		<>
			<ul className="hf-lines">
				{live.slice(0, SHOWN).map((o) => (
					<li key={o.id}>
						<div className="hf-row-head">
							<Link to={`/operations/${o.id}`}>{o.name}</Link>
							<span className="hf-small hf-row-end">
								{o.state === 'running' ? (
									<Between from={o.started_at} />
								) : (
									<StateLabel state={o.state} />
								)}
							</span>
						</div>
						<OperationProgress operation={o} label={o.name} isCompact />
					</li>
				))}
			</ul>
			{live.length > SHOWN && (
				<Link to="/operations" query={{ live: 'true' }}>
					{tn('overview.more', live.length - SHOWN)}
				</Link>
			)}
		</>
	);
}
