// SPDX-License-Identifier: Apache-2.0
// The processes that move data, next to the disks: inviting, draining, revoking them.
import { Button, ClipboardCopy, ClipboardCopyVariant } from '@patternfly/react-core';
import { useState } from 'react';
import { api, serverUrl, type Answer, type Schema } from '../../api/client';
import { useSession } from '../../app/session';
import { changed } from '../../live/store';
import { SidePanel } from '../../parts/dialogs';
import { Empty } from '../../parts/empty';
import { Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { StateLabel } from '../../parts/state';
import { DataTable, type Column } from '../../parts/table';
import { t } from '../../texts';
import { FormPanel, type Values } from './form';
import { RowMenu } from './row';

type Mover = Schema<'Mover'>;
type Invitation = Answer<'inviteMover'>['invitation'];

// When it was last seen is told only of one that is gone: of others it is a moment ago.
const isThere = (m: Mover) => m.state === 'online' || m.state === 'draining';

const columns: Column<Mover>[] = [
	{ key: 'name', title: t('admin.name'), cell: (m) => m.name },
	{ key: 'host', title: t('movers.host'), cell: (m) => m.host ?? '–' },
	{ key: 'state', title: t('admin.state'), cell: (m) => <StateLabel state={m.state} /> },
	{ key: 'capacity', title: t('movers.capacity'), isNumber: true, cell: (m) => m.capacity },
	{ key: 'version', title: t('movers.version'), isExtra: true, cell: (m) => m.version ?? '–' },
	{ key: 'seen', title: t('movers.seen'), cell: (m) => (isThere(m) ? t('admin.now') : <Time at={m.last_seen_at} />) },
];

const quote = (text: string) => `'${text.replace(/'/g, `'\\''`)}'`;

/** What is to be run on the host, as root, once the package is installed there. */
function command(word: string): string {
	return [
		'install -d -m 700 /etc/holdfast',
		`(umask 077; printf '%s\\n' ${quote(word)} >/etc/holdfast/invitation)`,
		`printf '[server]\\nurl = %s\\ninvitation_file = /etc/holdfast/invitation\\n' ${quote(serverUrl())} ` +
			'>/etc/holdfast/holdfast-mover.conf',
		'systemctl enable --now holdfast-mover',
	].join('\n');
}

function Invited({ invitation, onClose }: { invitation: Invitation; onClose: () => void }) {
	return (
		<SidePanel
			title={t('movers.invited', { name: invitation.name })}
			onClose={onClose}
			footer={<Button onClick={onClose}>{t('admin.close')}</Button>}
		>
			<p>{t('movers.run')}</p>
			<ClipboardCopy
				className="hf-gap"
				isCode
				isReadOnly
				isExpanded
				variant={ClipboardCopyVariant.expansion}
				hoverTip={t('parts.copy')}
				clickTip={t('parts.copied')}
				textAriaLabel={t('movers.run')}
				toggleAriaLabel={t('movers.run')}
			>
				{command(invitation.word)}
			</ClipboardCopy>
			<p className="hf-small hf-gap">
				{t('movers.once')} <Time at={invitation.expires_at} exact />
			</p>
			{serverUrl().startsWith('https:') && <p className="hf-small">{t('movers.ca')}</p>}
		</SidePanel>
	);
}

export default function Movers() {
	const { canCareEverywhere } = useSession();
	const [inviting, invite] = useState(false);
	const [invitation, show] = useState<Invitation>();
	const button = canCareEverywhere && <Button onClick={() => invite(true)}>{t('movers.invite')}</Button>;
	const ask = async (v: Values) => {
		const made = await api.post<Answer<'inviteMover'>>('movers', {
			mover: { name: v.name, hours: Number(v.hours) },
		});
		changed('movers');
		show(made.invitation);
	};
	return (
		<Page
			title={t('movers.title')}
			text={t('movers.about')}
			same={{ path: 'movers', cli: 'mover list' }}
			actions={button}
		>
			<DataTable<Mover>
				label={t('movers.title')}
				path="movers"
				item="movers"
				columns={columns}
				empty={
					<Empty title={t('movers.none')} actions={button}>
						{t('movers.noneText')}
					</Empty>
				}
				rowActions={
					canCareEverywhere
						? (m) => (
								<RowMenu
									label={m.name}
									kinds={['movers']}
									actions={[
										{
											title: m.drain ? t('movers.undrain') : t('movers.drain'),
											isDisabled: m.state === 'revoked',
											done: m.drain
												? t('movers.undrained', { name: m.name })
												: t('movers.drained', { name: m.name }),
											run: () => api.put(`movers/${m.id}`, { mover: { drain: !m.drain } }),
										},
										{
											title: m.revoked_at ? t('movers.forget') : t('movers.revoke'),
											isDanger: true,
											ask: {
												title: t(m.revoked_at ? 'movers.forgetAsk' : 'movers.revokeAsk', {
													name: m.name,
												}),
												text: t(m.revoked_at ? 'movers.forgetText' : 'movers.revokeText'),
												confirm: m.revoked_at ? t('movers.forget') : t('movers.revoke'),
											},
											run: () => api.remove(`movers/${m.id}`),
										},
									]}
								/>
							)
						: undefined
				}
			/>
			{inviting && (
				<FormPanel
					title={t('movers.invite')}
					submit={t('movers.invite')}
					fields={[
						{
							name: 'name',
							label: t('admin.name'),
							required: true,
							placeholder: 'kvm1',
							help: t('movers.nameHelp'),
						},
						{ name: 'hours', label: t('movers.hours'), kind: 'number', required: true },
					]}
					start={{ hours: '24' }}
					onSubmit={ask}
					onClose={() => invite(false)}
				/>
			)}
			{invitation && <Invited invitation={invitation} onClose={() => show(undefined)} />}
		</Page>
	);
}
