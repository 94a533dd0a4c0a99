/**
 * Stands in for the VS Code executable that `@vscode/test-electron` starts: takes its arguments, runs
 * the suite inside code-server's extension host with a headless Chromium in front, and exits as VS
 * Code would, 0 when the suite passed.
 */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { exitWith } from '../../tools/stop.mjs';
import { launchBrowser } from './browser.mjs';
import { startCodeServer } from './codeServer.mjs';

const SUITE_TIMEOUT_MS = 10 * 60_000;
const OPEN_TIMEOUT_MS = 120_000;

/**
 * @param {string[]} args
 * @returns {Promise<number>} the exit code
 */
async function runSuite(args) {
  const { values, positionals } = parseArgs({
    args,
    // Everything else that test-electron passes is about the desktop.
    strict: false,
    allowPositionals: true,
    options: {
      extensionDevelopmentPath: { type: 'string', multiple: true },
      extensionTestsPath: { type: 'string' },
      'extensions-dir': { type: 'string' },
      'user-data-dir': { type: 'string' },
    },
  });
  const profile = mkdtempSync(path.join(tmpdir(), 'faultline-shim-'));
  const userDataDir = text(values['user-data-dir']) ?? path.join(profile, 'user-data');
  const server = await startCodeServer({
    userDataDir,
    extensionsDir: text(values['extensions-dir']) ?? path.join(profile, 'extensions'),
    folder: positionals[0],
  });
  const browser = await launchBrowser();
  try {
    const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
    await context.request.get(server.url); // Takes the token's cookie along.
    const page = await context.newPage();
    /** @type {Promise<number>} */
    const suiteEnded = new Promise((resolve, reject) => {
      void page.exposeFunction('codeAutomationExit', resolve);
      page.on('crash', () => reject(new Error('The browser page crashed.')));
    });
    const logFile = path.join(userDataDir, 'window.log');
    await page.exposeFunction(
      'codeAutomationLog',
      (/** @type {string} */ kind, /** @type {unknown[]} */ values) => {
        appendFileSync(logFile, `[${kind}] ${values.map(String).join(' ')}\n`);
      },
    );
    await announceTests(page, {
      extensions: values.extensionDevelopmentPath?.map(String) ?? [],
      tests: text(values.extensionTestsPath) ?? '',
      authority: new URL(server.origin).host,
    });
    const url = new URL(server.url);
    url.searchParams.delete('tkn');
    await page.goto(url.href, { timeout: OPEN_TIMEOUT_MS });
    const timedOut = delay(SUITE_TIMEOUT_MS, undefined, { ref: false }).then(() => {
      throw new Error(`The suite did not end within ${SUITE_TIMEOUT_MS / 60_000} minutes.`);
    });
    return await Promise.race([suiteEnded, timedOut]);
  } finally {
    await browser.close();
    await server.stop();
    rmSync(profile, { recursive: true, force: true });
  }
}

/** @param {string | boolean | undefined} value */
const text = (value) => (typeof value === 'string' ? value : undefined);

/**
 * Puts the extension and its tests into the configuration that code-server prints into the page, the
 * way `code --extensionDevelopmentPath --extensionTestsPath` does for a window.
 *
 * @param {import('playwright-core').Page} page
 * @param {{ extensions: readonly string[], tests: string, authority: string }} what
 */
async function announceTests(page, { extensions, tests, authority }) {
  const uri = (/** @type {string} */ file) => ({
    scheme: 'vscode-remote',
    authority,
    path: path.resolve(file),
  });
  const developmentOptions = { extensions: extensions.map(uri), extensionTestsPath: uri(tests) };
  await page.route(
    (url) => url.pathname === '/',
    async (route) => {
      const response = await route.fetch();
      const body = (await response.text()).replace(
        /(id="vscode-workbench-web-configuration" data-settings=")([^"]*)"/,
        (_whole, before, /** @type {string} */ settings) => {
          const parsed = /** @type {object} */ (JSON.parse(unescapeAttribute(settings)));
          const changed = JSON.stringify({ ...parsed, developmentOptions });
          return `${before}${escapeAttribute(changed)}"`;
        },
      );
      await route.fulfill({ response, body });
    },
  );
}

const escapeAttribute = (/** @type {string} */ value) =>
  value.replaceAll('&', '&amp;').replaceAll('"', '&quot;');

const unescapeAttribute = (/** @type {string} */ value) =>
  value.replaceAll('&quot;', '"').replaceAll('&amp;', '&');

runSuite(process.argv.slice(2)).then((code) => process.exit(code), exitWith);
