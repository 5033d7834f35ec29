// SPDX-License-Identifier: Apache-2.0
// The first-run guide: from nothing to a protected machine. Which step it is at follows from what the server has, so it
// can be left and opened again, in another browser too.
import { Alert } from '@patternfly/react-core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { useSession } from '../../app/session';
import { useList } from '../../live/hooks';
import { Loading } from '../../parts/empty';
import { Page } from '../../parts/page';
import { t, tn } from '../../texts';
import { BackupStep } from './backup';
import { MachineStep, type Started } from './machine';
import { PlatformStep } from './platform';
import { Step } from './step';
import { TargetStep } from './target';

export default function Start() {
	const { canWrite } = useSession();
	const platforms = useList<Schema<'Platform'>>('platforms', 'platforms');
	const providers = useList<Schema<'Provider'>>('providers', 'providers');
	const checkpoints = useList<Schema<'Checkpoint'>>(
		'checkpoints',
		'checkpoints',
		{ limit: 1, sort: 'created_at:desc' },
		['operations'],
	);
	const [started, setStarted] = useState<Started>();

	const platform = platforms.items.find((p) => p.status === 'available' && p.resources > 0);
	const provider = providers.items[0];
	const newest = checkpoints.items[0];
	const checkpoint: Started | undefined =
		started ?? (newest && newest.operation_id !== undefined ? startedFrom(newest) : newest && startedFrom(newest));
	const at = !platform ? 1 : !provider ? 2 : !checkpoint ? 3 : 4;
	const ready = platforms.data && providers.data && checkpoints.data;

	return (
		<Page title={t('start.title')} text={t('start.text')} same={{ path: 'platforms', cli: 'platform list' }}>
			{!canWrite && <Alert variant="info" isInline title={t('start.viewer')} className="hf-gap-after" />}
			{!ready ? (
				<Loading />
			) : (
				<ol className="hf-steps">
					<Step
						n={1}
						at={at}
						title={t('start.platform')}
						done={platform && tn('start.platform.done', platform.resources, { name: platform.name })}
					>
						<PlatformStep platforms={platforms.items} />
					</Step>
					<Step
						n={2}
						at={at}
						title={t('start.target')}
						done={provider && t('start.target.done', { name: provider.name })}
					>
						<TargetStep />
					</Step>
					<Step n={3} at={at} title={t('start.machine')} done={checkpoint?.name}>
						{platform && provider && <MachineStep provider={provider} onStarted={setStarted} />}
					</Step>
					<Step n={4} at={at} title={t('start.backup')}>
						{checkpoint && <BackupStep started={checkpoint} onStarted={setStarted} />}
					</Step>
				</ol>
			)}
		</Page>
	);
}

function startedFrom(c: Schema<'Checkpoint'>): Started {
	const plan = c.protection_plan as { name?: string; resources?: { name: string }[] };
	return {
		checkpoint: c.id,
		operation: c.operation_id ?? undefined,
		provider: c.provider_id,
		plan: c.plan_id,
		name: plan.resources?.map((r) => r.name).join(', ') || plan.name || '',
	};
}
