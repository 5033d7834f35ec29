// SPDX-License-Identifier: Apache-2.0
// Is everything protected? What needs somebody? What runs?
import { Button } from '@patternfly/react-core';
import type { Answer } from '../../api/client';
import { href } from '../../app/router';
import { useSession } from '../../app/session';
import { useGet } from '../../live/hooks';
import { Board, Panel } from '../../parts/board';
import { Empty, Shown } from '../../parts/empty';
import { Page } from '../../parts/page';
import { t } from '../../texts';
import { Attention } from './attention';
import { LastDay, LastMonth } from './days';
import { Plans } from './plans';
import { Platforms, Protection } from './protection';
import { Running } from './running';
import { Storage } from './storage';

export type Overview = Answer<'getOverview'>['overview'];

const APART_MS = 2000;

function First() {
	const { canWrite } = useSession();
	return (
		<Empty
			title={t('overview.first')}
			actions={
				<Button component="a" href={href('/start')} size="lg">
					{canWrite ? t('overview.first.action') : t('overview.first.look')}
				</Button>
			}
		>
			{t('overview.first.text')}
		</Empty>
	);
}

function Panels({ o }: { o: Overview }) {
	if (!o.platforms.length && !o.plans.length) return <First />;
	return (
		<Board>
			<Panel title={t('overview.protection')} span={5}>
				<Protection counts={o.resources} />
			</Panel>
			<Panel title={t('overview.attention')} count={o.attention.length} span={7}>
				<Attention items={o.attention} />
			</Panel>
			<Panel
				title={t('overview.running')}
				count={o.running.length}
				span={5}
				link={{ to: '/operations', text: t('overview.allOperations') }}
			>
				<Running operations={o.running} />
			</Panel>
			<Panel title={t('overview.lastDay')} span={3}>
				<LastDay />
			</Panel>
			<Panel title={t('overview.lastMonth')} span={4}>
				<LastMonth />
			</Panel>
			<Panel title={t('overview.plans')} span={7} link={{ to: '/plans', text: t('overview.allPlans') }}>
				<Plans plans={o.plans} />
			</Panel>
			<Panel title={t('overview.platforms')} span={5}>
				<Platforms platforms={o.platforms} />
			</Panel>
			<Panel title={t('overview.storage')} span={12} link={{ to: '/targets', text: t('overview.allTargets') }}>
				<Storage targets={o.targets} />
			</Panel>
		</Board>
	);
}

export default function OverviewPage() {
	const live = useGet<Answer<'getOverview'>>(
		'overview',
		undefined,
		['plans', 'platforms', 'targets', 'checkpoints'],
		APART_MS,
	);
	return (
		<Page title={t('overview.title')} same={{ path: 'overview', cli: 'status' }}>
			<Shown live={live}>{({ overview }) => <Panels o={overview} />}</Shown>
		</Page>
	);
}
