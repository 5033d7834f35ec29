// SPDX-License-Identifier: Apache-2.0
// A page that breaks says so and leaves the rest standing.
import { Button, EmptyState, EmptyStateActions, EmptyStateBody, EmptyStateFooter } from '@patternfly/react-core';
import { Component, type ReactNode } from 'react';
import { t } from '../texts';

export class Boundary extends Component<
	{ children: ReactNode; place: string },
	{ error: Error | null; place: string }
> {
	override state: { error: Error | null; place: string } = { error: null, place: this.props.place };

	static getDerivedStateFromError(error: Error) {
		return { error };
	}

	static getDerivedStateFromProps(props: { place: string }, state: { place: string }) {
		return props.place === state.place ? null : { error: null, place: props.place };
	}

	override render() {
		if (!this.state.error) return this.props.children;
		return (
			<EmptyState status="danger" titleText={t('app.broken')} headingLevel="h1">
				<EmptyStateBody>{this.state.error.message}</EmptyStateBody>
				<EmptyStateFooter>
					<EmptyStateActions>
						<Button onClick={() => window.location.reload()}>{t('app.reload')}</Button>
					</EmptyStateActions>
				</EmptyStateFooter>
			</EmptyState>
		);
	}
}
