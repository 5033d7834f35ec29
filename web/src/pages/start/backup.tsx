// SPDX-License-Identifier: Apache-2.0
// The first backup as it runs, and what to do next.
import {
	ActionGroup,
	Alert,
	AlertActionLink,
	Button,
	Content,
	EmptyState,
	EmptyStateActions,
	EmptyStateBody,
	EmptyStateFooter,
} from '@patternfly/react-core';
import CheckCircleIcon from '@patternfly/react-icons/dist/esm/icons/check-circle-icon';
import { useEffect, useRef } from 'react';
import { api, type Schema } from '../../api/client';
import { go, href } from '../../app/router';
import { toastError } from '../../app/toasts';
import { useOne } from '../../live/hooks';
import { Loading } from '../../parts/empty';
import { bytes, duration } from '../../parts/format';
import { OperationProgress } from '../../parts/progress';
import { t } from '../../texts';
import { backUp, type Started } from './machine';

function Done({ checkpoint, name }: { checkpoint: Schema<'Checkpoint'>; name: string }) {
	const seconds = (Date.parse(checkpoint.ended_at ?? '') - Date.parse(checkpoint.started_at)) / 1000;
	return (
		<EmptyState
			status="success"
			icon={CheckCircleIcon}
			titleText={t('start.done', { name })}
			headingLevel="h3"
			variant="sm"
		>
			<EmptyStateBody>
				{t('start.done.text', {
					read: bytes(checkpoint.bytes_read),
					stored: bytes(checkpoint.bytes_stored),
					time: duration(seconds || 0),
				})}
			</EmptyStateBody>
			<EmptyStateFooter>
				<EmptyStateActions>
					<Button onClick={() => go('/')}>{t('start.done.overview')}</Button>
				</EmptyStateActions>
				<EmptyStateActions>
					<Button
						variant="link"
						component="a"
						href={href(`/checkpoints/${checkpoint.provider_id}/${checkpoint.id}`)}
					>
						{t('start.done.checkpoint')}
					</Button>
					<Button variant="link" component="a" href={href('/resources')}>
						{t('start.done.more')}
					</Button>
				</EmptyStateActions>
			</EmptyStateFooter>
		</EmptyState>
	);
}

async function look(provider: string): Promise<void> {
	const { provider: p } = await api.get<{ provider: Schema<'Provider'> }>(`providers/${provider}`);
	await api.post(`targets/${p.target_id}/check`);
}

export function BackupStep({ started, onStarted }: { started: Started; onStarted: (s: Started) => void }) {
	const { data } = useOne<Schema<'Checkpoint'>>(
		`providers/${started.provider}/checkpoints/${started.checkpoint}`,
		'checkpoint',
		['operations'],
	);
	const operation = started.operation ?? data?.operation_id ?? undefined;
	const { data: course } = useOne<Schema<'OperationDetail'>>(
		operation ? `operations/${operation}` : null,
		'operation',
	);
	const ran = useRef(false);
	useEffect(() => {
		if (data?.status === 'protecting') ran.current = true;
		if (data?.status !== 'available' || !ran.current) return;
		ran.current = false;
		// So that the overview, which comes next, says at once how much is stored.
		void look(started.provider).catch(() => undefined);
	}, [data?.status]);
	if (!data) return <Loading lines={2} />;
	if (data.status === 'available') return <Done checkpoint={data} name={started.name} />;
	if (data.status !== 'protecting') {
		const again = () =>
			backUp(started.provider, started.plan, started.name).then(onStarted, (e: unknown) =>
				toastError(t('start.error'), e),
			);
		return (
			<>
				<Alert
					variant="danger"
					isInline
					title={t('start.backup.failed')}
					actionLinks={
						operation && (
							<AlertActionLink component="a" href={href(`/operations/${operation}`)}>
								{t('start.backup.log')}
							</AlertActionLink>
						)
					}
				>
					{data.reason}
				</Alert>
				<ActionGroup className="hf-gap">
					<Button onClick={() => void again()}>{t('start.backup.again')}</Button>
				</ActionGroup>
			</>
		);
	}
	const reason = course?.steps.find((s) => s.reason)?.reason;
	return (
		<>
			<Content component="p">
				{t('start.backup.running', { name: started.name })} · {t('start.backup.text')}
			</Content>
			{course && (
				<OperationProgress
					operation={course as never}
					label={t('start.backup.running', { name: started.name })}
				/>
			)}
			{reason && <p className="hf-small">{t('start.platform.trying', { reason })}</p>}
		</>
	);
}
