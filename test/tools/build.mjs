/**
 * `npm run build`: bundles src/ into dist/. `--production` minifies and leaves the source maps out,
 * `--watch` builds again at every change.
 *
 * dist/ holds: extension.js (what activation loads), late-NAME-HASH.js (what a dynamic `import()` loads),
 * cli.js (the command `faultline`), a file for each library that both load late (`latePackages`),
 * webview/NAME.js and probe/ (text for nodes).
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { latePrefix, lateParts } from './lateParts.mjs';
import { continueOnNode24 } from './node24.mjs';
import { inProject, root } from './project.mjs';
import { exitWith, Stop } from './stop.mjs';

const dist = inProject('dist');

/**
 * What activation may read: printed when it is more. Which files that are is in
 * test/architecture.test.ts, and the time it takes is tested in VS Code itself.
 */
const ACTIVATION_BUDGET_KB = 80;

/**
 * @typedef {object} BuildOptions
 * @property {boolean} production minified, without source maps
 */

/**
 * Builds everything once.
 *
 * @param {BuildOptions} options
 * @returns {Promise<string>} one line about the sizes
 */
export async function build({ production }) {
  rmSync(dist, { recursive: true, force: true });
  copyProbe();
  const { build: bundle } = await import('esbuild');
  const results = await Promise.all(
    bundles(production).map((options) => bundle({ ...options, metafile: true })),
  );
  finishDist();
  for (const { metafile } of results) checkContents(metafile);
  writeNotices(results.flatMap(({ metafile }) => Object.keys(metafile.inputs)));
  return describeSizes();
}

/** Builds at every change until the process ends. */
async function buildOnChange() {
  const { context } = await import('esbuild');
  copyProbe();
  for (const options of bundles(false)) {
    const watched = await context({ ...options, logLevel: 'info' });
    await watched.watch();
  }
  finishDist();
  watch(inProject('src', 'probe'), { recursive: true }, copyProbe);
}

/**
 * @param {boolean} production
 * @returns {import('esbuild').BuildOptions[]} one for each output
 */
function bundles(production) {
  /** @type {import('esbuild').BuildOptions} */
  const common = {
    absWorkingDir: root,
    bundle: true,
    minifySyntax: production,
    minifyWhitespace: production,
    sourcemap: production ? false : 'linked',
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'warning',
    // `import.meta` has no meaning in CommonJS; `dirname` alone is replaced, the rest is a mistake.
    logOverride: { 'empty-import-meta': 'error' },
  };
  /** @type {import('esbuild').BuildOptions} */
  const node = {
    ...common,
    // Our own names stay: in a stack trace they are worth more than the bytes they cost.
    platform: 'node',
    format: 'cjs',
    // Some packages' `main` is a UMD file, whose own `require` a bundle cannot follow.
    mainFields: ['module', 'main'],
    define: { 'import.meta.dirname': '__dirname' },
    // A dynamic import becomes a late `require`, which the extension host serves from its own cache.
    supported: { 'dynamic-import': false },
  };
  /** @type {import('esbuild').BuildOptions[]} */
  const all = [
    {
      ...node,
      entryPoints: ['src/extension.ts'],
      outdir: 'dist',
      target: 'node22',
      external: ['vscode'],
      supported: {},
      plugins: [latePackagesAsFiles, lateParts('extension.js')],
    },
    {
      ...node,
      entryPoints: ['src/cli.ts'],
      outfile: 'dist/cli.js',
      target: 'node20',
      banner: { js: '#!/usr/bin/env node' },
      plugins: [latePackagesAsFiles],
    },
    {
      ...node,
      entryPoints: latePackages,
      outdir: 'dist',
      target: 'node20',
      sourcemap: false,
      minify: true,
      plugins: [withoutNativeParts],
    },
    ...webviewNames().map((name) => ({
      ...common,
      minifyIdentifiers: production,
      entryPoints: [`src/webview/${name}/main.ts`],
      outfile: `dist/webview/${name}.js`,
      platform: /** @type {const} */ ('browser'),
      format: /** @type {const} */ ('iife'),
      target: 'es2023',
      tsconfigRaw: {},
    })),
  ];
  return all.filter(isWritten);
}

/**
 * @param {import('esbuild').BuildOptions} options
 * @returns {boolean} whether the entry point exists; says so when it doesn't
 */
function isWritten({ entryPoints }) {
  const [entry] = Array.isArray(entryPoints) ? entryPoints : [];
  if (typeof entry !== 'string' || existsSync(inProject(entry))) return true;
  console.log(`skipped ${entry}: it does not exist`);
  return false;
}

/** @returns {string[]} folders of src/webview that are a page of their own */
function webviewNames() {
  if (!existsSync(inProject('src', 'webview'))) return [];
  return readdirSync(inProject('src', 'webview')).filter((name) =>
    existsSync(inProject('src', 'webview', name, 'main.ts')),
  );
}

/**
 * Libraries that activation does without, each a file of its own in dist/: file → package. The modules
 * that import them are imported dynamically, so that a `require('./ssh2.js')` runs at the first
 * connection, while our own classes stay one bundle: two copies of a class would not be `instanceof`
 * each other.
 *
 * @type {Readonly<Record<string, string>>}
 */
const latePackages = {
  ssh2: 'ssh2',
  'pino-pretty': 'pino-pretty',
  debugadapter: '@vscode/debugadapter',
};

/** @type {import('esbuild').Plugin} */
const latePackagesAsFiles = {
  name: 'late-packages-as-files',
  setup(plugin) {
    for (const [file, name] of Object.entries(latePackages)) {
      plugin.onResolve({ filter: new RegExp(`^${name}$`) }, () => ({
        path: `./${file}.js`,
        external: true,
      }));
    }
  },
};

/**
 * ssh2 works without its native parts; requiring them has to fail the way it expects.
 *
 * @type {import('esbuild').Plugin}
 */
const withoutNativeParts = {
  name: 'without-native-parts',
  setup(plugin) {
    plugin.onResolve({ filter: /\.node$|^cpu-features$/ }, ({ path: wanted }) => ({
      path: wanted,
      namespace: 'native',
    }));
    plugin.onLoad({ filter: /.*/, namespace: 'native' }, ({ path: wanted }) => ({
      contents: `throw new Error(${JSON.stringify(`${wanted} is not part of this bundle`)})`,
    }));
  },
};

/** The probe's files are text to send to nodes: copied as they are. */
function copyProbe() {
  if (!existsSync(inProject('src', 'probe'))) return;
  cpSync(inProject('src', 'probe'), path.join(dist, 'probe'), {
    recursive: true,
    filter: (source) => !/\.ts$|__pycache__/.test(source),
  });
}

function finishDist() {
  mkdirSync(dist, { recursive: true });
  // package.json says "module"; what esbuild writes here is CommonJS.
  writeFileSync(path.join(dist, 'package.json'), '{ "type": "commonjs" }\n');
  const command = path.join(dist, 'cli.js');
  if (existsSync(command)) chmodSync(command, 0o755);
}

/**
 * What must not be in a bundle: ssh2 in the ones that load it late, `vscode` in the command.
 *
 * @param {import('esbuild').Metafile} metafile
 */
function checkContents({ outputs }) {
  for (const [file, { inputs, imports }] of Object.entries(outputs)) {
    if (
      file !== 'dist/ssh2.js' &&
      Object.keys(inputs).some((input) => /node_modules\/ssh2\//.test(input))
    ) {
      throw new Stop(`${file} contains ssh2: only src/remote/ssh2Connection.ts may import it.`);
    }
    const isOfVscode = file === 'dist/extension.js' || path.basename(file).startsWith(latePrefix);
    if (!isOfVscode && imports.some((imported) => imported.path === 'vscode')) {
      throw new Stop(`${file} imports vscode: only src/ui and src/extension.ts may.`);
    }
  }
}

/**
 * The licences of what is bundled ask to be passed on with it.
 *
 * @param {readonly string[]} inputs paths of bundled files
 */
function writeNotices(inputs) {
  const packages = inputs.flatMap(
    (input) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? [],
  );
  const notices = [...new Set(packages)].sort().map((name) => {
    const folder = inProject('node_modules', name);
    const licence = readdirSync(folder).find((file) => /^(licen[cs]e|copying)/i.test(file));
    if (licence === undefined) throw new Stop(`${name} is bundled and has no licence file.`);
    return `${name}\n\n${readFileSync(path.join(folder, licence), 'utf8').trim()}\n`;
  });
  writeFileSync(path.join(dist, 'THIRD-PARTY-NOTICES.txt'), notices.join(`\n${'-'.repeat(80)}\n`));
}

/** @returns {string} the sizes that matter, in words */
function describeSizes() {
  const files = readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.map'))
    .map((entry) => path.join(entry.parentPath, entry.name));
  const kilobytes = (/** @type {string} */ name) =>
    files
      .filter((file) => name === '' || path.relative(dist, file) === name)
      .reduce((sum, file) => sum + statSync(file).size / 1024, 0);
  const activation = kilobytes('extension.js');
  const over = activation > ACTIVATION_BUDGET_KB ? ` (over its ${ACTIVATION_BUDGET_KB} KB)` : '';
  return (
    `dist: activation ${activation.toFixed(0)} KB${over}, ssh2 ${kilobytes('ssh2.js').toFixed(0)} KB, ` +
    `command ${kilobytes('cli.js').toFixed(0)} KB, total ${kilobytes('').toFixed(0)} KB`
  );
}

async function main() {
  await continueOnNode24();
  const args = process.argv.slice(2);
  if (args.includes('--watch')) return buildOnChange();
  console.log(await build({ production: args.includes('--production') }));
}

if (process.argv[1] === import.meta.filename) main().catch(exitWith);
