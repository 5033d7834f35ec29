// SPDX-License-Identifier: Apache-2.0
// Who is logged in, in which project, and what may be done there.
import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';
import { api, ApiError, setProject, setUnauthorized, type Answer, type Schema } from '../api/client';
import { forget, listen } from '../live/store';

export type Identity = Schema<'Identity'>;

export interface Session {
	identity: Identity;
	project: { id: string; name: string };
	chooseProject: (id: string) => void;
	logout: () => Promise<void>;
	/** May change things of this project. The server decides; this only says what is worth offering. */
	canWrite: boolean;
	canProtect: boolean;
	canRestore: boolean;
	/** May look after what others use: targets, providers, platforms. */
	canCare: boolean;
	/** The same for what belongs to no project: movers, services. */
	canCareEverywhere: boolean;
	/** May look at what belongs to no project. */
	canWatchEverywhere: boolean;
	/** May look after users and projects, and say what movers talk to. */
	isAdmin: boolean;
}

const Context = createContext<Session | null>(null);
const KEY = 'holdfast.project';

export function useSession(): Session {
	const s = useContext(Context);
	if (!s) throw new Error('there is no session here');
	return s;
}

function remembered(): string | null {
	try {
		return localStorage.getItem(KEY);
	} catch {
		return null;
	}
}

function remember(id: string): void {
	try {
		localStorage.setItem(KEY, id);
	} catch {
		/* a browser that keeps nothing */
	}
}

function projectOf(i: Identity): { id: string; name: string } {
	const wanted = remembered();
	const known = i.projects.find((p) => p.id === wanted && (i.admin || p.id === i.project_id || !i.project_id));
	return (
		known ??
		i.projects.find((p) => p.id === i.project_id) ??
		i.projects[0] ?? { id: i.project_id, name: i.project_id }
	);
}

export type State =
	| { kind: 'asking' }
	| { kind: 'out'; expired: boolean }
	| { kind: 'in'; identity: Identity }
	| { kind: 'failed'; error: ApiError };

export function useSessionState(): { state: State; ask: () => Promise<void>; setOut: () => void } {
	const [state, set] = useState<State>({ kind: 'asking' });
	const ask = useCallback(async () => {
		try {
			const { identity } = await api.get<Answer<'getIdentity'>>('/identity', undefined, { quiet: true });
			set({ kind: 'in', identity });
		} catch (e) {
			const error = e instanceof ApiError ? e : new ApiError(0, String(e));
			set(error.status === 401 ? { kind: 'out', expired: false } : { kind: 'failed', error });
		}
	}, []);
	const setOut = useCallback(() => {
		listen(false);
		forget();
		set({ kind: 'out', expired: false });
	}, []);
	useEffect(() => {
		setUnauthorized(() => {
			listen(false);
			set((s) => (s.kind === 'in' ? { kind: 'out', expired: true } : s));
		});
		void ask();
	}, [ask]);
	return { state, ask, setOut };
}

const WRITERS = ['admin', 'operator', 'member'];
const CARERS = ['admin', 'operator'];

export function SessionProvider({
	identity,
	onOut,
	children,
}: {
	identity: Identity;
	onOut: () => void;
	children: ReactNode;
}) {
	const [chosen, choose] = useState(() => {
		const p = projectOf(identity);
		setProject(p.id);
		return p;
	});
	useEffect(() => {
		listen(true);
		return () => listen(false);
	}, [chosen.id]);
	const session = useMemo<Session>(() => {
		const here = identity.projects.find((p) => p.id === chosen.id)?.roles ?? identity.roles;
		const roles = new Set<string>([...here, ...identity.everywhere]);
		const canWrite = identity.admin || WRITERS.some((r) => roles.has(r));
		return {
			identity,
			project: chosen,
			canWrite,
			canCare: identity.admin || CARERS.some((r) => roles.has(r)),
			canCareEverywhere: identity.admin || CARERS.some((r) => identity.everywhere.includes(r)),
			canWatchEverywhere: identity.admin || [...CARERS, 'viewer'].some((r) => identity.everywhere.includes(r)),
			canProtect: canWrite || roles.has('backup-only'),
			canRestore: canWrite || roles.has('restore-only'),
			isAdmin: identity.admin,
			chooseProject: (id) => {
				const p = identity.projects.find((x) => x.id === id);
				if (!p) return;
				remember(id);
				forget();
				setProject(id);
				choose(p);
			},
			logout: async () => {
				await api.post('/logout').catch(() => undefined);
				onOut();
			},
		};
	}, [identity, chosen, onOut]);
	return <Context.Provider value={session}>{children}</Context.Provider>;
}
