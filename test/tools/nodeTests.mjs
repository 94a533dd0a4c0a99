/** Runs test files with node:test and counts what happened, also when a run breaks off. */
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
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
 * @param {NodeTestOptions} options
 * @returns {Promise<TestCounts & { output: string }>}
 */
export async function runNodeTests({ files, concurrency, fileTimeoutMs, show = false, env = {} }) {
  if (files.length === 0) return { passed: 0, failed: 0, skipped: [], output: '' };
  mkdirSync(tmpdir(), { recursive: true });
  const folder = mkdtempSync(path.join(tmpdir(), 'faultline-counts-'));
  const countsFile = path.join(folder, 'counts.json');
  try {
    const ended = await run(
      process.execPath,
      [
        '--test',
        `--test-concurrency=${concurrency}`,
        `--test-timeout=${fileTimeoutMs}`,
        `--test-reporter=${inProject('test', 'tools', 'reporter.mjs')}`,
        ...files,
      ],
      {
        show,
        env: {
          ...process.env,
          // A test run that was started from a test would report to the outer one only.
          NODE_TEST_CONTEXT: undefined,
          FAULTLINE_TEST_COUNTS: countsFile,
          FAULTLINE_TEST_LINES: show ? 'all' : 'failures',
          ...env,
        },
      },
    );
    const counts = readCounts(countsFile);
    if (counts === undefined) {
      return broken(
        `the test run broke off (${ended.signal ?? `exit code ${ended.code}`})`,
        ended.output,
      );
    }
    const { passed, failed, skipped } = counts;
    if (failed === 0 && ended.code !== 0) {
      return broken(`the test run ended with exit code ${ended.code}`, ended.output);
    }
    if (passed + failed + skipped.length === 0) return broken('no test ran', ended.output);
    return { ...counts, output: ended.output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {string} why
 * @param {string} output
 */
const broken = (why, output) => ({
  passed: 0,
  failed: 1,
  skipped: [],
  output: `${output}  ✗ ${why}\n`,
});

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
