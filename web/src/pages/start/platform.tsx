// SPDX-License-Identifier: Apache-2.0
// A host and its machines: tried at once, and what is wrong is told in libvirt's own words.
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
	Spinner,
	TextInput,
} from '@patternfly/react-core';
import { useEffect, useState, type FormEvent } from 'react';
import { api, type Schema } from '../../api/client';
import { useList, useOne } from '../../live/hooks';
import { changed } from '../../live/store';
import { t } from '../../texts';

type Platform = Schema<'Platform'>;
type Kind = 'here' | 'ssh' | 'own';

const HERE = 'qemu:///system';

function uriOf(kind: Kind, host: string, own: string): string {
	if (kind === 'here') return HERE;
	return kind === 'ssh' ? `qemu+ssh://${host.includes('@') ? host : `root@${host}`}/system` : own;
}

/** While machines are being looked for; what went wrong so far is in the step that waits for another try. */
function Looking({ operation, uri, onEnd }: { operation: string; uri: string; onEnd: () => void }) {
	const { data } = useOne<Schema<'OperationDetail'>>(`operations/${operation}`, 'operation');
	const movers = useList<Schema<'Mover'>>('movers', 'movers');
	const ended = data && ['succeeded', 'failed', 'cancelled'].includes(data.state);
	useEffect(() => {
		if (!ended) return;
		changed('platforms', 'protectables');
		onEnd();
	}, [ended]);
	const reason = data?.steps.find((s) => s.reason)?.reason;
	const alone = movers.data && !movers.items.some((m) => m.state === 'online');
	return (
		<div className="hf-looking" role="status">
			<Spinner size="md" aria-label={t('app.loading')} /> {t('start.platform.looking', { uri })}
			{reason && <p className="hf-small">{t('start.platform.trying', { reason })}</p>}
			{alone && <Alert variant="warning" isInline title={t('start.platform.noMover')} className="hf-gap" />}
		</div>
	);
}

export function PlatformStep({ platforms }: { platforms: Platform[] }) {
	const known = platforms[0];
	const [kind, setKind] = useState<Kind>(known && known.uri !== HERE ? 'own' : 'here');
	const [host, setHost] = useState('');
	const [own, setOwn] = useState(known?.uri ?? '');
	const [name, setName] = useState(known?.name ?? '');
	const [operation, setOperation] = useState<string>();
	const [error, setError] = useState<string>();
	const uri = uriOf(kind, host, own);
	const proposed = kind === 'here' ? 'this host' : (uri.match(/\/\/(?:[^@/]*@)?([^/:?]+)/)?.[1] ?? 'host');

	const submit = async (e: FormEvent) => {
		e.preventDefault();
		setError(undefined);
		try {
			const place = { name: name || proposed, uri };
			if (known) {
				await api.put(`platforms/${known.id}`, { platform: place });
				setOperation((await api.post<{ operation_id: string }>(`platforms/${known.id}/discover`)).operation_id);
			} else {
				setOperation(
					(await api.post<{ platform: Platform }>('platforms', { platform: { ...place, kind: 'libvirt' } }))
						.platform.operation_id,
				);
			}
			changed('platforms');
		} catch (x) {
			setError((x as Error).message);
		}
	};

	return (
		<>
			<Content component="p">{t('start.platform.text')}</Content>
			<Form onSubmit={(e) => void submit(e)} isWidthLimited>
				<FormGroup role="radiogroup" fieldId="kind">
					{(['here', 'ssh', 'own'] as const).map((k) => (
						<Radio
							key={k}
							id={`kind-${k}`}
							name="kind"
							label={t(`start.platform.${k}`)}
							description={
								k === 'here'
									? `${t('start.platform.here.text')}, ${HERE}`
									: t(`start.platform.${k}.text`)
							}
							isChecked={kind === k}
							onChange={() => setKind(k)}
						/>
					))}
				</FormGroup>
				{kind === 'ssh' && (
					<FormGroup label={t('start.platform.host')} fieldId="host" isRequired>
						<TextInput id="host" value={host} onChange={(_, v) => setHost(v)} isRequired />
						<FormHelperText>
							<HelperText>
								<HelperTextItem>{t('start.platform.hostHelp')}</HelperTextItem>
							</HelperText>
						</FormHelperText>
					</FormGroup>
				)}
				{kind === 'own' && (
					<FormGroup label={t('start.platform.uri')} fieldId="uri" isRequired>
						<TextInput
							id="uri"
							value={own}
							placeholder="qemu+tls://kvm1.example.com/system"
							onChange={(_, v) => setOwn(v)}
							isRequired
						/>
					</FormGroup>
				)}
				<FormGroup label={t('start.platform.name')} fieldId="platform-name">
					<TextInput id="platform-name" value={name} placeholder={proposed} onChange={(_, v) => setName(v)} />
				</FormGroup>
				{operation ? (
					<Looking operation={operation} uri={uri} onEnd={() => setOperation(undefined)} />
				) : (
					<>
						{error && <Alert variant="danger" isInline title={error} component="p" />}
						{!error && known?.status === 'error' && (
							<Alert variant="danger" isInline title={t('start.platform.failed')} role="alert">
								{known.reason}
							</Alert>
						)}
						{known?.status === 'available' && known.resources === 0 && (
							<Alert variant="info" isInline title={t('start.platform.none')} />
						)}
						<ActionGroup>
							<Button type="submit" isDisabled={(kind === 'ssh' && !host) || (kind === 'own' && !own)}>
								{known ? t('start.platform.look') : t('start.platform.submit')}
							</Button>
						</ActionGroup>
					</>
				)}
			</Form>
		</>
	);
}
