// SPDX-License-Identifier: Apache-2.0
// What the server has, as far as it is on the screen, kept up to date by the server's stream of events: no polling.
//
// Each answer is an entry, by its path and query. An event says that something changed; entries that show it are asked
// for again (with their ETag, so that an answer that is the same costs nothing), at most once a second each. Events of
// operations hold the operation itself, so progress is patched into what is shown without asking. After a lost
// connection everything is asked for again.
import { api, ApiError, apiPath, type Query, type Schema } from '../api/client';

export interface Entry<T = unknown> {
	data: T | undefined;
	error: ApiError | undefined;
	loading: boolean;
}

interface Slot {
	path: string;
	query: Query | undefined;
	kinds: Set<string>;
	entry: Entry;
	etag: string | null;
	listeners: Set<() => void>;
	asked: number; // when it was last asked for
	apart: number; // it is not asked for again earlier than so many ms after that
	timer: ReturnType<typeof setTimeout> | undefined;
	abort: AbortController | undefined;
	stale: boolean;
}

const EMPTY: Entry = { data: undefined, error: undefined, loading: true };
const APART_MS = 1000;
const KEPT_MS = 60000; // an entry that nothing shows any more
const slots = new Map<string, Slot>();

export type Operation = Partial<Schema<'OperationDetail'>> & Pick<Schema<'OperationDetail'>, 'id' | 'state' | 'kind'>;
const operations = new Map<string, Operation>();
const operationListeners = new Set<(o: Operation) => void>();

// 'providers/ID/checkpoints' shows checkpoints; 'targets/ID' shows targets.
export function kindsOf(path: string): string[] {
	return path.split('/').filter((p) => /^[a-z_-]{3,}$/.test(p));
}

function tell(s: Slot, change: Partial<Entry>): void {
	s.entry = { ...s.entry, ...change };
	s.listeners.forEach((fn) => fn());
}

async function load(s: Slot): Promise<void> {
	s.asked = Date.now();
	s.stale = false;
	s.abort?.abort();
	s.abort = new AbortController();
	const { signal } = s.abort;
	try {
		const r = await api.fetch<unknown>(s.path, s.query, s.entry.data === undefined ? null : s.etag, signal);
		if (signal.aborted) return;
		if (r.status !== 304) s.etag = r.etag;
		tell(
			s,
			r.status === 304
				? { error: undefined, loading: false }
				: { data: r.body, error: undefined, loading: false },
		);
	} catch (e) {
		if (!signal.aborted) tell(s, { error: e instanceof ApiError ? e : new ApiError(0, String(e)), loading: false });
	}
}

function refresh(s: Slot, atOnce = false): void {
	s.stale = true;
	if (!s.listeners.size || (s.timer && !atOnce)) return;
	clearTimeout(s.timer);
	const wait = atOnce ? 0 : Math.max(0, s.asked + s.apart - Date.now());
	s.timer = setTimeout(() => {
		s.timer = undefined;
		if (s.listeners.size) void load(s);
	}, wait);
}

export function slotOf(path: string, query?: Query, watch?: readonly string[], apart = APART_MS): Slot {
	const key = apiPath(path, query);
	let s = slots.get(key);
	if (!s) {
		s = {
			path,
			query,
			kinds: new Set([...kindsOf(path), ...(watch ?? [])]),
			entry: EMPTY,
			etag: null,
			listeners: new Set(),
			asked: 0,
			apart,
			timer: undefined,
			abort: undefined,
			stale: true,
		};
		slots.set(key, s);
	}
	return s;
}

export function subscribe(s: Slot, fn: () => void): () => void {
	s.listeners.add(fn);
	if (s.stale) refresh(s, s.listeners.size === 1);
	return () => {
		s.listeners.delete(fn);
		if (s.listeners.size) return;
		setTimeout(() => {
			if (!s.listeners.size) slots.delete(apiPath(s.path, s.query));
		}, KEPT_MS);
	};
}

export function reload(s: Slot): void {
	refresh(s, true);
}

/** After a change of our own: what shows one of these kinds ('plans') is asked for again; without kinds, everything. */
export function changed(...kinds: string[]): void {
	for (const s of slots.values()) if (!kinds.length || kinds.some((k) => s.kinds.has(k))) refresh(s, true);
}

function touched(kinds: string[]): void {
	for (const s of slots.values()) if (kinds.some((k) => s.kinds.has(k))) refresh(s);
}

/** Another project or another user: nothing is known. */
export function forget(): void {
	for (const s of slots.values()) {
		s.abort?.abort();
		clearTimeout(s.timer);
	}
	slots.clear();
	operations.clear();
}

// ---- events

// What may look different when an operation began or ended, beside operations.
function touchedBy(before: Operation | undefined, now: Operation): boolean {
	return before?.state !== now.state || before?.cancel_asked !== now.cancel_asked;
}

function patchList(data: unknown, o: Operation): unknown {
	if (!data || typeof data !== 'object') return data;
	const { operations: list, operation: one } = data as { operations?: Operation[]; operation?: Operation };
	if (one?.id === o.id) return { ...data, operation: { ...one, ...o } };
	if (list?.some((x) => x.id === o.id))
		return { ...data, operations: list.map((x) => (x.id === o.id ? { ...x, ...o } : x)) };
	return data;
}

export function tookOperation(o: Operation): void {
	const before = operations.get(o.id);
	operations.set(o.id, o);
	operationListeners.forEach((fn) => fn(o));
	const moved = touchedBy(before, o);
	for (const s of slots.values()) {
		const data = patchList(s.entry.data, o);
		if (data !== s.entry.data) tell(s, { data });
		// The operation's own page: its steps and log are not in the event. Others: only when something began or ended.
		if (moved || s.path.includes(o.id)) refresh(s);
	}
}

export function operationOf(id: string): Operation | undefined {
	return operations.get(id);
}

export function onOperation(fn: (o: Operation) => void): () => void {
	operationListeners.add(fn);
	return () => operationListeners.delete(fn);
}

let source: EventSource | undefined;
let lost = false;
const connectionListeners = new Set<() => void>();

export function isConnected(): boolean {
	return !lost;
}

export function onConnection(fn: () => void): () => void {
	connectionListeners.add(fn);
	return () => connectionListeners.delete(fn);
}

function setLost(value: boolean): void {
	if (lost === value) return;
	lost = value;
	connectionListeners.forEach((fn) => fn());
}

/** Listen to the events of the project; ends when called again, or with listen(false). */
export function listen(on: boolean): void {
	source?.close();
	source = undefined;
	lost = false;
	if (!on) return;
	let again: ReturnType<typeof setTimeout> | undefined;
	const open = () => {
		const s = new EventSource(apiPath('events'));
		source = s;
		s.onopen = () => {
			if (lost) changed();
			setLost(false);
		};
		s.onerror = () => {
			if (source !== s) return;
			setLost(true);
			// A refused request closes it for good (a restart behind a proxy, a session that ended): ask who we are,
			// try again.
			if (s.readyState === EventSource.CLOSED && !again)
				again = setTimeout(() => {
					again = undefined;
					if (source === s) api.get('/identity').then(open, open);
				}, 3000);
		};
		s.addEventListener('operation', (e) =>
			tookOperation((JSON.parse(e.data as string) as { operation: Operation }).operation),
		);
		// Whatever somebody changed is in the audit log, too.
		s.addEventListener('changed', (e) =>
			touched([...(JSON.parse(e.data as string) as { kinds: string[] }).kinds, 'audit']),
		);
	};
	open();
}
