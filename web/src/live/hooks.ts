// SPDX-License-Identifier: Apache-2.0
// What a page shows of the server: asked for when it appears, kept up to date while it is there.
import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { currentProject, type Query } from '../api/client';
import * as store from './store';

export interface Live<T> extends store.Entry<T> {
	reload: () => void;
}

/**
 * The answer to GET of a path. `watch`: kinds of things ('checkpoints') besides those in the path that change it.
 * `path` null: nothing is asked. `apart`: so many ms at least between two requests, for what costs the server more.
 */
export function useGet<T>(path: string | null, query?: Query, watch?: readonly string[], apart?: number): Live<T> {
	const key = path === null ? '' : JSON.stringify([currentProject(), path, query ?? {}]);
	// eslint-disable-next-line: the key stands for path and query
	const slot = useMemo(() => (path === null ? null : store.slotOf(path, query, watch, apart)), [key]);
	const subscribe = useCallback((fn: () => void) => (slot ? store.subscribe(slot, fn) : () => undefined), [slot]);
	const entry = useSyncExternalStore(subscribe, () => (slot ? slot.entry : NOTHING)) as store.Entry<T>;
	return useMemo(() => ({ ...entry, reload: () => slot && store.reload(slot) }), [entry, slot]);
}

const NOTHING: store.Entry = { data: undefined, error: undefined, loading: false };

export interface LiveList<T> extends Live<object> {
	items: T[];
	/** Marker of the next page; undefined: this is the last one. */
	next: string | undefined;
}

/** A page of a list: {item: […], item_links: […]}; `item` is its key, such as 'plans'. */
export function useList<T extends { id?: string }>(
	path: string | null,
	item: string,
	query?: Query,
	watch?: readonly string[],
	apart?: number,
): LiveList<T> {
	const live = useGet<Record<string, unknown>>(path, query, watch, apart);
	return useMemo(() => {
		const links = live.data?.[`${item}_links`] as { rel: string; href: string }[] | undefined;
		const href = links?.find((l) => l.rel === 'next')?.href;
		const next = href ? (new URL(href, document.baseURI).searchParams.get('marker') ?? undefined) : undefined;
		return { ...live, items: (live.data?.[item] as T[] | undefined) ?? [], next };
	}, [live, item]);
}

/** The one thing of an answer: {plan: {…}}. */
export function useOne<T>(path: string | null, item: string, watch?: readonly string[]): Live<T> {
	const live = useGet<Record<string, T>>(path, undefined, watch);
	return useMemo(() => ({ ...live, data: live.data?.[item] }), [live, item]);
}

/** An operation as the events tell it, with its progress; undefined until the first event. */
export function useOperation(id: string | undefined): store.Operation | undefined {
	const [now, set] = useState(() => (id ? store.operationOf(id) : undefined));
	useEffect(() => {
		set(id ? store.operationOf(id) : undefined);
		return store.onOperation((o) => {
			if (o.id === id) set(o);
		});
	}, [id]);
	return now;
}

/** false while the stream of events is interrupted. */
export function useConnected(): boolean {
	return useSyncExternalStore(store.onConnection, store.isConnected);
}
