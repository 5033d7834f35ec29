// SPDX-License-Identifier: Apache-2.0
// On a phone PatternFly's wizard shows the current step on a button that it calls "Wizard toggle" for who cannot see
// it.
import { useEffect } from 'react';

/** For a component that shows a Wizard: that button is called what stands on it. */
export function useToggleNames(): void {
	useEffect(() => {
		document.querySelectorAll('.pf-v6-c-wizard__toggle').forEach((b) => b.removeAttribute('aria-label'));
	}, []);
}
