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
	{ path: '/operations', title: 'nav.operations', load: () => import('../pages/operations/list') },
	{ path: '/operations/:id', title: 'nav.operations', load: () => import('../pages/operations/detail') },
	{ path: '/platforms', title: 'nav.platforms', load: () => import('../pages/admin/platforms') },
	{ path: '/targets', title: 'nav.targets', load: () => import('../pages/admin/targets') },
	{ path: '/targets/:id', title: 'nav.targets', load: () => import('../pages/admin/target') },
	{ path: '/providers', title: 'nav.providers', load: () => import('../pages/admin/providers') },
	{ path: '/movers', title: 'nav.movers', load: () => import('../pages/admin/movers') },
	{ path: '/projects', title: 'nav.projects', load: () => import('../pages/admin/projects') },
	{ path: '/users', title: 'nav.users', load: () => import('../pages/admin/users') },
	{ path: '/account', title: 'nav.account', load: () => import('../pages/admin/account') },
	{ path: '/usage', title: 'nav.usage', load: () => import('../pages/admin/usage') },
	{ path: '/notifications', title: 'nav.notifications', load: () => import('../pages/admin/notifications') },
	{ path: '/audit', title: 'nav.audit', load: () => import('../pages/admin/audit') },
	{ path: '/api', title: 'nav.api', load: () => import('../pages/explorer/list') },
	{ path: '/api/:id', title: 'nav.api', load: () => import('../pages/explorer/route') },
	{ path: '/about', title: 'nav.about', load: () => import('../pages/admin/about') },
	{ path: '/resources', title: 'nav.resources', load: () => import('../pages/resources/list') },
	{ path: '/resources/:type/:id', title: 'nav.resource', load: () => import('../pages/resources/show') },
	{ path: '/plans', title: 'nav.plans', load: () => import('../pages/plans/list') },
	{ path: '/plans/new', title: 'plans.newTitle', load: () => import('../pages/plans/wizard') },
	{ path: '/plans/:id', title: 'nav.plan', load: () => import('../pages/plans/show') },
	{ path: '/plans/:id/edit', title: 'nav.plan', load: () => import('../pages/plans/wizard') },
	{ path: '/policies', title: 'nav.policies', load: () => import('../pages/policies/list') },
	{ path: '/policies/:id', title: 'nav.policy', load: () => import('../pages/policies/edit') },
	{ path: '/checkpoints', title: 'nav.checkpoints', load: () => import('../pages/checkpoints/list') },
	{ path: '/checkpoints/:provider/:id', title: 'nav.checkpoint', load: () => import('../pages/checkpoints/show') },
	{
		path: '/checkpoints/:provider/:id/restore',
		title: 'nav.restore',
		load: () => import('../pages/restores/wizard'),
	},
	{ path: '/restores', title: 'nav.restores', load: () => import('../pages/restores/list') },
	{ path: '/restores/:id', title: 'nav.restore', load: () => import('../pages/restores/show') },
];

export const nav: NavGroup[] = [
	{
		items: [
			{ path: '/', title: 'nav.overview' },
			{ path: '/resources', title: 'nav.resources' },
			{ path: '/plans', title: 'nav.plans' },
			{ path: '/policies', title: 'nav.policies' },
			{ path: '/checkpoints', title: 'nav.checkpoints' },
			{ path: '/restores', title: 'nav.restores' },
			{ path: '/operations', title: 'nav.operations' },
		],
	},
	{
		title: 'nav.infrastructure',
		items: [
			{ path: '/platforms', title: 'nav.platforms' },
			{ path: '/targets', title: 'nav.targets' },
			{ path: '/providers', title: 'nav.providers' },
			{ path: '/movers', title: 'nav.movers', admin: true },
		],
	},
	{
		title: 'nav.administration',
		items: [
			{ path: '/projects', title: 'nav.projects', admin: true },
			{ path: '/users', title: 'nav.users', admin: true },
			{ path: '/account', title: 'nav.account' },
			{ path: '/usage', title: 'nav.usage' },
			{ path: '/notifications', title: 'nav.notifications' },
			{ path: '/audit', title: 'nav.audit' },
			{ path: '/api', title: 'nav.api' },
			{ path: '/about', title: 'nav.about' },
		],
	},
];

export function findPage(parts: string[]): { page: Page; params: Params } | undefined {
	for (const page of pages) {
		const want = page.path.split('/').filter(Boolean);
		if (want.length !== parts.length) continue;
		const params: Params = {};
		if (want.every((w, i) => (w.startsWith(':') ? ((params[w.slice(1)] = parts[i]!), true) : w === parts[i])))
			return { page, params };
	}
	return undefined;
}
