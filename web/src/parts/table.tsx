// SPDX-License-Identifier: Apache-2.0
// A list of the server's as a table: filters, sorting and the page are in the URL, and the server does the work, so a
// page of a hundred thousand rows costs what the first one costs. It stays up to date by events.
import { Button, Checkbox, FormSelect, FormSelectOption, SearchInput } from '@patternfly/react-core';
import AngleLeftIcon from '@patternfly/react-icons/dist/esm/icons/angle-left-icon';
import AngleRightIcon from '@patternfly/react-icons/dist/esm/icons/angle-right-icon';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import type { Query } from '../api/client';
import { setQuery, usePlace } from '../app/router';
import { useList } from '../live/hooks';
import { t } from '../texts';
import { Failure, Loading } from './empty';
import { Cells, columnClass, Table, Tbody, Td, Th, Thead, Tr, type Column, type Sorting } from './rows';

export type { Column };

export interface TextFilter {
	kind: 'text';
	/** The server's name of it, also in the URL. */
	name: string;
	title: string;
}

export interface ChoiceFilter {
	kind: 'choice';
	name: string;
	title: string;
	choices: { value: string; title: string }[];
}

export type Filter = TextFilter | ChoiceFilter;

export interface TableProps<T extends { id: string }> {
	/** For people who cannot see it: what the rows are. */
	label: string;
	/** As for useList: 'plans'. */
	path: string;
	item: string;
	query?: Query;
	watch?: readonly string[];
	columns: Column<T>[];
	filters?: Filter[];
	/** 'created_at:desc' */
	sort?: string;
	/** In place of the table when there is nothing and nothing is filtered. */
	empty: ReactNode;
	/** At the right of the filters. */
	actions?: ReactNode;
	/** Rows can be chosen; told which. */
	onChosen?: (rows: T[]) => void;
	/** Menu or buttons at the end of a row. */
	rowActions?: (row: T) => ReactNode;
	limit?: number;
	/** In front of the names in the URL, where a page has two tables. */
	prefix?: string;
}

function FilterText({ f, value, set }: { f: TextFilter; value: string; set: (v: string) => void }) {
	const [text, setText] = useState(value);
	const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
	useEffect(() => setText(value), [value]);
	const change = (v: string) => {
		setText(v);
		clearTimeout(timer.current);
		timer.current = setTimeout(() => set(v), 250);
	};
	return (
		<SearchInput
			aria-label={f.title}
			placeholder={f.title}
			value={text}
			onChange={(_, v) => change(v)}
			onClear={() => change('')}
		/>
	);
}

function Filters({ filters, prefix, actions }: { filters: Filter[]; prefix: string; actions: ReactNode }) {
	const { query } = usePlace();
	const set = (name: string, v: string) => setQuery({ [prefix + name]: v || null, [prefix + 'marker']: null });
	return (
		<div className="hf-toolbar">
			{filters.map((f) => {
				const value = query.get(prefix + f.name) ?? '';
				return f.kind === 'text' ? (
					<FilterText key={f.name} f={f} value={value} set={(v) => set(f.name, v)} />
				) : (
					<FormSelect key={f.name} aria-label={f.title} value={value} onChange={(_, v) => set(f.name, v)}>
						<FormSelectOption value="" label={`${f.title}: ${t('parts.any')}`} />
						{f.choices.map((c) => (
							<FormSelectOption key={c.value} value={c.value} label={c.title} />
						))}
					</FormSelect>
				);
			})}
			{actions && <div className="hf-toolbar-end">{actions}</div>}
		</div>
	);
}

// Markers of the pages before: known as far as this table was walked through.
function Pager({
	marker,
	next,
	prefix,
	count,
}: {
	marker: string;
	next: string | undefined;
	prefix: string;
	count: number;
}) {
	const before = useRef<string[]>([]);
	const set = (m: string | null) => setQuery({ [prefix + 'marker']: m });
	if (!marker) before.current = [];
	if (!marker && !next) return <p className="hf-count">{t('parts.rows', { n: count.toLocaleString() })}</p>;
	return (
		<nav className="hf-pager" aria-label={t('parts.pages')}>
			<span className="hf-count">{t('parts.rowsHere', { n: count.toLocaleString() })}</span>
			<Button
				variant="plain"
				icon={<AngleLeftIcon />}
				aria-label={t('parts.previous')}
				isDisabled={!marker}
				onClick={() => set(before.current.pop() || null)}
			/>
			<Button
				variant="plain"
				icon={<AngleRightIcon />}
				aria-label={t('parts.next')}
				isDisabled={!next}
				onClick={() => {
					before.current.push(marker);
					set(next ?? null);
				}}
			/>
		</nav>
	);
}

export function DataTable<T extends { id: string }>(p: TableProps<T>) {
	const { query } = usePlace();
	const prefix = p.prefix ?? '';
	const filters = p.filters ?? [];
	const filtered = Object.fromEntries(filters.map((f) => [f.name, query.get(prefix + f.name)]));
	const sort = query.get(prefix + 'sort') ?? p.sort;
	const marker = query.get(prefix + 'marker') ?? '';
	const live = useList<T>(p.path, p.item, { ...p.query, ...filtered, sort, marker, limit: p.limit ?? 50 }, p.watch);
	const [chosen, choose] = useState<ReadonlySet<string>>(new Set());
	const last = useRef<T[]>([]);
	if (live.data) last.current = live.items;
	const rows = live.data ? live.items : last.current;
	const isFiltered = Object.values(filtered).some(Boolean) || marker !== '';

	const pick = (ids: ReadonlySet<string>) => {
		choose(ids);
		p.onChosen?.(rows.filter((r) => ids.has(r.id)));
	};
	const [sortName, direction] = (sort ?? '').split(':');
	const sorting = (c: Column<T>): Sorting | undefined =>
		c.sort
			? {
					direction: c.sort === sortName ? (direction === 'asc' ? 'asc' : 'desc') : undefined,
					onSort: (d) => setQuery({ [prefix + 'sort']: `${c.sort}:${d}`, [prefix + 'marker']: null }),
				}
			: undefined;
	const bar = filters.length || p.actions ? <Filters filters={filters} prefix={prefix} actions={p.actions} /> : null;
	if (live.error && !live.data) return <Failure error={live.error} reload={live.reload} />;
	if (!live.data && !rows.length) return <Loading />;
	if (!rows.length && !isFiltered) return <>{p.empty}</>;
	return (
		<>
			{bar}
			<Table aria-label={p.label}>
				<Thead>
					{p.onChosen && (
						<Th className="hf-check" aria-label={t('parts.choose')}>
							<Checkbox
								id={`${prefix}${p.item}-all`}
								aria-label={t('parts.chooseAll')}
								isChecked={rows.length > 0 && rows.every((r) => chosen.has(r.id))}
								onChange={(_, on) => pick(new Set(on ? rows.map((r) => r.id) : []))}
							/>
						</Th>
					)}
					{p.columns.map((c) => (
						<Th key={c.key} sorting={sorting(c)} className={columnClass(c)}>
							{c.title}
						</Th>
					))}
					{p.rowActions && <Th isHidden>{t('parts.actions')}</Th>}
				</Thead>
				<Tbody>
					{rows.map((r) => (
						<Tr key={r.id}>
							{p.onChosen && (
								<Td>
									<Checkbox
										id={`${prefix}${p.item}-${r.id}`}
										aria-label={t('parts.chooseRow')}
										isChecked={chosen.has(r.id)}
										onChange={(_, on) => {
											const ids = new Set(chosen);
											if (on) ids.add(r.id);
											else ids.delete(r.id);
											pick(ids);
										}}
									/>
								</Td>
							)}
							<Cells columns={p.columns} row={r} />
							{p.rowActions && (
								<Td isAction className="hf-actions">
									{p.rowActions(r)}
								</Td>
							)}
						</Tr>
					))}
					{!rows.length && (
						<Tr>
							<Td colSpan={p.columns.length + 2}>{t('parts.nothing')}</Td>
						</Tr>
					)}
				</Tbody>
			</Table>
			<Pager marker={marker} next={live.next} prefix={prefix} count={rows.length} />
		</>
	);
}
