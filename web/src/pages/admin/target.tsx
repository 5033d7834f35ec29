// SPDX-License-Identifier: Apache-2.0
// One target: whether it answers, how full it is, how that grew.
import {
	Alert,
	Button,
	Card,
	CardBody,
	CardTitle,
	DescriptionList,
	DescriptionListDescription,
	DescriptionListGroup,
	DescriptionListTerm,
} from '@patternfly/react-core';
import { useMemo, useState, type ReactNode } from 'react';
import type { Answer } from '../../api/client';
import { Link } from '../../app/router';
import { useSession } from '../../app/session';
import { toast, toastError } from '../../app/toasts';
import { useGet, useOne } from '../../live/hooks';
import { TimeChart, type Line } from '../../parts/chart';
import { Empty, Shown } from '../../parts/empty';
import { Bytes, Time } from '../../parts/format';
import { Page } from '../../parts/page';
import { StateLabel } from '../../parts/state';
import { t } from '../../texts';
import { TargetWork, type Work } from './target_work';
import { check, Space, type Target } from './targets';

function Fact({ term, children }: { term: string; children: ReactNode }) {
	return (
		<DescriptionListGroup>
			<DescriptionListTerm>{term}</DescriptionListTerm>
			<DescriptionListDescription>{children}</DescriptionListDescription>
		</DescriptionListGroup>
	);
}

function Health({ x }: { x: Target }) {
	return (
		<Card>
			<CardTitle component="h2">{t('targets.health')}</CardTitle>
			<CardBody>
				{x.status === 'error' && x.reason && <Alert variant="danger" isInline title={x.reason} component="p" />}
				<DescriptionList columnModifier={{ default: '1Col', sm: '2Col', lg: '3Col' }} isCompact>
					<Fact term={t('admin.state')}>
						<StateLabel state={x.status} />
					</Fact>
					<Fact term={t('admin.checked')}>
						<Time at={x.checked_at} />
					</Fact>
					<Fact term={t('targets.stored')}>
						<Bytes n={x.stored_bytes} />
					</Fact>
					<Fact term={t('targets.space')}>
						<Space target={x} />
					</Fact>
					<Fact term={t('targets.url')}>
						<code className="hf-code">{x.url}</code>
					</Fact>
					<Fact term={t('admin.whose')}>{t(x.project_id ? 'admin.thisProject' : 'admin.allProjects')}</Fact>
				</DescriptionList>
			</CardBody>
		</Card>
	);
}

const DAYS = 90;
const SERIES = [
	['stored_bytes', 'targets.stored'],
	['logical_bytes', 'targets.logical'],
	['free_bytes', 'targets.freeBytes'],
] as const;

function History({ id }: { id: string }) {
	const live = useGet<Answer<'getTargetHistory'>>(`targets/${id}/history`, { days: DAYS }, ['operations']);
	const history = live.data?.history;
	const charts = useMemo<Line[]>(
		() =>
			SERIES.map(([key, title], i) => ({
				title: t(title),
				values: (history ?? []).map((h) => h[key]),
				color: `--hf-chart-${i + 1}`,
			})).filter((line) => line.values.some((v) => v !== null)),
		[history],
	);
	const times = useMemo(() => (history ?? []).map((h) => Date.parse(h.at) / 1000), [history]);
	return (
		<Card>
			<CardTitle component="h2">{t('targets.history', { n: DAYS })}</CardTitle>
			<CardBody>
				<Shown live={live}>
					{() =>
						charts.length ? (
							<div className="hf-charts">
								{charts.map((line) => (
									<TimeChart key={line.title} times={times} line={line} />
								))}
							</div>
						) : (
							<Empty title={t('targets.noHistory')}>{t('targets.noHistoryText')}</Empty>
						)
					}
				</Shown>
			</CardBody>
		</Card>
	);
}

export default function TargetPage({ params }: { params: Record<string, string> }) {
	const id = params.id ?? '';
	const { canCare } = useSession();
	const [busy, setBusy] = useState(false);
	const [work, setWork] = useState<Work>();
	const live = useOne<Target>(`targets/${id}`, 'target', ['operations']);
	const run = () => {
		setBusy(true);
		check(id)
			.then(
				() => toast('success', t('targets.checking')),
				(e) => toastError(t('targets.check'), e),
			)
			.finally(() => setBusy(false));
	};
	return (
		<Page
			title={live.data?.name ?? t('targets.one')}
			crumbs={[{ title: t('targets.title'), to: '/targets' }]}
			text={live.data?.description}
			same={{ path: `targets/${id}`, cli: `target show ${id}` }}
			actions={
				<>
					{canCare && (
						<>
							<Button variant="secondary" isDisabled={busy} onClick={run}>
								{t('targets.check')}
							</Button>
							<Button variant="secondary" onClick={() => setWork('verify')}>
								{t('targets.verify')}
							</Button>
							<Button variant="secondary" onClick={() => setWork('collect')}>
								{t('targets.collect')}
							</Button>
						</>
					)}
					<Link to="/operations" query={{ subject: id }} className="pf-v6-c-button pf-m-link">
						{t('targets.operations')}
					</Link>
				</>
			}
		>
			<Shown live={live}>
				{(x) => (
					<div className="hf-stack">
						<Health x={x} />
						<History id={id} />
						{work && <TargetWork work={work} of={x} onClose={() => setWork(undefined)} />}
					</div>
				)}
			</Shown>
		</Page>
	);
}
