// SPDX-License-Identifier: Apache-2.0
// The log of an operation, as it is written.
import { Switch } from '@patternfly/react-core';
import { useEffect, useRef, useState } from 'react';
import { api, type Schema } from '../../api/client';
import { t } from '../../texts';

type Line = Schema<'LogLine'>;
const PAGE = 1000; // lines of an answer
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

/** `revision`: grows with each change of the operation; then it is looked whether there are more lines. */
export function useLog(id: string, revision: number | undefined): Line[] {
	const [lines, set] = useState<Line[]>([]);
	const last = useRef(0);
	useEffect(() => {
		const abort = new AbortController();
		const read = async () => {
			for (let more = true; more;) {
				const { log } = await api.get<{ log: Line[] }>(
					`operations/${id}/log`,
					{ after: last.current },
					{ signal: abort.signal },
				);
				if (abort.signal.aborted) return;
				last.current = log[log.length - 1]?.seq ?? last.current;
				if (log.length)
					set((known) => [...known, ...log.filter((l) => l.seq > (known[known.length - 1]?.seq ?? 0))]);
				more = log.length >= PAGE;
			}
		};
		// What cannot be read now is read with the next change.
		read().catch(() => undefined);
		return () => abort.abort();
	}, [id, revision]);
	return lines;
}

export function Log({ lines, step, names }: { lines: Line[]; step: string | null; names: Map<string, string> }) {
	const [follow, setFollow] = useState(true);
	const box = useRef<HTMLDivElement>(null);
	const shown = step ? lines.filter((l) => l.step === step) : lines;
	useEffect(() => {
		if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
	}, [follow, shown.length]);
	return (
		<div className="hf-log-frame">
			<Switch
				id="follow"
				label={t('operations.follow')}
				isChecked={follow}
				onChange={(_, on) => setFollow(on)}
				isReversed
			/>
			<div className="hf-log" ref={box} role="log" aria-label={t('operations.log')} tabIndex={0}>
				{shown.length === 0 && <p className="hf-none">{t('operations.noLog')}</p>}
				{shown.map((l) => (
					<div key={l.seq} className={`hf-log-line hf-log-${l.level}`}>
						<time dateTime={l.at}>{clock.format(new Date(l.at))}</time>
						{l.step && <span className="hf-log-step">{names.get(l.step)}</span>}
						<span>{l.text}</span>
					</div>
				))}
			</div>
		</div>
	);
}
