// SPDX-License-Identifier: Apache-2.0
// A thousand machines and a hundred thousand checkpoints: how soon something is seen, and that lists can be paged
// through.
import { browse, given, log_in, must, result, visit } from './browser.mjs';

const first_paint = (page) =>
	page.evaluate(() => Math.round(performance.getEntriesByName('first-contentful-paint')[0].startTime));

await browse(async (open) => {
	const page = await open();
	await log_in(page);
	const told = {};
	for (const where of given.pages) {
		await page.goto('about:blank');
		await visit(page, `/#${where}`);
		told[where] = await first_paint(page);
	}
	await visit(page, '/#/resources');
	const rows = page.locator('table tbody tr');
	await rows.first().waitFor();
	must((await rows.count()) < 250, 'a page of a list holds a page of rows, not everything');
	const before = await rows.first().innerText();
	await page
		.getByRole('button', { name: /next page/i })
		.first()
		.click();
	await page.waitForFunction((text) => document.querySelector('table tbody tr')?.innerText !== text, before);
	must(given.machines > 0, 'there are machines');
	result(told);
});
