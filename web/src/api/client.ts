// SPDX-License-Identifier: Apache-2.0
// Requests to the server that the page came from. Who is logged in is known by a cookie that scripts cannot read.
//
// Paths: 'plans/ID' is within the project that is chosen, '/identity' beside all projects. All of them are relative to
// the page, so that it works behind a proxy under any path.
import type { components, operations } from './schema';

/** A schema of openapi.yaml by its name: Schema<'Plan'>. */
export type Schema<K extends keyof components['schemas']> = components['schemas'][K];

type Content<R> = R extends { content: { 'application/json': infer C } } ? C : undefined;
/** What an operation of openapi.yaml answers when all went well: Answer<'listPlans'>. */
export type Answer<K extends keyof operations> = {
	[S in keyof operations[K]['responses']]: S extends 200 | 201 | 202 ? Content<operations[K]['responses'][S]> : never;
}[keyof operations[K]['responses']];

/** An answer that says no; `message` is the server's own, made for people. */
export class ApiError extends Error {
	constructor(
		readonly status: number,
		message: string,
		readonly retryAfter?: number,
	) {
		super(message);
		this.name = 'ApiError';
	}
}

export type Query = Record<string, string | number | boolean | null | undefined>;

export interface Reply<T> {
	body: T;
	etag: string | null;
	status: number;
}

let project = '';
let onUnauthorized: () => void = () => undefined;

export function setProject(id: string): void {
	project = id;
}

export function currentProject(): string {
	return project;
}

/** Called for each 401, but for those of logging in. */
export function setUnauthorized(fn: () => void): void {
	onUnauthorized = fn;
}

/** The server's address as the browser has it, without a slash at the end. */
export function serverUrl(): string {
	return document.location.href.replace(/[#?].*$/, '').replace(/\/(index\.html)?$/, '');
}

export function apiPath(path: string, query?: Query): string {
	const place = path.startsWith('/') ? `v1${path}` : `v1/${project}/${path}`;
	const q = new URLSearchParams();
	for (const [k, v] of Object.entries(query ?? {}))
		if (v !== undefined && v !== null && v !== '') q.set(k, String(v));
	return q.size ? `${place}?${q}` : place;
}

/** 32 hexadecimal digits; randomUUID() is not there on pages over plain HTTP. */
export function randomKey(): string {
	return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
}

async function failure(answer: Response): Promise<ApiError> {
	const retry = Number(answer.headers.get('Retry-After')) || undefined;
	try {
		const body = (await answer.json()) as Record<string, { message?: string }>;
		const message = Object.values(body)[0]?.message;
		if (message) return new ApiError(answer.status, message, retry);
	} catch {
		/* not JSON: a proxy's own */
	}
	return new ApiError(answer.status, `${answer.status} ${answer.statusText}`, retry);
}

export interface Options {
	query?: Query;
	headers?: Record<string, string>;
	signal?: AbortSignal;
	/** A 401 is an answer like any other. */
	quiet?: boolean;
}

// The answer, whatever it says.
async function send(method: string, path: string, body: unknown, o: Options = {}): Promise<Response> {
	const headers: Record<string, string> = { Accept: 'application/json', ...o.headers };
	if (body !== undefined) headers['Content-Type'] = 'application/json';
	if (method === 'POST') headers['Idempotency-Key'] ??= randomKey();
	let answer: Response;
	try {
		answer = await fetch(apiPath(path, o.query), {
			method,
			headers,
			body: body === undefined ? undefined : JSON.stringify(body),
			credentials: 'same-origin',
			signal: o.signal,
		});
	} catch (e) {
		if (o.signal?.aborted) throw e;
		throw new ApiError(0, 'The server cannot be reached. Is it running, and is this machine connected?');
	}
	if (answer.status === 401 && !o.quiet) onUnauthorized();
	return answer;
}

async function request(method: string, path: string, body: unknown, o?: Options): Promise<Response> {
	const answer = await send(method, path, body, o);
	if (!answer.ok && answer.status !== 304) throw await failure(answer);
	return answer;
}

async function json<T>(answer: Response): Promise<T> {
	const text = await answer.text();
	return (text ? JSON.parse(text) : undefined) as T;
}

export const api = {
	async get<T>(path: string, query?: Query, o: Options = {}): Promise<T> {
		return json<T>(await request('GET', path, undefined, { ...o, query }));
	},
	/** With its ETag; `etag`: of what is known, then `status` may be 304 and there is no body. */
	async fetch<T>(path: string, query?: Query, etag?: string | null, signal?: AbortSignal): Promise<Reply<T>> {
		const answer = await request('GET', path, undefined, {
			query,
			signal,
			headers: etag ? { 'If-None-Match': etag } : {},
		});
		return {
			body: answer.status === 304 ? (undefined as T) : await json<T>(answer),
			etag: answer.headers.get('ETag'),
			status: answer.status,
		};
	},
	/** Carries an Idempotency-Key, a new one for each call unless one is in the options' headers. */
	async post<T>(path: string, body?: unknown, o?: Options): Promise<T> {
		return json<T>(await request('POST', path, body, o));
	},
	async put<T>(path: string, body: unknown, o?: Options): Promise<T> {
		return json<T>(await request('PUT', path, body, o));
	},
	async patch<T>(path: string, body: unknown, o?: Options): Promise<T> {
		return json<T>(await request('PATCH', path, body, o));
	},
	async remove(path: string, o?: Options): Promise<void> {
		await request('DELETE', path, undefined, o);
	},
	/** The answer as it is, for what is no JSON. */
	raw: request,
	/** The same, also of one that says no. */
	plain: send,
};
