// SPDX-License-Identifier: Apache-2.0
// What the scripts share: a browser, a page that is watched, looking for what hinders people, pictures.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import readline from 'node:readline';
import { chromium } from 'playwright-core';

export const given = JSON.parse(process.env.HF_UI);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const lines = readline.createInterface({ input: process.stdin });
const answers = lines[Symbol.asyncIterator]();

export const say = (text) => console.log(JSON.stringify({ say: text }));
export const result = (value) => console.log(JSON.stringify({ result: value }));

// Have the test in Python do something, and get what it returns.
export async function ask(name, more = {}) {
	console.log(JSON.stringify({ ask: name, ...more }));
	return JSON.parse((await answers.next()).value);
}

export function must(ok, text) {
	if (!ok) throw new Error(text);
}

// Everything that no page may do: errors in scripts, what its security policy forbids, calls to other hosts.
function watch(page, faults) {
	page.on('pageerror', (e) => faults.push(`script: ${e.message}`));
	page.on('console', (m) => {
		const text = m.text();
		// An answer of the server that says no is shown by the page; the browser logs it besides.
		if (m.type() === 'error' && !text.startsWith('Failed to load resource')) faults.push(`console: ${text}`);
	});
	page.on('request', (r) => {
		const at = new URL(r.url());
		if (!['data:', 'blob:'].includes(at.protocol) && !given.hosts.includes(at.host)) {
			faults.push(`call to another host: ${r.url()}`);
		}
	});
}

// Run `story(open)`, where open({theme, phone}) is a new page with cookies of its own.
export async function browse(story) {
	const browser = await chromium.launch({
		executablePath: '/usr/bin/chromium',
		headless: true,
		args: [
			'--no-sandbox',
			'--disable-gpu',
			'--disable-quic',
			'--no-first-run',
			'--disable-background-networking',
			'--disable-component-update',
			'--disable-sync',
			'--disable-dev-shm-usage',
			'--no-proxy-server',
		],
	});
	const faults = [];
	const pages = [];
	const open = async ({ theme = 'light', phone = false } = {}) => {
		const context = await browser.newContext({
			viewport: phone ? { width: 390, height: 844 } : { width: 1280, height: 860 },
			colorScheme: theme,
			reducedMotion: 'reduce',
			locale: 'en-GB',
			timezoneId: 'Europe/Berlin',
			acceptDownloads: true,
		});
		const page = await context.newPage();
		page.setDefaultTimeout(20000);
		watch(page, faults);
		pages.push(page);
		return page;
	};
	try {
		await story(open);
		must(faults.length === 0, `what no page may do:\n${faults.join('\n')}`);
	} catch (e) {
		console.log(e.stack);
		for (const f of faults) console.log(f);
		for (const [n, page] of pages.entries()) {
			const file = path.join(given.screenshots, `failed-${path.basename(process.argv[1], '.mjs')}-${n}.png`);
			await page.screenshot({ path: file }).catch(() => {});
			console.log(`at ${page.url()}; a picture of it: ${file}`);
		}
		process.exitCode = 1;
	}
	await browser.close();
	lines.close();
}

// Go to a page of the dashboard, and wait until it has shown what it has.
export async function visit(page, where) {
	await page.goto(given.url + where);
	await settled(page);
}

export async function settled(page) {
	await page.waitForFunction(
		() => document.querySelector('h1') && !document.querySelector('.hf-skeleton, .hf-loading'),
	);
}

export async function log_in(page, name = given.user, password = given.password) {
	await page.goto(given.url);
	await page.getByLabel(/user ?name/i).fill(name);
	await page.getByLabel(/^Password/).fill(password);
	await page.getByRole('button', { name: /log in/i }).click();
	await page.getByLabel(/^Password/).waitFor({ state: 'detached' });
	await settled(page);
}

// What hinders people who do not see, or do not use a mouse: fails on what is serious or critical.
export async function accessible(page, what) {
	await page.evaluate(axe);
	const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
	return violations
		.filter((v) => ['serious', 'critical'].includes(v.impact))
		.map((v) => [
			`${what}: ${v.id} (${v.impact}): ${v.help}`,
			...v.nodes.slice(0, 4).map((n) => `${n.target} ${n.html.slice(0, 220)}`),
		])
		.map((told) => told.join('\n\t'));
}

export async function picture(page, name) {
	await page.screenshot({ path: path.join(given.screenshots, `${name}.png`) });
}
