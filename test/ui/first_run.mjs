// SPDX-License-Identifier: Apache-2.0
// What somebody does who has never seen it: logs in, follows the guide, sees the backup run; the machine is destroyed;
// brings it back. Nothing but the browser.
import { ask, browse, given, log_in, must, picture, say, settled, visit } from './browser.mjs';

const SLOW = 120000; // a backup or a restore, on a machine that does much else

await browse(async (open) => {
	const began = Date.now();
	const page = await open();
	await log_in(page);
	// Where there is nothing, the way begins by itself, or one click away.
	if (!page.url().includes('#/start'))
		await page
			.getByRole('link', { name: /first steps|first machine|guide/i })
			.first()
			.click();
	await page.getByRole('heading', { name: 'Protect a first machine' }).waitFor();

	say('1. a host that does not answer says why; then the right one');
	await page.getByLabel('A libvirt address').check();
	await page.getByRole('textbox', { name: /^Address/ }).fill('qemu+tcp://127.0.0.1:9/system');
	await page.getByRole('button', { name: 'Find machines' }).click();
	await page
		.getByText(/Connection refused/)
		.first()
		.waitFor({ timeout: SLOW });
	await picture(page, 'guide-failed-light');
	await page.getByRole('textbox', { name: /^Address/ }).fill(given.uri);
	await page.getByRole('button', { name: /Find machines|Look again/ }).click();

	say('2. where to store');
	await page.getByRole('textbox', { name: /^Directory/ }).fill(given.target, { timeout: SLOW });
	await page.getByRole('button', { name: 'Use it' }).click();

	say('3. what, and how often');
	await page.getByRole('checkbox', { name: given.guest }).check({ timeout: SLOW });
	await page.getByLabel('Every night').check();
	await picture(page, 'guide-light');
	await page.getByRole('button', { name: 'Protect it and back it up now' }).click();

	say('4. it runs, and is done, without a reload');
	await page.getByText(`${given.guest} is protected`).waitFor({ timeout: SLOW });
	await picture(page, 'guide-done-light');
	say(`protected after ${Math.round((Date.now() - began) / 1000)} s`);

	const { gone } = await ask('destroy');
	must(gone, 'the guest is gone');

	say('5. back from its checkpoint; nobody told the server that it is gone, so the wizard looks');
	await visit(page, '/#/checkpoints');
	await page.locator('main table tbody a').first().click();
	await page.waitForURL(/#\/checkpoints\/.+/);
	await settled(page);
	await page
		.getByRole('link', { name: 'Restore', exact: true })
		.or(page.getByRole('button', { name: 'Restore', exact: true }))
		.first()
		.click();
	await page.getByRole('heading', { name: 'Restore', exact: true }).waitFor();
	for (let step = 0; step < 3; step++) await page.getByRole('button', { name: 'Next', exact: true }).click();
	await page.getByRole('button', { name: 'Restore now' }).waitFor();
	await picture(page, 'restore-check-light');
	await page.getByRole('button', { name: 'Restore now' }).click();
	await page.getByText('It is back').waitFor({ timeout: SLOW });
	await picture(page, 'restore-done-light');
	const back = await ask('is_back');
	must(back.running && back.marker === 'precious', `it is back as it was: ${JSON.stringify(back)}`);
	say(`restored after ${Math.round((Date.now() - began) / 1000)} s`);
});
