// SPDX-License-Identifier: Apache-2.0
// What a body or an answer holds, member by member.
import { t } from '../../texts';
import { words, type Api, type JsonSchema, type Method } from './contract';

const DEEPEST = 6;

export function MethodName({ method }: { method: Method }) {
	return <span className={`hf-method hf-method-${method.toLowerCase()}`}>{method}</span>;
}

// The object that a value is or is made of, if it is one.
function objectOf(s: JsonSchema, api: Api): JsonSchema | undefined {
	const is = api.resolve(s);
	const inner = is.items ? api.resolve(is.items) : is;
	return inner.properties ? inner : undefined;
}

/** `isAsked`: of a body, where it matters what is required. */
export function Members({
	schema,
	api,
	isAsked,
	depth = 0,
}: {
	schema: JsonSchema;
	api: Api;
	isAsked?: boolean;
	depth?: number;
}) {
	const is = objectOf(schema, api);
	if (!is) return <code className="hf-code">{words(schema, api)}</code>;
	return (
		<ul className="hf-members">
			{Object.entries(is.properties ?? {}).map(([name, value]) => {
				const inner = depth < DEEPEST ? objectOf(value, api) : undefined;
				return (
					<li key={name}>
						<code>{name}</code> <span className="hf-small">{words(value, api)}</span>
						{isAsked && is.required?.includes(name) && (
							<span className="hf-required">{t('explorer.required')}</span>
						)}
						{value.description && <div className="hf-small">{value.description}</div>}
						{inner && <Members schema={inner} api={api} isAsked={isAsked} depth={depth + 1} />}
					</li>
				);
			})}
		</ul>
	);
}
