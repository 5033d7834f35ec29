// SPDX-License-Identifier: Apache-2.0
// "The same by API / CLI": the exact commands for what a page shows or does.
import { Button, Popover } from '@patternfly/react-core';
import TerminalIcon from '@patternfly/react-icons/dist/esm/icons/terminal-icon';
import { apiPath, serverUrl, type Query } from '../api/client';
import { Link } from '../app/router';
import { t } from '../texts';
import { Command } from './command';

export interface Same {
	method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
	/** As for the client: 'plans/ID'. */
	path: string;
	query?: Query;
	body?: unknown;
	/** Words after `holdfast --server URL`; left out where the command line has none. */
	cli?: string;
}

const quote = (s: string) => (/^[\w@%+=:,./-]+$/.test(s) ? s : `'${s.replace(/'/g, `'\\''`)}'`);

export function curl({ method = 'GET', path, query, body }: Same): string {
	const words = ['curl', '-H', '"X-Auth-Token: $HOLDFAST_TOKEN"'];
	if (method !== 'GET') words.push('-X', method);
	if (body !== undefined)
		words.push('-H', quote('Content-Type: application/json'), '-d', quote(JSON.stringify(body)));
	return [...words, quote(`${serverUrl()}/${apiPath(path, query)}`)].join(' ');
}

export function cli(words: string): string {
	return `holdfast ${words} --server ${quote(serverUrl())}`;
}

// The explorer, with this request filled in.
function tryAt({ method = 'GET', path, query }: Same): { to: string; query: Query } {
	return { to: '/api', query: { ...query, method, at: path } };
}

export function SameByApi(same: Same) {
	return (
		<Popover
			aria-label={t('same.title')}
			headerContent={t('same.title')}
			minWidth="min(34rem, 90vw)"
			position="bottom-end"
			bodyContent={() => (
				<>
					<Command label={t('same.api')} text={curl(same)} />
					{same.cli && <Command label={t('same.cli')} text={cli(same.cli)} />}
					<p className="hf-small">
						{t('same.token')} <Link {...tryAt(same)}>{t('same.try')}</Link> ·{' '}
						<a href="docs">{t('same.docs')}</a>
					</p>
				</>
			)}
		>
			<Button variant="plain" icon={<TerminalIcon />} aria-label={t('same.title')} title={t('same.title')} />
		</Popover>
	);
}
