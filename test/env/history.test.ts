import assert from 'node:assert/strict';
import { globSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { EnvSnapshot } from '../../src/env/envSnapshot.ts';
import { EnvHistory, type EnvChange } from '../../src/env/history.ts';
import { hashOf, putTogether, takeApart } from '../../src/env/snapshotParts.ts';
import { parseSnapshot } from '../../src/env/envSnapshot.ts';
import { samplePython, sampleSnapshot, sampleVariables, withVariables } from './samples.ts';

const start = Date.parse('2026-11-01T00:00:00.000Z');
const hour = 3_600_000;
const at = (hours: number): string => new Date(start + hours * hour).toISOString();

interface Kept {
  readonly directory: string;
  readonly history: EnvHistory;
  /** Takes a snapshot of work-1, so many hours after the start. */
  readonly take: (hours: number, changes?: Partial<EnvSnapshot>) => Promise<'new' | 'seen'>;
}

function kept(t: TestContext, options: { maxAgeMs?: number; maxBytes?: number } = {}): Kept {
  const directory = join(mkdtempSync(join(tmpdir(), 'faultline-history-')), 'environments');
  t.after(() => rmSync(join(directory, '..'), { recursive: true, force: true }));
  let hours = 0;
  const history = new EnvHistory({ directory, now: () => start + hours * hour, ...options });
  return {
    directory,
    history,
    take: (now, changes = {}) => {
      hours = now;
      return history.record(sampleSnapshot({ takenAt: at(now), ...changes }));
    },
  };
}

const numpy = (version: string): Partial<EnvSnapshot> => ({
  pythons: {
    source: '',
    interpreters: [samplePython({ packages: { numpy: version } })],
    notes: [],
  },
});
const filesOf = (directory: string): string[] =>
  globSync('**/{*,.corrupt-*}', { cwd: directory, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
const show = ({ after, before, differences }: EnvChange): string =>
  `${after} – ${before}: ${differences.map((each) => `${each.path} ${each.a} → ${each.b}`).join('; ')}`;

test('a snapshot taken apart and put together is the same one', () => {
  const odd = sampleSnapshot(
    withVariables(
      Object.fromEntries([
        ...Object.entries(sampleVariables),
        ['__proto__', 'x'],
        ['SSH_TTY', 'y'],
      ]),
    ),
  );
  for (const snapshot of [odd, sampleSnapshot({ disks: { unavailable: 'df timed out' } })]) {
    assert.deepEqual(parseSnapshot(putTogether(takeApart(snapshot))), snapshot);
  }
});

test('what changes by itself makes no new version, what lasts does', async (t) => {
  const { take, history } = kept(t);
  const sample = sampleSnapshot();
  assert.equal(await take(0), 'new');
  const volatile: Partial<EnvSnapshot> = {
    durationMs: 5,
    memory: { source: '/proc/meminfo', totalBytes: 8 * 2 ** 30, availableBytes: 1, swapBytes: 0 },
    clock: { source: 'date', nodeTime: null, offsetMs: 900, errorMs: 1 },
  };
  assert.equal(await take(1, volatile), 'seen');
  const client = withVariables({ ...sampleVariables, SSH_CLIENT: '1.2.3.4' });
  const login = { ...client.env.loginShell, ...{ source: '/bin/bash as a login shell' } };
  assert.equal(await take(2, { env: { ...client.env, loginShell: login } }), 'seen');
  assert.ok('disks' in sample.disks);
  const [disk] = sample.disks.disks;
  const used = (usedBytes: number): Partial<EnvSnapshot> => ({
    disks: { source: 'df', notes: [], disks: [{ ...disk!, usedBytes }] },
  });
  assert.equal(await take(3, used(12 * 2 ** 30)), 'seen');
  assert.equal(await take(4, used(1000 * 2 ** 30)), 'new');
  assert.equal(
    await take(5, { clock: { source: 'date', nodeTime: null, offsetMs: 1500, errorMs: 1 } }),
    'new',
  );
  assert.deepEqual(await history.versions('work-1'), [
    { node: 'work-1', firstSeenAt: at(0), lastSeenAt: at(3) },
    { node: 'work-1', firstSeenAt: at(4), lastSeenAt: at(4) },
    { node: 'work-1', firstSeenAt: at(5), lastSeenAt: at(5) },
  ]);
});

test('since when, and what else changed in the same interval', async (t) => {
  const { take, history } = kept(t);
  await take(0, numpy('1.0'));
  await take(5, numpy('1.0'));
  await take(6, {
    ...numpy('2.0'),
    command: { source: '', cwd: { logical: '/', physical: '/' }, umask: '0077' },
  });
  await take(9, numpy('2.0'));
  assert.deepEqual((await history.changes('work-1')).map(show), [
    `${at(5)} – ${at(6)}: packages./srv/shop/venv.numpy 1.0 → 2.0; umask 0022 → 0077; cwd /home/app → /`,
    `${at(6)} – ${at(9)}: umask 0077 → 0022; cwd / → /home/app`,
  ]);
  assert.equal((await history.whatChangedSince('work-1', at(5.5))).length, 2);
  assert.equal((await history.whatChangedSince('work-1', at(6))).length, 1);
  const then = await history.snapshotAt('work-1', at(5.5));
  assert.deepEqual(then, sampleSnapshot({ takenAt: at(0), ...numpy('1.0') }));
  assert.equal(await history.snapshotAt('work-1', at(-1)), undefined);
  assert.deepEqual(await history.nodes(), ['work-1']);
});

test('a chapter that could not be had for a while is compared with what it was before', async (t) => {
  const { take, history } = kept(t);
  await take(0, numpy('1.0'));
  await take(1, { pythons: { unavailable: 'python3 timed out' } });
  await take(2, numpy('2.0'));
  assert.deepEqual((await history.changes('work-1')).map(show), [
    `${at(0)} – ${at(2)}: packages./srv/shop/venv.numpy 1.0 → 2.0`,
  ]);
});

test('a harmless change that lasts is in it: the same version, packaged again', async (t) => {
  const { take, history } = kept(t);
  const bash = (version: string): Partial<EnvSnapshot> => ({
    systemPackages: { source: 'dpkg', manager: 'dpkg', packages: { bash: version } },
  });
  await take(0, bash('5.2-1'));
  await take(1, bash('5.2-2'));
  assert.deepEqual((await history.changes('work-1')).map(show), [
    `${at(0)} – ${at(1)}: systemPackages.bash 5.2-1 → 5.2-2`,
  ]);
});

test('equal chapters are kept once, for all nodes; files are for their user alone', async (t) => {
  const { take, directory, history } = kept(t);
  await take(0);
  const chunks = filesOf(join(directory, 'chunks')).length;
  for (const node of ['../../x', 'work/2', 'x'.repeat(5000), '\u001b]0;']) {
    await take(1, { node });
    assert.equal((await history.versions(node)).length, 1);
  }
  assert.equal(filesOf(join(directory, 'chunks')).length, chunks);
  for (const file of filesOf(directory)) assert.equal(statSync(file).mode & 0o777, 0o600, file);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.deepEqual(globSync('*', { cwd: join(directory, '..') }), ['environments']);
});

test('a torn file is set aside, and the rest opens', async (t) => {
  const { take, directory, history } = kept(t);
  await take(0, numpy('1.0'));
  await take(1, numpy('2.0'));
  await take(2, numpy('3.0'));
  const [first] = globSync('nodes/*/*.json', { cwd: directory }).sort();
  writeFileSync(join(directory, first!), '{"format":"faultline.env.ver');
  assert.equal((await history.versions('work-1')).length, 2);
  assert.equal(filesOf(directory).filter((file) => file.includes('/.corrupt-')).length, 1);
  // One chunk half written: that chapter alone is not known.
  const { lasting } = takeApart(sampleSnapshot(numpy('2.0')));
  assert.ok(lasting.has('pythons'));
  for (const file of filesOf(join(directory, 'chunks'))) writeFileSync(file, 'torn');
  const snapshot = await history.snapshotAt('work-1', at(1));
  assert.deepEqual(snapshot?.pythons, { unavailable: 'its part of the history is damaged' });
  assert.deepEqual(await history.changes('work-1'), []);
  // What is seen again is kept again.
  assert.equal(await take(3, numpy('4.0')), 'new');
  const again = await history.snapshotAt('work-1', at(3));
  assert.deepEqual(again, sampleSnapshot({ takenAt: at(3), ...numpy('4.0') }));
});

test('it is bounded by age, but keeps the newest of each node', async (t) => {
  const { take, history } = kept(t, { maxAgeMs: 10 * hour });
  await take(0, numpy('1.0'));
  await take(1, numpy('2.0'));
  await take(0, { node: 'work-2' });
  await take(20, numpy('3.0'));
  await history.prune();
  assert.deepEqual(
    (await history.versions('work-1')).map(({ firstSeenAt }) => firstSeenAt),
    [at(20)],
  );
  assert.equal((await history.versions('work-2')).length, 1);
});

test('it is bounded by bytes: the oldest go, with the chunks that nobody else has', async (t) => {
  const { take, history, directory } = kept(t, { maxBytes: 40_000 });
  const bytes = (): number =>
    filesOf(directory).reduce((sum, file) => sum + statSync(file).size, 0);
  for (let hours = 0; hours < 30; hours++) {
    const noise = Array.from({ length: 60 }, (_, index) => [
      `p${index}`,
      hashOf(`${hours} ${index}`).slice(0, 30),
    ]);
    await take(hours, {
      pythons: {
        source: '',
        interpreters: [
          samplePython({ packages: Object.fromEntries(noise) as Record<string, string> }),
        ],
        notes: [],
      },
    });
  }
  assert.ok(bytes() > 60_000, String(bytes()));
  await history.prune();
  assert.ok(bytes() <= 40_000, String(bytes()));
  const left = await history.versions('work-1');
  assert.ok(left.length > 5 && left.at(-1)?.firstSeenAt === at(29));
  const newest = await history.snapshotAt('work-1', at(29));
  assert.equal(newest?.partial, false);
  assert.ok(newest !== undefined && 'interpreters' in newest.pythons);
});

test('two at once lose nothing', async (t) => {
  const { directory, history } = kept(t);
  const other = new EnvHistory({ directory, now: () => start });
  await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      (index % 2 === 0 ? history : other).record(
        sampleSnapshot({ takenAt: at(index), node: `n${index % 4}`, ...numpy(`${index}.0`) }),
      ),
    ),
  );
  await Promise.all([history.prune(), other.prune()]);
  for (const node of ['n0', 'n1', 'n2', 'n3']) {
    assert.equal((await other.versions(node)).length, 5, node);
    assert.equal((await history.changes(node)).length, 4, node);
  }
  assert.equal(filesOf(directory).filter((file) => /\.tmp$|\.corrupt-/.test(file)).length, 0);
});

test('a directory that cannot be written is one sentence', async (t) => {
  const { directory, take } = kept(t);
  writeFileSync(directory, 'a file in its place');
  await assert.rejects(take(0), { code: 'env.historyUnusable' });
});
