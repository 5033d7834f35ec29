// SPDX-License-Identifier: Apache-2.0
// What can be done with a row of a table: a menu, and questions before what cannot be taken back.
import { Dropdown, DropdownItem, DropdownList, MenuToggle } from '@patternfly/react-core';
import EllipsisVIcon from '@patternfly/react-icons/dist/esm/icons/ellipsis-v-icon';
import { useState, type ReactNode } from 'react';
import { toast, toastError } from '../../app/toasts';
import { changed } from '../../live/store';
import { ConfirmDialog } from '../../parts/dialogs';
import { t } from '../../texts';

export interface RowAction {
	title: string;
	/** Asked first; then `run` is behind the answer. */
	ask?: { title: string; text: ReactNode; confirm: string; word?: string };
	/** Said when it is done. */
	done?: string;
	run: () => Promise<unknown> | void;
	isDanger?: boolean;
	isDisabled?: boolean;
}

/** `kinds`: what looks different afterwards. */
export function RowMenu({ label, actions, kinds }: { label: string; actions: RowAction[]; kinds: string[] }) {
	const [open, setOpen] = useState(false);
	const [asked, setAsked] = useState<RowAction>();
	const finish = (a: RowAction) => {
		if (a.done) toast('success', a.done);
		changed(...kinds);
	};
	const choose = (a: RowAction) => {
		setOpen(false);
		if (a.ask) setAsked(a);
		else
			Promise.resolve(a.run()).then(
				() => finish(a),
				(e) => toastError(a.title, e),
			);
	};
	if (!actions.length) return null;
	return (
		<>
			<Dropdown
				isOpen={open}
				onOpenChange={setOpen}
				popperProps={{ position: 'right' }}
				toggle={(ref) => (
					<MenuToggle
						ref={ref}
						variant="plain"
						icon={<EllipsisVIcon />}
						isExpanded={open}
						onClick={() => setOpen(!open)}
						aria-label={t('admin.menuOf', { name: label })}
					/>
				)}
			>
				<DropdownList>
					{actions.map((a) => (
						<DropdownItem
							key={a.title}
							isDanger={a.isDanger}
							isDisabled={a.isDisabled}
							onClick={() => choose(a)}
						>
							{a.title}
						</DropdownItem>
					))}
				</DropdownList>
			</Dropdown>
			{asked?.ask && (
				<ConfirmDialog
					title={asked.ask.title}
					confirm={asked.ask.confirm}
					word={asked.ask.word}
					isDanger={asked.isDanger}
					onClose={() => setAsked(undefined)}
					onConfirm={async () => {
						await asked.run();
						finish(asked);
					}}
				>
					{asked.ask.text}
				</ConfirmDialog>
			)}
		</>
	);
}
