// SPDX-License-Identifier: Apache-2.0
// A menu of what can be done with one thing: at the end of a row, or on a page.
import { Dropdown, DropdownItem, DropdownList, MenuToggle } from '@patternfly/react-core';
import EllipsisVIcon from '@patternfly/react-icons/dist/esm/icons/ellipsis-v-icon';
import { useState } from 'react';
import { t } from '../texts';

export interface MenuAction {
	title: string;
	run: () => void;
	isDanger?: boolean;
	isDisabled?: boolean;
}

/** `name`: of the thing. `text` is on the button, else three dots are. Not there where nothing can be done. */
export function ActionMenu({ name, text, actions }: { name: string; text?: string; actions: readonly MenuAction[] }) {
	const [open, setOpen] = useState(false);
	if (!actions.length) return null;
	return (
		<Dropdown
			isOpen={open}
			onOpenChange={setOpen}
			onSelect={() => setOpen(false)}
			popperProps={{ position: 'right' }}
			toggle={(ref) => (
				<MenuToggle
					ref={ref}
					variant={text ? 'default' : 'plain'}
					icon={text ? undefined : <EllipsisVIcon />}
					isExpanded={open}
					onClick={() => setOpen(!open)}
					aria-label={t('parts.actionsOf', { name })}
				>
					{text}
				</MenuToggle>
			)}
		>
			<DropdownList>
				{actions.map((a) => (
					<DropdownItem key={a.title} isDanger={a.isDanger} isDisabled={a.isDisabled} onClick={a.run}>
						{a.title}
					</DropdownItem>
				))}
			</DropdownList>
		</Dropdown>
	);
}
