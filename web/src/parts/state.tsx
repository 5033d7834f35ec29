// SPDX-License-Identifier: Apache-2.0
// The state of anything as a label: a word, an icon and a colour, so that no one of them is needed to read it.
import { Label, type LabelProps } from '@patternfly/react-core';
import BanIcon from '@patternfly/react-icons/dist/esm/icons/ban-icon';
import CheckCircleIcon from '@patternfly/react-icons/dist/esm/icons/check-circle-icon';
import ClockIcon from '@patternfly/react-icons/dist/esm/icons/clock-icon';
import ExclamationCircleIcon from '@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon';
import ExclamationTriangleIcon from '@patternfly/react-icons/dist/esm/icons/exclamation-triangle-icon';
import InProgressIcon from '@patternfly/react-icons/dist/esm/icons/in-progress-icon';
import MinusCircleIcon from '@patternfly/react-icons/dist/esm/icons/minus-circle-icon';
import PauseCircleIcon from '@patternfly/react-icons/dist/esm/icons/pause-circle-icon';
import { tx } from '../texts';

export type Tone = 'good' | 'bad' | 'warn' | 'busy' | 'wait' | 'off' | 'paused' | 'none';

const LOOK: Record<Tone, Pick<LabelProps, 'color' | 'icon'>> = {
	good: { color: 'green', icon: <CheckCircleIcon /> },
	bad: { color: 'red', icon: <ExclamationCircleIcon /> },
	warn: { color: 'orange', icon: <ExclamationTriangleIcon /> },
	busy: { color: 'blue', icon: <InProgressIcon /> },
	wait: { color: 'grey', icon: <ClockIcon /> },
	off: { color: 'grey', icon: <BanIcon /> },
	paused: { color: 'grey', icon: <PauseCircleIcon /> },
	none: { color: 'grey', icon: <MinusCircleIcon /> },
};

const TONES: Record<string, Tone> = {
	protected: 'good',
	available: 'good',
	succeeded: 'good',
	success: 'good',
	online: 'good',
	up: 'good',
	enabled: 'good',
	started: 'good',
	running: 'busy',
	in_progress: 'busy',
	protecting: 'busy',
	copying: 'busy',
	deleting: 'busy',
	undoing: 'busy',
	queued: 'wait',
	unknown: 'wait',
	late: 'warn',
	draining: 'warn',
	failing: 'bad',
	failed: 'bad',
	fail: 'bad',
	error: 'bad',
	'error-deleting': 'bad',
	offline: 'bad',
	down: 'bad',
	revoked: 'off',
	cancelled: 'off',
	deleted: 'off',
	disabled: 'off',
	excluded: 'off',
	suspended: 'paused',
	unprotected: 'none',
};

export function toneOf(state: string): Tone {
	return TONES[state] ?? 'none';
}

/** The word comes from the catalogue, 'state.STATE', or is the state itself. */
export function StateLabel({
	state,
	tone,
	title,
	text,
}: {
	state: string;
	tone?: Tone;
	title?: string;
	text?: string;
}) {
	return (
		<Label {...LOOK[tone ?? toneOf(state)]} isCompact variant="filled" title={title} data-state={state}>
			{text ?? tx('state', state)}
		</Label>
	);
}
