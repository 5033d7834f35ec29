// SPDX-License-Identifier: Apache-2.0
// What a page consists of: panels on a board of twelve columns; where there is little room they are below each other.
import { Title } from '@patternfly/react-core';
import { useId, type ReactNode } from 'react';
import { Link } from '../app/router';

export function Board({ children }: { children: ReactNode }) {
	return <div className="hf-board">{children}</div>;
}

/** `span`: of twelve columns. `link`: where there is more of it; `actions`: what else stands beside the title. */
export function Panel({
	title,
	count,
	span = 12,
	level = 'h2',
	link,
	actions,
	children,
}: {
	title: ReactNode;
	count?: number;
	span?: 3 | 4 | 5 | 6 | 7 | 12;
	level?: 'h2' | 'h3';
	link?: { to: string; text: string };
	actions?: ReactNode;
	children: ReactNode;
}) {
	const id = useId();
	return (
		<section className={`hf-panel hf-span-${span}`} aria-labelledby={id}>
			<header>
				<Title id={id} headingLevel={level} size="md">
					{title}
					{count ? <span className="hf-badge">{count}</span> : null}
				</Title>
				{link && <Link to={link.to}>{link.text}</Link>}
				{actions && <div className="hf-row hf-tight">{actions}</div>}
			</header>
			{children}
		</section>
	);
}
