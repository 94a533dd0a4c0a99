/** The second phase of `npm test`, on Node 24: all stages, each with its counts, whatever failed before. */
import { existsSync } from 'node:fs';
import { missingBrowserPackages } from '../e2e/harness/browser.mjs';
import { ensureCodeServer, isCodeServerInstalled } from '../e2e/harness/codeServer.mjs';
import { missingSystemPackages } from '../fleet/fleet.ts';
import { check } from './check.mjs';
import { runInHostTests } from './inHost.mjs';
import { runNodeTests, sum, testFiles } from './nodeTests.mjs';
import { packageExtension } from './package.mjs';
import { seconds, step } from './progress.mjs';
import { leaveOnSignal } from './run.mjs';
import { installSystemPackages } from './systemPackages.mjs';

/** @typedef {import('./reporter.mjs').TestCounts} TestCounts */

/**
 * @typedef {object} Stage
 * @property {string} title
 * @property {() => Promise<TestCounts>} run
 */

/** A file of integration tests starts a fleet; one of end-to-end tests a VS Code as well. */
const INTEGRATION_FILE_TIMEOUT_MS = 10 * 60_000;
const E2E_FILE_TIMEOUT_MS = 20 * 60_000;

const STAGES = /** @type {readonly Stage[]} */ ([
  { title: 'Check: lint, types, format, unused code, Python, unit tests', run: check },
  { title: 'Build and package', run: buildAndPackage },
  {
    title: 'Integration tests: real sshd, real Python',
    run: () => oneByOne('test/integration/*.test.ts', INTEGRATION_FILE_TIMEOUT_MS),
  },
  { title: 'Suite inside the extension host', run: runInHostTests },
  {
    title: 'End-to-end tests: the packaged extension, used in a browser',
    run: () => oneByOne('test/e2e/*.test.ts', E2E_FILE_TIMEOUT_MS),
  },
]);

/**
 * The scripts that run on nodes are tested with the tools of other systems, too.
 *
 * @returns {string[]} Debian packages that are not there
 */
function missingPeerTools() {
  return missingPrograms(['busybox', 'gawk', 'zstd', 'bzip2']);
}

/** Debian calls the packages the same. */
const LOGIN_SHELLS = ['dash', 'zsh', 'mksh', 'fish', 'tcsh'];

/** @param {readonly string[]} names */
function missingPrograms(names) {
  return names.filter((name) => !existsSync(`/usr/bin/${name}`) && !existsSync(`/bin/${name}`));
}

/** @returns {Promise<number>} the exit code */
export async function testAll() {
  leaveOnSignal();
  await installSystemPackages(
    [...missingSystemPackages(), ...missingBrowserPackages(), ...missingPeerTools()],
    'npm test',
  );
  // A login shell that cannot be had costs its own tests only, which then say so.
  await installSystemPackages(missingPrograms(LOGIN_SHELLS), 'npm test').catch((error) =>
    console.log(`   ${error.message}`),
  );
  if (!isCodeServerInstalled()) {
    await step('Installing code-server, a VS Code for the browser', (onProgress) =>
      ensureCodeServer({ onProgress }),
    );
  }
  /** @type {TestCounts[]} */
  const results = [];
  for (const stage of STAGES) results.push(await runStage(stage));
  const { passed, failed, skipped } = sum(results);
  console.log('');
  for (const one of skipped) console.log(`skipped: ${one}`);
  const skips = skipped.length === 0 ? '' : `, ${skipped.length} skipped`;
  console.log(`${passed} passed, ${failed} failed${skips}`);
  return failed > 0 ? 1 : 0;
}

/** @param {Stage} stage */
async function runStage({ title, run }) {
  const startedAt = Date.now();
  console.log(`\n── ${title}`);
  const counts = await run().catch((error) => {
    console.error(error);
    return failure;
  });
  const { passed, failed } = counts;
  console.log(`   ${passed} passed, ${failed} failed, ${seconds(Date.now() - startedAt)}`);
  return counts;
}

/** @type {TestCounts} */
const failure = { passed: 0, failed: 1, skipped: [] };

/** @returns {Promise<TestCounts>} one test: whether there is a VSIX */
async function buildAndPackage() {
  console.log(`  ✓ ${await packageExtension()}`);
  return { passed: 1, failed: 0, skipped: [] };
}

/**
 * @param {string} pattern
 * @param {number} fileTimeoutMs
 */
const oneByOne = (pattern, fileTimeoutMs) =>
  runNodeTests({ files: testFiles(pattern), concurrency: 1, fileTimeoutMs, show: true });
