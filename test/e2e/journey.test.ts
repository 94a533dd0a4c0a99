// The whole way, as a user goes it: the packaged extension in a real VS Code, on the demo fleet, with mouse and
// keyboard. Each step leaves its screenshot, in dark and light, in test/out/screenshots.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { sendRequest, startFleet, type Fleet } from '../fleet/fleet.ts';
import { eventually } from '../fakes/eventually.ts';
import { vsixFile } from '../tools/project.mjs';
import { openWorkbench, type Workbench } from './harness/browser.mjs';
import { ensureCodeServer, startCodeServer } from './harness/codeServer.mjs';

const base = mkdtempSync(join(tmpdir(), 'faultline-e2e-'));
let fleet: Fleet;
let server: Awaited<ReturnType<typeof startCodeServer>>;
let workbench: Workbench;
let contextId: string;

const nodeNames = ['gate-1', 'work-1', 'work-2', 'work-3', 'store-1'];

before(async () => {
  assert.ok(existsSync(vsixFile), 'npm run package makes the VSIX that is tested here');
  await ensureCodeServer({});
  // Without the generator: what is on the screen is then only what this test asked for.
  fleet = await startFleet({ dir: join(base, 'fleet'), load: false });
  await sendRequest(fleet, { path: '/quote', body: { worker: 'work-1' } });
  const failed = await sendRequest(fleet, {
    path: '/settle',
    body: { worker: 'work-2', currency: 'JPY', amount: '15800' },
  });
  contextId = failed.requestId;
  await sendRequest(fleet, { path: '/settle', body: { worker: 'work-3', export: true } });
  server = await startCodeServer({
    userDataDir: join(base, 'user-data'),
    extensionsDir: join(base, 'extensions'),
    folder: join(fleet.settingsFile, '..', '..'),
    vsix: vsixFile,
    settings: {
      // A workspace cannot set it.
      'faultline.ssh.configFile': fleet.sshConfigFile,
      // A terminal that is drawn as text can be read here.
      'terminal.integrated.gpuAcceleration': 'off',
    },
  });
  workbench = await openWorkbench(server.url, { theme: 'dark' });
});

after(async () => {
  await workbench?.close();
  await server?.stop();
  await fleet?.stop();
  rmSync(base, { recursive: true, force: true });
});

// The last one of these shows what a failure looked like.
afterEach(() => workbench.screenshot('last-state'));

/** One picture for each theme. */
async function shoot(name: string): Promise<void> {
  for (const theme of ['light', 'dark'] as const) {
    await workbench.setTheme(theme);
    await workbench.screenshot(name);
  }
}

test('1 nodes: all are listed, connect, and tell their clocks', async () => {
  await workbench.openContainer('Faultline');
  const listed = await workbench.waitForTree('Nodes', (items) => items.length === nodeNames.length);
  assert.deepEqual(
    listed.map((item) => item.label),
    nodeNames,
  );
  for (const name of nodeNames) await workbench.clickTreeAction('Nodes', name, 'Connect');
  const ready = await workbench.waitForTree('Nodes', (items) =>
    items.every((item) => item.description.startsWith('clock ')),
  );
  const store = ready.find((item) => item.label === 'store-1')?.description ?? '';
  assert.match(store, /^clock \+3\.[45]\d s ± [\d.]+ ms$/);
});

test('2 environment: two nodes side by side in the diff editor, secrets masked', async () => {
  await workbench.clickTreeItem('Nodes', 'work-1');
  await workbench.clickTreeItem('Nodes', 'work-2', { toggle: true });
  await workbench.clickTreeMenu('Nodes', 'work-2', 'Compare Environments');
  await workbench.waitForEditor(/work-1 ↔ work-2/);
  const { original, modified } = await workbench.diffText();
  assert.match(original, /pricelib = 2\.1\.0/);
  assert.match(modified, /pricelib = 1\.4\.2/);
  await shoot('environment');
});

test('3 logs: one request on all nodes, in true order', async () => {
  await workbench.clickViewAction('Nodes', 'Search Logs…');
  await workbench.answer(contextId);
  await workbench.waitForEditor(new RegExp(contextId));
  const text = await workbench.editorText();
  const nodes = ['gate-1', 'work-2', 'store-1'];
  for (const name of nodes) assert.ok(text.includes(name), `${name} is not in\n${text}`);
  // The store's clock is 3.5 s ahead; by corrected time its entry lies between those of the others.
  const order = [...text.matchAll(/^\[.*? on ([\w-]+)\):/gm)].map((match) => match[1]);
  assert.ok(order.indexOf('gate-1') < order.indexOf('store-1'), text);
  assert.ok(order.lastIndexOf('store-1') < order.lastIndexOf('gate-1'), text);
  await shoot('logs');
});

test('3b live logs: a new request of followed nodes appears by itself', async () => {
  await workbench.clickTreeItem('Nodes', 'gate-1');
  await workbench.clickTreeItem('Nodes', 'store-1', { toggle: true });
  await workbench.clickTreeMenu('Nodes', 'store-1', 'Follow Logs');
  const page = await workbench.webviewFrame(/Live Logs/);
  await page.locator('body').waitFor();
  await eventually(async () => {
    const { requestId } = await sendRequest(fleet, { path: '/quote', body: { worker: 'work-1' } });
    await page.getByText(requestId).first().waitFor({ timeout: 5000 });
  }, 60_000);
  await shoot('live-logs');
  await workbench.page.keyboard.press('Control+j');
});

test('4 runs: the failed ones are listed with their reasons', async () => {
  await workbench.clickViewAction('Runs', 'Refresh Runs');
  const items = await workbench.waitForTree('Runs', (rows) => rows.length === 2);
  assert.deepEqual(
    items.map((item) => item.label),
    ['shop.settle', 'shop.settle'],
  );
  const reasons = items.map((item) => item.description).join('\n');
  assert.match(reasons, /work-2 · AllocationError: .* cannot be paid in JPY/);
  assert.match(reasons, /work-3 · KeyError: 'TARIFF_REGION'/);
});

test('5a preflight: from the failing log entry to what differs on a healthy node', async () => {
  await workbench.clickCodeLens('Reopen run');
  await workbench.waitForEditor('Reopen shop.settle');
  const page = await workbench.webviewFrame('Reopen shop.settle');
  await page.locator('select#target').selectOption('work-1');
  const first = page.locator('tr.differs').first();
  await first.locator('td.fact', { hasText: 'packages.pricelib' }).waitFor();
  assert.deepEqual(await first.locator('td.value').allTextContents(), ['1.4.2', '2.1.0']);
  await shoot('preflight');
  await page.locator('select#target').selectOption('work-2');
  await page.locator('tr.differs td.fact', { hasText: 'pricelib' }).waitFor({ state: 'detached' });
});

test('5b without a debugger the run fails the same way on its node', async () => {
  const page = await workbench.webviewFrame('Reopen shop.settle');
  await page.getByRole('button', { name: 'Reopen without Debugger' }).click();
  const verdict = page.locator('.verdict.same-failure');
  await verdict.waitFor();
  assert.match((await verdict.textContent()) ?? '', /failed the same way: AllocationError/);
  await shoot('rerun');
});

test('5c under the debugger it stops at the failing frame, with its variables and its source', async () => {
  const page = await workbench.webviewFrame('Reopen shop.settle');
  await page.getByRole('button', { name: 'Reopen under Debugger' }).click();
  await workbench.waitForEditor('allocate');
  const variable = workbench.page.locator('.debug-variables .monaco-list-row');
  await variable.filter({ hasText: 'currency' }).first().waitFor();
  await variable.filter({ hasText: "'JPY'" }).first().waitFor();
  const frames = workbench.page.locator('.debug-call-stack .stack-frame');
  assert.match((await frames.first().textContent()) ?? '', /check_payable.*allocate\.py/);
  assert.match(await workbench.editorText(), /raise AllocationError/);
  await shoot('debug');
  await workbench.page.keyboard.press('Shift+F5');
  await workbench.page.locator('.debug-toolbar').waitFor({ state: 'hidden' });
});

test('5d a terminal opens where the run was', async () => {
  await workbench.openContainer('Faultline');
  await workbench.clickTreeMenu('Runs', 'shop.settle', 'Open Terminal There');
  const screen = workbench.page.locator('.terminal-wrapper.active .xterm');
  await screen.waitFor();
  await screen.click();
  await workbench.page.keyboard.type('pwd; echo region=$TARIFF_REGION\n');
  await eventually(async () => {
    assert.match(await terminalText(), /\/srv\/shop/);
  }, 20_000);
  await shoot('terminal');
});

test('6 profile: a running service as a flame graph; a frame opens its source on the node', async () => {
  await workbench.runCommand('View: Toggle Panel Visibility');
  const load = keepBusy();
  try {
    await workbench.clickTreeMenu('Nodes', 'work-1', 'Profile a Process…');
    await workbench.pick(/shop\.worker/);
    await workbench.pick('5 seconds');
    await workbench.waitForEditor(/work-1/);
  } finally {
    await load.stop();
  }
  const page = await workbench.webviewFrame(/work-1/);
  await page.locator('canvas').first().waitFor();
  await shoot('flame');
  await page.getByRole('searchbox').fill('price_basket');
  await shoot('flame-search');
  // To the match, then to its source.
  await page.getByRole('searchbox').press('Enter');
  await page.locator('[data-action="open-source"]').click();
  await workbench.waitForEditor('pricing');
  assert.match(await workbench.editorText(), /def price_basket/);
  await shoot('flame-source');
});

/** Requests that make worker-1 compute, until stopped. */
function keepBusy(): { stop(): Promise<void> } {
  let isBusy = true;
  const work = (async () => {
    while (isBusy) await sendRequest(fleet, { path: '/quote', body: { worker: 'work-1' } });
  })();
  return {
    stop: () => {
      isBusy = false;
      return work;
    },
  };
}

/** What the terminal shows: its accessible text, since its screen is a canvas. */
async function terminalText(): Promise<string> {
  const rows = workbench.page.locator('.terminal-wrapper.active .xterm-rows, .xterm-accessibility');
  return (await rows.allTextContents()).join('\n');
}
