/** Runs test files with node:test and counts what happened, also when a run breaks off. */
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inParallel } from './inParallel.mjs';
import { inProject, root } from './project.mjs';
import { run } from './run.mjs';

/** @typedef {import('./reporter.mjs').TestCounts} TestCounts */

/**
 * @typedef {object} NodeTestOptions
 * @property {readonly string[]} files relative to the project
 * @property {number} concurrency files at a time
 * @property {number} fileTimeoutMs after which a file has failed
 * @property {boolean} [show] show every test as it ends
 * @property {NodeJS.ProcessEnv} [env] on top of ours
 */

/** Unit tests: every test file except the ones that need the fleet or VS Code. */
export const unitTestFiles = () =>
  testFiles('test/**/*.test.ts').filter((file) => !/^test\/(integration|e2e|bench)\//.test(file));

/**
 * @param {string} pattern
 * @returns {string[]} relative to the project, sorted
 */
export function testFiles(pattern) {
  const ignored = ['node_modules', 'test/out', 'test/fixtures'];
  return globSync(pattern, { cwd: root, exclude: (file) => ignored.includes(file) }).sort();
}

/**
 * Runs each file in a process of its own, and ends that when its time is up: `node --test` would wait
 * for ever for a file that keeps something open.
 *
 * @param {NodeTestOptions} options
 * @returns {Promise<TestCounts & { output: string }>}
 */
export async function runNodeTests({ files, concurrency, ...options }) {
  const results = await inParallel(
    files.map((file) => () => runFile(file, options)),
    concurrency,
  );
  return { ...sum(results), output: results.map(({ output }) => output).join('') };
}

/**
 * @param {string} file
 * @param {Omit<NodeTestOptions, 'files' | 'concurrency'>} options
 * @returns {Promise<TestCounts & { output: string }>}
 */
async function runFile(file, { fileTimeoutMs, show = false, env = {} }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'faultline-counts-'));
  const countsFile = path.join(folder, 'counts.json');
  if (show) console.log(`  ${file}`);
  try {
    const ended = await run(
      process.execPath,
      [`--test-reporter=${inProject('test', 'tools', 'reporter.mjs')}`, file],
      {
        show,
        timeoutMs: fileTimeoutMs,
        env: {
          ...process.env,
          // A test run that is started from a test would report to the outer one only.
          NODE_TEST_CONTEXT: undefined,
          FAULTLINE_TEST_COUNTS: countsFile,
          FAULTLINE_TEST_LINES: show ? 'all' : 'failures',
          ...env,
        },
      },
    );
    const counts = readCounts(countsFile);
    const problem = whatWentWrong(counts, ended, fileTimeoutMs);
    if (problem === undefined && counts !== undefined) return { ...counts, output: ended.output };
    const line = `  ✗ ${file}: ${problem}\n`;
    if (show) process.stdout.write(line);
    return {
      passed: counts?.passed ?? 0,
      failed: (counts?.failed ?? 0) + 1,
      skipped: counts?.skipped ?? [],
      output: `${ended.output}${line}`,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * What the counts do not tell.
 *
 * @param {TestCounts | undefined} counts
 * @param {import('./run.mjs').Ended} ended
 * @param {number} timeoutMs
 * @returns {string | undefined}
 */
function whatWentWrong(counts, { code, signal, timedOut }, timeoutMs) {
  if (timedOut) {
    return `it had not ended after ${timeoutMs / 1000} s: a test hangs, or something it opened stays open`;
  }
  if (counts === undefined) return `it broke off (${signal ?? `exit code ${code}`})`;
  if (counts.passed + counts.failed + counts.skipped.length === 0) return 'no test ran';
  if (counts.failed === 0 && code !== 0) return `it ended with ${signal ?? `exit code ${code}`}`;
  return undefined;
}

/**
 * @param {readonly TestCounts[]} results
 * @returns {TestCounts}
 */
export function sum(results) {
  return {
    passed: results.reduce((total, { passed }) => total + passed, 0),
    failed: results.reduce((total, { failed }) => total + failed, 0),
    skipped: results.flatMap(({ skipped }) => skipped),
  };
}

/**
 * @param {string} file
 * @returns {TestCounts | undefined}
 */
function readCounts(file) {
  try {
    return /** @type {TestCounts} */ (JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined; // The reporter writes it last: the run did not get that far.
  }
}
