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
import { FormPanel, listOf, type Field, type Values } from './form';
import { RowMenu } from './row';

type Notification = Schema<'Notification'>;
type Delivery = Schema<'Delivery'>;

const KINDS = ['webhook', 'mail', 'slack'];
const EVENTS: Schema<'NotificationEvent'>[] = [
	'operation.failed',
	'operation.succeeded',
	'schedule.failed',
	'plan.late',
	'checkpoint.damaged',
	'target.unreachable',
	'target.damaged',
	'target.full',
	'platform.unreachable',
	'mover.lost',
	'quota.reached',
];
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
					{n.old_secret_until && (
						<div className="hf-small">
							{t('notifications.bothUntil')} <Time at={n.old_secret_until} exact />
						</div>
					)}
				</>
			) : (
				<StateLabel state="disabled" />
			),
	},
	{ key: 'sent', title: t('notifications.sent'), cell: (n) => <Time at={n.sent_at} /> },
];

const isMail = (v: Values) => v.kind === 'mail';

const recipients: Field = {
	name: 'recipients',
	label: t('notifications.recipients'),
	required: true,
	kind: 'lines',
	help: t('notifications.recipientsHelp'),
	when: isMail,
};
const what: Field[] = [
	{
		name: 'severity',
		label: t('notifications.severity'),
		kind: 'choice',
		choices: SEVERITIES.map((value) => ({ value, title: tx('notifications.from', value) })),
	},
	{
		name: 'events',
		label: t('notifications.events'),
		kind: 'many',
		choices: EVENTS.map((value) => ({ value, title: tx('notifications.event', value) })),
		help: t('notifications.eventsHelp'),
	},
	{ name: 'remind_hours', label: t('notifications.remind'), kind: 'number', help: t('notifications.remindHelp') },
];
const addFields: Field[] = [
	{ name: 'name', label: t('admin.name'), required: true },
	{
		name: 'kind',
		label: t('notifications.kind'),
		kind: 'choice',
		choices: KINDS.map((value) => ({ value, title: tx('notifications.kind', value) })),
	},
	{ name: 'url', label: t('notifications.url'), required: true, placeholder: 'https://', when: (v) => !isMail(v) },
	recipients,
	...what,
];
const shared: Field = { name: 'shared', label: t('notifications.shared'), kind: 'flag' };

// Of an address only what is no secret is known here, so one that is not typed stays as it is.
function editFields(n: Notification): Field[] {
	return [
		{ name: 'name', label: t('admin.name'), required: true },
		{
			name: 'url',
			label: t('notifications.url'),
			placeholder: n.url ?? '',
			help: t('notifications.urlHelp'),
			when: (v) => !isMail(v),
		},
		recipients,
		...what,
	];
}

function startOf(n: Notification): Values {
	return {
		name: n.name,
		kind: n.kind,
		recipients: n.recipients.join('\n'),
		severity: n.severity,
		events: n.events.join(' '),
		remind_hours: String(n.remind_hours),
	};
}

function bodyOf(v: Values) {
	return {
		notification: {
			name: v.name,
			...(v.kind && { kind: v.kind }),
			...(v.url && { url: v.url }),
			...(v.recipients !== undefined && { recipients: listOf(v.recipients) }),
			severity: v.severity,
			events: listOf(v.events),
			...(v.remind_hours && { remind_hours: Number(v.remind_hours) }),
			...(v.shared && { shared: true }),
		},
	};
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
			footer={<Button onClick={onClose}>{t('admin.close')}</Button>}
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

type Open =
	{ kind: 'add' } | { kind: 'made'; secret: string } | { kind: 'deliveries' | 'edit' | 'rotate'; of: Notification };

export default function Notifications() {
	const { canWrite, isAdmin } = useSession();
	const [open, setOpen] = useState<Open>();
	const close = () => setOpen(undefined);
	// After the form has closed.
	const showSecret = ({ secret }: Notification) => secret && setTimeout(() => setOpen({ kind: 'made', secret }));
	const add = async (v: Values) => {
		const { notification } = await api.post<{ notification: Notification }>('notifications', bodyOf(v));
		changed('notifications');
		showSecret(notification);
	};
	const edit = async (n: Notification, v: Values) => {
		await api.put(`notifications/${n.id}`, bodyOf(v));
		changed('notifications');
	};
	const rotate = async (n: Notification, v: Values) => {
		const body = { rotate_secret: v.hours ? { old_hours: Number(v.hours) } : {} };
		const path = `notifications/${n.id}/rotate_secret`;
		showSecret((await api.post<{ notification: Notification }>(path, body)).notification);
		changed('notifications');
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
										{ title: t('admin.edit'), run: () => setOpen({ kind: 'edit', of: n }) },
										...(n.kind === 'webhook'
											? [
													{
														title: t('notifications.rotate'),
														run: () => setOpen({ kind: 'rotate', of: n }),
													},
												]
											: []),
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
					fields={isAdmin ? [...addFields, shared] : addFields}
					start={{ severity: 'warning' }}
					onSubmit={add}
					onClose={close}
				/>
			)}
			{open?.kind === 'edit' && (
				<FormPanel
					title={open.of.name}
					submit={t('admin.save')}
					fields={editFields(open.of)}
					start={startOf(open.of)}
					onSubmit={(v) => edit(open.of, v)}
					onClose={close}
				/>
			)}
			{open?.kind === 'rotate' && (
				<FormPanel
					title={t('notifications.rotateOf', { name: open.of.name })}
					submit={t('notifications.rotateNow')}
					fields={[
						{
							name: 'hours',
							label: t('notifications.oldHours'),
							kind: 'number',
							required: true,
							help: t('notifications.oldHoursHelp'),
						},
					]}
					start={{ hours: '24' }}
					onSubmit={(v) => rotate(open.of, v)}
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
