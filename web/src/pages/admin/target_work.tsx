// SPDX-License-Identifier: Apache-2.0
// What can be done with all that is stored in a target: is it as it was written, and giving back space. Then the
// operation is shown, with what it finds.
import { api, type Answer } from '../../api/client';
import { go } from '../../app/router';
import { useSession } from '../../app/session';
import { changed } from '../../live/store';
import { t, tx } from '../../texts';
import { FormPanel, type Field, type Values } from './form';
import type { Target } from './targets';

export type Work = 'verify' | 'collect';

const DEPTHS = ['stored', 'structure', 'content'];
const HOUR_S = 3600;

const fields: Record<Work, Field[]> = {
	verify: [
		{
			name: 'depth',
			label: t('targets.depth'),
			kind: 'choice',
			choices: DEPTHS.map((value) => ({ value, title: tx('targets.depth', value) })),
			help: t('targets.depthHelp'),
		},
		{
			name: 'hours',
			label: t('targets.forHours'),
			kind: 'number',
			help: t('targets.forHoursHelp'),
			when: (v) => v.depth === 'stored',
		},
	],
	collect: [{ name: 'dry', label: t('targets.dry'), kind: 'flag', help: t('targets.dryHelp') }],
};

const all: Field = { name: 'all', label: t('targets.allOf'), kind: 'flag', help: t('targets.allOfHelp') };

function bodyOf(work: Work, v: Values) {
	const everybody = v.all ? { all_projects: true } : {};
	if (work === 'collect') return { collect: { dry_run: v.dry === 'yes', ...everybody } };
	return { verify: { depth: v.depth, ...(v.hours && { for_s: Number(v.hours) * HOUR_S }), ...everybody } };
}

export function TargetWork({ work, of, onClose }: { work: Work; of: Target; onClose: () => void }) {
	const { isAdmin } = useSession();
	const run = async (v: Values) => {
		const { operation_id } = await api.post<Answer<'verifyTarget'>>(`targets/${of.id}/${work}`, bodyOf(work, v));
		changed('operations');
		go(`/operations/${operation_id}`);
	};
	return (
		<FormPanel
			title={t(`targets.${work}Of`, { name: of.name })}
			submit={t(`targets.${work}Now`)}
			fields={isAdmin ? [...fields[work], all] : fields[work]}
			start={{ dry: 'yes', all: of.project_id ? '' : 'yes' }}
			onSubmit={run}
			onClose={onClose}
		/>
	);
}
