// Logs where it takes real programs and some time: rotation and truncation at speed, the tools that nodes
// may have, and one request on all nodes of the demo fleet.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, type TestContext } from 'node:test';
import { delay } from '../../src/base/async.ts';
import { followNode } from '../../src/log/follow.ts';
import type { LiveEntry } from '../../src/log/holdBack.ts';
import { LiveLog } from '../../src/log/liveLog.ts';
import type { LogEntry } from '../../src/log/logEntry.ts';
import { searchNodes } from '../../src/log/search.ts';
import { sshConnector } from '../../src/remote/connect.ts';
import type { Node } from '../../src/remote/node.ts';
import { NodeRegistry } from '../../src/remote/nodeRegistry.ts';
import { combineNodes, readSettings } from '../../src/remote/settings.ts';
import { eventually } from '../fakes/eventually.ts';
import { LocalNodes } from '../fakes/localNodes.ts';
import { sendRequest, startFleet } from '../fleet/fleet.ts';

const root = mkdtempSync(join(tmpdir(), 'faultline-logs-'));
after(() => rmSync(root, { recursive: true, force: true }));

// --- following through rotation -------------------------------------------------------------------------

interface Followed {
  readonly messages: string[];
  readonly gaps: string[];
}

async function follow(t: TestContext, glob: string): Promise<Followed> {
  const access = new LocalNodes({ n: { logs: [glob] } });
  const abort = new AbortController();
  const messages: string[] = [];
  const gaps: string[] = [];
  let onReady = (): void => undefined;
  const ready = new Promise<void>((resolve) => (onReady = resolve));
  const ended = followNode(
    access,
    access.node('n'),
    {
      onReady,
      onEntry: ({ message }) => messages.push(message),
      onGap: (_, reason) => gaps.push(reason),
      onWarning: (message) => assert.fail(message),
    },
    abort.signal,
  );
  t.after(async () => {
    abort.abort();
    await ended;
    access.dispose();
  });
  await Promise.race([ready, ended]);
  return { messages, gaps };
}

/** Every line once: nothing lost, nothing twice. */
async function sawEachOnce(followed: Followed, expected: number): Promise<void> {
  await eventually(() => assert.ok(followed.messages.length >= expected), 10_000).catch(
    () => undefined,
  );
  // What comes twice comes late.
  await delay(500);
  const seen = new Set(followed.messages);
  const missing = Array.from({ length: expected }, (_, n) => `line ${n}`).filter(
    (line) => !seen.has(line),
  );
  assert.deepEqual(missing.slice(0, 10), [], `${missing.length} of ${expected} lost`);
  assert.equal(followed.messages.length, expected, 'some twice');
}

function folder(name: string): string {
  return mkdtempSync(join(root, `${name}-`));
}

/** app.log.2 → app.log.3, app.log.1 → app.log.2, app.log → app.log.1 */
function rotate(path: string, keep: number): void {
  for (let n = keep - 1; n >= 1; n--) {
    try {
      renameSync(`${path}.${n}`, `${path}.${n + 1}`);
    } catch {
      // Not that many yet.
    }
  }
  renameSync(path, `${path}.1`);
}

test('rotation by rename at speed, with lines written late to the renamed file', async (t) => {
  const path = join(folder('rename'), 'app.log');
  let count = 0;
  let file = openSync(path, 'a');
  const write = (lines: number): void => {
    for (let n = 0; n < lines; n++) writeSync(file, `line ${count++}\n`);
  };
  const followed = await follow(t, path);
  for (let rotation = 0; rotation < 100; rotation++) {
    write(20);
    rotate(path, 20);
    write(20);
    closeSync(file);
    file = openSync(path, 'a');
    await delay(rotation % 3 === 0 ? 40 : 10);
  }
  write(20);
  closeSync(file);
  await sawEachOnce(followed, count);
  assert.deepEqual(followed.gaps, []);
});

test('a file that is deleted and made again, with the same inode', async (t) => {
  const path = join(folder('recreate'), 'app.log');
  writeFileSync(path, '');
  const followed = await follow(t, path);
  let count = 0;
  for (let round = 0; round < 15; round++) {
    for (let n = 0; n < 10; n++) appendFileSync(path, `line ${count++}\n`);
    const expected = count;
    await eventually(() => assert.equal(followed.messages.length, expected));
    unlinkSync(path);
    writeFileSync(path, '');
  }
  await sawEachOnce(followed, count);
});

test('a file that is truncated and grows beyond where it was before the next look', async (t) => {
  const path = join(folder('truncate'), 'app.log');
  writeFileSync(path, '');
  const followed = await follow(t, path);
  let count = 0;
  for (let round = 0; round < 15; round++) {
    const expected = count;
    await eventually(() => assert.equal(followed.messages.length, expected));
    truncateSync(path);
    for (let n = 0; n < 5 + round; n++) appendFileSync(path, `line ${count++}\n`);
  }
  await sawEachOnce(followed, count);
  assert.match(followed.gaps[0]!, /was truncated: lines written just before may be missing/);
});

test('copytruncate loses nothing while the writer waits, although the end was not read yet', async (t) => {
  const path = join(folder('copytruncate'), 'app.log');
  writeFileSync(path, '');
  const followed = await follow(t, path);
  let count = 0;
  for (let round = 0; round < 40; round++) {
    for (let n = 0; n < 30; n++) appendFileSync(path, `line ${count++}\n`);
    for (let n = 20; n >= 1; n--) {
      try {
        renameSync(`${path}.${n}`, `${path}.${n + 1}`);
      } catch {
        // Not that many yet.
      }
    }
    copyFileSync(path, `${path}.1`);
    truncateSync(path);
    await delay(round % 2 === 0 ? 40 : 5);
  }
  await sawEachOnce(followed, count);
});

test('a link that is turned to a new file', async (t) => {
  const dir = folder('link');
  const link = join(dir, 'current');
  writeFileSync(join(dir, '0'), '');
  symlinkSync(join(dir, '0'), link);
  const followed = await follow(t, link);
  let count = 0;
  for (let round = 1; round < 8; round++) {
    for (let n = 0; n < 10; n++) appendFileSync(link, `line ${count++}\n`);
    // An old target has no name that would lead to it: it must have been seen once.
    const expected = count;
    await eventually(() => assert.ok(followed.messages.length >= expected - 5));
    writeFileSync(join(dir, String(round)), '');
    symlinkSync(join(dir, String(round)), join(dir, 'next'));
    renameSync(join(dir, 'next'), link);
  }
  await sawEachOnce(followed, count);
});

// --- searching with the tools a node may have ------------------------------------------------------------

const busyboxTools = 'awk cat date find grep gzip head tail tr wc sleep setsid'.split(' ');

/** A PATH with these programs only. */
function toolbox(name: string, links: Readonly<Record<string, string>>): string {
  const bin = folder(name);
  for (const [tool, target] of Object.entries(links)) symlinkSync(target, join(bin, tool));
  return bin;
}

const gnu = Object.fromEntries(busyboxTools.map((tool) => [tool, join('/usr/bin', tool)]));

const toolboxes: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'GNU tools and mawk': { ...gnu, awk: '/usr/bin/mawk' },
  'GNU tools and gawk': { ...gnu, awk: '/usr/bin/gawk' },
  BusyBox: Object.fromEntries(busyboxTools.map((tool) => [tool, '/usr/bin/busybox'])),
};

for (const [what, links] of Object.entries(toolboxes)) {
  for (const hasContext of [true, false]) {
    test(`${what} find the same entries${hasContext ? '' : ', also when grep knows no -A'}`, async () => {
      const bin = toolbox('bin', links);
      if (!hasContext) {
        unlinkSync(join(bin, 'grep'));
        writeFileSync(join(bin, 'grep'), '#!/bin/sh\nexit 2\n', { mode: 0o755 });
      }
      const dir = folder('search');
      writeFileSync(
        join(dir, 'a.log'),
        `${'{"level":30,"msg":"noise"}\n'.repeat(500)}` +
          '{"level":50,"msg":"needle one"}\nTraceback (most recent call last):\n  File "x.py", line 1\n' +
          "KeyError: 'é'\n" +
          'plain needle\n  indented\nnot this\n' +
          '2026-11-22 06:17:54,123 - a - 1 - ERROR - req-1 - first\n  has the needle below\nand more\n' +
          `${'ts=2026-11-22T06:17:54Z level=info msg=noise\n'.repeat(500)}` +
          'ends with a needle',
      );
      writeFileSync(
        join(dir, 'b.log.gz'),
        execFileSync('gzip', ['-c'], { input: 'needle in gz\n' }),
      );
      const access = new LocalNodes({
        n: { logs: [join(dir, '*.log*')], shell: { env: { PATH: bin } } },
      });
      const found = await searchNodes(access, access.nodes, { text: 'needle' });
      assert.deepEqual([found.warnings, found.missing], [[], []]);
      assert.deepEqual(
        found.entries
          .map(({ source, line, raw }) => [source.slice(dir.length + 1), line, raw])
          .sort((a, b) => String(a).localeCompare(String(b), 'en', { numeric: true })),
        [
          [
            'a.log',
            501,
            '{"level":50,"msg":"needle one"}\nTraceback (most recent call last):\n  File "x.py", line 1\n' +
              "KeyError: 'é'",
          ],
          ['a.log', 505, 'plain needle\n  indented'],
          [
            'a.log',
            508,
            '2026-11-22 06:17:54,123 - a - 1 - ERROR - req-1 - first\n  has the needle below\nand more',
          ],
          ['a.log', 1011, 'ends with a needle'],
          ['b.log.gz', 1, 'needle in gz'],
        ],
      );
      const ends = await searchNodes(access, access.nodes, {}, { limits: { linesPerFile: 3 } });
      assert.deepEqual(
        ends.entries.map(({ line }) => line),
        [1009, 1010, 1011],
      );
      access.dispose();
    });
  }
}

// --- the demo fleet, over ssh ------------------------------------------------------------------------------

test('the demo fleet', { timeout: 180_000 }, async (t) => {
  const fleet = await startFleet({ dir: join(root, 'fleet'), load: false });
  t.after(() => fleet.stop());
  const configFile = fleet.sshConfigFile;
  const registry = new NodeRegistry(
    sshConnector(
      () => ({ configFile }),
      () => ({}),
    ),
  );
  t.after(() => registry.dispose());
  const settings = await readSettings(fleet.settingsFile, true);
  registry.setNodes(await combineNodes(settings.nodes, configFile));
  const nodes = registry.nodes.filter(({ logs }) => logs.length > 0);
  assert.equal(nodes.length, 5);

  const live = new LiveLog(registry);
  t.after(() => live.dispose());
  const seen: LiveEntry[] = [];
  live.onDidAdd((items) => {
    for (const item of items) if (item.kind === 'entry') seen.push(item.entry);
  });
  for (const node of nodes) live.start(node);
  await eventually(() => {
    assert.deepEqual(new Set(live.nodes.map(({ state }) => state)), new Set(['following']));
  }, 30_000);

  // work-2 cannot pay yen: its request visits three nodes, and fails.
  const contextId = 'req-0123456789ab';
  const answer = await sendRequest(fleet, {
    path: '/settle',
    body: { worker: 'work-2', currency: 'JPY' },
    requestId: contextId,
  });
  assert.equal(answer.status, 502);

  await t.test('one request is found on all its nodes, in true order', async () => {
    const result = await searchNodes(registry, nodes, { contextId });
    assert.deepEqual([result.missing, result.warnings, result.truncated], [[], [], []]);
    const story = result.entries.map(
      ({ node, message }) => `${node} ${message.split(' order')[0]}`,
    );
    const events = [
      'gate-1 incoming request',
      'work-2 received job settle',
      'store-1 reserved',
      'work-2 starting task settle',
      'store-1 released',
      'work-2 settle failed',
      'gate-1 request errored',
    ];
    const places = events.map((event) => story.indexOf(event));
    assert.ok(!places.includes(-1), story.join('\n'));
    // Two events may only change places when their order is said to be unknown: within the clocks' errors.
    for (let i = 1; i < places.length; i++) {
      const [before, after] = [places[i - 1]!, places[i]!];
      const isKnown = !result.entries[before]!.orderUnknown || !result.entries[after]!.orderUnknown;
      if (isKnown) assert.ok(before < after, `${events[i]} is too early in\n${story.join('\n')}`);
    }

    const [stored] = result.entries.filter(({ node }) => node === 'store-1');
    const skewMs = stored!.nodeTime! - stored!.time!;
    assert.ok(Math.abs(skewMs - 3500) < 100, `store-1 is ${skewMs} ms ahead`);
    assert.deepEqual(
      new Set(result.entries.map(({ node, format }) => `${node} ${format}`)),
      new Set(['gate-1 json', 'work-2 python-logging', 'store-1 logfmt']),
    );
    const failed = result.entries.find(({ runId }) => runId !== undefined);
    assert.match(failed!.raw, /\nTraceback .*\n(.*\n)+.*AllocationError/);
    assert.equal(failed!.level, 'error');
  });

  await t.test('the same request came live, in the same order', async () => {
    const story = (entries: readonly LogEntry[]): string[] =>
      entries
        .filter((entry) => entry.contextId === contextId)
        .map(({ node, message }) => `${node} ${message}`);
    const { entries } = await searchNodes(registry, nodes, { contextId });
    await eventually(() => assert.equal(story(seen).length, story(entries).length), 5000);
    assert.deepEqual([...story(seen)].sort(), [...story(entries)].sort());
    assert.deepEqual(story(seen).at(0), 'gate-1 incoming request');
    assert.equal(seen.filter(({ isLate }) => isLate).length, 0);
  });

  await t.test('stopping leaves no follower on a node', async () => {
    await live.stopAll();
    for (const node of nodes) {
      const shell = await registry.shell(node);
      await eventually(async () => {
        const { stdout } = await shell.exec({
          // The brackets keep grep from finding itself.
          script: 'grep -al "[<]faultline>" /proc/[0-9]*/cmdline 2>/dev/null | wc -l',
        });
        assert.equal(Number(stdout.toString()), 0, node.name);
      }, 5000);
    }
  });

  await t.test('a node that cannot be reached is named, and the others answer', async () => {
    const gone: Node = { ...nodes[0]!, name: 'gone', host: '127.0.0.1' };
    registry.setNodes([...registry.nodes, gone]);
    const asked = [...nodes, registry.nodes.find(({ name }) => name === 'gone')!];
    const result = await searchNodes(registry, asked, { contextId });
    assert.deepEqual(
      result.missing.map(({ node, failure }) => [node, failure.code.split('.')[0]]),
      [['gone', 'node']],
    );
    assert.ok(result.entries.length > 5);
  });
});
