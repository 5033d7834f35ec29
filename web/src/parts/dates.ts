// SPDX-License-Identifier: Apache-2.0
// Times as plain text, for what cannot hold an element: labels, titles, pictures.
const days = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const moments = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const named = new Intl.DateTimeFormat(undefined, {
	weekday: 'short',
	year: 'numeric',
	month: 'short',
	day: 'numeric',
	hour: '2-digit',
	minute: '2-digit',
});

/** "22 Nov 2026" */
export function day(at: string): string {
	return days.format(new Date(at));
}

/** "22 Nov 2026, 14:05" */
export function moment(at: string): string {
	return moments.format(new Date(at));
}

/** "Sun, 22 Nov 2026, 14:05" */
export function weekdayMoment(at: string): string {
	return named.format(new Date(at));
}

/** Words of the server, with the times in them as people here write them. */
export function localTimes(text: string): string {
	return text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, moment);
}
