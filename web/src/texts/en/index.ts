// SPDX-License-Identifier: Apache-2.0
import { admin } from './admin';
import { app } from './app';
import { checkpoints } from './checkpoints';
import { explorer } from './explorer';
import { operations } from './operations';
import { overview } from './overview';
import { parts } from './parts';
import { plans } from './plans';
import { resources } from './resources';
import { start } from './start';

export const texts = {
	...app,
	...parts,
	...overview,
	...resources,
	...plans,
	...checkpoints,
	...operations,
	...admin,
	...explorer,
	...start,
} as const;
