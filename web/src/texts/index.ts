// SPDX-License-Identifier: Apache-2.0
// All texts are in one catalogue, by area in en/; another language is another folder with the same keys.
import * as en from './en';

const catalogue = en.texts;
export type Key = keyof typeof catalogue;

/** A text; {name} in it is replaced by what is given. */
export function t(key: Key, values?: Record<string, string | number>): string {
	const text: string = catalogue[key] ?? key;
	return values ? text.replace(/\{(\w+)\}/g, (all, name: string) => String(values[name] ?? all)) : text;
}

const plural = new Intl.PluralRules('en');

/** KEY.one or KEY.other, as the number wants; {n} in it is the number. */
export function tn<K extends string>(
	key: `${K}.other` extends Key ? K : never,
	n: number,
	values?: Record<string, string | number>,
): string {
	const form = `${key}.${plural.select(n)}`;
	return t((form in catalogue ? form : `${key}.other`) as Key, { n: n.toLocaleString(), ...values });
}

/** For keys that are made of a value of the server's: the text, or the value itself where there is none. */
export function tx(prefix: string, value: string): string {
	const key = `${prefix}.${value}`;
	return key in catalogue ? t(key as Key) : value;
}
