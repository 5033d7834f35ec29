// SPDX-License-Identifier: Apache-2.0
// Builds the dashboard into dist/ (or the folder that is named): scripts, one style sheet, fonts, index.html, and
// beside each .br and .gz.
//
//   node build.mjs [--watch] [--out DIR]
//
// The style sheet holds the base of PatternFly and the styles of those of its components that ended up in the scripts,
// nothing else. Names hold a hash of the contents, so that browsers may keep them for ever. Fails when a page needs
// more than LIMIT.
import * as esbuild from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const here = path.dirname(fileURLToPath(import.meta.url));
const args = process.argv.slice(2);
const watch = args.includes('--watch');
const out = path.resolve(args.includes('--out') ? args[args.indexOf('--out') + 1] : path.join(here, 'dist'));
// Bytes of script and style of all pages together, compressed as browsers get them over HTTPS: with Brotli.
const LIMIT = 350 * 1000;
const FIRST = 'main'; // the script that index.html loads
const FONTS = ['RedHatText/RedHatTextVF', 'RedHatDisplay/RedHatDisplayVF'];

const br = (data) =>
	brotliCompressSync(data, {
		params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: data.length },
	});
const gz = (data) => gzipSync(data, { level: constants.Z_BEST_COMPRESSION });
const module = (name) => path.join(here, 'node_modules', name);
const hashed = (name, data) => {
	const { name: stem, ext } = path.parse(name);
	return `${stem}-${createHash('sha256').update(data).digest('hex').slice(0, 10)}${ext}`;
};

// Scripts import the styles of components; here they only note which, and styles() collects those of the scripts that
// were kept.
const noStyles = {
	name: 'no-styles',
	setup(build) {
		build.onLoad({ filter: /\.css$/ }, () => ({ contents: '', loader: 'js' }));
	},
};

const options = {
	absWorkingDir: here,
	entryPoints: { [FIRST]: 'src/main.tsx' },
	bundle: true,
	splitting: true,
	format: 'esm',
	target: ['es2022'],
	jsx: 'automatic',
	minify: !watch,
	legalComments: 'none',
	define: { 'process.env.NODE_ENV': watch ? '"development"' : '"production"' },
	entryNames: '[name]-[hash]',
	chunkNames: 'part-[hash]',
	outdir: out,
	write: false,
	metafile: true,
	plugins: [noStyles],
	logLevel: 'warning',
};

// Leaves out of the style sheet what the scripts and the rest of the sheet never name: classes of PatternFly (icons as
// a font, say) and custom properties, which lead to others.
function prune(css, scripts) {
	const named = new Set(scripts.match(/(?<![\w-])(pf-|--)[\w-]+/g));
	const keeps = (selector) => (selector.match(/\.pf-[\w-]+/g) ?? []).every((c) => named.has(c.slice(1)));
	const rules = css.replace(/([^{}@;]*\.pf-[^{}@;]*)(\{[^{}]*\})/g, (_, selectors, body) => {
		const kept = selectors.split(/,(?![^(]*\))/).filter(keeps);
		return kept.length ? kept.join(',') + body : '';
	});
	for (let before = rules; ;) {
		const used = new Set([...before.matchAll(/var\(\s*(--[\w-]+)/g)].map((m) => m[1]));
		const after = before.replace(/(--[\w-]+)\s*:[^;{}]*(;|(?=\}))/g, (all, name) =>
			used.has(name) || named.has(name) ? all : '',
		);
		if (after === before) return after;
		before = after;
	}
}

// The style sheets of PatternFly's components that are in the scripts: each lies beside the module with its names.
function usedStyles(metafile) {
	const used = new Set();
	for (const output of Object.values(metafile.outputs))
		for (const [input, { bytesInOutput }] of Object.entries(output.inputs))
			if (bytesInOutput > 0 && input.includes('@patternfly/react-styles/css/'))
				used.add(path.join(here, input.replace(/\.m?js$/, '.css')));
	return [...used].sort();
}

// Left out of PatternFly's sheets: its fonts and icons as a font, ours are below; themes that nobody can choose here.
const unused = {
	name: 'unused',
	setup(build) {
		build.onLoad({ filter: /@patternfly[\\/].*\.css$/ }, async ({ path: file }) => ({
			contents: (await readFile(file, 'utf8'))
				.replace(/@font-face\s*\{[^}]*\}/g, '')
				.replace(/^[^\n{}]*\.pf-v6-theme-(felt|glass|high-contrast|redhat)[^{},]*\{[^}]*\}/gm, ''),
			loader: 'css',
		}));
	},
};

async function styles(metafile, scripts) {
	const sheets = [
		module('@patternfly/patternfly/patternfly-base.css'),
		...usedStyles(metafile),
		...['table', 'table-grid'].map((s) => module(`@patternfly/react-styles/css/components/Table/${s}.css`)),
		module('uplot/dist/uPlot.min.css'),
		...['base', 'overview', 'protection', 'administration'].map((s) => path.join(here, `src/styles/${s}.css`)),
	];
	const faces = [];
	const files = [];
	for (const font of FONTS) {
		const data = await readFile(module(`@patternfly/patternfly/assets/fonts/${font}.woff2`));
		const name = hashed(path.basename(font) + '.woff2', data);
		files.push({ name, data });
		faces.push(
			`@font-face{font-family:${font.split('/')[0]};src:url(./${name}) format("woff2");` +
				'font-weight:300 700;font-style:normal;font-display:fallback}',
		);
	}
	const { outputFiles } = await esbuild.build({
		stdin: {
			contents: sheets.map((s) => `@import ${JSON.stringify(s)};`).join('\n'),
			loader: 'css',
			resolveDir: here,
		},
		bundle: true,
		write: false,
		external: ['*.woff2', '*.woff', '*.ttf', '*.jpg', '*.svg', '*.png'],
		plugins: [unused],
		logLevel: 'warning',
	});
	const pruned = await esbuild.transform(prune(outputFiles[0].text, scripts), { loader: 'css', minify: !watch });
	const data = Buffer.from(faces.join('') + pruned.code);
	files.push({ name: hashed('main.css', data), data });
	return files;
}

async function page(files) {
	const find = (test) => files.find(({ name }) => test.test(name)).name;
	const icon = await readFile(path.join(here, 'src/holdfast.svg'));
	const iconFile = { name: hashed('holdfast.svg', icon), data: icon };
	const html = (await readFile(path.join(here, 'src/index.html'), 'utf8'))
		.replace('%SCRIPT%', 'web/' + find(new RegExp(`^${FIRST}-.*\\.js$`)))
		.replace('%STYLE%', 'web/' + find(/\.css$/))
		.replace('%ICON%', 'web/' + iconFile.name);
	return [iconFile, { name: 'index.html', data: Buffer.from(html) }];
}

// index.html comes last and in one step: whoever loads it finds what it names.
async function write(files) {
	await mkdir(out, { recursive: true });
	for (const { name, data } of files) {
		const variants = name.endsWith('.woff2')
			? {}
			: watch
				? { '.gz': gz(data) }
				: { '.br': br(data), '.gz': gz(data) };
		for (const [suffix, bytes] of Object.entries({ ...variants, '': data })) {
			await writeFile(path.join(out, name + suffix + '~'), bytes);
			await rename(path.join(out, name + suffix + '~'), path.join(out, name + suffix));
		}
	}
}

// What a browser loads for each page: the first script, the page's own, what these import, and the style sheet.
function loads(metafile, sizes) {
	const outputs = Object.fromEntries(Object.entries(metafile.outputs).map(([name, o]) => [path.basename(name), o]));
	const closure = (name, found = new Set()) => {
		if (found.has(name)) return found;
		found.add(name);
		for (const i of outputs[name].imports) if (i.kind === 'import-statement') closure(path.basename(i.path), found);
		return found;
	};
	const names = Object.keys(outputs);
	const first = closure(names.find((n) => n.startsWith(`${FIRST}-`)));
	const style = Object.entries(sizes).reduce((n, [name, size]) => n + (name.endsWith('.css') ? size : 0), 0);
	const pages = names.filter((n) => outputs[n].entryPoint?.startsWith('src/pages/'));
	return pages.map((p) => ({
		page: outputs[p].entryPoint,
		size: style + [...new Set([...first, ...closure(p)])].reduce((n, name) => n + sizes[name], 0),
	}));
}

function report(files, metafile) {
	const sizes = {};
	const kb = (n) => (n / 1000).toFixed(1).padStart(7);
	let total = 0;
	let totalGz = 0;
	console.log(' Brotli    gzip  kB');
	for (const { name, data } of files) {
		if (!/\.(js|css)$/.test(name)) continue;
		const [size, sizeGz] = [br(data).length, gz(data).length];
		total += size;
		totalGz += sizeGz;
		sizes[name] = size;
		console.log(`${kb(size)} ${kb(sizeGz)}  ${name}`);
	}
	const [most] = loads(metafile, sizes).sort((a, b) => b.size - a.size);
	console.log(`${kb(most.size)}          are sent for ${most.page}, more than for any other`);
	console.log(`${kb(total)} ${kb(totalGz)}  script and style of all pages together; ${LIMIT / 1000} kB are allowed`);
	return total;
}

async function finish(result) {
	const scripts = result.outputFiles.map((f) => ({ name: path.basename(f.path), data: Buffer.from(f.contents) }));
	const text = scripts.map((f) => f.data).join('\n');
	const files = [...scripts, ...(await styles(result.metafile, text))];
	await write([...files, ...(await page(files))]);
	if (!watch && report(files, result.metafile) > LIMIT) {
		console.error('build: larger than what is allowed');
		process.exitCode = 1;
	}
}

if (watch) {
	const onEnd = {
		name: 'finish',
		setup: (build) =>
			build.onEnd((result) => (result.errors.length ? undefined : finish(result).catch(console.error))),
	};
	await (await esbuild.context({ ...options, plugins: [noStyles, onEnd] })).watch();
	console.log(`watching; ${out}`);
} else {
	await rm(out, { recursive: true, force: true });
	await finish(await esbuild.build(options));
}
