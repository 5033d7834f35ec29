// SPDX-License-Identifier: Apache-2.0
// The server itself: version, health, its processes.
import { Card, CardBody, CardTitle, List, ListItem } from '@patternfly/react-core';
import { useEffect, useState } from 'react';
import { serverUrl, type Answer, type Schema } from '../../api/client';
import { Link } from '../../app/router';
import { useSession } from '../../app/session';
import { useGet, useList } from '../../live/hooks';
import { Loading, Shown } from '../../parts/empty';
import { Facts } from '../../parts/facts';
import { Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { PlainTable } from '../../parts/rows';
import { StateLabel } from '../../parts/state';
import { t, tn, tx } from '../../texts';

type Service = Schema<'Service'>;
type Services = Answer<'listServices'>;

const SOON_MS = 14 * 86400 * 1000; // before a certificate ends

interface Health {
	status: string;
	part?: string; // which is not well
}

// It is beside the API, open to everybody, and tells with 503 what is not well. Asked again whenever `changed` is
// another.
function useHealth(changed: unknown): Health | undefined {
	const [health, set] = useState<Health>();
	useEffect(() => {
		fetch('healthz', { headers: { Accept: 'application/json' } })
			.then((a) => a.json())
			.then(set, () => set({ status: 'unknown' }));
	}, [changed]);
	return health;
}

function Server({ of }: { of: Services['server'] }) {
	const movers = useList<Schema<'Mover'>>('movers', 'movers');
	const there = movers.items.filter((m) => m.state !== 'revoked').map((m) => m.version ?? '–');
	const versions = [...new Set(there)].map((v) => [v, there.filter((x) => x === v).length] as const);
	const ends = of.certificate_ends_at;
	const soon = ends !== null && Date.parse(ends) - Date.now() < SOON_MS;
	return (
		<Card>
			<CardTitle component="h2">{t('about.server')}</CardTitle>
			<CardBody>
				<Facts
					rows={[
						[t('about.version'), of.version],
						[t('about.database'), tx('about.database', of.database)],
						[t('about.address'), <code className="hf-code">{serverUrl()}</code>],
						[
							t('about.certificate'),
							ends ? (
								<>
									<Time at={ends} exact />{' '}
									{soon && <StateLabel state="late" text={t('about.soon')} />}
								</>
							) : (
								t('about.noCertificate')
							),
						],
						[
							t('about.movers'),
							versions.map(([version, n]) => `${version} (${tn('about.moverCount', n)})`).join(', ') ||
								'–',
						],
					]}
				/>
			</CardBody>
		</Card>
	);
}

function Processes({ services }: { services: Service[] }) {
	return (
		<Card>
			<CardTitle component="h2">{t('about.services')}</CardTitle>
			<CardBody>
				<PlainTable
					label={t('about.services')}
					rows={services}
					keyOf={(s) => s.id}
					columns={[
						{ key: 'role', title: t('about.role'), cell: (s) => s.role },
						{ key: 'host', title: t('about.host'), cell: (s) => s.host },
						{ key: 'state', title: t('admin.state'), cell: (s) => <StateLabel state={s.state} /> },
						{
							key: 'enabled',
							title: t('about.enabled'),
							cell: (s) => (
								<>
									<StateLabel state={s.status} />
									{s.disabled_reason && <div className="hf-small">{s.disabled_reason}</div>}
								</>
							),
						},
						{
							key: 'heard',
							title: t('about.heard'),
							cell: (s) => (s.state === 'up' ? t('admin.now') : <Time at={s.updated_at} />),
						},
					]}
				/>
			</CardBody>
		</Card>
	);
}

export default function About() {
	const { canCareEverywhere } = useSession();
	const live = useGet<Services>(canCareEverywhere ? 'os-services' : null);
	const health = useHealth(live.data);
	return (
		<Page title={t('about.title')} text={t('about.lead')} same={{ path: 'os-services' }}>
			<div className="hf-stack">
				<Card>
					<CardTitle component="h2">{t('about.health')}</CardTitle>
					<CardBody>
						{!health && <Loading lines={1} />}
						{health?.status === 'ok' && <StateLabel state="ok" tone="good" text={t('about.well')} />}
						{health && health.status !== 'ok' && (
							<StateLabel
								state="failing"
								text={t('about.notWell', { part: health.part ?? health.status })}
							/>
						)}
					</CardBody>
				</Card>
				{canCareEverywhere && (
					<Shown live={live}>
						{({ server, services }) => (
							<>
								<Server of={server} />
								<Processes services={services} />
							</>
						)}
					</Shown>
				)}
				<Card>
					<CardTitle component="h2">{t('about.settings')}</CardTitle>
					<CardBody>
						<p>{t('about.settingsText')}</p>
						<List isPlain className="hf-gap">
							<ListItem>
								<Link to="/api">{t('explorer.title')}</Link>
							</ListItem>
							<ListItem>
								<a href="docs">{t('about.docs')}</a>
							</ListItem>
							<ListItem>
								<a href="openapi.yaml">{t('about.contract')}</a>
							</ListItem>
							{canCareEverywhere && (
								<ListItem>
									<a href="metrics">{t('about.metrics')}</a>
								</ListItem>
							)}
						</List>
					</CardBody>
				</Card>
			</div>
		</Page>
	);
}
