// The page of the live logs in a real browser, under the policy it has in VS Code: used with mouse and
// keyboard, fed with many and with hostile rows, looked at in several themes.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test, { after, before, type TestContext } from 'node:test';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { webviewHtml } from '../../src/ui/webviewHtml.ts';
import type { FromLogs, LogRow, NodeRow, ToLogs } from '../../src/webview/logs/protocol.ts';
import { launchBrowser } from '../e2e/harness/browser.mjs';
import { eventually } from '../fakes/eventually.ts';
import { inProject, outDir } from '../tools/project.mjs';
import { themes, type ThemeName } from '../webview/themes.ts';

const origin = 'http://logs.test';
let browser: Browser;
let script: string;

before(async () => {
  browser = await launchBrowser();
  const result = await build({
    entryPoints: [inProject('src/webview/logs/main.ts')],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'chrome128',
  });
  script = result.outputFiles[0]!.text;
});
after(() => browser?.close());

interface FakeUri {
  readonly path: string;
  with(change: { path: string }): FakeUri;
  toString(): string;
}
const fakeUri = (uriPath: string): FakeUri => ({
  path: uriPath,
  with: (change) => fakeUri(change.path),
  toString: () => uriPath,
});

function html(): string {
  const webview = { cspSource: "'self'", asWebviewUri: (uri: FakeUri) => uri };
  type Given = Parameters<typeof webviewHtml>;
  return webviewHtml(webview as unknown as Given[0], fakeUri('') as unknown as Given[1], {
    script: 'logs',
    styles: ['logs'],
    title: 'Live Logs',
  });
}

interface LogsTestPage {
  readonly page: Page;
  readonly sent: FromLogs[];
  readonly receive: (message: ToLogs) => Promise<void>;
}

async function open(t: TestContext, theme: ThemeName = 'dark'): Promise<LogsTestPage> {
  const page = await browser.newPage({ viewport: { width: 1100, height: 360 } });
  const troubles: string[] = [];
  const sent: FromLogs[] = [];
  page.on('pageerror', (error) => troubles.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') troubles.push(`console: ${message.text()}`);
  });
  const answers: Readonly<Record<string, readonly [type: string, body: string]>> = {
    '/': ['text/html', html()],
    '/dist/webview/logs.js': ['text/javascript', script],
    '/media/logs.css': ['text/css', readFileSync(inProject('media/logs.css'), 'utf8')],
  };
  await page.route('**/*', async (route) => {
    const url = new URL(route.request().url());
    const answer = url.origin === origin ? answers[url.pathname] : undefined;
    if (answer !== undefined) {
      return route.fulfill({ contentType: `${answer[0]}; charset=utf-8`, body: answer[1] });
    }
    if (url.pathname !== '/favicon.ico') troubles.push(`request: ${url.href}`);
    return route.fulfill({ status: 204 });
  });
  await page.exposeFunction('testSend', (message: FromLogs) => sent.push(message));
  await page.addInitScript(`
    window.acquireVsCodeApi = () => ({ postMessage: (message) => window.testSend(message) });
    const dress = () => {
      const theme = ${JSON.stringify(themes[theme])};
      document.body.className = theme.bodyClass;
      for (const [name, value] of Object.entries(theme.variables)) {
        document.documentElement.style.setProperty('--vscode-' + name, value);
      }
      document.body.style.background = 'var(--vscode-editor-background)';
    };
    document.addEventListener('DOMContentLoaded', dress);
  `);
  await page.goto(origin);
  await eventually(() => assert.deepEqual(sent, [{ type: 'ready' }]), 10_000);
  sent.length = 0;
  t.after(async () => {
    assert.deepEqual(troubles, [], 'no violation of the policy, no error, no request');
    await page.close();
  });
  return {
    page,
    sent,
    receive: (message) =>
      page.evaluate(
        `window.dispatchEvent(new MessageEvent('message', { data: ${JSON.stringify(message)} }));
         new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))`,
      ),
  };
}

const nodes: readonly NodeRow[] = [
  { node: 'gate-1', state: 'following', note: '' },
  { node: 'work-2', state: 'off', note: '' },
  { node: 'store-1', state: 'failed', note: 'store-1 refused the connection. Start sshd.' },
  { node: 'work-1', state: 'waiting', note: 'Connection lost: follows again by itself.' },
];

const start = Date.parse('2026-11-22T06:17:54.000Z');

function row(id: number, change: Partial<LogRow> = {}): LogRow {
  return {
    id,
    kind: 'entry',
    time: start + id * 7,
    zone: 60,
    node: id % 3 === 0 ? 'store-1' : 'gate-1',
    writer: 'shop.gateway',
    level: 'info',
    contextId: `req-${id}`,
    message: `message ${id}`,
    moreLines: 0,
    isLate: false,
    ...change,
  };
}

function rows(first: number, count: number, counters = {}): ToLogs {
  return {
    type: 'rows',
    rows: Array.from({ length: count }, (_, n) => row(first + n)),
    counters: { received: first + count - 1, late: 0, gaps: 0, ...counters },
  };
}

const messages = async (page: Page): Promise<string[]> =>
  page.locator('.space .message').allInnerTexts();
const status = (page: Page): Promise<string> => page.locator('#status').innerText();

test('the page stays at its end while it stands there, and stays where it is otherwise', async (t) => {
  const { page, receive } = await open(t);
  await receive({ type: 'nodes', nodes });
  await receive(rows(1, 500));
  assert.match((await messages(page)).at(-1)!, /message 500/);
  assert.ok((await page.locator('.space .row').count()) < 60, 'only rows in sight are in the page');

  await page.locator('.rows').hover();
  await page.mouse.wheel(0, -2000);
  await eventually(async () => assert.ok(await page.locator('.toEnd').isVisible()));
  const before = await messages(page);
  await receive(rows(501, 500));
  assert.deepEqual(await messages(page), before);

  await page.locator('.toEnd').click();
  await eventually(async () => assert.match((await messages(page)).at(-1)!, /message 1000/));
  assert.equal(await page.locator('.toEnd').isVisible(), false);
  assert.match(await status(page), /^1,000 entries · \d+\/s$/);
});

test('text, level and node filter; the rest is counted', async (t) => {
  const { page, receive } = await open(t);
  await receive({ type: 'nodes', nodes });
  await receive({
    type: 'rows',
    rows: [
      row(1),
      row(2, { level: 'error', message: 'settle failed', moreLines: 4 }),
      row(3, { level: 'warn' }),
      row(4, { kind: 'gap', level: '', message: 'was truncated' }),
      row(5, { level: 'fatal', isLate: true }),
    ],
    counters: { received: 5, late: 1, gaps: 1 },
  });
  assert.match(await status(page), /5 entries · \d+\/s · 1 late · 1 gap/);
  await page.getByLabel('Filter by text').fill('SETTLE');
  await eventually(async () => assert.equal((await messages(page)).length, 2));
  assert.match(await status(page), /^2 of 5 entries/);
  await page.getByLabel('Filter by text').fill('');
  await page.getByLabel('Least severe level').selectOption('error');
  await eventually(async () => assert.equal((await messages(page)).length, 3));
  await page.getByLabel('Node', { exact: true }).selectOption('store-1');
  await eventually(async () => assert.equal((await messages(page)).length, 0));
});

test('nodes start and stop, with their state in words', async (t) => {
  const { page, sent, receive } = await open(t);
  await receive({ type: 'nodes', nodes });
  assert.match(await page.locator('.nodes').innerText(), /gate-1\s+following\s+▶?\s*work-2/);
  assert.match(
    await page.locator('.nodes').innerText(),
    /work-1\s+waiting\s+↻\s+Connection lost: follows again by itself\./,
  );
  await page.getByLabel('Stop following gate-1').click();
  await page.getByLabel('Start following work-2').click();
  await page.getByLabel('Connect to work-1 now').click();
  await page.getByLabel('Stop following work-1').click();
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('button', { name: 'Clear' }).click();
  await eventually(() =>
    assert.deepEqual(sent, [
      { type: 'stop', node: 'gate-1' },
      { type: 'start', node: 'work-2' },
      { type: 'start', node: 'work-1' },
      { type: 'stop', node: 'work-1' },
      { type: 'pause', isPaused: true },
      { type: 'pause', isPaused: false },
      { type: 'clear' },
    ]),
  );
  await receive(rows(1, 3));
  await receive({ type: 'cleared', upTo: 3, counters: { received: 0, late: 0, gaps: 0 } });
  assert.deepEqual(await messages(page), []);
});

test('an entry is chosen, read, copied and searched with the keyboard alone', async (t) => {
  const { page, sent, receive } = await open(t);
  await receive({ type: 'nodes', nodes });
  await receive(rows(1, 100));
  await page.locator('.rows').focus();
  for (const key of ['Home', 'ArrowDown', 'ArrowDown', 'Enter', 'Control+c'])
    await page.keyboard.press(key);
  await eventually(() =>
    assert.deepEqual(sent.slice(-3), [
      { type: 'detail', id: 3 },
      { type: 'searchContext', id: 3 },
      { type: 'copy', ids: [3] },
    ]),
  );
  await receive({ type: 'detail', id: 3, text: 'whole entry\n  with its trace' });
  assert.equal(await page.locator('.detail').innerText(), 'whole entry\n  with its trace');
  const active = await page.locator('.rows').getAttribute('aria-activedescendant');
  assert.equal(await page.locator(`#${active}`).getAttribute('aria-selected'), 'true');
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('.detail').isVisible(), false);
});

test('a click on a context id searches the request', async (t) => {
  const { page, sent, receive } = await open(t);
  await receive(rows(1, 3));
  await page.locator('.context', { hasText: 'req-2' }).click();
  await eventually(() => assert.deepEqual(sent.at(-1), { type: 'searchContext', id: 2 }));
});

test('more rows than are kept: the oldest are dropped and counted, and scrolling stays quick', async (t) => {
  const { page, receive } = await open(t);
  for (let first = 1; first < 60_000; first += 2000) await receive(rows(first, 2000));
  assert.match(await status(page), /^50,000 entries · [\d,]+\/s · 10,000 older dropped$/);
  const drawMs = await page.evaluate<number>(`(async () => {
    const list = document.querySelector('.rows');
    const times = [];
    for (let step = 0; step < 20; step++) {
      list.scrollTop = step * 40000;
      await new Promise((resolve) => requestAnimationFrame(resolve));
      const startedAt = performance.now();
      await new Promise((resolve) => requestAnimationFrame(resolve));
      times.push(performance.now() - startedAt);
    }
    return times.sort((a, b) => a - b)[10];
  })()`);
  assert.ok(drawMs < 200, `${drawMs} ms`);
});

test('hostile text is text', async (t) => {
  const { page, receive } = await open(t);
  const vectors = [
    '<img src=x onerror=alert(1)>',
    '<script>alert(1)</script>',
    '[x](command:workbench.action.quit)',
    '$(flame)',
    '__proto__',
    'javascript:alert(1)',
  ];
  await receive({
    type: 'nodes',
    nodes: vectors.map((text) => ({ node: text, state: 'failed', note: text })),
  });
  await receive({
    type: 'rows',
    rows: vectors.map((text, n) =>
      row(n + 1, { message: text, node: text, contextId: text, writer: text }),
    ),
    counters: { received: vectors.length, late: 0, gaps: 0 },
  });
  assert.equal(await page.locator('#root img, #root script, #root a').count(), 0);
  assert.ok((await messages(page))[0]!.includes('<img src=x onerror=alert(1)>'));
});

for (const theme of ['dark', 'light', 'highContrast'] as const) {
  test(`it looks right: ${theme}`, async (t) => {
    const { page, receive } = await open(t, theme);
    await receive({ type: 'nodes', nodes });
    await receive({
      type: 'rows',
      rows: [
        row(1, { message: 'GET /orders/7' }),
        row(2, { level: 'debug', message: 'cache miss' }),
        row(3, { level: 'warn', message: 'slow answer', contextId: '' }),
        row(4, {
          kind: 'gap',
          level: '',
          message:
            '/srv/shop/log/store.log was truncated: lines written just before may be missing.',
        }),
        row(5, { level: 'error', message: 'settle failed', moreLines: 6 }),
        row(6, { level: 'fatal', message: 'out of memory', isLate: true }),
        row(7, {
          kind: 'resumed',
          level: '',
          node: 'work-1',
          contextId: '',
          message: 'Reconnected after 12 s: nothing was lost.',
        }),
        row(8, { level: '', time: null, contextId: '', message: 'plain text without a time' }),
      ],
      counters: { received: 8, late: 1, gaps: 1 },
    });
    await page.locator('.space .row').nth(4).click();
    await receive({
      type: 'detail',
      id: 5,
      text: 'ERROR settle failed\n    Traceback …\n    KeyError: tax',
    });
    const folder = path.join(outDir, 'screenshots', 'logs');
    mkdirSync(folder, { recursive: true });
    await page.screenshot({ path: path.join(folder, `live-${theme}.png`) });
    assert.equal(await page.evaluate('document.body.scrollWidth <= innerWidth'), true);
  });
}
