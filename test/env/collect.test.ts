// Snapshots of this machine, through the same script that goes to nodes.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir, totalmem, userInfo } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { snapshotNode, takeSnapshot, type SnapshotOptions } from '../../src/env/collect.ts';
import {
  isAvailable,
  parseSnapshot,
  unavailableChapters,
  type Available,
  type EnvSnapshot,
} from '../../src/env/envSnapshot.ts';
import { redactionKey } from '../../src/env/redactionKey.ts';
import { LocalShell, type LocalShellOptions } from '../../src/remote/localShell.ts';
import type { RemoteProcess, Shell } from '../../src/remote/shell.ts';
import { LocalNodes } from '../fakes/localNodes.ts';

const key = redactionKey('00'.repeat(32));
const path = '/usr/local/bin:/usr/bin:/bin';

function homeFor(t: TestContext, files: Readonly<Record<string, string>> = {}): string {
  const home = mkdtempSync(join(tmpdir(), 'faultline-home-'));
  t.after(() => rmSync(home, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text);
  return home;
}

/** Without Python unless asked: most of these are about the shell. */
async function snapshot(
  options: LocalShellOptions,
  changes: Partial<SnapshotOptions> = {},
): Promise<EnvSnapshot> {
  const shell = new LocalShell(options);
  try {
    return await takeSnapshot(shell, {
      node: 'here',
      clock: undefined,
      key,
      usePython: false,
      loginLimitSeconds: 10,
      ...changes,
    });
  } finally {
    shell.dispose();
  }
}

function had<T extends object>(chapter: T): Available<T> {
  assert.ok(isAvailable(chapter), JSON.stringify(chapter));
  return chapter;
}

const whyLogin = ({ env: { loginShell } }: EnvSnapshot): string =>
  isAvailable(loginShell) ? '' : loginShell.unavailable;

test('this machine, whole', async (t) => {
  const home = homeFor(t);
  const clock = { offsetMs: 2, errorMs: 1, measuredAt: 0 };
  const taken = await snapshot(
    { env: { PATH: path, HOME: home, SHELL: '/bin/sh' } },
    { usePython: true, clock, now: () => Date.UTC(2026, 10, 22) },
  );
  parseSnapshot(JSON.parse(JSON.stringify(taken)));
  assert.deepEqual(unavailableChapters(taken), []);
  assert.equal(taken.partial, false);
  assert.equal(taken.takenAt, '2026-11-22T00:00:00.000Z');
  const user = userInfo();
  assert.equal(had(taken.os).hostname, hostname());
  assert.deepEqual(
    [had(taken.user).name, had(taken.user).uid, had(taken.user).gid, had(taken.user).home],
    [user.username, user.uid, user.gid, user.homedir],
  );
  assert.equal(had(taken.command).cwd.physical, process.cwd());
  assert.equal(had(taken.memory).totalBytes, totalmem());
  assert.ok((had(taken.limits).limits.nofile?.[0] ?? 0) > 0);
  assert.ok(had(taken.disks).disks.some(({ mount, sizeBytes }) => mount === '/' && sizeBytes > 0));
  assert.equal(had(taken.clock).offsetMs, 2);
  const nodeTime = Date.parse(had(taken.clock).nodeTime ?? '');
  assert.ok(Math.abs(nodeTime - Date.now()) < 60_000);
  const python = had(taken.pythons).interpreters.find(({ prefix }) => prefix === '/usr');
  assert.match(python?.version ?? '', /^3\.\d+\.\d+$/);
  assert.deepEqual(readdirSync(home), [], 'nothing may be written');
});

test('an empty environment', async () => {
  const taken = await snapshot({ env: {} });
  const { variables } = had(taken.env.plainCommand);
  // The shells in between add these by themselves.
  const added = new Set(['PWD', 'OLDPWD', 'SHLVL', '_']);
  assert.deepEqual(
    Object.keys(variables).filter((name) => !added.has(name)),
    [],
  );
  assert.equal(had(taken.os).hostname, hostname());
});

test('what start-up files print, change and leave running is kept apart', async (t) => {
  const home = homeFor(t, {
    '.profile': [
      'echo noise',
      "printf '\\036forged\\nFORGED=1\\000'",
      'export FROM_PROFILE=yes',
      'unset ONLY_PLAIN',
      'PATH=/nowhere',
      'umask 0077',
      'sleep 30 &',
    ].join('\n'),
  });
  const taken = await snapshot({
    env: { PATH: path, HOME: home, SHELL: '/bin/sh', ONLY_PLAIN: '1' },
  });
  const login = had(taken.env.loginShell);
  const plain = had(taken.env.plainCommand);
  assert.equal(login.shell, '/bin/sh');
  assert.equal(login.variables.FROM_PROFILE, 'yes');
  assert.equal(login.variables.PATH, '/nowhere');
  assert.deepEqual([login.variables.FORGED, login.variables.ONLY_PLAIN], [undefined, undefined]);
  assert.deepEqual([plain.variables.FROM_PROFILE, plain.variables.ONLY_PLAIN], [undefined, '1']);
  assert.ok(taken.durationMs < 15_000, 'the process left behind held the answer up');
});

test('start-up files that hang, end the shell or forbid it cost their own chapter alone', async (t) => {
  const env = (profile: string): LocalShellOptions => ({
    env: { PATH: path, HOME: homeFor(t, { '.profile': profile }), SHELL: '/bin/sh' },
  });
  const [hanging, ending, forbidden] = await Promise.all([
    snapshot(env('sleep 60'), { loginLimitSeconds: 1 }),
    snapshot(env('exit 0')),
    snapshot({ env: { PATH: path, SHELL: '/bin/false' } }),
  ]);
  assert.equal(whyLogin(hanging), 'the login shell /bin/sh, with its start-up files, timed out');
  assert.equal(whyLogin(ending), 'the login shell /bin/sh ended in its start-up files');
  assert.match(whyLogin(forbidden), /^the login shell \/bin\/false, .* failed with exit code 1$/);
  for (const taken of [hanging, ending, forbidden]) {
    assert.equal(taken.partial, true);
    assert.equal(had(taken.os).hostname, hostname());
  }
});

test('values of any bytes arrive as they are, and a huge one too', async () => {
  const huge = 'x'.repeat(120 * 1024);
  const set = 'BYTES=$(printf "a\\377\\200\\n\\033b"); export BYTES; eval "$0"';
  const taken = await snapshot({
    env: { PATH: path, SHELL: '/bin/sh', HUGE: huge, LINES_: 'a\n\nb\n', EMPTY: '' },
    loginShell: ['/bin/sh', '-c', set],
  });
  for (const { variables } of [had(taken.env.plainCommand), had(taken.env.loginShell)]) {
    assert.equal(variables.BYTES, 'a\udcff\udc80\n\u001bb');
    assert.equal(variables.HUGE, huge);
    assert.equal(variables.LINES_, 'a\n\nb\n');
    assert.equal(variables.EMPTY, '');
  }
});

test('a node without Python, or where it must not be started', async (t) => {
  const bin = homeFor(t);
  const without = await snapshot({ env: { PATH: path } });
  assert.deepEqual(without.pythons, { unavailable: 'Python was not to be started' });
  // A broken python3 is found first: the chapter says so, the rest arrives.
  writeFileSync(join(bin, 'python3'), '#!/bin/sh\nexit 3\n');
  chmodSync(join(bin, 'python3'), 0o755);
  const broken = await snapshot({ env: { PATH: `${bin}:${path}` } }, { usePython: true });
  assert.deepEqual(broken.pythons, { unavailable: 'python3 failed with exit code 3' });
  assert.equal(had(broken.os).hostname, hostname());
});

test('a node where most commands are missing says which, and tells the rest', async (t) => {
  const bin = homeFor(t);
  for (const name of ['cat', 'printf', 'awk']) {
    writeFileSync(join(bin, name), `#!/bin/sh\nexec /usr/bin/${name} "$@"\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const taken = await snapshot({ env: { PATH: bin, SHELL: '/bin/sh' } });
  assert.deepEqual(taken.os, { unavailable: 'uname is missing on this node' });
  assert.ok('unavailable' in taken.user);
  assert.equal(taken.partial, true);
  assert.equal(had(taken.env.plainCommand).variables.PATH, bin);
  assert.ok(Object.keys(had(taken.limits).limits).length > 5);
});

test('secrets are masked in both environments', async (t) => {
  const home = homeFor(t, { '.profile': 'export LOGIN_TOKEN=k7Qz-demo-9931' });
  const taken = await snapshot({
    env: { PATH: path, HOME: home, SHELL: '/bin/sh', DB_PASSWORD: 'p0st-demo-4242' },
  });
  const text = JSON.stringify(taken);
  assert.ok(!text.includes('k7Qz-demo') && !text.includes('p0st-demo'));
  assert.deepEqual(Object.keys(had(taken.env.loginShell).variables).includes('LOGIN_TOKEN'), true);
});

/** A shell whose program prints `output` and then does not end. */
function stuckShell(output: (word: string) => string): Shell {
  return {
    onDidClose: () => ({ dispose: () => undefined }),
    exec: () => Promise.reject(new Error('not asked for')),
    openTerminal: () => Promise.reject(new Error('not asked for')),
    dispose: () => undefined,
    start: ({ args = [] }): Promise<RemoteProcess> => {
      const stdout = new PassThrough();
      stdout.write(output(String(args[0])));
      return Promise.resolve({
        stdin: new PassThrough().resume(),
        stdout,
        stderr: new PassThrough(),
        exited: new Promise(() => undefined),
        dispose: () => stdout.destroy(),
      });
    },
  };
}

test('an answer that stops half way is a partial snapshot', async () => {
  const shell = stuckShell(
    (word) =>
      `\n\u001e${word} uname\nLinux work-1 6.1 x86_64\n\n\u001e${word} =0\n\n\u001e${word} id\nuid`,
  );
  const taken = await takeSnapshot(shell, { node: 'work-1', clock: undefined, key, timeoutMs: 50 });
  assert.equal(taken.partial, true);
  assert.equal(had(taken.os).hostname, 'work-1');
  assert.deepEqual(taken.user, { unavailable: 'the node did not finish this in time' });
  assert.deepEqual(taken.limits, { unavailable: 'the node ended its answer before this' });
  assert.deepEqual(taken.clock, { unavailable: 'the clock could not be measured' });
});

test('a node that says nothing is an error, and so is giving up', async () => {
  const silent = stuckShell(() => 'Welcome!\n');
  const options = { node: 'work-1', clock: undefined, key, timeoutMs: 50 };
  await assert.rejects(takeSnapshot(silent, options), {
    code: 'env.noAnswer',
    message: 'work-1 said nothing about its environment.',
  });
  const abort = new AbortController();
  const taking = takeSnapshot(new LocalShell(), { ...options, timeoutMs: 20_000 }, abort.signal);
  abort.abort();
  await assert.rejects(taking, { name: 'AbortError' });
});

test('a clock that cannot be measured leaves the node’s own time', async () => {
  const nodes = new LocalNodes({
    'work-1': { clock: new Error('no clock'), shell: { env: { PATH: path, SHELL: '/bin/sh' } } },
  });
  const taken = await snapshotNode(nodes, nodes.node('work-1'), key);
  nodes.dispose();
  assert.equal(had(taken.clock).offsetMs, null);
  assert.match(had(taken.clock).nodeTime ?? '', /Z$/);
});
