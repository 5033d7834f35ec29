// SPDX-License-Identifier: Apache-2.0
// One checkpoint: what it is, what is inside, why it stays, and what can be done with it.
import { Alert, Button, Label, Progress } from '@patternfly/react-core';
import { useState, type ReactNode } from 'react';
import type { Schema } from '../../api/client';
import type { Params } from '../../app/pages';
import { go, Link } from '../../app/router';
import { useSession } from '../../app/session';
import { useGet, useList, useOne, useOperation } from '../../live/hooks';
import { Board, Panel } from '../../parts/board';
import { moment } from '../../parts/dates';
import { Loading, Shown } from '../../parts/empty';
import { Between, Bytes, bytes, Time } from '../../parts/format';
import { Facts } from '../../parts/facts';
import { Page } from '../../parts/page';
import { StateLabel } from '../../parts/state';
import { t, tn, tx } from '../../texts';
import { Proof } from '../resources/show';
import { ActDialog, ActMenu, type Act } from './actions';
import {
	apiOf,
	disksOf,
	pathOf,
	planName,
	resourcePath,
	sizeOf,
	type Checkpoint,
	type CheckpointResource,
	type Provider,
} from './model';
import { Serve } from './serve';

type Kept = Schema<'Kept'>;

// Machines that have one instant, by platform: how many, and how exactly.
function togetherRow(of: Checkpoint): [string, ReactNode][] {
	const groups = (of.instants ?? []).filter((i) => i.resources.length > 1);
	const words = groups.map((i) =>
		tn(i.frozen ? 'checkpoints.frozen' : 'checkpoints.unfrozen', i.resources.length, {
			width: `${Math.ceil(i.window_us / 1000)} ms`,
		}),
	);
	return words.length ? [[t('checkpoints.together'), words.join('; ')]] : [];
}

function About({ of, provider }: { of: Checkpoint; provider: string }) {
	return (
		<Facts
			rows={[
				[t('checkpoints.state'), <StateLabel state={of.status} />],
				[t('checkpoints.instant'), <Time at={of.instant_at} exact />],
				...togetherRow(of),
				[t('checkpoints.plan'), <Link to={`/plans/${of.plan_id}`}>{planName(of)}</Link>],
				[
					t('checkpoints.by'),
					of.copy_of ? (
						<Link to={`/checkpoints?copy_of=${of.copy_of}`}>{t('checkpoints.isCopy')}</Link>
					) : (
						tx('maker', of.made_by)
					),
				],
				[t('checkpoints.provider'), provider],
				[t('checkpoints.total'), <Bytes n={of.bytes_total} />],
				[t('checkpoints.read'), <Bytes n={of.bytes_read} />],
				[t('checkpoints.new'), <Bytes n={of.bytes_new} />],
				[t('checkpoints.stored'), <Bytes n={of.bytes_stored} />],
				[t('checkpoints.took'), <Between from={of.started_at} to={of.ended_at} />],
				[t('checkpoints.proof'), <Proof of={of} />],
				[t('checkpoints.held'), of.hold ? of.hold_reason || t('checkpoints.heldYes') : t('checkpoints.heldNo')],
			]}
		/>
	);
}

function Why({ of }: { of: Checkpoint }) {
	const live = useGet<{ retention: { checkpoints: Kept[] } }>(
		`plans/${of.plan_id}/retention`,
		{ checkpoint_id: of.id },
		['checkpoints', 'policies'],
	);
	const kept = live.data?.retention.checkpoints[0];
	// A plan that was deleted has no rules any more: then its checkpoints stay.
	if (live.error) return <p>{live.error.status === 404 ? t('checkpoints.planGone') : live.error.message}</p>;
	if (!kept) return <Loading lines={2} />;
	return (
		<>
			<p>
				<StateLabel
					state={kept.keep ? 'kept' : 'going'}
					tone={kept.keep ? 'good' : 'warn'}
					text={kept.keep ? t('checkpoints.stays') : t('checkpoints.goes')}
				/>{' '}
				{kept.goes_at
					? t('checkpoints.goesAt', { when: moment(kept.goes_at) })
					: kept.keep
						? t('checkpoints.noEnd')
						: ''}
			</p>
			<ul className="hf-list">
				{kept.reasons.map((r) => (
					<li key={r.rule + r.text}>
						{r.text}
						{r.until && (
							<span className="hf-none"> ({t('checkpoints.until', { when: moment(r.until) })})</span>
						)}
					</li>
				))}
			</ul>
		</>
	);
}

// What was stored of a definition, as a tree: objects and lists open, all else is a line.
function Tree({ name, value }: { name: string; value: unknown }) {
	if (value === null || typeof value !== 'object')
		return <li>{`${name}: ${/bytes$/.test(name) && typeof value === 'number' ? bytes(value) : String(value)}`}</li>;
	const entries: [string, unknown][] = Array.isArray(value)
		? value.map((v, i) => [String((v as { name?: string } | null)?.name ?? i + 1), v])
		: Object.entries(value);
	return (
		<li>
			<details>
				<summary>{name}</summary>
				<ul>
					{entries.map(([k, v]) => (
						<Tree key={k} name={k} value={v} />
					))}
				</ul>
			</details>
		</li>
	);
}

function Inside({ of }: { of: CheckpointResource }) {
	const disks = disksOf(of.extra_info);
	return (
		<Panel
			title={<Link to={resourcePath(of)}>{of.name}</Link>}
			level="h3"
			actions={
				<>
					<Label isCompact>{tx('type', of.type)}</Label>
					<StateLabel state={of.status} />
					{of.consistency && (
						<Label isCompact color="teal">
							{tx('consistency', of.consistency)}
						</Label>
					)}
				</>
			}
		>
			{of.reason && <Alert isInline variant="danger" title={of.reason} component="p" />}
			<p>
				{t('checkpoints.insideSizes', {
					disks: tn('checkpoints.disks', disks.length),
					total: bytes(of.bytes_total || sizeOf(disks)),
					read: bytes(of.bytes_read),
					stored: bytes(of.bytes_stored),
				})}
			</p>
			<ul className="hf-tree" aria-label={t('checkpoints.definitionOf', { name: of.name })}>
				<Tree name={t('checkpoints.definition')} value={of.extra_info} />
			</ul>
		</Panel>
	);
}

function Running({ of }: { of: Checkpoint }) {
	const operation = useOperation(of.operation_id ?? undefined);
	const p = operation?.progress as
		{ bytes_done?: number; bytes_total?: number; steps?: number; steps_done?: number } | undefined;
	const share = p?.bytes_total
		? ((p.bytes_done ?? 0) / p.bytes_total) * 100
		: p?.steps
			? ((p.steps_done ?? 0) / p.steps) * 100
			: 0;
	return (
		<Alert isInline variant="info" title={tx('state', of.status)} component="h2" className="hf-gap-after">
			<Progress
				value={Math.round(share)}
				title={t('checkpoints.progress')}
				aria-label={t('checkpoints.progress')}
			/>
			{of.operation_id && <Link to={`/operations/${of.operation_id}`}>{t('checkpoints.watch')}</Link>}
		</Alert>
	);
}

function Content({ of }: { of: Checkpoint }) {
	const providers = useList<Provider>('providers', 'providers', { limit: 1000 });
	const provider = providers.items.find((p) => p.id === of.provider_id)?.name ?? '–';
	const busy = ['protecting', 'copying', 'deleting'].includes(of.status);
	const resources = of.resources ?? [];
	return (
		<>
			{busy && <Running of={of} />}
			{of.reason && (
				<Alert
					isInline
					variant="danger"
					title={t('checkpoints.failed')}
					component="h2"
					className="hf-gap-after"
				>
					{of.reason}{' '}
					{of.operation_id && <Link to={`/operations/${of.operation_id}`}>{t('checkpoints.watch')}</Link>}
				</Alert>
			)}
			{of.verified_ok === false && (
				<Alert
					isInline
					variant="danger"
					title={t('checkpoints.isBroken')}
					component="h2"
					className="hf-gap-after"
				/>
			)}
			<Board>
				<Panel title={t('checkpoints.about')} span={5}>
					<About of={of} provider={provider} />
				</Panel>
				<Panel title={t('checkpoints.inside')} span={7}>
					{resources.length ? (
						resources.map((r) => <Inside key={r.type + r.id} of={r} />)
					) : (
						<p className="hf-none">{t('checkpoints.insideNone')}</p>
					)}
				</Panel>
				<Panel title={t('checkpoints.why')} span={5}>
					<Why of={of} />
				</Panel>
				{of.status === 'available' && <Serve of={of} />}
			</Board>
		</>
	);
}

export default function CheckpointPage({ params }: { params: Params }) {
	const { canRestore } = useSession();
	const [acting, act] = useState<Act>();
	const at = { provider_id: params.provider ?? '', id: params.id ?? '' };
	const live = useOne<Checkpoint>(apiOf(at), 'checkpoint');
	const k = live.data;
	return (
		<Page
			title={
				k
					? t('checkpoints.of', { plan: planName(k), when: moment(k.instant_at ?? k.started_at) })
					: t('checkpoints.one')
			}
			crumbs={[{ title: t('checkpoints.title'), to: '/checkpoints' }]}
			same={{ path: apiOf(at), cli: `checkpoint show ${at.id}` }}
			actions={
				k && (
					<>
						<ActMenu of={k} onAct={act} label={t('parts.actions')} />
						{canRestore && (
							<Button isDisabled={k.status !== 'available'} onClick={() => go(`${pathOf(k)}/restore`)}>
								{t('checkpoints.restore')}
							</Button>
						)}
					</>
				)
			}
		>
			<Shown live={live}>{(x) => <Content of={x} />}</Shown>
			{acting && k && (
				<ActDialog act={acting} of={[k]} onClose={() => act(undefined)} onDeleted={() => go('/checkpoints')} />
			)}
		</Page>
	);
}
