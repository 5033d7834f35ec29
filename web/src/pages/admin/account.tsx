// SPDX-License-Identifier: Apache-2.0
// Everybody's own: password, and tokens for programs.
import { Button, Card, CardBody, CardTitle } from '@patternfly/react-core';
import { useState } from 'react';
import { api, type Schema } from '../../api/client';
import { useSession } from '../../app/session';
import { toast } from '../../app/toasts';
import { changed } from '../../live/store';
import { Copied } from '../../parts/command';
import { SidePanel } from '../../parts/dialogs';
import { Empty } from '../../parts/empty';
import { Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { DataTable, type Column } from '../../parts/table';
import { t, tx } from '../../texts';
import { FormPanel, type Values } from './form';
import { RowMenu } from './row';

type Token = Schema<'Token'>;
type NewToken = Schema<'NewToken'>;

export default function Account() {
	const { identity, project } = useSession();
	const [open, setOpen] = useState<'token' | 'password'>();
	const [made, setMade] = useState<NewToken>();
	const nameOf = (id: string) =>
		identity.projects.find((p) => p.id === id)?.name ?? (id || t('account.everyProject'));
	const columns: Column<Token>[] = [
		{ key: 'name', title: t('admin.name'), cell: (x) => x.name },
		{ key: 'project', title: t('account.project'), cell: (x) => nameOf(x.project_id) },
		{
			key: 'roles',
			title: t('account.roles'),
			isExtra: true,
			cell: (x) => x.roles.map((r) => tx('users.role', r)).join(', ') || t('account.allRoles'),
		},
		{ key: 'used', title: t('account.used'), cell: (x) => <Time at={x.last_used_at} /> },
		{
			key: 'until',
			title: t('account.until'),
			cell: (x) => (x.expires_at ? <Time at={x.expires_at} /> : t('account.never')),
		},
	];
	const makeToken = async (v: Values) => {
		const token = {
			name: v.name,
			...(v.days && { days: Number(v.days) }),
			...(v.here && { project_id: project.id }),
			...(v.role && { roles: [v.role] }),
		};
		const answer = await api.post<{ token: NewToken }>('/tokens', { token });
		changed('tokens');
		setMade(answer.token);
	};
	const changePassword = async (v: Values) => {
		await api.post('/identity/password', { password: { old: v.old, new: v.new } });
		toast('success', t('account.passwordChanged'));
	};
	return (
		<Page
			title={t('account.title')}
			text={t('account.about', { name: identity.user_name })}
			same={{ path: '/tokens', cli: 'token list' }}
			actions={
				<Button variant="secondary" onClick={() => setOpen('password')}>
					{t('account.password')}
				</Button>
			}
		>
			<Card>
				<CardTitle component="h2">{t('account.tokens')}</CardTitle>
				<CardBody>
					<DataTable<Token>
						label={t('account.tokens')}
						path="/tokens"
						item="tokens"
						columns={columns}
						actions={<Button onClick={() => setOpen('token')}>{t('account.makeToken')}</Button>}
						empty={
							<Empty
								title={t('account.noTokens')}
								actions={<Button onClick={() => setOpen('token')}>{t('account.makeToken')}</Button>}
							>
								{t('account.noTokensText')}
							</Empty>
						}
						rowActions={(x) => (
							<RowMenu
								label={x.name}
								kinds={['tokens']}
								actions={[
									{
										title: t('account.revoke'),
										isDanger: true,
										ask: {
											title: t('account.revokeAsk', { name: x.name }),
											text: t('account.revokeText'),
											confirm: t('account.revoke'),
										},
										run: () => api.remove(`/tokens/${x.id}`),
									},
								]}
							/>
						)}
					/>
				</CardBody>
			</Card>
			{open === 'token' && (
				<FormPanel
					title={t('account.makeToken')}
					submit={t('account.makeToken')}
					fields={[
						{ name: 'name', label: t('admin.name'), required: true, placeholder: 'ci' },
						{ name: 'days', label: t('account.days'), kind: 'number', help: t('account.daysHelp') },
						{
							name: 'role',
							label: t('account.roles'),
							kind: 'choice',
							choices: [
								{ value: '', title: t('account.allRoles') },
								...[...new Set([...identity.roles, ...identity.everywhere])].map((r) => ({
									value: r,
									title: tx('users.role', r),
								})),
							],
						},
						{ name: 'here', label: t('account.hereOnly', { name: project.name }), kind: 'flag' },
					]}
					start={{ days: '90', here: 'yes' }}
					onSubmit={makeToken}
					onClose={() => setOpen(undefined)}
				/>
			)}
			{open === 'password' && (
				<FormPanel
					title={t('account.password')}
					submit={t('account.password')}
					fields={[
						{ name: 'old', label: t('account.old'), kind: 'password', required: true },
						{
							name: 'new',
							label: t('account.new'),
							kind: 'password',
							required: true,
							help: t('account.passwordHelp'),
						},
					]}
					onSubmit={changePassword}
					onClose={() => setOpen(undefined)}
				/>
			)}
			{made && (
				<SidePanel
					title={t('account.made', { name: made.name })}
					onClose={() => setMade(undefined)}
					footer={<Button onClick={() => setMade(undefined)}>{t('admin.close')}</Button>}
				>
					<p>{t('account.once')}</p>
					<Copied className="hf-gap" label={t('account.made', { name: made.name })} text={made.token} />
				</SidePanel>
			)}
		</Page>
	);
}
