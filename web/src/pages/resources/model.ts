// SPDX-License-Identifier: Apache-2.0
import type { Schema } from '../../api/client';

export type Coverage = Schema<'Coverage'>;
export const PROTECTIONS = ['protected', 'late', 'failing', 'unprotected', 'excluded'] as const;
