// SPDX-License-Identifier: Apache-2.0
// What can be done with a row of a table: a menu, and questions before what cannot be taken back.
import { useState, type ReactNode } from 'react';
import { toast, toastError } from '../../app/toasts';
import { changed } from '../../live/store';
import { ConfirmDialog } from '../../parts/dialogs';
import { ActionMenu, type MenuAction } from '../../parts/menu';

export interface RowAction extends Omit<MenuAction, 'run'> {
	/** Asked first; then `run` is behind the answer. */
	ask?: { title: string; text: ReactNode; confirm: string; word?: string };
	/** Said when it is done. */
	done?: string;
	run: () => Promise<unknown> | void;
}

/** `kinds`: what looks different afterwards. */
export function RowMenu({ label, actions, kinds }: { label: string; actions: RowAction[]; kinds: string[] }) {
	const [asked, setAsked] = useState<RowAction>();
	const finish = (a: RowAction) => {
		if (a.done) toast('success', a.done);
		changed(...kinds);
	};
	const choose = (a: RowAction) => {
		if (a.ask) setAsked(a);
		else
			Promise.resolve(a.run()).then(
				() => finish(a),
				(e) => toastError(a.title, e),
			);
	};
	return (
		<>
			<ActionMenu name={label} actions={actions.map((a) => ({ ...a, run: () => choose(a) }))} />
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
