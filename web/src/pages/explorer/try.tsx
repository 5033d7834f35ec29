// SPDX-License-Identifier: Apache-2.0
// A request with the session of who looks, what came of it, and the same without a browser.
import {
	Alert,
	Button,
	Form,
	FormGroup,
	FormHelperText,
	FormSelect,
	FormSelectOption,
	HelperText,
	HelperTextItem,
	Label,
	TextArea,
	TextInput,
} from '@patternfly/react-core';
import { useId, useState, type FormEvent } from 'react';
import { api as client, ApiError, type Query } from '../../api/client';
import { Command } from '../../parts/command';
import { bytes } from '../../parts/format';
import { cli, curl } from '../../parts/same';
import { t, tn } from '../../texts';
import type { Api, Method, Parameter, Route } from './contract';

export interface Request {
	method: Method;
	/** As for the client. */
	path: string;
	query: Query;
	/** JSON, as it was typed. */
	body: string;
}

interface Came {
	status: number;
	words: string;
	ms: number;
	text: string;
}

const LONGEST = 100_000; // characters of an answer that are shown

function Field({ of: p, api, value, set }: { of: Parameter; api: Api; value: string; set: (v: string) => void }) {
	const id = useId();
	const choices = p.schema && api.resolve(p.schema).enum;
	return (
		<FormGroup label={p.name} fieldId={id} isRequired={p.in === 'path'}>
			{choices ? (
				<FormSelect id={id} value={value} onChange={(_, v) => set(v)}>
					<FormSelectOption value="" label={t('explorer.unset')} />
					{choices.map((c) => (
						<FormSelectOption key={String(c)} value={String(c)} label={String(c)} />
					))}
				</FormSelect>
			) : (
				<TextInput id={id} value={value} spellCheck={false} autoComplete="off" onChange={(_, v) => set(v)} />
			)}
			{p.description && (
				<FormHelperText>
					<HelperText>
						<HelperTextItem>{p.description}</HelperTextItem>
					</HelperText>
				</FormHelperText>
			)}
		</FormGroup>
	);
}

function Answered({ came }: { came: Came }) {
	const good = came.status < 400;
	return (
		<section aria-label={t('explorer.answer')} className="hf-gap">
			<p className="hf-inline" role="status">
				<Label color={good ? 'green' : 'red'} isCompact>
					{came.status} {came.words}
				</Label>
				<span className="hf-small hf-number">
					{t('explorer.took', { ms: came.ms, size: bytes(new TextEncoder().encode(came.text).length) })}
				</span>
			</p>
			{came.text && (
				<pre className="hf-json" tabIndex={0}>
					{came.text.slice(0, LONGEST)}
				</pre>
			)}
			{came.text.length > LONGEST && <p className="hf-small">{t('explorer.cut')}</p>}
		</section>
	);
}

function Commands({ words, request, body }: { words: string | undefined; request: Request; body: unknown }) {
	const commands = [[t('same.api'), curl({ ...request, body })] as const];
	if (words) commands.push([t('same.cli'), cli(words)]);
	return commands.map(([title, command]) => <Command key={title} label={title} text={command} />);
}

// What was typed, or why it is no JSON.
function parse(text: string): { body?: unknown; wrong?: string } {
	if (!text.trim()) return {};
	try {
		return { body: JSON.parse(text) as unknown };
	} catch (e) {
		return { wrong: (e as Error).message };
	}
}

async function ask({ method, path, query }: Request, body: unknown): Promise<Came> {
	const began = performance.now();
	const answer = await client.plain(method, path, body, { query });
	const text = await answer.text();
	const ms = Math.round(performance.now() - began);
	const isJson = answer.headers.get('Content-Type')?.includes('json');
	return {
		status: answer.status,
		words: answer.statusText,
		ms,
		text: isJson && text ? JSON.stringify(JSON.parse(text), null, 2) : text,
	};
}

export function Try(p: {
	route: Route;
	api: Api;
	request: Request;
	value: (name: string) => string;
	set: (name: string, value: string) => void;
	setBody: (text: string) => void;
}) {
	const { route, request } = p;
	const [busy, setBusy] = useState(false);
	const [came, setCame] = useState<Came>();
	const [error, setError] = useState('');
	const id = useId();
	const { body, wrong } = parse(request.body);
	const inPath = route.parameters.filter((x) => x.in === 'path');
	const inQuery = route.parameters.filter((x) => x.in === 'query');
	const lacks = inPath.some((x) => !p.value(x.name));
	const fields = (of: Parameter[]) => (
		<div className="hf-fields">
			{of.map((x) => (
				<Field key={x.name} of={x} api={p.api} value={p.value(x.name)} set={(v) => p.set(x.name, v)} />
			))}
		</div>
	);
	const send = (e: FormEvent) => {
		e.preventDefault();
		setBusy(true);
		setError('');
		ask(request, body)
			.then(setCame, (why: unknown) => setError(why instanceof ApiError ? why.message : String(why)))
			.finally(() => setBusy(false));
	};
	return (
		<>
			<Form onSubmit={send}>
				{inPath.length > 0 && fields(inPath)}
				{inQuery.length > 0 && (
					<details className="hf-query" open={inQuery.some((x) => p.value(x.name))}>
						<summary>{tn('explorer.query', inQuery.length)}</summary>
						{fields(inQuery)}
					</details>
				)}
				{route.body && (
					<FormGroup label={t('explorer.body')} fieldId={id}>
						<TextArea
							id={id}
							className="hf-json-edit"
							value={request.body}
							rows={Math.min(20, request.body.split('\n').length + 1)}
							spellCheck={false}
							validated={wrong ? 'error' : 'default'}
							resizeOrientation="vertical"
							onChange={(_, v) => p.setBody(v)}
						/>
						{wrong && (
							<FormHelperText>
								<HelperText>
									<HelperTextItem variant="error">{wrong}</HelperTextItem>
								</HelperText>
							</FormHelperText>
						)}
					</FormGroup>
				)}
				<div className="hf-inline">
					<Button
						type="submit"
						variant={request.method === 'DELETE' ? 'danger' : 'primary'}
						isLoading={busy}
						isDisabled={busy || lacks || Boolean(wrong)}
					>
						{t('explorer.send')}
					</Button>
					{request.method !== 'GET' && <span className="hf-small">{t('explorer.forReal')}</span>}
				</div>
			</Form>
			{error && <Alert className="hf-gap" variant="danger" isInline title={error} component="p" />}
			{came && <Answered came={came} />}
			<Commands
				words={route.cli?.replace(
					/\{(\w+)\}/g,
					(all, name: string) => p.value(name) || all.slice(1, -1).toUpperCase(),
				)}
				request={request}
				body={body}
			/>
		</>
	);
}
