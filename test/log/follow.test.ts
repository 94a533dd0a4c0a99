import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { followNode } from '../../src/log/follow.ts';
import type { LogEntry } from '../../src/log/logEntry.ts';
import { LiveLog, type LiveItem } from '../../src/log/liveLog.ts';
import { eventually } from '../fakes/eventually.ts';
import { LocalNodes, type LocalNodeOptions } from '../fakes/localNodes.ts';

const root = mkdtempSync(join(tmpdir(), 'faultline-follow-'));
after(() => rmSync(root, { recursive: true, force: true }));

interface Followed {
  readonly entries: LogEntry[];
  readonly warnings: string[];
  /** Stops following; resolves or rejects as the follow does. */
  stop(): Promise<void>;
}

async function follow(options: LocalNodeOptions): Promise<Followed> {
  const access = new LocalNodes({ n: options });
  const abort = new AbortController();
  const entries: LogEntry[] = [];
  const warnings: string[] = [];
  let onReady = (): void => undefined;
  const ready = new Promise<void>((resolve) => (onReady = resolve));
  const sink = {
    onReady,
    onEntry: (entry: LogEntry) => entries.push(entry),
    onGap: (_: string, reason: string) => warnings.push(reason),
    onWarning: (message: string) => warnings.push(message),
  };
  const ended = followNode(access, access.node('n'), sink, abort.signal);
  await Promise.race([ready, ended]);
  return {
    entries,
    warnings,
    async stop() {
      abort.abort();
      await ended;
      access.dispose();
    },
  };
}

test('lines come as entries, halves are joined, new files are found', async () => {
  const path = join(root, 'a b.log');
  writeFileSync(path, 'old line\n{"level":30,"msg":"hal');
  const followed = await follow({ logs: [join(root, '*.log'), join(root, 'none*')] });
  appendFileSync(path, 'f"}\n{"level":50,"msg":"bad"}\nTraceback (most recent call last):\n');
  appendFileSync(path, '  File "x.py", line 1\nKeyError: 1\n');
  writeFileSync(join(root, 'new.log'), 'first\n');
  await eventually(() => assert.equal(followed.entries.length, 3));
  await followed.stop();
  assert.deepEqual(
    followed.entries
      .map(({ source, offset, message, raw }) => [source, offset, message, raw.split('\n').length])
      .sort(),
    [
      [path, 9, 'half', 1],
      [path, 35, 'bad', 4],
      [join(root, 'new.log'), 0, 'first', 1],
    ].sort(),
  );
  assert.deepEqual(followed.warnings, [
    `No file matches ${join(root, 'none*')} on n, or its folder may not be read.`,
  ]);
});

test('a node without Python is followed with tail, and that is said', async () => {
  const bin = mkdtempSync(join(root, 'bin-'));
  for (const name of ['sh', 'tail', 'date', 'setsid', 'cat', 'sleep']) {
    symlinkSync(join('/usr/bin', name), join(bin, name));
  }
  const path = join(root, 'tailed.log');
  writeFileSync(path, 'old\n');
  const followed = await follow({ logs: [path], shell: { env: { PATH: bin } } });
  await eventually(() => {
    appendFileSync(path, '{"level":30,"msg":"new"}\n');
    assert.ok(followed.entries.length > 0);
  });
  await followed.stop();
  assert.equal(followed.entries[0]!.message, 'new');
  assert.equal(followed.entries[0]!.source, path);
  assert.match(followed.warnings[0]!, /^n has no python3: .* may be missed/);
});

test('a node without log files, and a node that says something else, fail with a reason', async () => {
  await assert.rejects(follow({}), { code: 'log.noSources' });
  const shell = { loginShell: ['/bin/sh', '-c', 'echo This account is not available.; exit 1'] };
  await assert.rejects(follow({ logs: ['/x'], shell }), { code: 'log.followEnded' });
});

test('many nodes are followed at once, merged by corrected time', async () => {
  const paths = ['one', 'two'].map((name) => join(root, `${name}.txt`));
  for (const path of paths) writeFileSync(path, '');
  const access = new LocalNodes({
    one: { logs: [paths[0]!] },
    two: { logs: [paths[1]!], clock: { offsetMs: 5000, errorMs: 1, measuredAt: 0 } },
    bad: {},
  });
  const live = new LiveLog(access, { holdMs: 300 });
  const items: LiveItem[] = [];
  live.onDidAdd((added) => items.push(...added));
  for (const node of access.nodes) live.start(node);
  const stateOf = (name: string): string | undefined =>
    live.nodes.find(({ node }) => node === name)?.state;
  await eventually(() => {
    assert.deepEqual(['one', 'two', 'bad'].map(stateOf), ['following', 'following', 'failed']);
  });
  const now = Date.now();
  appendFileSync(paths[0]!, `{"time":${now - 10},"msg":"second"}\n`);
  appendFileSync(paths[1]!, `{"time":${now - 20 + 5000},"msg":"first"}\n`);
  await eventually(() => assert.equal(items.length, 2));
  assert.deepEqual(
    items.map((item) => item.kind === 'entry' && item.entry.message),
    ['first', 'second'],
  );
  await live.stop(access.node('one'));
  assert.deepEqual(['one', 'two'].map(stateOf), ['stopped', 'following']);
  await live.stopAll();
  assert.equal(stateOf('two'), 'stopped');
  live.dispose();
  access.dispose();
});
