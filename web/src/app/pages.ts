// SPDX-License-Identifier: Apache-2.0
// Every page: where it is, what it is called, and the file that it is in, which is loaded when it is first opened.
import type { ComponentType } from 'react';
import type { Key } from '../texts';

export type Params = Record<string, string>;
export type PageComponent = ComponentType<{ params: Params }>;

export interface Page {
	/** '/plans/:id': what begins with a colon is given to the page. The first that fits is taken. */
	path: string;
	title: Key;
	load: () => Promise<{ default: PageComponent }>;
	/** For administrators only. */
	admin?: boolean;
}

export interface NavItem {
	path: string;
	title: Key;
	admin?: boolean;
}

export interface NavGroup {
	title?: Key;
	items: NavItem[];
}

export const pages: Page[] = [
	{ path: '/', title: 'nav.overview', load: () => import('../pages/overview') },
	{ path: '/start', title: 'start.title', load: () => import('../pages/start') },
];

export const nav: NavGroup[] = [
	{ items: [{ path: '/', title: 'nav.overview' }] },
];

export function findPage(parts: string[]): { page: Page; params: Params } | undefined {
	for (const page of pages) {
		const want = page.path.split('/').filter(Boolean);
		if (want.length !== parts.length) continue;
		const params: Params = {};
		if (want.every((w, i) => (w.startsWith(':') ? ((params[w.slice(1)] = parts[i]!), true) : w === parts[i]))) return { page, params };
	}
	return undefined;
}
