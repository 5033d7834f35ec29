// SPDX-License-Identifier: Apache-2.0
// What a restore is to do, the parameters that say so to the server, and what can be told about it before it starts.
import type { Schema } from '../../api/client';
import { bytes } from '../../parts/format';
import { t, tn } from '../../texts';
import {
	disksOf,
	networksOf,
	sizeOf,
	type Checkpoint,
	type CheckpointResource,
	type Instance,
	type Platform,
	type Provider,
} from '../checkpoints/model';

export type Restore = Schema<'Restore'>;
export type Mode = 'new' | 'in_place';
export type Storage = 'as_was' | 'pool' | 'directory';
export type Pool = NonNullable<Platform['offers']>['pools'][number];
export type Start = 'as_was' | 'yes' | 'no';

export interface Machine {
	chosen: boolean;
	name: string; // "" is as it was
	disks: string[] | null; // null: all
}

export interface Draft {
	mode: Mode;
	platform: string; // "" is where each was
	start: Start;
	stop: boolean;
	keepIdentity: boolean;
	storage: Storage;
	place: string;
	networks: { from: string; to: string }[];
	machines: Record<string, Machine>; // by TYPE#ID
}

export const keyOf = (r: { type: string; id: string }): string => `${r.type}#${r.id}`;

/** Names of options that a restore of this type has. */
export function optionsOf(provider: Provider | undefined, type: string): Set<string> {
	const schemas = provider?.extended_info_schema as
		{ restore_schema?: Record<string, { properties?: Record<string, unknown> }> } | undefined;
	return new Set(Object.keys(schemas?.restore_schema?.[type]?.properties ?? {}));
}

export function chosenOf(k: Checkpoint, d: Draft): CheckpointResource[] {
	return (k.resources ?? []).filter((r) => d.machines[keyOf(r)]?.chosen);
}

// The folder of the first disk: what is restored is called after its machine, so it goes beside the old ones.
function folderOf(k: Checkpoint): string {
	const source =
		(k.resources ?? []).flatMap((r) => disksOf(r.extra_info)).find((d) => d.source?.startsWith('/'))?.source ?? '';
	return source.slice(0, source.lastIndexOf('/'));
}

/** Pools of the platform that it goes to; undefined: nobody knows. */
export function poolsOf(k: Checkpoint, d: Draft, a: Around): readonly Pool[] | undefined {
	return platformsOf(k, d, a)[0]?.offers?.pools;
}

/** What is proposed when disks go there: the pool with the most room, the directory of the first disk. */
export function placeOf(storage: Storage, k: Checkpoint, pools: readonly Pool[] | undefined): string {
	if (storage === 'directory') return folderOf(k);
	if (storage === 'as_was' || !pools?.length) return '';
	return pools.reduce((a, b) => (b.free_bytes > a.free_bytes ? b : a)).name;
}

/** Networks that the machines were connected to, each once; undefined: that was not stored. */
export function networksThen(k: Checkpoint): string[] | undefined {
	const all = (k.resources ?? []).map((r) => networksOf(r.extra_info));
	return all.some((n) => n === undefined) ? undefined : [...new Set(all.flatMap((n) => n ?? []))];
}

/**
 * As it begins: everything; beside what is there if it is there, else as it was. Only administrators choose a
 * directory.
 */
export function firstDraft(k: Checkpoint, around: Around, only: string | null, isAdmin: boolean): Draft {
	const here = (r: CheckpointResource) =>
		around.instances.some((i) => i.id === r.id && i.platform_id === r.platform_id);
	const machines: Record<string, Machine> = {};
	for (const r of k.resources ?? [])
		machines[keyOf(r)] = {
			chosen: only === null || only === r.id,
			name: here(r) ? t('restores.nameOf', { name: r.name }) : r.name,
			disks: null,
		};
	const beside = (k.resources ?? []).some(here);
	const draft: Draft = {
		mode: 'new',
		platform: '',
		start: 'as_was',
		stop: false,
		keepIdentity: !beside,
		storage: beside ? (isAdmin && folderOf(k) ? 'directory' : 'pool') : 'as_was',
		place: '',
		networks: (networksThen(k) ?? []).map((from) => ({ from, to: '' })),
		machines,
	};
	return { ...draft, place: placeOf(draft.storage, k, poolsOf(k, draft, around)) };
}

/** Networks that get another name. */
export function mapped(d: Draft): { from: string; to: string }[] {
	return d.networks
		.map((n) => ({ from: n.from.trim(), to: n.to.trim() }))
		.filter((n) => n.from && n.to && n.from !== n.to);
}

function newOptions(d: Draft, m: Machine, r: CheckpointResource): Record<string, unknown> {
	const networks = mapped(d).map((n) => [n.from, n.to]);
	return {
		...(m.name.trim() && m.name.trim() !== r.name && { restore_name: m.name.trim() }),
		...(d.storage !== 'as_was' && d.place.trim() && { [d.storage]: d.place.trim() }),
		...(networks.length && { networks: Object.fromEntries(networks) as unknown }),
		...(d.keepIdentity && { keep_identity: true }),
	};
}

function machineOptions(
	d: Draft,
	m: Machine,
	r: CheckpointResource,
	has: ReadonlySet<string>,
): Record<string, unknown> {
	const all: Record<string, unknown> = {
		mode: d.mode,
		...(d.mode === 'new' ? newOptions(d, m, r) : d.stop && { stop: true }),
		...(d.start !== 'as_was' && { start: d.start === 'yes' }),
		...(m.disks && { disks: m.disks }),
	};
	return Object.fromEntries(Object.entries(all).filter(([name]) => has.has(name)));
}

/** The body of POST restores. */
export function bodyOf(k: Checkpoint, d: Draft, provider: Provider | undefined): { restore: Record<string, unknown> } {
	const parameters = Object.fromEntries(
		chosenOf(k, d).map((r) => [keyOf(r), machineOptions(d, d.machines[keyOf(r)]!, r, optionsOf(provider, r.type))]),
	);
	return {
		restore: {
			provider_id: k.provider_id,
			checkpoint_id: k.id,
			parameters,
			...(d.mode === 'new' && d.platform && { restore_target: d.platform }),
		},
	};
}

export interface Check {
	tone: 'good' | 'warn' | 'bad';
	text: string;
}

export interface Around {
	platforms: readonly Platform[];
	instances: readonly Instance[];
}

/** The platform that it goes to. */
export function platformFor(r: CheckpointResource, d: Draft, a: Around): Platform | undefined {
	const id = (d.mode === 'new' && d.platform) || r.platform_id;
	return a.platforms.find((p) => p.id === id);
}

export function platformsOf(k: Checkpoint, d: Draft, a: Around): (Platform | undefined)[] {
	return [...new Set(chosenOf(k, d).map((r) => platformFor(r, d, a)))];
}

function checkPlatforms(k: Checkpoint, d: Draft, a: Around): Check[] {
	return platformsOf(k, d, a).map((p) => {
		if (!p) return { tone: 'bad', text: t('restores.check.platformGone') };
		return p.status === 'error'
			? { tone: 'bad', text: t('restores.check.platformDown', { name: p.name, reason: p.reason ?? '' }) }
			: { tone: 'good', text: t('restores.check.platform', { name: p.name }) };
	});
}

function checkNames(k: Checkpoint, d: Draft, a: Around): Check[] {
	const seen = new Set<string>();
	const checks: Check[] = [];
	for (const r of chosenOf(k, d)) {
		const platform = d.platform || r.platform_id;
		const name = d.machines[keyOf(r)]?.name.trim() || r.name;
		const taken = a.instances.some((i) => i.platform_id === platform && i.name === name);
		if (taken || seen.has(`${platform} ${name}`))
			checks.push({ tone: 'bad', text: t('restores.check.taken', { name }) });
		seen.add(`${platform} ${name}`);
		if (d.storage === 'as_was' && a.instances.some((i) => i.id === r.id && i.platform_id === platform))
			checks.push({ tone: 'bad', text: t('restores.check.disksThere', { name: r.name }) });
		if (d.keepIdentity && a.instances.some((i) => i.id === r.id && i.platform_id === platform))
			checks.push({ tone: 'bad', text: t('restores.check.twin', { name: r.name }) });
	}
	return checks.length ? checks : [{ tone: 'good', text: t('restores.check.namesFree') }];
}

// Bridges are not listed: what no network is called may be one.
function checkNetworks(k: Checkpoint, d: Draft, a: Around): Check[] {
	const [platform] = platformsOf(k, d, a);
	if (!platform?.offers) return [];
	const names = new Map(mapped(d).map((n) => [n.from, n.to]));
	const needed = new Set(chosenOf(k, d).flatMap((r) => networksOf(r.extra_info) ?? []));
	return [...new Set([...needed].map((n) => names.get(n) ?? n))]
		.filter((n) => !platform.offers!.networks.includes(n))
		.map((network) => ({ tone: 'warn', text: t('restores.check.noNetwork', { network, name: platform.name }) }));
}

function checkStorage(k: Checkpoint, d: Draft, a: Around): Check[] {
	const place = d.place.trim();
	if (d.storage === 'as_was') return [];
	if (!place) return [{ tone: 'bad', text: t('restores.check.noPlace') }];
	if (d.storage === 'directory')
		return place.startsWith('/') ? [] : [{ tone: 'bad', text: t('restores.check.wholePath') }];
	const pools = poolsOf(k, d, a);
	const pool = pools?.find((p) => p.name === place);
	if (!pools) return [];
	if (!pool) return [{ tone: 'bad', text: t('restores.check.noPool', { name: place }) }];
	const size = sumOf(k, d).bytes;
	const words = { name: place, free: bytes(pool.free_bytes), size: bytes(size) };
	return pool.free_bytes < size
		? [{ tone: 'warn', text: t('restores.check.poolSmall', words) }]
		: [{ tone: 'good', text: t('restores.check.poolRoom', words) }];
}

function checkInPlace(k: Checkpoint, d: Draft, a: Around): Check[] {
	return chosenOf(k, d).map((r) => {
		const there = a.instances.find((i) => i.id === r.id && i.platform_id === r.platform_id);
		if (!there) return { tone: 'bad', text: t('restores.check.notThere', { name: r.name }) };
		if (there.status === 'shut-off') return { tone: 'good', text: t('restores.check.isOff', { name: r.name }) };
		return d.stop
			? { tone: 'warn', text: t('restores.check.willStop', { name: r.name }) }
			: { tone: 'bad', text: t('restores.check.runs', { name: r.name }) };
	});
}

function checkDisks(k: Checkpoint, d: Draft): Check[] {
	return chosenOf(k, d)
		.filter((r) => d.machines[keyOf(r)]?.disks?.length === 0)
		.map((r) => ({ tone: 'bad', text: t('restores.check.noDisk', { name: r.name }) }));
}

/** All that can be told before the server begins. */
export function checksOf(k: Checkpoint, d: Draft, a: Around): Check[] {
	const chosen = chosenOf(k, d);
	if (!chosen.length) return [{ tone: 'bad', text: t('restores.check.nothing') }];
	const checks: Check[] = [
		...checkPlatforms(k, d, a),
		...checkDisks(k, d),
		...(d.mode === 'new'
			? [...checkNames(k, d, a), ...checkStorage(k, d, a), ...checkNetworks(k, d, a)]
			: checkInPlace(k, d, a)),
	];
	if (k.verified_ok === false) checks.push({ tone: 'bad', text: t('restores.check.broken') });
	else
		checks.push(
			k.verified_ok
				? { tone: 'good', text: t('restores.check.proven') }
				: { tone: 'warn', text: t('restores.check.unproven') },
		);
	return checks;
}

export function sumOf(k: Checkpoint, d: Draft): { machines: string; disks: string; bytes: number } {
	const chosen = chosenOf(k, d);
	const disks = chosen.flatMap((r) =>
		disksOf(r.extra_info).filter((x) => d.machines[keyOf(r)]?.disks?.includes(x.name) ?? true),
	);
	return {
		machines: tn('restores.machines', chosen.length),
		disks: tn('checkpoints.disks', disks.length),
		bytes: sizeOf(disks),
	};
}
