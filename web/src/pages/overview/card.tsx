// SPDX-License-Identifier: Apache-2.0
import { Title } from '@patternfly/react-core';
import { useId, type ReactNode } from 'react';
import { Link } from '../../app/router';

/** `span`: of twelve columns, where there is room for them. */
export function Card({
	title,
	count,
	span,
	link,
	children,
}: {
	title: string;
	count?: number;
	span: number;
	link?: { to: string; text: string };
	children: ReactNode;
}) {
	const id = useId();
	return (
		<section className={`hf-card hf-span-${span}`} aria-labelledby={id}>
			<header>
				<Title id={id} headingLevel="h2" size="md">
					{title}
					{count ? <span className="hf-badge">{count}</span> : null}
				</Title>
				{link && <Link to={link.to}>{link.text}</Link>}
			</header>
			{children}
		</section>
	);
}
