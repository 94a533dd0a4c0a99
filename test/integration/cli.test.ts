// The command `faultline` as scripts use it: the built file, on the demo fleet, without VS Code.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sendRequest, startFleet, type Fleet } from '../fleet/fleet.ts';
import { inProject } from '../tools/project.mjs';

const base = mkdtempSync(join(tmpdir(), 'faultline-cli-'));
const cli = inProject('dist', 'cli.js');
let fleet: Fleet;
let contextId: string;
/** Of the failed settlements on work-2 and work-3. */
let runs: Readonly<Record<string, string>>;

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function faultline(args: readonly string[], settings = fleet.settingsFile): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [cli, '--settings', settings, ...args],
      { env: { ...process.env, XDG_STATE_HOME: join(base, 'state') }, maxBuffer: 64 << 20 },
      (error, stdout, stderr) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
      },
    );
  });
}

async function json<T>(args: readonly string[]): Promise<T> {
  const { stdout, stderr } = await faultline(['--json', ...args]);
  assert.notEqual(stdout, '', stderr);
  return JSON.parse(stdout) as T;
}

before(async () => {
  fleet = await startFleet({ dir: join(base, 'fleet'), load: false });
  const failed = await sendRequest(fleet, {
    path: '/settle',
    body: { worker: 'work-2', currency: 'JPY', amount: '15800' },
  });
  contextId = failed.requestId;
  await sendRequest(fleet, { path: '/settle', body: { worker: 'work-3', export: true } });
  const heads = await json<{ run: string; node: string }[]>(['runs', '--failed']);
  runs = Object.fromEntries(heads.map((head) => [head.node, head.run]));
});
after(async () => {
  await fleet?.stop();
  rmSync(base, { recursive: true, force: true });
});

test('nodes: states and clocks', async () => {
  type Report = {
    name: string;
    host: string;
    state: string;
    reason: null;
    clock: { offsetMs: number; errorMs: number };
  };
  const nodes = await json<Report[]>(['nodes']);
  assert.deepEqual(
    nodes.map((node) => `${node.name} ${node.state} ${node.reason}`),
    ['gate-1', 'work-1', 'work-2', 'work-3', 'store-1'].map((name) => `${name} ready null`),
  );
  for (const node of nodes) {
    const skew = fleet.nodes.find(({ name }) => name === node.name)?.clockSkewMs ?? 0;
    const off = Math.abs(node.clock.offsetMs - skew);
    assert.ok(off <= node.clock.errorMs + 50, `${node.name} is off by ${off} ms`);
  }
});

test('a node that cannot answer is named, the others are still told, exit code 3', async () => {
  const settings = join(base, 'broken.json');
  const text = readFileSync(fleet.settingsFile, 'utf8');
  writeFileSync(
    settings,
    text.replace(
      '"faultline.nodes": [',
      '"faultline.nodes": [{"name": "gone", "host": "127.0.0.1:1"},',
    ),
  );
  const { code, stdout } = await faultline(['nodes', '--json'], settings);
  const nodes = JSON.parse(stdout) as { name: string; state: string; reason: string | null }[];
  assert.equal(code, 3);
  assert.equal(nodes.length, 6);
  const failed = nodes.filter((node) => node.state === 'failed');
  assert.deepEqual(
    failed.map((node) => node.name),
    ['gone'],
  );
  assert.match(failed[0]?.reason ?? '', /gone/);
});

test('env: a snapshot without secrets, and what differs between two nodes', async () => {
  const out = join(base, 'work-1.json');
  const snapshot = await faultline(['env', 'work-1', '--json', '--out', out]);
  assert.equal(snapshot.code, 0, snapshot.stderr);
  assert.equal((JSON.parse(snapshot.stdout) as { format: string }).format, 'faultline.env');
  const { code, stdout } = await faultline(['env', 'diff', out, 'work-2', '--json']);
  assert.equal(code, 1);
  type Difference = { path: string; a: string; b: string; severity: string };
  const { differences } = JSON.parse(stdout) as { differences: Difference[] };
  const first = differences[0];
  assert.ok(first !== undefined && first.path.endsWith('pricelib'), stdout.slice(0, 600));
  assert.deepEqual([first.a, first.b, first.severity], ['2.1.0', '1.4.2', 'high']);
});

test('env diff with a run names the variable that is missing there', async () => {
  const run = `run:${runs['work-3']}`;
  const { differences } = await json<{ differences: { path: string }[] }>([
    'env',
    'diff',
    'work-1',
    run,
  ]);
  assert.ok(differences.some(({ path }) => path.endsWith('TARIFF_REGION')));
});

test('logs: one request on all nodes in corrected order', async () => {
  const { stdout, code } = await faultline(['logs', '--context', contextId, '--json']);
  assert.equal(code, 0);
  type Entry = { node: string; time: string; level: string; contextId: string; raw: string };
  const entries = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Entry);
  assert.deepEqual([...new Set(entries.map((entry) => entry.contextId))], [contextId]);
  assert.deepEqual([...new Set(entries.map((entry) => entry.node))].sort(), [
    'gate-1',
    'store-1',
    'work-2',
  ]);
  const times = entries.map((entry) => entry.time);
  assert.deepEqual(times, [...times].sort());
  // The gateway's first and last words enclose those of the store, whose clock is 3.5 s ahead.
  const order = entries.map((entry) => entry.node);
  assert.ok(order.indexOf('gate-1') < order.indexOf('store-1'), stdout);
  assert.ok(order.lastIndexOf('store-1') < order.lastIndexOf('gate-1'), stdout);
  const error = entries.find((entry) => entry.node === 'work-2' && entry.level === 'error');
  assert.match(error?.raw ?? '', /Traceback[\s\S]*AllocationError/);
});

test('logs by level and text, in words for people', async () => {
  const { stdout } = await faultline([
    'logs',
    'work-3',
    '--level',
    'error',
    '--grep',
    'settle failed',
  ]);
  assert.match(stdout, /ERROR \(shop\.worker on work-3\).*settle failed/);
  assert.doesNotMatch(stdout, /INFO/);
});

test('show: the whole record, and no secret in it', async () => {
  const { stdout } = await faultline(['show', runs['work-2'] ?? '']);
  const record = JSON.parse(stdout) as {
    argv: string[];
    env: Record<string, unknown>;
    exception: { type: string };
  };
  assert.equal(record.exception.type, 'AllocationError');
  assert.ok(record.argv.includes('JPY'));
  assert.equal((record.env.SHOP_DB_PASSWORD as { redacted: boolean }).redacted, true);
});

test('preflight: on a healthy node the package comes first, exit code 1', async () => {
  const { code, stdout } = await faultline([
    'preflight',
    runs['work-2'] ?? '',
    '--on',
    'work-1',
    '--json',
  ]);
  type Finding = { fact: string; status: string; recorded: string; current: string };
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  assert.equal(code, 1);
  assert.deepEqual(
    [findings[0]?.fact, findings[0]?.status, findings[0]?.recorded, findings[0]?.current],
    ['packages.pricelib', 'differs', '1.4.2', '2.1.0'],
  );
  const other = await json<{ findings: Finding[] }>([
    'preflight',
    runs['work-3'] ?? '',
    '--on',
    'work-1',
  ]);
  assert.equal(other.findings[0]?.fact, 'env.TARIFF_REGION');
});

test('rerun: the same failure on its node, with its secrets found there; none on a healthy one', async () => {
  type Rerun = {
    run: string;
    exitCode: number;
    sameFailure: boolean;
    difference: string | null;
    stderr: string;
  };
  const same = await json<Rerun>(['rerun', runs['work-2'] ?? '', '--yes']);
  assert.deepEqual([same.exitCode, same.sameFailure, same.difference], [1, true, null]);
  assert.match(same.stderr, /AllocationError/);
  assert.doesNotMatch(same.stderr, /faultline: note/);
  const healthy = await json<Rerun>(['rerun', runs['work-2'] ?? '', '--on', 'work-1', '--yes']);
  assert.deepEqual([healthy.exitCode, healthy.sameFailure], [0, false]);
  assert.match(healthy.difference ?? '', /The run passed/);
});

test('run: output and exit code pass through; the record has exactly what was run', async () => {
  const args = ["it's", 'a b', 'é\n', ''];
  const program =
    'import os,sys; print(sys.argv[1:], os.getcwd(), os.environ["GREETING"]); sys.exit(5)';
  const words = [
    'run',
    'work-1',
    '--cwd',
    '/srv',
    '--env',
    'GREETING=hi there',
    '--',
    'python3',
    '-c',
    program,
  ];
  const { code, stdout, stderr } = await faultline([...words, ...args]);
  assert.equal(stdout, "[\"it's\", 'a b', 'é\\n', ''] /srv hi there\n");
  assert.equal(code, 5);
  const id = /^faultline: run (r-\S+)$/m.exec(stderr)?.[1];
  assert.equal(stderr.trim().split('\n').at(-1), `faultline: run ${id}`);
  const record = await json<{ argv: string[]; exitCode: number; cwd: { logical: string } }>([
    'show',
    id ?? '',
  ]);
  assert.deepEqual(record.argv.slice(3), args);
  assert.deepEqual([record.exitCode, record.cwd.logical], [5, '/srv']);
});

test('profile: a busy service, written as speedscope', async () => {
  const node = fleet.nodes.find(({ name }) => name === 'work-1');
  const pid = node?.services.find(({ name }) => name === 'worker')?.pid;
  const out = join(base, 'worker.speedscope.json');
  const isBusy = { value: true };
  const load = (async () => {
    while (isBusy.value) await sendRequest(fleet, { path: '/quote', body: { worker: 'work-1' } });
  })();
  const { code, stderr } = await faultline([
    'profile',
    'work-1',
    String(pid),
    '--seconds',
    '3',
    '-o',
    out,
  ]);
  isBusy.value = false;
  await load;
  assert.equal(code, 0, stderr);
  const profile = JSON.parse(readFileSync(out, 'utf8')) as {
    shared: { frames: { name: string }[] };
  };
  const names = profile.shared.frames.map((frame) => frame.name).join('\n');
  assert.match(names, /price_basket/);
});

const wrong: readonly [string, readonly string[], RegExp][] = [
  ['an unknown command', ['fly'], /There is no command "fly"/],
  ['an unknown node', ['env', 'nowhere'], /There is no node named "nowhere"\. Known nodes: gate-1/],
  ['a run without a command', ['run', 'work-1'], /needs a node, and the command after "--"/],
  ['an unknown option', ['runs', '--nope'], /--nope/],
];
for (const [title, args, message] of wrong) {
  test(`${title} is one sentence and exit code 2`, async () => {
    const { code, stderr } = await faultline(args);
    assert.equal(code, 2);
    assert.match(stderr, message);
    assert.equal(stderr.trim().split('\n').length, 1);
  });
}

test('the settings of a folder that nobody named do not choose an ssh configuration', async () => {
  const folder = join(base, 'cloned');
  const canary = join(base, 'canary');
  mkdirSync(join(folder, '.vscode'), { recursive: true });
  writeFileSync(join(folder, 'evil'), `Match exec "touch ${canary}"\n  HostName 127.0.0.1\n`);
  const settings = {
    'faultline.nodes': [{ name: 'a' }],
    'faultline.ssh.configFile': join(folder, 'evil'),
  };
  writeFileSync(join(folder, '.vscode', 'settings.json'), JSON.stringify(settings));
  const stderr = await new Promise<string>((resolve) => {
    execFile(process.execPath, [cli, 'nodes', 'a'], { cwd: folder }, (_error, _stdout, text) =>
      resolve(text),
    );
  });
  assert.match(stderr, /names an ssh configuration, which is not used/);
  assert.equal(existsSync(canary), false);
});

test('a run that is on no node, a directory that is gone: one sentence', async () => {
  const missing = await faultline(['show', 'r-20200101T000000-00000000']);
  assert.equal(missing.code, 3);
  assert.match(missing.stderr, /^faultline: There is no run r-\S+ on any node that answered\./);
  const gone = await faultline(['run', 'work-1', '--cwd', '/nowhere', '--', 'true']);
  assert.equal(gone.code, 3);
  assert.match(
    gone.stderr,
    /^faultline: The run cannot start on work-1: the directory \/nowhere does not exist\./,
  );
});
