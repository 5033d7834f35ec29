// SPDX-License-Identifier: Apache-2.0
// A disk of a checkpoint over NBD, without restoring it first: the commands, ready to be copied.
import { FormGroup, FormSelect, FormSelectOption } from '@patternfly/react-core';
import { useState } from 'react';
import { useSession } from '../../app/session';
import { Panel } from '../../parts/board';
import { Command } from '../../parts/command';
import { curl } from '../../parts/same';
import { t } from '../../texts';
import { disksOf, type Checkpoint } from './model';

const KEY = 'holdfast.key';

interface Choice {
	point: string;
	target: string;
	disk: string;
	title: string;
}

function choices(k: Checkpoint): Choice[] {
	return (k.resources ?? []).flatMap((r) =>
		r.point_id
			? disksOf(r.extra_info).map((d) => ({
					point: r.point_id!,
					target: r.repository,
					disk: d.name,
					title: `${r.name}: ${d.name}`,
				}))
			: [],
	);
}

const word = (s: string): string => (/^[\w@%+=:,./-]+$/.test(s) ? s : `'${s.replace(/'/g, `'\\''`)}'`);

export function Serve({ of }: { of: Checkpoint }) {
	const { isAdmin } = useSession();
	const [chosen, choose] = useState(0);
	const all = choices(of);
	const one = all[chosen] ?? all[0];
	if (!one) return null;
	const socket = `/tmp/${one.disk}.sock`;
	const askKey = curl({ method: 'POST', path: `providers/${of.provider_id}/key` });
	const uri = `nbd+unix:///${one.disk}?socket=${socket}`;
	return (
		<Panel title={t('checkpoints.serve')} span={7}>
			<p className="hf-gap-after">{t('checkpoints.serveText')}</p>
			<FormGroup label={t('checkpoints.serveDisk')} fieldId="serve-disk">
				<FormSelect id="serve-disk" value={chosen} onChange={(_, v) => choose(Number(v))}>
					{all.map((c, i) => (
						<FormSelectOption key={c.title} value={i} label={c.title} />
					))}
				</FormSelect>
			</FormGroup>
			{isAdmin ? (
				<Command
					label={t('checkpoints.serveKey')}
					text={`(umask 077; ${askKey} | jq -r .repository.key >${KEY})`}
				/>
			) : (
				<p className="hf-small">{t('checkpoints.serveAsk')}</p>
			)}
			<Command
				label={t('checkpoints.serveServe')}
				text={
					`holdfast checkpoint serve ${one.point} ${word(one.disk)} --socket ${word(socket)} ` +
					`--target ${word(one.target)} --key-file ${KEY}`
				}
			/>
			<Command
				label={t('checkpoints.serveFiles')}
				text={`guestfish --ro --format=raw -a ${word(`nbd:///${one.disk}?socket=${socket}`)} -i`}
			/>
			<Command label={t('checkpoints.serveCopy')} text={`nbdcopy ${word(uri)} ${word(`${one.disk}.raw`)}`} />
		</Panel>
	);
}
