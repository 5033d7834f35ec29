// SPDX-License-Identifier: Apache-2.0
// Asking before something is done that cannot be taken back; and a panel at the side for forms and details.
import { Alert, Button, Modal, ModalBody, ModalFooter, ModalHeader, TextInput } from '@patternfly/react-core';
import { useState, type ReactNode } from 'react';
import { ApiError } from '../api/client';
import { t } from '../texts';

/**
 * `onConfirm` does it; what it throws is shown, and the dialog stays. `word`: has to be typed first.
 */
export function ConfirmDialog(p: {
	title: string;
	children: ReactNode;
	confirm: string;
	isDanger?: boolean;
	word?: string;
	onConfirm: () => Promise<unknown>;
	onClose: () => void;
}) {
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState<string>();
	const [typed, setTyped] = useState('');
	const run = async () => {
		setBusy(true);
		setError(undefined);
		try {
			await p.onConfirm();
			p.onClose();
		} catch (e) {
			setError(e instanceof ApiError || e instanceof Error ? e.message : String(e));
			setBusy(false);
		}
	};
	return (
		<Modal isOpen variant="small" onClose={p.onClose} aria-label={p.title}>
			<ModalHeader title={p.title} titleIconVariant={p.isDanger ? 'warning' : undefined} />
			<ModalBody>
				{p.children}
				{p.word && (
					<>
						<p className="hf-label">{t('parts.typeWord', { word: p.word })}</p>
						<TextInput
							value={typed}
							onChange={(_, v) => setTyped(v)}
							aria-label={t('parts.typeWord', { word: p.word })}
						/>
					</>
				)}
				{error && <Alert variant="danger" isInline title={error} component="p" className="hf-gap" />}
			</ModalBody>
			<ModalFooter>
				<Button
					variant={p.isDanger ? 'danger' : 'primary'}
					isLoading={busy}
					isDisabled={busy || (p.word !== undefined && typed !== p.word)}
					onClick={() => void run()}
				>
					{p.confirm}
				</Button>
				<Button variant="link" onClick={p.onClose}>
					{t('parts.cancel')}
				</Button>
			</ModalFooter>
		</Modal>
	);
}

/** A panel over the right side; Escape and its button close it. */
export function SidePanel({
	title,
	children,
	footer,
	onClose,
	isWide,
}: {
	title: string;
	children: ReactNode;
	footer?: ReactNode;
	onClose: () => void;
	isWide?: boolean;
}) {
	return (
		<Modal isOpen variant={isWide ? 'large' : 'medium'} position="top" onClose={onClose} aria-label={title}>
			<ModalHeader title={title} />
			<ModalBody>{children}</ModalBody>
			{footer && <ModalFooter>{footer}</ModalFooter>}
		</Modal>
	);
}
