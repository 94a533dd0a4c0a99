// The flame graph's page in a real browser, under the policy it has in VS Code: used with mouse and
// keyboard, fed with hostile names, looked at in each kind of theme.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import test, { after, before, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { ProfileBuilder, type Profile } from '../../src/profile/profile.ts';
import { launchBrowser } from '../e2e/harness/browser.mjs';
import { eventually } from '../fakes/eventually.ts';
import { drawProfile, plainMeta } from '../profile/columns.ts';
import { outDir } from '../tools/project.mjs';
import {
  FlamePageServer,
  FlameTestPage,
  type FlamePageOptions,
} from '../webview/flamePageServer.ts';
import { largeProfile, shopProfile } from '../webview/sampleProfile.ts';
import { themes, type ThemeName } from '../webview/themes.ts';

let browser: Browser;
let server: FlamePageServer;

before(async () => {
  [browser, server] = await Promise.all([launchBrowser(), FlamePageServer.start()]);
});
after(async () => {
  await browser?.close();
  server?.stop();
});

async function open(
  t: TestContext,
  profile: Profile | undefined,
  options: FlamePageOptions = {},
): Promise<FlameTestPage> {
  const page = await FlameTestPage.open(browser, server, options);
  t.after(async () => {
    assert.deepEqual(page.troubles, [], 'no violation of the policy, no error, no request');
    await page.close();
  });
  if (profile !== undefined) await page.show(profile);
  return page;
}

const rowHeight = 21;

/** A point in a level, at a share of the graph's width. */
async function at(page: FlameTestPage, share: number, level: number): Promise<[number, number]> {
  const box = await page.page.locator('.flame-frame').boundingBox();
  assert.ok(box !== null);
  return [box.x + box.width * share, box.y + (level + 0.5) * rowHeight];
}

const details = (page: FlameTestPage): Promise<string> => page.page.locator('.details').innerText();
const callPath = (page: FlameTestPage): Promise<string[]> =>
  page.page.locator('.path button').allInnerTexts();
const opened = (page: FlameTestPage): unknown[] =>
  page.sent.filter((message) => message.type === 'openSource');

test('the page says it is ready, and shows nothing until a profile comes', async (t) => {
  const page = await open(t, undefined);
  await eventually(() => assert.deepEqual(page.sent, [{ type: 'ready' }]));
  assert.equal(await page.page.locator('header').isVisible(), false);
});

test('the head says what was measured, where, how and at what cost', async (t) => {
  const page = await open(t, shopProfile());
  const head = await page.page.locator('header').innerText();
  for (const fact of [
    'python3 -m shop.worker …',
    'worker-1',
    'pid 4211',
    '10.0 s',
    '48.8 of 49 Hz',
    'faultline-probe used 3.1% of a processor',
    '2 notes',
  ]) {
    assert.ok(head.includes(fact), `${fact} is in ${head}`);
  }
  await page.page.locator('.notes summary').click();
  assert.match(await page.page.locator('.notes').innerText(), /Missed samples .*: 2\./);
});

test('a click selects and zooms, Escape goes back', async (t) => {
  const page = await open(t, shopProfile());
  await page.page.mouse.click(...(await at(page, 0.2, 6)));
  await page.settle();
  assert.match(await details(page), /^Ledger\.apply\n.*ledger\.py:66\n/);
  assert.deepEqual(await callPath(page), [
    'all',
    '<module>',
    'main',
    'Worker.serve_forever',
    'Worker.handle',
    'settle',
    'Ledger.apply',
  ]);
  // Ledger.apply fills the width now, so its right end is where other functions were.
  await page.page.mouse.move(...(await at(page, 0.98, 6)));
  await page.settle();
  assert.match(await page.page.locator('.tooltip').innerText(), /^Ledger\.apply\n/);
  await page.page.keyboard.press('Escape');
  await page.settle();
  await page.page.mouse.move(...(await at(page, 0.98, 6)));
  await page.settle();
  assert.match(await page.page.locator('.tooltip').innerText(), /^compress_batch\n/);
});

test('the tooltip gives name, place, weights and the hottest line', async (t) => {
  const page = await open(t, shopProfile());
  await page.page.mouse.move(...(await at(page, 0.2, 6)));
  await page.settle();
  assert.equal(
    await page.page.locator('.tooltip').innerText(),
    [
      'Ledger.apply',
      '/srv/shop/current/shop/ledger.py:66',
      'Total',
      '47.5% · 290 samples · ≈ 5.9 s',
      'Self',
      '2.3% · 14 samples · ≈ 287 ms',
      'All at line 66 · function starts at line 40',
    ].join('\n'),
  );
  await page.page.mouse.move(2, 2);
  await page.settle();
  assert.equal(await page.page.locator('.tooltip').isVisible(), false);
});

test('double click, the link, Enter, the menu and Ctrl+click open the source', async (t) => {
  const page = await open(t, shopProfile());
  const source = {
    type: 'openSource',
    file: '/srv/shop/current/shop/ledger.py',
    line: 66,
  };
  const point = await at(page, 0.2, 6);
  const steps: (() => Promise<void>)[] = [
    // The first click zooms; the second falls on the same box or on another one.
    () => page.page.mouse.dblclick(...point),
    () => page.page.locator('.details button.link').click(),
    async () => {
      await page.page.mouse.click(...point);
      await page.page.keyboard.press('Enter');
    },
    async () => {
      await page.page.mouse.click(...point, { button: 'right' });
      await page.page.getByRole('menuitem', { name: 'Open Source' }).click();
    },
    async () => {
      await page.page.keyboard.down('Control');
      await page.page.mouse.click(...point);
      await page.page.keyboard.up('Control');
    },
  ];
  for (const [index, step] of steps.entries()) {
    await step();
    await eventually(() => assert.equal(opened(page).length, index + 1));
    assert.deepEqual(opened(page).at(-1), source);
    // Two clicks in a row at one place would be a double click.
    await page.page.waitForTimeout(600);
  }
});

test('code without a file opens nothing', async (t) => {
  const page = await open(t, shopProfile());
  await page.page.mouse.dblclick(...(await at(page, 0.8, 7)));
  await page.settle();
  assert.match(await details(page), /zlib\.compress/);
  assert.deepEqual(opened(page), []);
});

test('the wheel zooms at the pointer, dragging moves, a drag is no click', async (t) => {
  const page = await open(t, shopProfile());
  const [x, y] = await at(page, 0.53, 6);
  await page.page.mouse.move(x, y);
  for (let notch = 0; notch < 5; notch++) await page.page.mouse.wheel(0, -100);
  await page.settle();
  await page.page.mouse.move(x + 2, y);
  await page.settle();
  assert.match(await page.page.locator('.tooltip').innerText(), /^TaxTable\.lookup\n/);
  assert.ok(await page.page.getByRole('button', { name: 'Reset zoom' }).isVisible());
  await page.page.mouse.down();
  await page.page.mouse.move(x + 600, y, { steps: 4 });
  await page.page.mouse.up();
  await page.page.mouse.move(x, y);
  await page.settle();
  assert.match(await page.page.locator('.tooltip').innerText(), /^Ledger\.apply\n/);
  assert.match(await details(page), /^Click a frame/, 'nothing was selected');
});

test('the keyboard walks the stacks, zooms and tells where it is', async (t) => {
  const page = await open(t, shopProfile());
  const press = async (...keys: string[]): Promise<string> => {
    for (const key of keys) await page.page.keyboard.press(key);
    await page.settle();
    return (await details(page)).split('\n')[0] ?? '';
  };
  await page.page.locator('.flame-scroll').focus();
  await press('ArrowDown');
  assert.deepEqual(await callPath(page), ['all']);
  assert.equal(await press('ArrowDown'), '<module>');
  assert.equal(await press('ArrowRight'), 'Thread._bootstrap');
  assert.equal(await press('ArrowLeft', 'ArrowLeft'), '<module>', 'stops at the end');
  assert.equal(await press('ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowDown'), 'settle');
  assert.equal(await press('ArrowRight', 'ArrowUp'), 'Worker.handle');
  assert.equal(await press('End'), 'rotate', 'down the heaviest calls');
  assert.match(
    await page.page.locator('.visually-hidden[role=status]').innerText(),
    /^rotate, .*ledger\.py:177\. Total 6\.2% .* Level 9\.$/,
  );
  const reset = page.page.getByRole('button', { name: 'Reset zoom' });
  assert.equal(await reset.isVisible(), false);
  await press(' ');
  assert.ok(await reset.isVisible(), 'Space zooms to the selected frame');
  await press('Home');
  assert.equal(await reset.isVisible(), false);
  await press('+', '+', '-');
  assert.ok(await reset.isVisible());
});

test('a search dims, counts, weighs and walks', async (t) => {
  const page = await open(t, shopProfile());
  await page.page.keyboard.press('/');
  await page.page.keyboard.type('LEDGER');
  const result = page.page.locator('.search-result');
  await eventually(async () => {
    assert.equal(await result.innerText(), '7 functions · 47.5% of all samples');
  });
  await page.page.keyboard.press('Enter');
  assert.equal(await result.innerText(), '1 of 7 · 7 functions · 47.5% of all samples');
  assert.match(await details(page), /^Ledger\.apply\n/);
  await page.page.keyboard.press('Shift+Enter');
  assert.match(await result.innerText(), /^7 of 7/);
  assert.match(await details(page), /^rotate\n/);
  await page.page.locator('input').fill('.*');
  await eventually(async () => assert.equal(await result.innerText(), 'No matches'));
  await page.page.keyboard.press('Escape');
  assert.equal(await result.innerText(), '');
});

test('CPU and wall, one thread and all', async (t) => {
  const page = await open(t, shopProfile());
  const facts = (): Promise<string> => page.page.locator('.facts').innerText();
  assert.match(await facts(), /611 samples/, 'CPU comes first');
  await page.page.getByRole('button', { name: 'Wall' }).click();
  assert.match(await facts(), /1,469 samples/);
  await page.page.locator('select').selectOption({ label: 'heartbeat-1 · 33.2%' });
  assert.match(await facts(), /488 samples/);
  await page.page.getByRole('button', { name: 'CPU' }).click();
  assert.match(await facts(), /2 samples/);
  assert.equal(await page.page.locator('select').inputValue(), '1', 'the thread stays chosen');
});

test('a profile that only waited says so, and leads to where it waited', async (t) => {
  const page = await open(t, drawProfile('main main\nwait wait\ncpu 0 0'));
  // Wall is chosen when nothing ran; CPU is then empty.
  await page.page.getByRole('button', { name: 'CPU' }).click();
  assert.match(await page.page.locator('.empty').innerText(), /Nothing ran/);
  assert.equal(await page.page.locator('.flame-scroll').isVisible(), false);
  await page.page.getByRole('button', { name: 'Show where it waited' }).click();
  assert.ok(await page.page.locator('.flame-scroll').isVisible());
});

test('a profile without samples says so', async (t) => {
  const page = await open(t, new ProfileBuilder().build(plainMeta));
  assert.match(await page.page.locator('.empty').innerText(), /No samples/);
});

test('the table holds the same as text: sorted, filtered, by keyboard', async (t) => {
  const page = await open(t, shopProfile());
  await page.page.getByRole('button', { name: 'Table' }).click();
  const names = (): Promise<string[]> => page.page.locator('tbody td.name').allInnerTexts();
  assert.deepEqual((await names()).slice(0, 3), ['zlib.compress', 'checksum', 'casefold_key']);
  const total = page.page.getByRole('columnheader', { name: 'Total' });
  await total.getByRole('button').press('Enter');
  assert.deepEqual((await names()).slice(0, 2), ['main', '<module>']);
  assert.equal(await total.getAttribute('aria-sort'), 'descending');
  await page.page.keyboard.press('Enter');
  assert.equal(await total.getAttribute('aria-sort'), 'ascending');
  await page.page.locator('input').fill('yaml');
  await eventually(async () => assert.equal((await names()).length, 8));
  await page.page.getByRole('button', { name: 'scanner.py:1270' }).click();
  await eventually(() =>
    assert.deepEqual(opened(page), [
      {
        type: 'openSource',
        file: '/srv/shop/venv/lib/python3.11/site-packages/yaml/scanner.py',
        line: 1270,
      },
    ]),
  );
  await page.page.getByRole('button', { name: 'scan_plain' }).click();
  await page.settle();
  assert.match(await details(page), /^scan_plain\n/, 'the name leads to the graph');
});

test('what is looked at is remembered, and found again by a new page', async (t) => {
  const first = await open(t, shopProfile());
  await first.page.getByRole('button', { name: 'Wall' }).click();
  await first.page.mouse.click(...(await at(first, 0.1, 3)));
  await first.page.locator('input').fill('tax');
  await eventually(() =>
    assert.equal((first.states.at(-1) as { search?: string } | undefined)?.search, 'tax'),
  );
  const state = first.states.at(-1);
  const second = await open(t, shopProfile(), { state });
  assert.equal(await details(second), await details(first));
  assert.equal(await second.page.locator('input').inputValue(), 'tax');
  assert.ok(await second.page.getByRole('button', { name: 'Reset zoom' }).isVisible());
  const other = await open(t, undefined, { state });
  await other.show(shopProfile(), 'another profile');
  assert.equal(await other.page.locator('input').inputValue(), '', 'it belongs to one profile');
});

test('saved state that is nonsense is left alone', async (t) => {
  const state = { id: 'p1', kind: 'x', thread: 99, selected: 1e9, view: { left: 3, right: 'x' } };
  const page = await open(t, shopProfile(), { state });
  assert.match(await details(page), /^Click a frame/);
});

test('save and copy are asked of the panel', async (t) => {
  const page = await open(t, shopProfile());
  await page.page.getByRole('button', { name: 'Save…' }).click();
  await page.page.mouse.click(...(await at(page, 0.2, 6)), { button: 'right' });
  await page.page.keyboard.press('ArrowUp');
  await page.page.keyboard.press('ArrowUp');
  await page.page.keyboard.press('Enter');
  await eventually(() =>
    assert.deepEqual(page.sent.slice(1), [
      { type: 'save' },
      { type: 'copy', text: 'Ledger.apply' },
    ]),
  );
});

test('messages that are no profile change nothing', async (t) => {
  const page = await open(t, shopProfile());
  const before = await page.page.locator('header').innerText();
  for (const message of [
    null,
    'x',
    { type: 'profile' },
    { type: 'profile', id: 'z', title: 't' },
  ]) {
    await page.receive(message);
  }
  await page.settle();
  assert.equal(await page.page.locator('header').innerText(), before);
});

const hostile = [
  '<img src=x onerror=alert(1)>',
  '<svg onload=alert(2)>',
  '"onmouseover="alert(3)',
  "';alert(4)//",
  '</script><script>alert(5)</script>',
  '$' + '{alert(6)}{{alert(6)}}',
  'javascript:alert(7)',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  '\u202egnp.exe',
  '\u0000\u001b[31m\u0007',
  '\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627',
  '😀'.repeat(500),
  'x'.repeat(1 << 20),
  'command:workbench.action.quit',
  '[link](command:x) $(zap)',
];

test('hostile names are text everywhere', async (t) => {
  const builder = new ProfileBuilder();
  const thread = builder.thread(hostile[0]!);
  builder.thread(hostile[10]!);
  for (const [index, name] of hostile.entries()) {
    const frame = builder.frame({
      name,
      file: `/srv/${hostile[(index + 5) % hostile.length]}`,
      line: 7,
    });
    const below = builder.frame({
      name: hostile[(index + 1) % hostile.length]!,
      file: '',
      line: 0,
    });
    const stack = builder.stack([
      [frame, 7],
      [below, 0],
    ]);
    builder.sample({ timeMs: 0, stack, thread, wall: 10 + index, cpu: 1 });
  }
  const profile = builder.build({
    ...plainMeta,
    node: hostile[0]!,
    command: hostile[4]!,
    sampler: { name: hostile[1]!, reason: hostile[2]!, cpuSeconds: 1 },
    notes: [hostile[0]!, hostile[10]!],
  });
  const page = await open(t, undefined);
  await page.show(profile, 'p', hostile[0]);
  for (let step = 0; step < hostile.length; step++) {
    const share = (step + 0.5) / hostile.length;
    for (const level of [1, 2]) {
      await page.page.mouse.move(...(await at(page, share, level)));
      await page.settle();
      const tooltip = await page.page.locator('.tooltip').innerText();
      assert.ok(tooltip.length > 0 && tooltip.length < 1600);
      assert.doesNotMatch(tooltip, /[\u202e\u0000\u001b\u0007]/);
    }
  }
  await page.page.mouse.click(...(await at(page, 0.05, 1)));
  await page.page.locator('.notes summary').click();
  await page.page.mouse.click(...(await at(page, 0.5, 1)), { button: 'right' });
  await page.page.getByRole('menuitem', { name: 'Find This Function' }).click();
  for (const name of hostile) {
    await page.page.locator('input').fill(name.slice(0, 5000));
    await page.page.keyboard.press('Enter');
  }
  await page.page.locator('input').fill('');
  await page.page.getByRole('button', { name: 'Table' }).click();
  await eventually(async () => {
    const rows = await page.page.locator('tbody td.name').allInnerTexts();
    assert.ok(rows.includes('<img src=x onerror=alert(1)>') && rows.includes('__proto__'));
  });
  assert.deepEqual(await page.made(), { elements: 0, isPolluted: false });
});

test('100,000 frames: a zoom step is drawn at once', async (t) => {
  const page = await open(t, largeProfile(120_000), { width: 1600, height: 1000 });
  const medianMs = await page.zoomStepMs();
  // A frame of 60 Hz is 16.7 ms; the machine may be busy with other things.
  assert.ok(medianMs < 100, `${medianMs.toFixed(1)} ms`);
});

test('motion is short, and none for those who want none', async (t) => {
  const page = await open(t, shopProfile(), { reducedMotion: false });
  await page.page.mouse.click(...(await at(page, 0.2, 6)));
  await page.page.waitForTimeout(400);
  await page.page.mouse.move(...(await at(page, 0.98, 6)));
  await page.settle();
  assert.match(await page.page.locator('.tooltip').innerText(), /^Ledger\.apply\n/);
});

test('a change of theme, of size and of resolution is followed', async (t) => {
  const page = await open(t, shopProfile(), { scale: 2 });
  const dark = await page.canvas();
  assert.equal(dark.width, dark.cssWidth * 2);
  await page.setTheme('light');
  await page.settle();
  await page.settle();
  assert.notDeepEqual((await page.canvas()).pixel, dark.pixel);
  await page.page.setViewportSize({ width: 500, height: 400 });
  await page.settle();
  const small = await page.canvas();
  assert.equal(small.width, small.cssWidth * 2);
  assert.ok(small.pageWidth <= 500, 'nothing sticks out');
});

for (const theme of Object.keys(themes) as ThemeName[]) {
  test(`pictures: ${theme}`, async (t) => {
    const folder = path.join(outDir, 'screenshots', 'flame');
    mkdirSync(folder, { recursive: true });
    const page = await open(t, shopProfile(), { theme, scale: theme === 'dark' ? 2 : 1 });
    const shoot = async (name: string): Promise<void> => {
      await page.settle();
      await page.page.screenshot({ path: path.join(folder, `${theme}-${name}.png`) });
    };
    await page.page.mouse.move(...(await at(page, 0.24, 8)));
    await shoot('1-graph');
    await page.page.mouse.click(...(await at(page, 0.2, 6)));
    await page.page.mouse.move(2, 2);
    await shoot('2-zoomed');
    await page.page.keyboard.press('Escape');
    await page.page.locator('input').fill('ledger');
    await page.page.keyboard.press('Enter');
    await shoot('3-search');
    await page.page.locator('input').fill('');
    await page.page.keyboard.press('Enter');
    await page.page.getByRole('button', { name: 'Table' }).click();
    await shoot('4-table');
    await page.page.getByRole('button', { name: 'Flame graph' }).click();
    await page.page.mouse.click(...(await at(page, 0.24, 8)), { button: 'right' });
    await shoot('5-menu');
  });
}
