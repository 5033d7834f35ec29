// SPDX-License-Identifier: Apache-2.0
// Every page of the dashboard, in both themes and on a phone: nothing on it hinders anybody, nothing sticks out at the
// side.
import { accessible, browse, given, log_in, must, picture, say, visit } from './browser.mjs';

// '/plans/ID' to 'plans-one'.
const file_of = (where) =>
	where
		.replace(/\/OS::\w+::\w+/, '')
		.replace(/(\/[0-9a-f-]{20,})+/g, '-one')
		.replace(/[/?]/g, '-')
		.replace(/^-/, '') || 'overview';

const KINDS = [
	{ name: 'light', theme: 'light' },
	{ name: 'dark', theme: 'dark' },
	{ name: 'phone', theme: 'light', phone: true },
];

// On a phone nothing may be wider than the screen, but for what scrolls within itself.
const too_wide = (page) =>
	page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

await browse(async (open) => {
	const found = [];
	await Promise.all(
		KINDS.map(async ({ name, ...how }) => {
			const page = await open(how);
			await page.goto(given.url);
			await page.getByLabel(/^Password/).waitFor();
			found.push(...(await accessible(page, `login, ${name}`)));
			await picture(page, `login-${name}`);
			await log_in(page);
			for (const where of given.pages) {
				await visit(page, `/#${where}`);
				const file = file_of(where);
				const said = await page
					.locator('.pf-v6-c-alert.pf-m-danger.hf-failure, .pf-v6-c-empty-state.pf-m-danger')
					.allInnerTexts();
				found.push(...said.map((text) => `${where}, ${name}: the page shows an error: ${text}`));
				found.push(...(await accessible(page, `${where}, ${name}`)));
				const over = await too_wide(page);
				if (over > 0) found.push(`${where}, ${name}: ${over} pixels wider than the screen`);
				await picture(page, `${file}-${name}`);
			}
		}),
	);
	for (const line of found) say(line);
	must(found.length === 0, `${found.length} findings:\n${found.join('\n')}`);
});
