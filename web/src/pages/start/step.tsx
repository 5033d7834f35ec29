// SPDX-License-Identifier: Apache-2.0
// One step of the guide: what is done is one line, what comes later only its title.
import { Title } from '@patternfly/react-core';
import CheckCircleIcon from '@patternfly/react-icons/dist/esm/icons/check-circle-icon';
import type { ReactNode } from 'react';

export function Step({
	n,
	at,
	title,
	done,
	children,
}: {
	n: number;
	at: number;
	title: string;
	done?: string;
	children: ReactNode;
}) {
	const state = n < at ? 'done' : n === at ? 'now' : 'later';
	return (
		<li
			className={`hf-step hf-step-${state}`}
			aria-current={state === 'now' ? 'step' : undefined}
			data-step={n}
			data-state={state}
		>
			<span className="hf-step-mark" aria-hidden="true">
				{state === 'done' ? <CheckCircleIcon /> : n}
			</span>
			<div className="hf-step-body">
				<Title headingLevel="h2" size="lg">
					{title}
				</Title>
				{state === 'done' && done && <p className="hf-step-done">{done}</p>}
				{state === 'now' && children}
			</div>
		</li>
	);
}
