// SPDX-License-Identifier: Apache-2.0
// Every route of the API. '#/api?method=GET&at=plans/ID' goes to the one that such a request is for.
import { Card, CardBody, CardTitle, SearchInput } from '@patternfly/react-core';
import { useEffect } from 'react';
import { go, Link, setQuery, usePlace } from '../../app/router';
import { Empty, Shown } from '../../parts/empty';
import { Page } from '../../parts/page';
import { t, tx } from '../../texts';
import { routeFor, useContract, type Api, type Route } from './contract';
import { MethodName } from './schema';

function has(r: Route, text: string): boolean {
	return `${r.method} ${r.path} ${r.summary} ${r.id}`.toLowerCase().includes(text.toLowerCase());
}

function Group({ name, routes }: { name: string; routes: Route[] }) {
	return (
		<Card>
			<CardTitle component="h2">{tx('explorer.group', name)}</CardTitle>
			<CardBody>
				<ul className="hf-routes">
					{routes.map((r) => (
						<li key={r.id}>
							<Link to={`/api/${r.id}`}>
								<MethodName method={r.method} />
								<code className="hf-code">{r.path}</code>
							</Link>
							<span className="hf-small">{r.summary}</span>
						</li>
					))}
				</ul>
			</CardBody>
		</Card>
	);
}

function Routes({ api }: { api: Api }) {
	const { query } = usePlace();
	const text = query.get('q') ?? '';
	const routes = api.routes.filter((r) => has(r, text));
	const groups = [...new Set(routes.map((r) => r.group))];
	return (
		<div className="hf-stack">
			<SearchInput
				className="hf-narrow"
				aria-label={t('explorer.find')}
				placeholder={t('explorer.find')}
				value={text}
				onChange={(_, v) => setQuery({ q: v })}
				onClear={() => setQuery({ q: null })}
			/>
			{!routes.length && <Empty title={t('parts.nothing')} />}
			{groups.map((name) => (
				<Group key={name} name={name} routes={routes.filter((r) => r.group === name)} />
			))}
		</div>
	);
}

export default function Explorer() {
	const live = useContract();
	const { query } = usePlace();
	const at = query.get('at');
	useEffect(() => {
		const found = live.data && at && routeFor(live.data, query.get('method') ?? 'GET', at);
		if (!found) return;
		const rest = Object.fromEntries([...query].filter(([name]) => name !== 'at' && name !== 'method'));
		go(`/api/${found.route.id}`, { ...rest, ...found.values });
	}, [live.data, at, query]);
	return (
		<Page title={t('explorer.title')} text={t('explorer.about')}>
			<Shown live={live}>{(api) => <Routes api={api} />}</Shown>
		</Page>
	);
}
