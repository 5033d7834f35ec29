// SPDX-License-Identifier: Apache-2.0
// Who may only look is offered nothing that changes something, and is refused if the request is made nevertheless.
import { browse, given, log_in, must, settled, visit } from './browser.mjs';

const CHANGES = /^(add|invite|make|remove|cancel|retry|protect|restore|delete|save|edit|check now|new)\b/i;
const OWN = ['/account']; // everybody's own tokens

await browse(async (open) => {
	const page = await open();
	await log_in(page, given.viewer, given.viewer_password);
	for (const where of given.pages.filter((w) => !OWN.includes(w))) {
		await visit(page, `/#${where}`);
		const main = page.getByRole('main');
		const offered = (await main.getByRole('button').allInnerTexts())
			.map((text) => text.trim())
			.filter((text) => CHANGES.test(text));
		must(offered.length === 0, `${where} offers a viewer: ${offered.join(', ')}`);
		must(
			(await main.getByRole('button', { name: /^Actions (for|on) / }).count()) === 0,
			`${where} offers a viewer a menu of actions`,
		);
	}
	await visit(page, '/#/api/listPlans');
	await page.getByRole('button', { name: 'Send' }).click();
	await page.getByText('200 OK').waitFor();
	const status = await page.evaluate(async (project) => {
		const answer = await fetch(`v1/${project}/plans`, {
			method: 'POST',
			headers: { 'Content-Type': 'application/json' },
			body: JSON.stringify({
				plan: {
					name: 'mine',
					provider_id: crypto.randomUUID?.() ?? '',
					resources: [],
					parameters: {},
				},
			}),
		});
		return answer.status;
	}, given.project);
	must(status === 403, `a viewer's request for a plan is answered with ${status}`);
	await settled(page);
});
