// SPDX-License-Identifier: Apache-2.0
export const operations = {} as const;
