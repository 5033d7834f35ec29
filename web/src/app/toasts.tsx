// SPDX-License-Identifier: Apache-2.0
// Short messages at the edge of the page: what was done, or why not.
import { Alert, AlertActionCloseButton, AlertGroup } from '@patternfly/react-core';
import { useSyncExternalStore, type ReactNode } from 'react';
import { ApiError } from '../api/client';
import { t } from '../texts';

interface Toast {
	id: number;
	variant: 'success' | 'danger' | 'info' | 'warning';
	title: string;
	text?: ReactNode;
}

const SHOWN_MS = 8000;
let toasts: readonly Toast[] = [];
let last = 0;
const listeners = new Set<() => void>();

function set(next: readonly Toast[]): void {
	toasts = next;
	listeners.forEach((fn) => fn());
}

function drop(id: number): void {
	set(toasts.filter((x) => x.id !== id));
}

export function toast(variant: Toast['variant'], title: string, text?: ReactNode): void {
	const id = ++last;
	set([...toasts.slice(-4), { id, variant, title, text }]);
	if (variant !== 'danger') setTimeout(() => drop(id), SHOWN_MS);
}

/** What the server said about something that did not work. */
export function toastError(title: string, e: unknown): void {
	toast('danger', title, e instanceof ApiError || e instanceof Error ? e.message : String(e));
}

function subscribe(fn: () => void): () => void {
	listeners.add(fn);
	return () => listeners.delete(fn);
}

export function Toasts() {
	const all = useSyncExternalStore(subscribe, () => toasts);
	return (
		<AlertGroup isToast isLiveRegion aria-label={t('app.toasts')}>
			{all.map((x) => (
				<Alert
					key={x.id}
					variant={x.variant}
					title={x.title}
					actionClose={<AlertActionCloseButton title={x.title} onClose={() => drop(x.id)} />}
				>
					{x.text}
				</Alert>
			))}
		</AlertGroup>
	);
}
