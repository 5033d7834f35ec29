// SPDX-License-Identifier: Apache-2.0
// Where we are is in the URL after the #: '#/operations?state=failed'. Filters, sorting and pages are in its query, so
// that every view can be linked to and Back does what people expect.
import { useMemo, useSyncExternalStore, type AnchorHTMLAttributes, type ReactNode } from 'react';
import type { Query } from '../api/client';

export interface Place {
	path: string; // '/plans/ID'
	parts: string[]; // ['plans', 'ID']
	query: URLSearchParams;
}

/** Of the query; null takes a name out. */
export type Changes = Query;

function read(): string {
	return window.location.hash.replace(/^#/, '') || '/';
}

export function parse(text: string): Place {
	const at = text.indexOf('?');
	const path = at < 0 ? text : text.slice(0, at);
	const decode = (p: string) => {
		try {
			return decodeURIComponent(p);
		} catch {
			return p;
		}
	};
	return {
		path,
		parts: path.split('/').filter(Boolean).map(decode),
		query: new URLSearchParams(at < 0 ? '' : text.slice(at + 1)),
	};
}

const listeners = new Set<() => void>();
const tell = () => listeners.forEach((fn) => fn());
window.addEventListener('hashchange', tell);
window.addEventListener('popstate', tell);

function subscribe(fn: () => void): () => void {
	listeners.add(fn);
	return () => listeners.delete(fn);
}

export function usePlace(): Place {
	const text = useSyncExternalStore(subscribe, read);
	return useMemo(() => parse(text), [text]);
}

/** '/plans' and {status: 'started'} to '#/plans?status=started'. What is null or empty is left out. */
export function href(path: string, query?: Changes): string {
	const q = new URLSearchParams();
	for (const [k, v] of Object.entries(query ?? {}))
		if (v !== null && v !== undefined && v !== '') q.set(k, String(v));
	return `#${path}${q.size ? `?${q}` : ''}`;
}

export function go(path: string, query?: Changes): void {
	window.location.hash = href(path, query);
}

/** Change the query of where we are; null takes a name out. Does not make a step in the history. */
export function setQuery(changes: Changes): void {
	const { path, query } = parse(read());
	const all: Changes = { ...Object.fromEntries(query), ...changes };
	window.history.replaceState(null, '', href(path, all));
	tell();
}

export function Link({
	to,
	query,
	children,
	...rest
}: { to: string; query?: Changes; children?: ReactNode } & AnchorHTMLAttributes<HTMLAnchorElement>) {
	return (
		<a href={href(to, query)} {...rest}>
			{children}
		</a>
	);
}
