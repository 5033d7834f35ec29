// SPDX-License-Identifier: Apache-2.0
// Looking at platforms once, before something is proposed that depends on what is there now.
import { useEffect, useState } from 'react';
import { api, type Answer } from '../api/client';
import { onOperation, operationOf, type Operation } from './store';

const PATIENCE_MS = 15000;

const isOver = (o: Operation | undefined): boolean =>
	o !== undefined && ['succeeded', 'failed', 'cancelled'].includes(o.state);

function over(id: string): Promise<void> {
	return new Promise((done) => {
		if (isOver(operationOf(id))) return done();
		const end = () => {
			forget();
			clearTimeout(timer);
			done();
		};
		const forget = onOperation((o) => {
			if (o.id === id && isOver(o)) end();
		});
		const timer = setTimeout(end, PATIENCE_MS);
	});
}

// Who may not, and a platform that is not there or does not answer, leave what is known already.
async function look(platform: string): Promise<void> {
	try {
		await over((await api.post<Answer<'discoverPlatform'>>(`platforms/${platform}/discover`)).operation_id);
	} catch {
		return;
	}
}

/** True once each of them was looked at, or could not be. `platforms` undefined: it is not known yet which. */
export function useLook(platforms: readonly string[] | undefined): boolean {
	const [looked, set] = useState(false);
	const key = platforms?.join();
	useEffect(() => {
		if (key === undefined) return undefined;
		let gone = false;
		void Promise.all(key.split(',').filter(Boolean).map(look)).then(() => {
			if (!gone) set(true);
		});
		return () => {
			gone = true;
		};
	}, [key]);
	return looked;
}
