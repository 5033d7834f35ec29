// SPDX-License-Identifier: Apache-2.0
// Logging in at an OpenID provider, from the dashboard and back to the page where it began.
import { browse, given, must, settled } from './browser.mjs';

await browse(async (open) => {
	const page = await open();
	// At the provider: who it is, and that this server may know it. Its own pages are not what is tried here.
	const { request } = page.context();
	const is = await request.post(`${given.provider}/auth/`, {
		data: { username: given.name, password: given.word },
	});
	must(is.ok(), `the provider knows ${given.name}`);
	must(
		(
			await request.put(`${given.provider}/auth/grant/holdfast`, {
				data: { scope: 'openid' },
			})
		).ok(),
		'it is granted',
	);

	await page.goto(`${given.url}/#/operations`);
	// The provider would ask on a page of its own whether to go on: "g_continue" is the answer.
	const sent = page.waitForRequest((r) => r.url().includes('/oidc/auth?'));
	await page.getByRole('link', { name: `Log in with ${given.title}` }).click();
	const asked = (await sent).url();
	await page.waitForURL(/login\.html|chrome-error/).catch(() => undefined);
	await page.goto(`${asked}&g_continue`);
	await page.waitForURL((url) => url.host === new URL(given.url).host);
	await page.getByRole('heading', { name: 'Operations' }).waitFor();
	await settled(page);
	must(page.url().endsWith('#/operations'), `back where it began: ${page.url()}`);
	await page
		.getByRole('button', { name: /Menu of/ })
		.filter({ hasText: given.shown })
		.waitFor();
});
