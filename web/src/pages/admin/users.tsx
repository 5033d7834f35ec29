// SPDX-License-Identifier: Apache-2.0
// People, and what they may do where.
import { Alert, Button, FormSelect, FormSelectOption } from '@patternfly/react-core';
import { useState } from 'react';
import { api, type Schema } from '../../api/client';
import { useSession } from '../../app/session';
import { useGet, useList } from '../../live/hooks';
import { changed } from '../../live/store';
import { SidePanel } from '../../parts/dialogs';
import { Empty, Shown } from '../../parts/empty';
import { Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { StateLabel } from '../../parts/state';
import { DataTable, type Column } from '../../parts/table';
import { t, tx } from '../../texts';
import { FormPanel, type Field, type Values } from './form';
import { RowMenu } from './row';

type User = Schema<'User'>;
type Grant = Schema<'Grant'>;
type Project = Schema<'Project'>;

const ROLES = ['admin', 'operator', 'member', 'viewer', 'backup-only', 'restore-only'];
const EVERYWHERE = '*';

const columns: Column<User>[] = [
	{
		key: 'name',
		title: t('admin.name'),
		cell: (u) => (
			<>
				{u.name}
				{u.email && <div className="hf-small">{u.email}</div>}
			</>
		),
	},
	{ key: 'state', title: t('admin.state'), cell: (u) => <StateLabel state={u.enabled ? 'enabled' : 'disabled'} /> },
	{
		key: 'everywhere',
		title: t('users.everywhere'),
		cell: (u) => u.everywhere.map((r) => tx('users.role', r)).join(', ') || '–',
	},
	{ key: 'source', title: t('admin.source'), isExtra: true, cell: (u) => u.source },
	{ key: 'login', title: t('users.lastLogin'), cell: (u) => <Time at={u.last_login_at} /> },
];

const password: Field = {
	name: 'password',
	label: t('users.password'),
	kind: 'password',
	required: true,
	help: t('users.passwordHelp'),
};

function Grants({ user, onClose }: { user: User; onClose: () => void }) {
	const grants = useGet<{ grants: Grant[] }>('/grants', { user_id: user.id });
	const projects = useList<Project>('/projects', 'projects', { limit: 1000 });
	const [role, setRole] = useState('member');
	const [project, setProject] = useState('');
	const [error, setError] = useState('');
	const chosen = project || projects.items[0]?.id || EVERYWHERE;
	const change = async (what: () => Promise<unknown>) => {
		setError('');
		await what().catch((e: unknown) => setError(e instanceof Error ? e.message : String(e)));
		changed('grants', 'users');
	};
	const remove = (g: Grant) =>
		api.raw('DELETE', '/grants', { grant: { user_id: g.user_id, project_id: g.project_id, role: g.role } });
	return (
		<SidePanel
			title={t('users.grantsOf', { name: user.name })}
			onClose={onClose}
			footer={<Button onClick={onClose}>{t('admin.close')}</Button>}
		>
			{error && <Alert variant="danger" isInline title={error} component="p" role="alert" />}
			<Shown live={grants}>
				{({ grants: all }) => (
					<ul className="hf-rows">
						{all.length === 0 && <li className="hf-none">{t('users.noGrants')}</li>}
						{all.map((g) => (
							<li key={g.project_id + g.role}>
								<span>
									<strong>{tx('users.role', g.role)}</strong>{' '}
									{g.project_id === EVERYWHERE
										? t('users.onEverything')
										: t('users.on', { name: g.project_name ?? g.project_id })}
								</span>
								<Button variant="link" isDanger size="sm" onClick={() => void change(() => remove(g))}>
									{t('users.take')}
								</Button>
							</li>
						))}
					</ul>
				)}
			</Shown>
			<div className="hf-inline hf-gap">
				<FormSelect aria-label={t('users.roleLabel')} value={role} onChange={(_, v) => setRole(v)}>
					{ROLES.map((r) => (
						<FormSelectOption key={r} value={r} label={tx('users.role', r)} />
					))}
				</FormSelect>
				<FormSelect aria-label={t('users.projectLabel')} value={chosen} onChange={(_, v) => setProject(v)}>
					{projects.items.map((p) => (
						<FormSelectOption key={p.id} value={p.id} label={p.name} />
					))}
					<FormSelectOption value={EVERYWHERE} label={t('users.onEverything')} />
				</FormSelect>
				<Button
					variant="secondary"
					onClick={() =>
						void change(() =>
							api.post('/grants', { grant: { user_id: user.id, project_id: chosen, role } }),
						)
					}
				>
					{t('users.give')}
				</Button>
			</div>
		</SidePanel>
	);
}

type Open = { kind: 'add' } | { kind: 'edit' | 'password' | 'grants'; user: User };

export default function Users() {
	const { isAdmin, identity } = useSession();
	const [open, setOpen] = useState<Open>();
	const close = () => setOpen(undefined);
	const put = async (u: User, user: object) => {
		await api.put(`/users/${u.id}`, { user });
		changed('users');
	};
	const add = async (v: Values) => {
		const { user } = await api.post<{ user: User }>('/users', {
			user: { name: v.name, password: v.password, ...(v.email && { email: v.email }) },
		});
		changed('users');
		setTimeout(() => setOpen({ kind: 'grants', user }));
	};
	const button = isAdmin && <Button onClick={() => setOpen({ kind: 'add' })}>{t('users.add')}</Button>;
	const names: Field[] = [
		{ name: 'name', label: t('admin.name'), required: true },
		{ name: 'email', label: t('users.email') },
	];
	return (
		<Page
			title={t('users.title')}
			text={t('users.about')}
			same={{ path: '/users', cli: 'user list' }}
			actions={button}
		>
			<DataTable<User>
				label={t('users.title')}
				path="/users"
				item="users"
				columns={columns}
				empty={<Empty title={t('users.none')} actions={button} />}
				rowActions={
					isAdmin
						? (u) => (
								<RowMenu
									label={u.name}
									kinds={['users', 'grants']}
									actions={[
										{ title: t('users.grants'), run: () => setOpen({ kind: 'grants', user: u }) },
										{ title: t('admin.edit'), run: () => setOpen({ kind: 'edit', user: u }) },
										...(u.has_password || u.source === 'local'
											? [
													{
														title: t('users.setPassword'),
														run: () => setOpen({ kind: 'password', user: u }),
													},
												]
											: []),
										{
											title: u.enabled ? t('admin.disable') : t('admin.enable'),
											isDisabled: u.id === identity.user_id,
											run: () => put(u, { enabled: !u.enabled }),
										},
										{
											title: t('admin.remove'),
											isDanger: true,
											isDisabled: u.id === identity.user_id,
											ask: {
												title: t('users.removeAsk', { name: u.name }),
												text: t('users.removeText'),
												confirm: t('admin.remove'),
											},
											done: t('admin.removed', { name: u.name }),
											run: () => api.remove(`/users/${u.id}`),
										},
									]}
								/>
							)
						: undefined
				}
			/>
			{open?.kind === 'add' && (
				<FormPanel
					title={t('users.add')}
					submit={t('users.add')}
					fields={[...names, password]}
					onSubmit={add}
					onClose={close}
				/>
			)}
			{open?.kind === 'edit' && (
				<FormPanel
					title={open.user.name}
					submit={t('admin.save')}
					fields={names}
					start={{ name: open.user.name, email: open.user.email ?? '' }}
					onSubmit={(v) => put(open.user, { name: v.name, ...(v.email && { email: v.email }) })}
					onClose={close}
				/>
			)}
			{open?.kind === 'password' && (
				<FormPanel
					title={t('users.passwordOf', { name: open.user.name })}
					submit={t('users.setPassword')}
					fields={[password]}
					onSubmit={(v) => put(open.user, { password: v.password })}
					onClose={close}
				/>
			)}
			{open?.kind === 'grants' && <Grants user={open.user} onClose={close} />}
		</Page>
	);
}
