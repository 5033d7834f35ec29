// SPDX-License-Identifier: Apache-2.0
// The server itself: version, health, its processes.
import { Card, CardBody, CardTitle, List, ListItem } from '@patternfly/react-core';
import { useEffect, useState } from 'react';
import type { Schema } from '../../api/client';
import { useSession } from '../../app/session';
import { useGet } from '../../live/hooks';
import { Loading, Shown } from '../../parts/empty';
import { Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { PlainTable } from '../../parts/rows';
import { StateLabel } from '../../parts/state';
import { t } from '../../texts';

type Service = Schema<'Service'>;

interface Health {
	status: string;
	part?: string; // which is not well
}

// It is beside the API, open to everybody, and tells with 503 what is not well.
function useHealth(): Health | undefined {
	const [health, set] = useState<Health>();
	useEffect(() => {
		fetch('healthz', { headers: { Accept: 'application/json' } })
			.then((a) => a.json())
			.then(set, () => set({ status: 'unknown' }));
	}, []);
	return health;
}

function Services() {
	const live = useGet<{ services: Service[] }>('os-services');
	return (
		<Card>
			<CardTitle component="h2">{t('about.services')}</CardTitle>
			<CardBody>
				<Shown live={live}>
					{({ services }) => (
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
								{ key: 'heard', title: t('about.heard'), cell: (s) => <Time at={s.updated_at} /> },
							]}
						/>
					)}
				</Shown>
			</CardBody>
		</Card>
	);
}

export default function About() {
	const { canCareEverywhere } = useSession();
	const health = useHealth();
	return (
		<Page title={t('about.title')} text={t('about.lead')} same={{ path: 'os-services', cli: 'service list' }}>
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
				{canCareEverywhere && <Services />}
				<Card>
					<CardTitle component="h2">{t('about.settings')}</CardTitle>
					<CardBody>
						<p>{t('about.settingsText')}</p>
						<List isPlain className="hf-gap">
							<ListItem>
								<a href="docs">{t('about.docs')}</a>
							</ListItem>
							<ListItem>
								<a href="openapi.yaml">{t('about.contract')}</a>
							</ListItem>
						</List>
					</CardBody>
				</Card>
			</div>
		</Page>
	);
}
