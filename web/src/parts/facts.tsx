// SPDX-License-Identifier: Apache-2.0
import {
	DescriptionList,
	DescriptionListDescription,
	DescriptionListGroup,
	DescriptionListTerm,
} from '@patternfly/react-core';
import type { ReactNode } from 'react';

/** What is to be known about one thing: words at the left, values beside them. */
export function Facts({ rows }: { rows: readonly (readonly [string, ReactNode])[] }) {
	return (
		<DescriptionList isHorizontal isCompact horizontalTermWidthModifier={{ default: '7rem', sm: '11rem' }}>
			{rows.map(([term, value]) => (
				<DescriptionListGroup key={term}>
					<DescriptionListTerm>{term}</DescriptionListTerm>
					<DescriptionListDescription>{value}</DescriptionListDescription>
				</DescriptionListGroup>
			))}
		</DescriptionList>
	);
}
