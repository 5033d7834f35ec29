// SPDX-License-Identifier: Apache-2.0
export const overview = {
	'overview.title': 'Overview',
} as const;
