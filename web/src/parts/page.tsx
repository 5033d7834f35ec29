// SPDX-License-Identifier: Apache-2.0
// The frame of a page: where it is, its title, what can be done, and how to do the same without a browser.
import { Breadcrumb, BreadcrumbItem, Content, PageSection, Title } from '@patternfly/react-core';
import type { ReactNode } from 'react';
import { href } from '../app/router';
import { SameByApi, type Same } from './same';

export interface Crumb {
	title: string;
	to: string;
}

export function Page(p: {
	title: ReactNode;
	crumbs?: Crumb[];
	text?: ReactNode;
	actions?: ReactNode;
	same?: Same;
	children: ReactNode;
}) {
	return (
		<>
			<PageSection className="hf-head">
				{p.crumbs && (
					<Breadcrumb className="hf-crumbs">
						{p.crumbs.map((c) => (
							<BreadcrumbItem key={c.to} to={href(c.to)}>
								{c.title}
							</BreadcrumbItem>
						))}
						<BreadcrumbItem isActive>{p.title}</BreadcrumbItem>
					</Breadcrumb>
				)}
				<div className="hf-title">
					<Title headingLevel="h1">{p.title}</Title>
					<div className="hf-title-actions">
						{p.same && <SameByApi {...p.same} />}
						{p.actions}
					</div>
				</div>
				{p.text && <Content className="hf-lead">{p.text}</Content>}
			</PageSection>
			<PageSection className="hf-body" isFilled>
				{p.children}
			</PageSection>
		</>
	);
}
