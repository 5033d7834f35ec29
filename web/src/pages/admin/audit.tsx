// SPDX-License-Identifier: Apache-2.0
// Who did what. Whether the log is as it was written is worked out by the server.
import { Alert, AlertActionCloseButton, Button } from '@patternfly/react-core';
import { useState } from 'react';
import { api, type Answer, type Schema } from '../../api/client';
import { useSession } from '../../app/session';
import { toastError } from '../../app/toasts';
import { Empty } from '../../parts/empty';
import { Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { StateLabel, type Tone } from '../../parts/state';
import { DataTable, type Column } from '../../parts/table';
import { t } from '../../texts';

type Line = Schema<'AuditLine'>;
type Verdict = Answer<'verifyAudit'>['audit'];

const TONES: Record<string, Tone> = { done: 'good', denied: 'bad', failed: 'warn' };

const columns: Column<Line>[] = [
	{ key: 'when', title: t('audit.when'), cell: (l) => <Time at={l.at} exact /> },
	{ key: 'who', title: t('audit.who'), cell: (l) => l.user_name ?? l.user_id ?? '–' },
	{ key: 'action', title: t('audit.action'), cell: (l) => <code className="hf-code">{l.action}</code> },
	{
		key: 'subject',
		title: t('audit.subject'),
		isExtra: true,
		cell: (l) => <code className="hf-code">{l.subject ?? '–'}</code>,
	},
	{
		key: 'outcome',
		title: t('audit.outcome'),
		cell: (l) => (
			<>
				<StateLabel state={l.outcome} tone={TONES[l.outcome]} />
				{l.detail && <div className="hf-small hf-break">{l.detail}</div>}
			</>
		),
	},
	{ key: 'address', title: t('audit.address'), isExtra: true, cell: (l) => l.address ?? '–' },
];

function Verified({ verdict, onClose }: { verdict: Verdict; onClose: () => void }) {
	const close = <AlertActionCloseButton onClose={onClose} />;
	if (!verdict.whole)
		return (
			<Alert variant="danger" isInline title={t('audit.broken')} actionClose={close}>
				{t('audit.brokenText', { line: verdict.broken, why: verdict.why })}
			</Alert>
		);
	return (
		<Alert variant="success" isInline title={t('audit.whole')} actionClose={close}>
			{t('audit.wholeText', { lines: verdict.lines.toLocaleString(), waiting: verdict.waiting })}
		</Alert>
	);
}

export default function Audit() {
	const { canWatchEverywhere } = useSession();
	const [verdict, setVerdict] = useState<Verdict>();
	const [busy, setBusy] = useState(false);
	const verify = () => {
		setBusy(true);
		api.post<Answer<'verifyAudit'>>('/audit/verify')
			.then(
				(a) => setVerdict(a.audit),
				(e) => toastError(t('audit.verify'), e),
			)
			.finally(() => setBusy(false));
	};
	return (
		<Page
			title={t('audit.title')}
			text={t('audit.about')}
			same={{ path: 'audit' }}
			actions={
				canWatchEverywhere && (
					<Button variant="secondary" isLoading={busy} isDisabled={busy} onClick={verify}>
						{t('audit.verify')}
					</Button>
				)
			}
		>
			<div role="status">{verdict && <Verified verdict={verdict} onClose={() => setVerdict(undefined)} />}</div>
			<DataTable<Line>
				label={t('audit.title')}
				path="audit"
				item="audit"
				watch={['operations']}
				columns={columns}
				filters={[
					{ kind: 'text', name: 'action', title: t('audit.action') },
					{ kind: 'text', name: 'subject', title: t('audit.subject') },
				]}
				empty={<Empty title={t('audit.none')} />}
			/>
		</Page>
	);
}
