// SPDX-License-Identifier: Apache-2.0
// A directory or a bucket, and a provider over it.
import {
	ActionGroup,
	Alert,
	Button,
	Content,
	Form,
	FormGroup,
	FormHelperText,
	HelperText,
	HelperTextItem,
	Radio,
	TextInput,
} from '@patternfly/react-core';
import { useState, type FormEvent } from 'react';
import { api, type Schema } from '../../api/client';
import { changed } from '../../live/store';
import { t, type Key } from '../../texts';

interface Values {
	path: string;
	bucket: string;
	endpoint: string;
	region: string;
	access: string;
	secret: string;
	name: string;
}

const EMPTY: Values = { path: '', bucket: '', endpoint: '', region: '', access: '', secret: '', name: '' };

function inputOf(kind: 'dir' | 's3', v: Values) {
	const name =
		v.name || (kind === 'dir' ? v.path.split('/').filter(Boolean).pop() : v.bucket.split('/')[0]) || 'backups';
	if (kind === 'dir') return { name, url: `dir:${v.path}` };
	const options = Object.fromEntries(
		Object.entries({ endpoint: v.endpoint, region: v.region }).filter(([, text]) => text),
	);
	return {
		name,
		url: `s3://${v.bucket.replace(/^s3:\/\//, '')}`,
		options,
		credentials: { access_key: v.access, secret_key: v.secret },
	};
}

export function TargetStep() {
	const [kind, setKind] = useState<'dir' | 's3'>('dir');
	const [v, set] = useState(EMPTY);
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState<string>();
	const full = kind === 'dir' ? v.path.startsWith('/') : v.bucket && v.access && v.secret;

	const submit = async (e: FormEvent) => {
		e.preventDefault();
		setBusy(true);
		setError(undefined);
		const input = inputOf(kind, v);
		try {
			const { target } = await api.post<{ target: Schema<'Target'> }>('targets', { target: input });
			try {
				await api.post('providers', { provider: { name: input.name, target_id: target.id } });
			} catch (x) {
				await api.remove(`targets/${target.id}`).catch(() => undefined);
				throw x;
			}
			changed('targets', 'providers');
		} catch (x) {
			setError((x as Error).message);
			setBusy(false);
		}
	};

	const field = (
		name: keyof Values,
		help?: Key,
		more: { placeholder?: string; type?: 'password'; isOptional?: boolean } = {},
	) => (
		<FormGroup label={t(`start.target.${name}`)} fieldId={`target-${name}`} isRequired={!more.isOptional}>
			<TextInput
				id={`target-${name}`}
				type={more.type ?? 'text'}
				autoComplete="off"
				placeholder={more.placeholder}
				value={v[name]}
				onChange={(_, text) => set({ ...v, [name]: text })}
			/>
			{help && (
				<FormHelperText>
					<HelperText>
						<HelperTextItem>{t(help)}</HelperTextItem>
					</HelperText>
				</FormHelperText>
			)}
		</FormGroup>
	);

	return (
		<>
			<Content component="p">{t('start.target.text')}</Content>
			<Form onSubmit={(e) => void submit(e)} isWidthLimited>
				<FormGroup role="radiogroup" fieldId="target">
					{(['dir', 's3'] as const).map((k) => (
						<Radio
							key={k}
							id={`target-${k}`}
							name="target"
							label={t(`start.target.${k}`)}
							description={t(`start.target.${k}.text`)}
							isChecked={kind === k}
							onChange={() => setKind(k)}
						/>
					))}
				</FormGroup>
				{kind === 'dir' ? (
					field('path', 'start.target.pathHelp', { placeholder: '/srv/backup' })
				) : (
					<>
						{field('bucket', 'start.target.bucketHelp')}
						{field('endpoint', 'start.target.endpointHelp', { isOptional: true })}
						{field('region', undefined, { isOptional: true })}
						{field('access')}
						{field('secret', undefined, { type: 'password' })}
					</>
				)}
				{field('name', undefined, { isOptional: true })}
				{v.path && kind === 'dir' && !v.path.startsWith('/') && (
					<Alert variant="warning" isInline isPlain title={t('start.target.absolute')} />
				)}
				{error && <Alert variant="danger" isInline title={error} component="p" />}
				<ActionGroup>
					<Button type="submit" isLoading={busy} isDisabled={busy || !full}>
						{t('start.target.submit')}
					</Button>
				</ActionGroup>
			</Form>
		</>
	);
}
