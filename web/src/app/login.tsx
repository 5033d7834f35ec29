// SPDX-License-Identifier: Apache-2.0
// The ways in that the server offers: a password of its own, one of Keystone, or a provider's page.
import { Alert, Button, Divider, Form, FormGroup, LoginPage, TextInput } from '@patternfly/react-core';
import { useEffect, useState, type FormEvent } from 'react';
import { api, ApiError } from '../api/client';
import { t, tx } from '../texts';

export interface Method {
	kind: 'password' | 'oidc' | 'keystone';
	name: string;
	url?: string | null; // of this server's host, with the path that a proxy puts in front
}

const PASSWORD: Method[] = [{ kind: 'password', name: '' }];

function useMethods(): Method[] | undefined {
	const [methods, set] = useState<Method[]>();
	useEffect(() => {
		api.get<{ methods: Method[] }>('/login/methods', undefined, { quiet: true }).then(
			(r) => set(r.methods),
			() => set(PASSWORD), // also while the server cannot be reached: the form says so when it is sent
		);
	}, []);
	return methods;
}

function PasswordForm({ onIn }: { onIn: () => Promise<void> }) {
	const [name, setName] = useState('');
	const [password, setPassword] = useState('');
	const [error, setError] = useState<string>();
	const [busy, setBusy] = useState(false);
	const submit = async (e: FormEvent) => {
		e.preventDefault();
		setBusy(true);
		setError(undefined);
		try {
			await api.post('/login', { login: { name, password } }, { quiet: true });
			await onIn();
		} catch (x) {
			setError(x instanceof ApiError ? x.message : String(x));
			setBusy(false);
		}
	};
	return (
		<Form onSubmit={(e) => void submit(e)}>
			{error && <Alert variant="danger" isInline title={error} component="p" role="alert" />}
			<FormGroup label={t('login.name')} fieldId="name" isRequired>
				<TextInput
					id="name"
					name="username"
					autoComplete="username"
					autoFocus
					isRequired
					value={name}
					onChange={(_, v) => setName(v)}
				/>
			</FormGroup>
			<FormGroup label={t('login.password')} fieldId="password" isRequired>
				<TextInput
					id="password"
					name="password"
					type="password"
					autoComplete="current-password"
					isRequired
					value={password}
					onChange={(_, v) => setPassword(v)}
				/>
			</FormGroup>
			<Button type="submit" isBlock isLoading={busy} isDisabled={busy || !name || !password}>
				{t('login.submit')}
			</Button>
		</Form>
	);
}

export function Login({ expired, failure, onIn }: { expired: boolean; failure?: string; onIn: () => Promise<void> }) {
	const methods = useMethods();
	useEffect(() => {
		document.title = `${t('login.title')} · Holdfast`;
	}, []);
	if (!methods) return null;
	// The server's own path; what it put in front of it for a proxy is in the method's url.
	const here = encodeURIComponent(`/${document.location.hash}`);
	const refused = new URLSearchParams(document.location.search).get('login_error');
	const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]');
	const providers = methods.filter((m) => m.kind === 'oidc' && m.url);
	const withForm = methods.some((m) => m.kind !== 'oidc');
	return (
		<LoginPage
			className="hf-login"
			brandImgSrc={icon?.href}
			brandImgAlt=""
			loginTitle={t('login.title')}
			loginSubtitle={t('login.subtitle')}
			textContent={t('login.first')}
		>
			<h1 className="pf-v6-screen-reader">Holdfast</h1>
			{expired && <Alert variant="info" isInline title={t('login.expired')} component="p" />}
			{refused && <Alert variant="danger" isInline title={tx('login.error', refused)} component="p" />}
			{failure && <Alert variant="danger" isInline title={failure} component="p" />}
			{providers.map((m) => (
				<Button
					key={m.name}
					component="a"
					href={`${m.url}?return=${here}`}
					isBlock
					variant={withForm ? 'secondary' : 'primary'}
				>
					{t('login.with', { name: m.name })}
				</Button>
			))}
			{providers.length > 0 && withForm && <Divider className="hf-divider" />}
			{withForm && <PasswordForm onIn={onIn} />}
		</LoginPage>
	);
}
