// SPDX-License-Identifier: Apache-2.0
// Who is told what: webhooks, mail, Slack; tried with a button, and whether what was sent arrived.
import { Alert, Button } from '@patternfly/react-core';
import { useState } from 'react';
import { api, type Schema } from '../../api/client';
import { useSession } from '../../app/session';
import { useGet } from '../../live/hooks';
import { changed } from '../../live/store';
import { SidePanel } from '../../parts/dialogs';
import { Empty, Shown } from '../../parts/empty';
import { Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { StateLabel, type Tone } from '../../parts/state';
import { DataTable, type Column } from '../../parts/table';
import { t, tx } from '../../texts';
import { FormPanel, type Field, type Values } from './form';
import { RowMenu } from './row';

type Notification = Schema<'Notification'>;
type Delivery = Schema<'Delivery'>;

const KINDS = ['webhook', 'mail', 'slack'];
const SEVERITIES = ['info', 'warning', 'error', 'critical'];
const TONES: Record<string, Tone> = { working: 'good', failing: 'bad', delivered: 'good', pending: 'busy' };

const columns: Column<Notification>[] = [
	{ key: 'name', title: t('admin.name'), sort: 'name', cell: (n) => n.name },
	{ key: 'kind', title: t('notifications.kind'), sort: 'kind', cell: (n) => tx('notifications.kind', n.kind) },
	{
		key: 'to',
		title: t('notifications.to'),
		isExtra: true,
		cell: (n) => <span className="hf-code">{n.url ?? n.recipients.join(', ')}</span>,
	},
	{
		key: 'what',
		title: t('notifications.what'),
		isExtra: true,
		cell: (n) =>
			n.events.length
				? n.events.map((e) => tx('notifications.event', e)).join(', ')
				: tx('notifications.from', n.severity),
	},
	{
		key: 'state',
		title: t('admin.state'),
		sort: 'status',
		cell: (n) =>
			n.enabled ? (
				<>
					<StateLabel state={n.status} tone={TONES[n.status]} text={tx('notifications.state', n.status)} />
					{n.reason && <div className="hf-reason">{n.reason}</div>}
				</>
			) : (
				<StateLabel state="disabled" />
			),
	},
	{ key: 'sent', title: t('notifications.sent'), cell: (n) => <Time at={n.sent_at} /> },
];

const isMail = (v: Values) => v.kind === 'mail';

const common: Field[] = [
	{
		name: 'severity',
		label: t('notifications.severity'),
		kind: 'choice',
		choices: SEVERITIES.map((value) => ({ value, title: tx('notifications.from', value) })),
	},
];
const place: Field[] = [
	{ name: 'name', label: t('admin.name'), required: true },
	{
		name: 'kind',
		label: t('notifications.kind'),
		kind: 'choice',
		choices: KINDS.map((value) => ({ value, title: tx('notifications.kind', value) })),
	},
	{ name: 'url', label: t('notifications.url'), required: true, placeholder: 'https://', when: (v) => !isMail(v) },
	{
		name: 'recipients',
		label: t('notifications.recipients'),
		required: true,
		kind: 'lines',
		help: t('notifications.recipientsHelp'),
		when: isMail,
	},
];

function bodyOf(v: Values) {
	const { recipients, ...rest } = v;
	return { notification: { ...rest, ...(recipients && { recipients: recipients.split(/[\s,]+/).filter(Boolean) }) } };
}

// What was sent lately: each try, as it went.
function Deliveries({ of, onClose }: { of: Notification; onClose: () => void }) {
	const live = useGet<{ deliveries: Delivery[] }>(
		`notifications/${of.id}/deliveries`,
		{ limit: 20, sort: 'created_at:desc' },
		['operations'],
	);
	return (
		<SidePanel
			title={t('notifications.deliveriesOf', { name: of.name })}
			onClose={onClose}
			footer={
				<>
					<Button onClick={onClose}>{t('admin.close')}</Button>
					<Button variant="link" onClick={live.reload}>
						{t('notifications.look')}
					</Button>
				</>
			}
		>
			<Shown live={live}>
				{({ deliveries }) => (
					<ul className="hf-rows">
						{deliveries.length === 0 && <li className="hf-none">{t('notifications.noDeliveries')}</li>}
						{deliveries.map((d) => (
							<li key={d.id}>
								<span>
									{d.title}
									<span className="hf-small hf-listed">
										<Time at={d.created_at} />
									</span>
									{d.reason && <span className="hf-reason hf-listed">{d.reason}</span>}
								</span>
								<StateLabel
									state={d.state}
									tone={TONES[d.state]}
									text={tx('notifications.state', d.state)}
								/>
							</li>
						))}
					</ul>
				)}
			</Shown>
		</SidePanel>
	);
}

type Open = { kind: 'add' } | { kind: 'made'; secret: string } | { kind: 'deliveries'; of: Notification };

export default function Notifications() {
	const { canWrite } = useSession();
	const [open, setOpen] = useState<Open>();
	const close = () => setOpen(undefined);
	const add = async (v: Values) => {
		const { notification } = await api.post<{ notification: Notification }>('notifications', bodyOf(v));
		changed('notifications');
		const secret = notification.secret;
		if (secret) setTimeout(() => setOpen({ kind: 'made', secret }));
	};
	const button = canWrite && <Button onClick={() => setOpen({ kind: 'add' })}>{t('notifications.add')}</Button>;
	return (
		<Page
			title={t('notifications.title')}
			text={t('notifications.about')}
			same={{ path: 'notifications', cli: 'notification list' }}
			actions={button}
		>
			<DataTable<Notification>
				label={t('notifications.title')}
				path="notifications"
				item="notifications"
				watch={['operations']}
				columns={columns}
				sort="name:asc"
				empty={
					<Empty title={t('notifications.none')} actions={button}>
						{t('notifications.noneText')}
					</Empty>
				}
				rowActions={
					canWrite
						? (n) => (
								<RowMenu
									label={n.name}
									kinds={['notifications']}
									actions={[
										{
											title: t('notifications.test'),
											done: t('notifications.tested'),
											run: async () => {
												await api.post(`notifications/${n.id}/test`);
												setOpen({ kind: 'deliveries', of: n });
											},
										},
										{
											title: t('notifications.deliveries'),
											run: () => setOpen({ kind: 'deliveries', of: n }),
										},
										{
											title: n.enabled ? t('admin.disable') : t('admin.enable'),
											run: () =>
												api.put(`notifications/${n.id}`, {
													notification: { enabled: !n.enabled },
												}),
										},
										{
											title: t('admin.remove'),
											isDanger: true,
											ask: {
												title: t('notifications.removeAsk', { name: n.name }),
												text: t('notifications.removeText'),
												confirm: t('admin.remove'),
											},
											done: t('admin.removed', { name: n.name }),
											run: () => api.remove(`notifications/${n.id}`),
										},
									]}
								/>
							)
						: undefined
				}
			/>
			{open?.kind === 'add' && (
				<FormPanel
					title={t('notifications.add')}
					submit={t('notifications.add')}
					fields={[...place, ...common]}
					start={{ severity: 'warning' }}
					onSubmit={add}
					onClose={close}
				/>
			)}
			{open?.kind === 'made' && (
				<SidePanel
					title={t('notifications.secret')}
					onClose={close}
					footer={<Button onClick={close}>{t('admin.close')}</Button>}
				>
					<Alert variant="info" isInline title={t('notifications.secretText')} component="p">
						<code className="hf-code">{open.secret}</code>
					</Alert>
				</SidePanel>
			)}
			{open?.kind === 'deliveries' && <Deliveries of={open.of} onClose={close} />}
		</Page>
	);
}
