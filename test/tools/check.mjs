/**
 * `npm run check`: what can be said about the code in under a minute. `npm run check -- types unit`
 * runs some of it, `--fix` repairs what can be repaired.
 */
import { existsSync } from 'node:fs';
import os from 'node:os';
import { continueOnNode24 } from './node24.mjs';
import { inParallel } from './inParallel.mjs';
import { runNodeTests, sum, unitTestFiles } from './nodeTests.mjs';
import { seconds } from './progress.mjs';
import { inProject } from './project.mjs';
import { leaveOnSignal, run } from './run.mjs';
import { exitWith, Stop } from './stop.mjs';

/** @typedef {import('./reporter.mjs').TestCounts} TestCounts */

/**
 * @typedef {object} Check
 * @property {string} name
 * @property {(fix: boolean) => Promise<TestCounts & { output: string }>} run
 */

/** One after the other at most as many as there are processors; the longest first. */
const STATIC_CHECKS = /** @type {readonly Check[]} */ ([
  { name: 'lint', run: lint },
  {
    name: 'types',
    run: () => together(TSCONFIGS.map((file) => tool('ts7', 'bin/tsc', '-p', file))),
  },
  { name: 'format', run: format },
  { name: 'unused', run: () => tool('knip', 'bin/knip.js', '--no-progress') },
  { name: 'python', run: python },
]);

/** Alone, at the end: their time limits should measure the code, not the linter. */
const UNIT_TESTS = /** @type {Check} */ ({ name: 'unit', run: unit });

const TSCONFIGS = [
  'tsconfig.json',
  'test/tools/tsconfig.webview.json',
  'test/tools/tsconfig.e2e.json',
];

/** Prettier's patterns: sample files keep the shape they were found in. */
const FORMATTED = [
  'src/**/*.{ts,css}',
  'test/**/*.{ts,mjs,cjs,json}',
  'media/**/*.css',
  'syntaxes/**/*.json',
  '*.{json,md}',
  '!test/{fixtures,out}/**',
  '!**/*.golden.*',
];

const UNIT_FILE_TIMEOUT_MS = 60_000;

/**
 * Runs the named checks, or all, and shows one line each.
 *
 * @param {{ names?: readonly string[], fix?: boolean }} [options]
 * @returns {Promise<TestCounts>}
 */
export async function check({ names = [], fix = false } = {}) {
  const known = [...STATIC_CHECKS, UNIT_TESTS];
  const unknown = names.find((name) => !known.some((one) => one.name === name));
  if (unknown !== undefined) {
    const list = known.map(({ name }) => name).join(', ');
    throw new Stop(`There is no check "${unknown}": choose from ${list}.`);
  }
  const isWanted = (/** @type {Check} */ { name }) => names.length === 0 || names.includes(name);
  const results = await inParallel(
    STATIC_CHECKS.filter(isWanted).map((one) => () => runAndShow(one, fix)),
    os.availableParallelism(),
  );
  if (isWanted(UNIT_TESTS)) results.push(await runAndShow(UNIT_TESTS, fix));
  return sum(results);
}

/**
 * @param {Check} check
 * @param {boolean} fix
 */
async function runAndShow({ name, run: runCheck }, fix) {
  const startedAt = Date.now();
  const result = await runCheck(fix);
  const took = seconds(Date.now() - startedAt);
  const tests = result.passed + result.failed > 1 ? `, ${result.passed} passed` : '';
  if (result.failed > 0) process.stdout.write(`${result.output.trimEnd()}\n`);
  console.log(`${result.failed > 0 ? '✗' : '✓'} ${name} (${took}${tests})`);
  return result;
}

/** @param {boolean} fix */
function lint(fix) {
  const args = ['--config', 'test/tools/eslint.config.mjs', '--no-warn-ignored', 'src', 'test'];
  return tool('eslint', 'bin/eslint.js', ...(fix ? ['--fix'] : []), ...args);
}

/** @param {boolean} fix */
function format(fix) {
  const args = ['--log-level=warn', '--no-error-on-unmatched-pattern', ...FORMATTED];
  return tool('prettier', 'bin/prettier.cjs', fix ? '--write' : '--check', ...args);
}

/** Python files that run on nodes and in the fleet: read by the oldest Python at hand. */
function python() {
  const system = '/usr/bin/python3';
  const script = `
import pathlib, sys
failed = False
for folder in sys.argv[1:]:
    for file in sorted(pathlib.Path(folder).rglob('*.py')):
        try:
            compile(file.read_bytes(), str(file), 'exec')
        except (SyntaxError, ValueError) as error:
            failed = True
            print(f'{file}: {error}')
sys.exit(failed)`;
  const folders = ['src/probe', 'test/fleet'].filter((folder) => existsSync(inProject(folder)));
  return asCheck(run(existsSync(system) ? system : 'python3', ['-c', script, ...folders]));
}

function unit() {
  return runNodeTests({
    files: unitTestFiles(),
    concurrency: os.availableParallelism(),
    fileTimeoutMs: UNIT_FILE_TIMEOUT_MS,
  });
}

/**
 * Runs the program of an npm package.
 *
 * @param {string} packageName
 * @param {string} program
 * @param {string[]} args
 */
const tool = (packageName, program, ...args) =>
  asCheck(run(process.execPath, [inProject('node_modules', packageName, program), ...args]));

/**
 * @param {Promise<import('./run.mjs').Ended>} ended
 * @returns {Promise<TestCounts & { output: string }>} one check, passed when the program was content
 */
async function asCheck(ended) {
  const { code, output } = await ended;
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: [], output };
}

/**
 * @param {Promise<TestCounts & { output: string }>[]} parts
 * @returns {Promise<TestCounts & { output: string }>} one check of several parts
 */
async function together(parts) {
  const results = await Promise.all(parts);
  const failed = results.some((result) => result.failed > 0) ? 1 : 0;
  return {
    passed: 1 - failed,
    failed,
    skipped: [],
    output: results.map(({ output }) => output).join(''),
  };
}

async function main() {
  await continueOnNode24();
  leaveOnSignal();
  const args = process.argv.slice(2);
  const names = args.filter((arg) => !arg.startsWith('--'));
  const { failed } = await check({ names, fix: args.includes('--fix') });
  process.exitCode = failed > 0 ? 1 : 0;
}

if (process.argv[1] === import.meta.filename) main().catch(exitWith);
