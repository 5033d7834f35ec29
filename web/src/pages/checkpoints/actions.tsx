// SPDX-License-Identifier: Apache-2.0
// What can be done with a checkpoint, each asked about before it is done: hold and release, verify, copy, delete.
import { Alert, FormGroup, FormSelect, FormSelectOption, Radio, TextInput } from '@patternfly/react-core';
import { useState } from 'react';
import { api, type Answer } from '../../api/client';
import { go, Link } from '../../app/router';
import { useSession } from '../../app/session';
import { toast } from '../../app/toasts';
import { useList } from '../../live/hooks';
import { changed } from '../../live/store';
import { moment } from '../../parts/dates';
import { ConfirmDialog } from '../../parts/dialogs';
import { ActionMenu, type MenuAction } from '../../parts/menu';
import { Loading } from '../../parts/empty';
import { t, tn } from '../../texts';
import { apiOf, pathOf, planName, SERVER, type Checkpoint, type Provider } from './model';

export type Act = 'hold' | 'release' | 'verify' | 'copy' | 'delete';

const nameOf = (k: Checkpoint): string =>
	t('checkpoints.of', { plan: planName(k), when: moment(k.instant_at ?? k.started_at) });

function started(title: string, operation: string | null | undefined): void {
	changed('checkpoints', 'operations');
	toast('info', title, operation && <Link to={`/operations/${operation}`}>{t('checkpoints.watch')}</Link>);
}

function Hold({ of, onClose }: { of: readonly Checkpoint[]; onClose: () => void }) {
	const [reason, setReason] = useState('');
	return (
		<ConfirmDialog
			title={tn('checkpoints.holdTitle', of.length)}
			confirm={t('checkpoints.hold')}
			onClose={onClose}
			onConfirm={async () => {
				for (const k of of) await api.put(apiOf(k), { hold: { on: true, reason } });
				changed('checkpoints');
			}}
		>
			<p>{t('checkpoints.holdText')}</p>
			<FormGroup label={t('checkpoints.holdReason')} fieldId="hold-reason">
				<TextInput id="hold-reason" value={reason} maxLength={255} onChange={(_, v) => setReason(v)} />
			</FormGroup>
		</ConfirmDialog>
	);
}

function Release({ of, onClose }: { of: readonly Checkpoint[]; onClose: () => void }) {
	return (
		<ConfirmDialog
			title={tn('checkpoints.releaseTitle', of.length)}
			confirm={t('checkpoints.release')}
			isDanger
			onClose={onClose}
			onConfirm={async () => {
				for (const k of of) await api.put(apiOf(k), { hold: { on: false } });
				changed('checkpoints');
			}}
		>
			<p>{t('checkpoints.releaseText')}</p>
		</ConfirmDialog>
	);
}

function Verify({ of, onClose }: { of: readonly Checkpoint[]; onClose: () => void }) {
	const [depth, setDepth] = useState<'content' | 'structure'>('content');
	return (
		<ConfirmDialog
			title={tn('checkpoints.verifyTitle', of.length)}
			confirm={t('checkpoints.verify')}
			onClose={onClose}
			onConfirm={async () => {
				let last: string | undefined;
				for (const k of of) {
					const body = {
						verification: {
							provider_id: k.provider_id,
							checkpoint_id: k.id,
							parameters: { [SERVER]: { depth } },
						},
					};
					last = (await api.post<Answer<'createVerification'>>('verifications', body)).verification
						.operation_id;
				}
				started(tn('checkpoints.verifying', of.length), last);
			}}
		>
			<p>{t('checkpoints.verifyText')}</p>
			<Radio
				id="verify-content"
				name="depth"
				label={t('checkpoints.verifyContent')}
				description={t('checkpoints.verifyContentText')}
				isChecked={depth === 'content'}
				onChange={() => setDepth('content')}
			/>
			<Radio
				id="verify-structure"
				name="depth"
				label={t('checkpoints.verifyStructure')}
				description={t('checkpoints.verifyStructureText')}
				isChecked={depth === 'structure'}
				onChange={() => setDepth('structure')}
			/>
		</ConfirmDialog>
	);
}

function Copy({ of, onClose }: { of: readonly Checkpoint[]; onClose: () => void }) {
	const providers = useList<Provider>('providers', 'providers', { limit: 1000 });
	const others = providers.items.filter((p) => of.every((k) => k.provider_id !== p.id));
	const [to, setTo] = useState('');
	const chosen = to || others[0]?.id || '';
	return (
		<ConfirmDialog
			title={tn('checkpoints.copyTitle', of.length)}
			confirm={t('checkpoints.copy')}
			onClose={onClose}
			onConfirm={async () => {
				if (!chosen) throw new Error(t('checkpoints.copyNowhere'));
				for (const k of of)
					await api.post(`providers/${k.provider_id}/checkpoints/action`, {
						copy: { plan_id: k.plan_id, parameters: { provider_id: chosen, checkpoint_id: k.id } },
					});
				started(tn('checkpoints.copying', of.length), undefined);
			}}
		>
			<p>{t('checkpoints.copyText')}</p>
			{!providers.data ? (
				<Loading lines={1} />
			) : others.length ? (
				<FormGroup label={t('checkpoints.copyTo')} fieldId="copy-to">
					<FormSelect id="copy-to" value={chosen} onChange={(_, v) => setTo(v)}>
						{others.map((p) => (
							<FormSelectOption key={p.id} value={p.id} label={p.name} />
						))}
					</FormSelect>
				</FormGroup>
			) : (
				<Alert variant="info" isInline title={t('checkpoints.copyNowhere')} component="p" />
			)}
		</ConfirmDialog>
	);
}

function Delete({ of, onClose, onDone }: { of: readonly Checkpoint[]; onClose: () => void; onDone?: () => void }) {
	const held = of.filter((k) => k.hold);
	return (
		<ConfirmDialog
			title={tn('checkpoints.deleteTitle', of.length)}
			confirm={t('checkpoints.delete')}
			isDanger
			onClose={onClose}
			onConfirm={async () => {
				for (const k of of) await api.raw('DELETE', apiOf(k), undefined);
				changed('checkpoints', 'operations');
				toast('info', tn('checkpoints.deleting', of.length));
				onDone?.();
			}}
		>
			<p>{t('checkpoints.deleteText')}</p>
			<ul className="hf-list">
				{of.slice(0, 8).map((k) => (
					<li key={k.id}>{nameOf(k)}</li>
				))}
				{of.length > 8 && <li>{t('resources.more', { n: of.length - 8 })}</li>}
			</ul>
			{held.length > 0 && (
				<Alert variant="warning" isInline title={tn('checkpoints.deleteHeld', held.length)} component="p" />
			)}
		</ConfirmDialog>
	);
}

/** The dialog of what was chosen. */
export function ActDialog({
	act,
	of,
	onClose,
	onDeleted,
}: {
	act: Act;
	of: readonly Checkpoint[];
	onClose: () => void;
	onDeleted?: () => void;
}) {
	switch (act) {
		case 'hold':
			return <Hold of={of} onClose={onClose} />;
		case 'release':
			return <Release of={of} onClose={onClose} />;
		case 'verify':
			return <Verify of={of} onClose={onClose} />;
		case 'copy':
			return <Copy of={of} onClose={onClose} />;
		case 'delete':
			return <Delete of={of} onClose={onClose} onDone={onDeleted} />;
	}
}

export function actsOf(of: readonly Checkpoint[]): Act[] {
	if (!of.length) return [];
	const good = of.every((k) => k.status === 'available');
	const acts: Act[] = good ? ['verify', 'copy'] : [];
	if (good && of.some((k) => !k.hold)) acts.push('hold');
	if (of.some((k) => k.hold)) acts.push('release');
	return [...acts, 'delete'];
}

/** The menu at the end of a row, or of a page with `label` on it; there a button restores. */
export function ActMenu({ of, onAct, label }: { of: Checkpoint; onAct: (act: Act) => void; label?: string }) {
	const { canWrite, canRestore } = useSession();
	const actions: MenuAction[] = [];
	if (canRestore && !label)
		actions.push({
			title: t('checkpoints.restore'),
			run: () => go(`${pathOf(of)}/restore`),
			isDisabled: of.status !== 'available',
		});
	if (canWrite)
		for (const act of actsOf([of]))
			actions.push({ title: t(`checkpoints.${act}`), run: () => onAct(act), isDanger: act === 'delete' });
	return <ActionMenu name={nameOf(of)} text={label} actions={actions} />;
}
