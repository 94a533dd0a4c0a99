/**
 * Runs test/e2e/inHost inside VS Code's extension host with `@vscode/test-electron`: in a downloaded
 * desktop VS Code where there is a display and a way to download it, otherwise in code-server through
 * harness/electronShim.mjs. The suite is the same.
 */
import { downloadAndUnzipVSCode, runTests } from '@vscode/test-electron';
import { build } from 'esbuild';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ensureCodeServer } from '../e2e/harness/codeServer.mjs';
import { continueOnNode24, toolNode } from './node24.mjs';
import { testFiles } from './nodeTests.mjs';
import { cacheDir, inProject, outDir, root } from './project.mjs';
import { leaveOnSignal } from './run.mjs';
import { exitWith } from './stop.mjs';

/** @typedef {import('./reporter.mjs').TestCounts} TestCounts */

/** @typedef {TestCounts & { report: string[] }} SuiteResult what the suite writes at its end */

/** A machine without a way out should not wait long to learn it. */
const DOWNLOAD_IDLE_TIMEOUT_MS = 10_000;

/** @returns {Promise<TestCounts>} */
export async function runInHostTests() {
  const folder = path.join(outDir, 'inHost');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(path.join(folder, 'workspace'), { recursive: true });
  const suite = path.join(folder, 'suite.cjs');
  await bundleSuite(suite);
  const resultFile = path.join(folder, 'result.json');
  try {
    await runTests({
      vscodeExecutablePath: (await desktopCode()) ?? (await codeServerShim(folder)),
      extensionDevelopmentPath: root,
      extensionTestsPath: suite,
      extensionTestsEnv: { FAULTLINE_IN_HOST_RESULT: resultFile },
      launchArgs: [
        path.join(folder, 'workspace'),
        `--user-data-dir=${path.join(folder, 'user-data')}`,
        `--extensions-dir=${path.join(folder, 'extensions')}`,
      ],
    });
  } catch (error) {
    // A failed test is in the result; anything else has to be told.
    if (readResult(resultFile) === undefined) console.error(error);
  }
  const result = readResult(resultFile);
  if (result === undefined) {
    console.log(`  ✗ the suite did not get to its end: see ${folder}`);
    return { passed: 0, failed: 1, skipped: [] };
  }
  for (const line of result.report) console.log(line);
  return result;
}

/** @param {string} outfile */
async function bundleSuite(outfile) {
  const tests = testFiles('test/e2e/inHost/*.test.ts');
  const imports = tests.map((file) => `import ${JSON.stringify(`./${file}`)};`);
  await build({
    stdin: {
      contents: [...imports, "export { run } from './test/e2e/inHost/suite.ts';"].join('\n'),
      resolveDir: root,
    },
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node22',
    external: ['vscode'],
    sourcemap: 'inline',
  });
}

/** @returns {Promise<string | undefined>} a desktop VS Code, when one can be had and shown */
async function desktopCode() {
  const hasDisplay =
    process.platform !== 'linux' ||
    ['DISPLAY', 'WAYLAND_DISPLAY'].some((name) => process.env[name] !== undefined);
  if (!hasDisplay) return undefined;
  try {
    return await downloadAndUnzipVSCode({
      version: 'stable',
      cachePath: path.join(cacheDir, 'vscode-test'),
      timeout: DOWNLOAD_IDLE_TIMEOUT_MS,
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    console.log(`No desktop VS Code can be downloaded (${why}): using code-server.`);
    return undefined;
  }
}

/**
 * @param {string} folder
 * @returns {Promise<string>} a program that takes VS Code's arguments
 */
async function codeServerShim(folder) {
  await ensureCodeServer();
  const shim = path.join(folder, 'code');
  const quoted = [toolNode(), inProject('test', 'e2e', 'harness', 'electronShim.mjs')]
    .map((argument) => `'${argument.replaceAll("'", "'\\''")}'`)
    .join(' ');
  writeFileSync(shim, `#!/bin/sh\nexec ${quoted} "$@"\n`);
  chmodSync(shim, 0o755);
  return shim;
}

/**
 * @param {string} file
 * @returns {SuiteResult | undefined} undefined when the suite did not get to its end
 */
function readResult(file) {
  try {
    return /** @type {SuiteResult} */ (JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
}

async function main() {
  leaveOnSignal();
  const { passed, failed } = await runInHostTests();
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

if (process.argv[1] === import.meta.filename) {
  await continueOnNode24();
  main().catch(exitWith);
}
