// SPDX-License-Identifier: Apache-2.0
// What pages say about checkpoints and resources in the same words.
import type { Schema } from '../../api/client';
import { tx } from '../../texts';

export type Checkpoint = Schema<'Checkpoint'>;
export type CheckpointResource = Schema<'CheckpointResource'>;
export type Instance = Schema<'Instance'>;
export type Platform = Schema<'Platform'>;
export type Provider = Schema<'Provider'>;
export type Plan = Schema<'Plan'>;
export type Policy = Schema<'Policy'>;

export const SERVER = 'OS::Nova::Server';

export interface Disk {
	name: string;
	bytes?: number;
	format?: string;
	source?: string;
}

/** Where a checkpoint's page is. */
export function pathOf(k: Pick<Checkpoint, 'provider_id' | 'id'>): string {
	return `/checkpoints/${k.provider_id}/${k.id}`;
}

/** Where it is in the API. */
export function apiOf(k: Pick<Checkpoint, 'provider_id' | 'id'>): string {
	return `providers/${k.provider_id}/checkpoints/${k.id}`;
}

export function resourcePath(r: { type: string; id: string }): string {
	return `/resources/${encodeURIComponent(r.type)}/${encodeURIComponent(r.id)}`;
}

export function planName(k: Checkpoint): string {
	return String((k.protection_plan as { name?: string }).name ?? k.plan_id);
}

export function stateWord(k: Checkpoint): string {
	return tx('state', k.status);
}

export function disksOf(extra: unknown): Disk[] {
	const disks = (extra as { disks?: Disk[] } | null | undefined)?.disks;
	return Array.isArray(disks) ? disks : [];
}

/** Names of the networks that a machine is connected to; undefined: nobody looked when it was listed. */
export function networksOf(extra: unknown): string[] | undefined {
	const networks = (extra as { networks?: string[] } | null | undefined)?.networks;
	return Array.isArray(networks) ? networks : undefined;
}

export function sizeOf(disks: readonly Disk[]): number {
	return disks.reduce((sum, d) => sum + (d.bytes ?? 0), 0);
}

/** The platform's own word for a machine's state: "running", "shut-off". */
export function platformOf(extra: unknown): string | undefined {
	return (extra as { platform?: string } | null | undefined)?.platform;
}
