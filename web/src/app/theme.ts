// SPDX-License-Identifier: Apache-2.0
// Light, dark, or as the system is.
import { useSyncExternalStore } from 'react';

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'holdfast.theme';
const dark = window.matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

function stored(): Theme {
	try {
		const v = localStorage.getItem(KEY);
		return v === 'light' || v === 'dark' ? v : 'system';
	} catch {
		return 'system';
	}
}

let theme = stored();

export function isDark(): boolean {
	return theme === 'dark' || (theme === 'system' && dark.matches);
}

function apply(): void {
	document.documentElement.classList.toggle('pf-v6-theme-dark', isDark());
	listeners.forEach((fn) => fn());
}

dark.addEventListener('change', apply);
apply();

export function setTheme(t: Theme): void {
	theme = t;
	try {
		localStorage.setItem(KEY, t);
	} catch {
		/* holds until the page is closed */
	}
	apply();
}

function subscribe(fn: () => void): () => void {
	listeners.add(fn);
	return () => listeners.delete(fn);
}

export function useTheme(): Theme {
	return useSyncExternalStore(subscribe, () => theme);
}

/** For what is drawn on a canvas. */
export function useIsDark(): boolean {
	return useSyncExternalStore(subscribe, isDark);
}
