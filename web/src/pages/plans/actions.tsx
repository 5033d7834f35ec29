// SPDX-License-Identifier: Apache-2.0
// What can be done with a plan: run it now, pause and resume its schedules, delete it.
import { api, type Answer } from '../../api/client';
import { Link } from '../../app/router';
import { toast, toastError } from '../../app/toasts';
import { useList } from '../../live/hooks';
import { changed } from '../../live/store';
import { ConfirmDialog } from '../../parts/dialogs';
import { t } from '../../texts';
import { pathOf, type Checkpoint, type Plan } from '../checkpoints/model';

export async function runPlan(p: Plan): Promise<void> {
	try {
		const { checkpoint } = await api.post<Answer<'createCheckpoint'>>(`providers/${p.provider_id}/checkpoints`, {
			checkpoint: { plan_id: p.id },
		});
		changed('plans', 'checkpoints', 'operations');
		toast(
			'info',
			t('plans.started', { name: p.name }),
			<Link to={pathOf(checkpoint)}>{t('checkpoints.watch')}</Link>,
		);
	} catch (e) {
		toastError(t('plans.notStarted', { name: p.name }), e);
	}
}

export async function pausePlan(p: Plan, paused: boolean): Promise<void> {
	try {
		await api.put(`plans/${p.id}`, { plan: { paused } });
		changed('plans', 'coverage');
		toast('success', t(paused ? 'plans.isPaused' : 'plans.isResumed', { name: p.name }));
	} catch (e) {
		toastError(t('plans.notChanged', { name: p.name }), e);
	}
}

export function DeletePlan({ of, onClose, onDone }: { of: Plan; onClose: () => void; onDone?: () => void }) {
	const points = useList<Checkpoint>('checkpoints', 'checkpoints', { plan_id: of.id, status: 'available', limit: 1 });
	return (
		<ConfirmDialog
			title={t('plans.deleteTitle', { name: of.name })}
			confirm={t('plans.delete')}
			isDanger
			onClose={onClose}
			onConfirm={async () => {
				await api.remove(`plans/${of.id}`);
				changed();
				toast('success', t('plans.deleted', { name: of.name }));
				onDone?.();
			}}
		>
			<p>{t('plans.deleteText')}</p>
			{points.items.length > 0 && <p>{t('plans.deletePoints')}</p>}
		</ConfirmDialog>
	);
}
