// SPDX-License-Identifier: Apache-2.0
// Tables, in the classes of PatternFly's style sheet. Their roles are said because on a phone, where each row becomes a
// block of its own, browsers take a table for no table.
import ArrowsAltVIcon from '@patternfly/react-icons/dist/esm/icons/arrows-alt-v-icon';
import LongArrowAltDownIcon from '@patternfly/react-icons/dist/esm/icons/long-arrow-alt-down-icon';
import LongArrowAltUpIcon from '@patternfly/react-icons/dist/esm/icons/long-arrow-alt-up-icon';
import type { HTMLAttributes, ReactNode, TdHTMLAttributes, ThHTMLAttributes } from 'react';
import { t } from '../texts';

export interface Column<T> {
	key: string;
	title: string;
	cell: (row: T) => ReactNode;
	/** The server's name of it, if lists can be sorted by it. */
	sort?: string;
	/** Numbers stand at the right. */
	isNumber?: boolean;
	/** Left out where there is little room. */
	isExtra?: boolean;
}

const join = (...names: (string | false | undefined)[]): string => names.filter(Boolean).join(' ');

export const columnClass = <T,>(c: Column<T>): string => join(c.isNumber && 'hf-right', c.isExtra && 'hf-extra');

export function Table(p: HTMLAttributes<HTMLTableElement>) {
	return (
		<div className="hf-scroll">
			<table {...p} role="table" className={join('pf-v6-c-table pf-m-compact pf-m-grid-md', p.className)} />
		</div>
	);
}

export function Thead({ children }: { children: ReactNode }) {
	return (
		<thead role="rowgroup" className="pf-v6-c-table__thead">
			<tr role="row" className="pf-v6-c-table__tr">
				{children}
			</tr>
		</thead>
	);
}

export function Tbody({ children }: { children: ReactNode }) {
	return (
		<tbody role="rowgroup" className="pf-v6-c-table__tbody">
			{children}
		</tbody>
	);
}

export function Tr(p: HTMLAttributes<HTMLTableRowElement>) {
	return <tr {...p} role="row" className="pf-v6-c-table__tr" />;
}

export interface Sorting {
	direction: 'asc' | 'desc' | undefined;
	onSort: (direction: 'asc' | 'desc') => void;
}

/** `isHidden`: only for who cannot see it. */
export function Th({
	sorting,
	isHidden,
	children,
	...p
}: ThHTMLAttributes<HTMLTableCellElement> & { sorting?: Sorting; isHidden?: boolean }) {
	const { direction, onSort } = sorting ?? {};
	const Icon =
		direction === 'asc' ? LongArrowAltUpIcon : direction === 'desc' ? LongArrowAltDownIcon : ArrowsAltVIcon;
	return (
		<th
			scope="col"
			{...p}
			role="columnheader"
			aria-sort={direction && (direction === 'asc' ? 'ascending' : 'descending')}
			className={join(
				'pf-v6-c-table__th pf-m-nowrap',
				sorting && 'pf-v6-c-table__sort',
				direction && 'pf-m-selected',
				p.className,
			)}
		>
			{onSort ? (
				<button
					type="button"
					className="pf-v6-c-table__button"
					onClick={() => onSort(direction === 'asc' ? 'desc' : 'asc')}
				>
					<span className="pf-v6-c-table__button-content">
						<span className="pf-v6-c-table__text">{children}</span>
						<span className="pf-v6-c-table__sort-indicator">
							<Icon />
						</span>
					</span>
				</button>
			) : isHidden ? (
				<span className="pf-v6-screen-reader">{children}</span>
			) : (
				children
			)}
		</th>
	);
}

/** `label`: what stands before it on a phone, where there is no head. `isAction`: holds a menu. */
export function Td({
	label,
	isAction,
	...p
}: TdHTMLAttributes<HTMLTableCellElement> & { label?: string; isAction?: boolean }) {
	const className = join('pf-v6-c-table__td', isAction && 'pf-v6-c-table__action', p.className);
	return <td {...p} role="cell" data-label={label} className={className} />;
}

/** The cells of a row, as its columns say. */
export function Cells<T>({ columns, row }: { columns: readonly Column<T>[]; row: T }) {
	return columns.map((c) => (
		<Td key={c.key} label={c.title} className={columnClass(c)}>
			{c.cell(row)}
		</Td>
	));
}

/** All there is, as it is. `box`: what stands in front of each row to choose it. */
export function PlainTable<T>({
	label,
	columns,
	rows,
	keyOf,
	box,
}: {
	label: string;
	columns: readonly Column<T>[];
	rows: readonly T[];
	keyOf: (row: T) => string;
	box?: (row: T) => ReactNode;
}) {
	return (
		<Table aria-label={label}>
			<Thead>
				{box && (
					<Th className="hf-check" isHidden>
						{t('parts.choose')}
					</Th>
				)}
				{columns.map((c) => (
					<Th key={c.key} className={columnClass(c)}>
						{c.title}
					</Th>
				))}
			</Thead>
			<Tbody>
				{rows.map((r) => (
					<Tr key={keyOf(r)}>
						{box && <Td>{box(r)}</Td>}
						<Cells columns={columns} row={r} />
					</Tr>
				))}
			</Tbody>
		</Table>
	);
}
