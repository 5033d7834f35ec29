// SPDX-License-Identifier: Apache-2.0
// Nothing there, not there yet, or not to be had: never a blank page.
import {
	Alert,
	Button,
	EmptyState,
	EmptyStateActions,
	EmptyStateBody,
	EmptyStateFooter,
	Skeleton,
} from '@patternfly/react-core';
import type { ComponentType, ReactNode } from 'react';
import type { ApiError } from '../api/client';
import type { Entry } from '../live/store';
import { t } from '../texts';

export function Empty({
	title,
	children,
	actions,
	icon,
}: {
	title: string;
	children?: ReactNode;
	actions?: ReactNode;
	icon?: ComponentType;
}) {
	return (
		<EmptyState titleText={title} headingLevel="h2" icon={icon} variant="sm">
			{children && <EmptyStateBody>{children}</EmptyStateBody>}
			{actions && (
				<EmptyStateFooter>
					<EmptyStateActions>{actions}</EmptyStateActions>
				</EmptyStateFooter>
			)}
		</EmptyState>
	);
}

export function Failure({ error, reload }: { error: ApiError; reload?: () => void }) {
	return (
		<Alert
			variant="danger"
			isInline
			title={error.status === 403 ? t('parts.denied') : t('parts.failed')}
			actionLinks={
				reload && (
					<Button variant="link" isInline onClick={reload}>
						{t('parts.again')}
					</Button>
				)
			}
		>
			{error.message}
		</Alert>
	);
}

/** Bars in place of what is being loaded. */
export function Loading({ lines = 5 }: { lines?: number }) {
	return (
		<div className="hf-skeleton" role="status" aria-label={t('app.loading')}>
			{Array.from({ length: lines }, (_, i) => (
				<Skeleton key={i} width={`${90 - ((i * 17) % 45)}%`} />
			))}
		</div>
	);
}

/** What `live` holds, once it is there; before that bars, and what went wrong instead of it. */
export function Shown<T>({
	live,
	children,
}: {
	live: Entry<T> & { reload?: () => void };
	children: (data: T) => ReactNode;
}) {
	if (live.data === undefined) return live.error ? <Failure error={live.error} reload={live.reload} /> : <Loading />;
	return (
		<>
			{live.error && <Failure error={live.error} reload={live.reload} />}
			{children(live.data)}
		</>
	);
}
