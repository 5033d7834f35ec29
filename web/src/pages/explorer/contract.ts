// SPDX-License-Identifier: Apache-2.0
// The contract of the API, as the server that answers has it, taken apart for showing and trying.
import { useEffect, useState } from 'react';
import { ApiError, serverUrl } from '../../api/client';

export interface JsonSchema {
	$ref?: string;
	type?: string | string[];
	enum?: unknown[];
	format?: string;
	description?: string;
	properties?: Record<string, JsonSchema>;
	required?: string[];
	items?: JsonSchema;
	oneOf?: JsonSchema[];
	additionalProperties?: boolean | JsonSchema;
	minimum?: number;
}

interface Content {
	description?: string;
	content?: Record<string, { schema: JsonSchema }>;
}

export interface Parameter {
	name: string;
	in: 'path' | 'query' | 'header';
	required?: boolean;
	description?: string;
	schema?: JsonSchema;
}

interface Operation {
	operationId: string;
	summary: string;
	description?: string;
	tags: string[];
	parameters?: (Parameter | { $ref: string })[];
	requestBody?: Content;
	responses: Record<string, Content | { $ref: string }>;
	/** Words of the command line for the same. */
	'x-cli'?: string;
}

interface Contract {
	info: { title: string; version: string; description: string };
	paths: Record<string, Record<string, Operation>>;
	components: Record<string, Record<string, unknown>>;
}

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

export interface Route {
	id: string;
	method: Method;
	/** '/v1/{project_id}/plans/{plan_id}' */
	path: string;
	group: string;
	summary: string;
	description?: string;
	parameters: Parameter[];
	body?: JsonSchema;
	/** What comes when all went well; undefined: nothing, or no JSON. */
	answer?: JsonSchema;
	status: string;
	cli?: string;
	/** It answers with JSON or nothing at once, so it can be tried here. */
	canTry: boolean;
}

export interface Api {
	routes: Route[];
	/** What a $ref stands for; anything else is itself. */
	resolve: (schema: JsonSchema) => JsonSchema;
}

const PROJECT = 'project_id';

function routeOf(path: string, method: string, o: Operation, found: (ref: string) => unknown): Route {
	const parameters = (o.parameters ?? []).map((p) => ('$ref' in p ? (found(p.$ref) as Parameter) : p));
	const [status, good] = Object.entries(o.responses).find(([code]) => code.startsWith('2')) ?? ['default', {}];
	const kinds = Object.keys(('content' in good && good.content) || {});
	return {
		id: o.operationId,
		method: method.toUpperCase() as Method,
		path,
		group: o.tags[0] ?? '',
		summary: o.summary,
		description: o.description,
		// The project is the one that is chosen at the top of the page; keys against repetition are made by the client.
		parameters: parameters.filter((p) => p.in !== 'header' && !(p.in === 'path' && p.name === PROJECT)),
		body: o.requestBody?.content?.['application/json']?.schema,
		answer: 'content' in good ? good.content?.['application/json']?.schema : undefined,
		status,
		cli: o['x-cli'],
		canTry:
			path.startsWith('/v1/') && status !== 'default' && (!kinds.length || kinds.includes('application/json')),
	};
}

function read(contract: Contract): Api {
	const found = (ref: string) => {
		const [, , area = '', name = ''] = ref.split('/');
		return contract.components[area]?.[name];
	};
	return {
		routes: Object.entries(contract.paths).flatMap(([path, methods]) =>
			Object.entries(methods).map(([method, o]) => routeOf(path, method, o, found)),
		),
		resolve: (s) => (s.$ref ? { ...(found(s.$ref) as JsonSchema), description: s.description } : s),
	};
}

let loading: Promise<Api> | undefined;

async function load(): Promise<Api> {
	const answer = await fetch('openapi.json');
	if (!answer.ok) throw new ApiError(answer.status, `${serverUrl()}/openapi.json: ${answer.status}`);
	return read((await answer.json()) as Contract);
}

/** It does not change while the server runs, so it is asked for once. */
export function useContract(): { data: Api | undefined; error: ApiError | undefined; loading: boolean } {
	const [state, set] = useState<{ data?: Api; error?: ApiError }>({});
	useEffect(() => {
		let gone = false;
		loading ??= load();
		loading.then(
			(data) => gone || set({ data }),
			(e: unknown) => {
				loading = undefined;
				if (!gone) set({ error: e instanceof ApiError ? e : new ApiError(0, String(e)) });
			},
		);
		return () => {
			gone = true;
		};
	}, []);
	return { data: state.data, error: state.error, loading: !state.data && !state.error };
}

/** The route that a request is for, and the values in its path: 'GET', 'plans/ID' as for the client. */
export function routeFor(
	api: Api,
	method: string,
	path: string,
): { route: Route; values: Record<string, string> } | undefined {
	const parts = (path.startsWith('/') ? path.slice(1) : `{${PROJECT}}/${path}`).split('/');
	for (const route of api.routes) {
		const want = route.path.replace('/v1/', '').split('/');
		const values: Record<string, string> = {};
		const fits = (w: string, i: number) => {
			const name = w.match(/^\{(.*)\}$/)?.[1];
			if (name && w !== parts[i]) values[name] = decodeURIComponent(parts[i] ?? '');
			return name ? true : w === parts[i];
		};
		if (route.method === method && want.length === parts.length && want.every(fits)) return { route, values };
	}
	return undefined;
}

/** A route's path as the client wants it, with the values that it holds. */
export function clientPath(route: Route, value: (name: string) => string): string {
	const filled = route.path.replace(/\{(\w+)\}/g, (all, name: string) =>
		name === PROJECT && route.path.startsWith(`/v1/${all}/`) ? all : encodeURIComponent(value(name)) || all,
	);
	const inProject = `/v1/{${PROJECT}}/`;
	return filled.startsWith(inProject) ? filled.slice(inProject.length) : filled.slice('/v1'.length);
}

function typeOf(s: JsonSchema): string {
	const types = [s.type ?? 'any'].flat();
	return types.find((x) => x !== 'null') ?? 'any';
}

/** What a value is, in words: 'text', 'whole number ≥ 1', 'a | b'. */
export function words(s: JsonSchema, api: Api): string {
	const is = api.resolve(s);
	if (is.enum) return is.enum.map(String).join(' | ');
	if (is.oneOf) return is.oneOf.map((x) => words(x, api)).join(' | ');
	const type = typeOf(is);
	if (type === 'array') return `[${is.items ? words(is.items, api) : 'any'}]`;
	const least = is.minimum === undefined ? '' : ` ≥ ${is.minimum}`;
	const orNull = Array.isArray(is.type) && is.type.includes('null') ? ' | null' : '';
	return `${is.format ?? type}${least}${orNull}`;
}

// A value to begin with. Of an object what is required.
function example(s: JsonSchema, api: Api): unknown {
	const is = api.resolve(s);
	if (is.enum) return is.enum[0];
	if (is.oneOf?.[0]) return example(is.oneOf[0], api);
	switch (typeOf(is)) {
		case 'object': {
			const needed = Object.entries(is.properties ?? {}).filter(([name]) => is.required?.includes(name));
			return Object.fromEntries(needed.map(([name, value]) => [name, example(value, api)]));
		}
		case 'array':
			return [];
		case 'integer':
		case 'number':
			return is.minimum ?? 0;
		case 'boolean':
			return false;
		default:
			return '';
	}
}

export function exampleOf(s: JsonSchema, api: Api): string {
	return JSON.stringify(example(s, api), null, 2);
}
