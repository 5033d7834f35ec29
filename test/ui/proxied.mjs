// SPDX-License-Identifier: Apache-2.0
// Behind a proxy under a path: logging in, a link to a page deep inside that is loaded anew, and events as they happen.
import { ask, browse, given, log_in, must, settled, visit } from './browser.mjs';

await browse(async (open) => {
	const page = await open();
	await log_in(page);
	await visit(page, '/#/policies');
	await page.reload();
	await settled(page);
	must(page.url().endsWith('/backup/#/policies'), `still there: ${page.url()}`);
	const { name } = await ask('change');
	await page.getByText(name).first().waitFor();
	const [cookie] = await page.context().cookies(`${given.url}/`);
	must(cookie.path === '/backup/' && cookie.httpOnly, `a cookie for what is ours: ${JSON.stringify(cookie)}`);
	await page.getByRole('button', { name: /Menu of/ }).click();
	await page.getByRole('menuitem', { name: 'API reference' }).waitFor();
	await page.getByRole('menuitem', { name: 'Log out' }).click();
	await page.getByLabel(/^Password/).waitFor();
	must((await page.context().cookies(`${given.url}/`)).length === 0, 'the cookie is gone');
});
