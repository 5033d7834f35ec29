// SPDX-License-Identifier: Apache-2.0
// Something to be copied into a shell.
import { ClipboardCopy } from '@patternfly/react-core';
import { t } from '../texts';

/** `label`: what it is called by who cannot see it. */
export function Copied({ label, text, className }: { label: string; text: string; className?: string }) {
	return (
		<ClipboardCopy
			className={className}
			isReadOnly
			isCode
			hoverTip={t('parts.copy')}
			clickTip={t('parts.copied')}
			textAriaLabel={label}
		>
			{text}
		</ClipboardCopy>
	);
}

/** With its name above it. */
export function Command({ label, text }: { label: string; text: string }) {
	return (
		<>
			<p className="hf-label">{label}</p>
			<Copied label={label} text={text} />
		</>
	);
}
