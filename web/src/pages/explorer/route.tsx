// SPDX-License-Identifier: Apache-2.0
// One route of the API: what it takes, what it answers, and trying it. The values are in the URL.
import { Alert, Card, CardBody, CardTitle } from '@patternfly/react-core';
import { useState } from 'react';
import { setQuery, usePlace } from '../../app/router';
import { Empty, Shown } from '../../parts/empty';
import { Page } from '../../parts/page';
import { t, tx } from '../../texts';
import { clientPath, exampleOf, useContract, type Api, type Route } from './contract';
import { MethodName, Members } from './schema';
import { Try, type Request } from './try';

function Told({ route, api }: { route: Route; api: Api }) {
	return (
		<Card>
			<CardTitle component="h2">{t('explorer.contract')}</CardTitle>
			<CardBody className="hf-told">
				{route.body && (
					<details open>
						<summary>{t('explorer.body')}</summary>
						<Members schema={route.body} api={api} isAsked />
					</details>
				)}
				<details open={!route.body}>
					<summary>{t('explorer.answers', { status: route.status })}</summary>
					{route.answer ? (
						<Members schema={route.answer} api={api} />
					) : (
						<p className="hf-none">{t('explorer.noContent')}</p>
					)}
				</details>
			</CardBody>
		</Card>
	);
}

function RouteBody({ route, api }: { route: Route; api: Api }) {
	const { query } = usePlace();
	const [body, setBody] = useState(() => (route.body ? exampleOf(route.body, api) : ''));
	const value = (name: string) => query.get(name) ?? '';
	const asked = route.parameters.filter((p) => p.in === 'query' && value(p.name));
	const request: Request = {
		method: route.method,
		path: clientPath(route, value),
		query: Object.fromEntries(asked.map((p) => [p.name, value(p.name)])),
		body,
	};
	return (
		<div className="hf-explore">
			<Card>
				<CardTitle component="h2">{t('explorer.try')}</CardTitle>
				<CardBody>
					{route.canTry ? (
						<Try
							route={route}
							api={api}
							request={request}
							value={value}
							set={(name, v) => setQuery({ [name]: v })}
							setBody={setBody}
						/>
					) : (
						<Alert variant="info" isInline isPlain title={t('explorer.notHere')} component="p" />
					)}
				</CardBody>
			</Card>
			<Told route={route} api={api} />
		</div>
	);
}

export default function RoutePage({ params }: { params: Record<string, string> }) {
	const live = useContract();
	const route = live.data?.routes.find((r) => r.id === params.id);
	return (
		<Page
			title={route?.summary ?? t('explorer.title')}
			crumbs={[{ title: t('explorer.title'), to: '/api' }]}
			text={
				route && (
					<>
						<MethodName method={route.method} /> <code className="hf-code">{route.path}</code>{' '}
						<span className="hf-small">{tx('explorer.group', route.group)}</span>
						{route.description && <p className="hf-gap">{route.description}</p>}
					</>
				)
			}
		>
			<Shown live={live}>
				{(api) => (route ? <RouteBody route={route} api={api} /> : <Empty title={t('explorer.noRoute')} />)}
			</Shown>
		</Page>
	);
}
