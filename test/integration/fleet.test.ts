// The demo fleet itself: what every other integration test stands on.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import test, { type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { attachFleet, sendRequest, startFleet, stopFleet, type Fleet } from '../fleet/fleet.ts';
import { whyNoNamespaces } from '../fleet/namespaces.ts';
import type { FleetMode } from '../fleet/plan.ts';
import { readState } from '../fleet/state.ts';
import {
  becomesTrue,
  faketimeLibrary,
  identify,
  isAlive,
  type ProcessId,
} from '../fleet/system.ts';

const CLI = path.join(import.meta.dirname, '../fleet/cli.ts');
const NAMES = ['gate-1', 'work-1', 'work-2', 'work-3', 'store-1'];
const WORKERS = ['work-1', 'work-2', 'work-3'];
const execFileAsync = promisify(execFile);

const modes: FleetMode[] =
  (await whyNoNamespaces()) === undefined ? ['namespaces', 'loopback'] : ['loopback'];

for (const mode of modes) {
  test(`a fleet in ${mode} mode`, { timeout: 120_000 }, async (t) => {
    const dir = directoryForFleet(t);
    const fleet = await startFleet({ dir, mode, load: false });
    assert.deepEqual([fleet.mode, fleet.nodes.map(({ name }) => name)], [mode, NAMES]);

    await t.test('every node lets the key in, by its own host key', () => loginToAll(fleet));
    await t.test('the nodes differ as they should', () => differences(fleet));
    await t.test('the clock of store-1 is 3.5 s ahead', (t) => clockOf(t, fleet));
    await t.test('one request has one id in three logs', () => oneRequest(fleet));
    await t.test('the same settlement fails on two workers', () => sameSettlement(fleet));
    await t.test('another process can attach and see the same', async () => {
      assert.deepEqual((await attachFleet(dir))?.nodes, fleet.nodes);
      await assert.rejects(startFleet({ dir, mode }), /runs already/);
    });
    await t.test('stop leaves nothing', (t) => stopLeavesNothing(t, fleet));
  });
}

test('a fleet whose starter is killed ends, and the next one starts in its place', async (t) => {
  const dir = directoryForFleet(t);
  const starter = spawn(process.execPath, [CLI, 'up', '--dir', dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => starter.kill('SIGKILL'));
  for await (const line of createInterface({ input: starter.stdout })) {
    if (line.includes('Ctrl-C')) break;
  }
  const before = traces(dir);
  starter.kill('SIGKILL');
  await assertGone(before);

  await startFleet({ dir });
  const log = `${dir}/nodes/gate-1/srv/shop/log/gateway.log`;
  const hasLoad = () => (readFileSync(log, 'utf8').match(/request completed/g) ?? []).length >= 2;
  assert.ok(await becomesTrue(hasLoad, 20_000), 'the generator sends requests');
});

async function loginToAll(fleet: Fleet): Promise<void> {
  const users = await onEach(fleet, NAMES, () => 'id -un');
  assert.deepEqual(
    users,
    fleet.nodes.map(({ user }) => user),
  );
  const known = readFileSync(fleet.knownHostsFile, 'utf8').trim().split('\n');
  assert.equal(new Set(known.map((line) => line.split(' ')[2])).size, NAMES.length);
  // the key that belongs to gate-1 is not the one that work-1 shows
  const [gateAlias = ''] = known[0]?.split(' ') ?? [];
  await assert.rejects(
    ssh(fleet, 'work-1', 'true', ['-o', `HostKeyAlias=${gateAlias}`]),
    /HOST IDENTIFICATION HAS CHANGED/,
  );
}

const VERSION = 'from importlib.metadata import version; print(version("pricelib"))';

async function differences(fleet: Fleet): Promise<void> {
  const shop = shopDirectories(fleet);
  const facts = await onEach(fleet, WORKERS, (name) =>
    [
      `${shop.get(name)}/venv/bin/python -c '${VERSION}'`,
      `echo "\${TARIFF_REGION-none}"`,
      `bash -lc 'echo "\${TARIFF_REGION-none}"'`,
    ].join('; '),
  );
  assert.deepEqual(facts, [
    '2.1.0\neu-central\neu-central',
    '1.4.2\neu-central\neu-central',
    '2.1.0\nnone\nnone',
  ]);
  const places = await onEach(
    fleet,
    NAMES,
    (name) => `cd ${shop.get(name)} && git log --format=%h:%s -- shop && git status -s; hostname`,
  );
  const [commits, hostNames] = [0, 1].map((line) => places.map((text) => text.split('\n')[line]));
  assert.match(commits?.[0] ?? '', /^[0-9a-f]+:shop 1\.7\.0$/);
  assert.equal(new Set(commits).size, 1);
  if (fleet.mode === 'namespaces') assert.deepEqual(hostNames, NAMES);
}

async function clockOf(t: TestContext, fleet: Fleet): Promise<void> {
  const expected = faketimeLibrary() === undefined ? 0 : 3500;
  assert.equal(fleet.nodes.find(({ name }) => name === 'store-1')?.clockSkewMs, expected);
  const offset = await clockOffsetMs(t, fleet, 'store-1');
  assert.ok(Math.abs(offset - expected) < 300, `${offset} ms`);
  const trueOffset = await clockOffsetMs(t, fleet, 'work-1');
  assert.ok(Math.abs(trueOffset) < 300, `${trueOffset} ms`);
}

async function oneRequest(fleet: Fleet): Promise<void> {
  const requestId = 'req-00000000abcd';
  const body = { order: 4711, worker: 'work-1' };
  const answer = await sendRequest(fleet, { path: '/settle', body, requestId });
  assert.deepEqual([answer.status, answer.requestId], [200, requestId]);
  const [gateway = '', worker = '', store = ''] = await Promise.all(
    ['gate-1', 'work-1', 'store-1'].map((name) => linesOf(fleet, name, requestId)),
  );
  assert.equal(
    (JSON.parse(gateway.split('\n').at(-1) ?? '') as { reqId: string }).reqId,
    requestId,
  );
  assert.match(
    worker,
    /^\d{4}-\d\d-\d\d [\d:]{8},\d{3} - shop\.worker - \d+ - INFO - req-00000000abcd - received/,
  );
  assert.match(
    store,
    /^ts=\S+Z level=info msg="stored order" request_id=req-00000000abcd order=4711/m,
  );
}

async function sameSettlement(fleet: Fleet): Promise<void> {
  const order = { order: 4712, amount: '15800', currency: 'JPY', export: true };
  const answers = await Promise.all(
    WORKERS.map((worker) => sendRequest(fleet, { path: '/settle', body: { ...order, worker } })),
  );
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 502, 502],
  );
  assert.match(
    String(answers[1]?.body.error),
    /AllocationError: .* cannot be paid in JPY: decimals 1, allowed 0/,
  );
  assert.match(String(answers[2]?.body.error), /KeyError: 'TARIFF_REGION'/);
  for (const [index, worker] of WORKERS.entries()) {
    const { body, requestId = '' } = answers[index] ?? {};
    assert.match(String(body?.run), /^r-\d{8}T\d{6}-[0-9a-f]{8}$/);
    const state = `"\${FAULTLINE_STATE:-$HOME/.local/state/faultline}"`;
    const record = await ssh(fleet, worker, `cat ${state}/runs/${String(body?.run)}.json`);
    const { contextId, state: end } = JSON.parse(record) as { contextId: string; state: string };
    assert.deepEqual([contextId, end], [requestId, index === 0 ? 'passed' : 'failed']);
    const lines = await linesOf(fleet, worker, requestId);
    assert.match(lines, new RegExp(`run=${String(body?.run)}`));
  }
}

async function stopLeavesNothing(t: TestContext, fleet: Fleet): Promise<void> {
  // a login that is still open, with a process that has left its session
  const login = spawn('ssh', ['-F', fleet.sshConfigFile, 'work-1', 'setsid sleep 300 & cat'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  t.after(() => login.kill());
  const isLoggedIn = () =>
    traces(fleet.dir).processes.some((process) => nameOf(process) === 'sleep');
  assert.ok(await becomesTrue(isLoggedIn, 10_000));
  const before = traces(fleet.dir);
  await fleet.stop();
  await assertGone(before);
  await fleet.stop();
  assert.equal(await attachFleet(fleet.dir), undefined);
  assert.ok(await becomesTrue(() => login.exitCode !== null, 5000), 'the client was told');
}

interface Traces {
  readonly dir: string;
  /** Part of the names of shared memory. */
  readonly id: string;
  readonly processes: readonly ProcessId[];
  readonly networks: ReadonlySet<string>;
  readonly link: string | undefined;
}

/** What a running fleet has on this machine. */
function traces(dir: string): Traces {
  const state = readState(dir);
  assert.ok(state !== undefined, 'the fleet runs');
  const roots = state.supervisors.map(({ inner, outer }) => (inner ?? outer).pid);
  const own = readlinkSync('/proc/self/ns/net');
  const networks = roots.map((pid) => readlinkSync(`/proc/${pid}/ns/net`));
  return {
    dir,
    id: state.id,
    processes: descendants(roots).flatMap((pid) => identify(pid) ?? []),
    networks: new Set(networks.filter((network) => network !== own)),
    link: state.link,
  };
}

async function assertGone({ dir, id, link, networks, processes }: Traces): Promise<void> {
  assert.ok(processes.length > NAMES.length);
  await becomesTrue(() => !processes.some(isAlive), 10_000);
  assert.deepEqual(processes.filter(isAlive).map(nameOf), []);
  const inUse = () => pids().some((pid) => networks.has(networkOf(pid)));
  await becomesTrue(() => !inUse(), 5000);
  assert.equal(inUse(), false, 'a network namespace is still in use');
  const linkIsGone = () => link === undefined || !existsSync(`/sys/class/net/${link}`);
  assert.ok(await becomesTrue(linkIsGone, 10_000), `${link} is still there`);
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(dir));
  const sharedMemory = readdirSync('/dev/shm').filter((name) => name.includes(id));
  assert.deepEqual(sharedMemory, []);
}

function descendants(roots: readonly number[]): number[] {
  const all = pids().map((pid) => [pid, parentOf(pid)] as const);
  const found = [...roots];
  for (const parent of found) {
    found.push(...all.filter(([, of]) => of === parent).map(([pid]) => pid));
  }
  return found;
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function parentOf(pid: number): number {
  return Number(readOr(`/proc/${pid}/stat`).replace(/^.*\) . (\d+) .*$/s, '$1'));
}

function nameOf({ pid }: ProcessId): string {
  return readOr(`/proc/${pid}/comm`).trim();
}

function readOr(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // the process has ended
  }
}

function networkOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return ''; // the process has ended
  }
}

async function ssh(fleet: Fleet, name: string, command: string, options: string[] = []) {
  const args = ['-F', fleet.sshConfigFile, '-o', 'BatchMode=yes', ...options, name, command];
  return (await execFileAsync('ssh', args)).stdout.trim();
}

function onEach(fleet: Fleet, names: readonly string[], command: (name: string) => string) {
  return Promise.all(names.map((name) => ssh(fleet, name, command(name))));
}

function shopDirectories(fleet: Fleet): ReadonlyMap<string, string> {
  return new Map(
    fleet.nodes.map(({ logs, name }) => [name, path.dirname(path.dirname(logs[0] ?? ''))]),
  );
}

/** A node's log lines with the id, read there. */
async function linesOf(fleet: Fleet, name: string, requestId: string): Promise<string> {
  const [glob] = fleet.nodes.find((node) => node.name === name)?.logs ?? [];
  return await ssh(fleet, name, `grep -h ${requestId} ${glob}`);
}

/**
 * How far the node's clock is ahead, by one question and answer over a connection that is open
 * already.
 */
async function clockOffsetMs(t: TestContext, fleet: Fleet, name: string): Promise<number> {
  const ask = 'for i in 1 2; do read line; date +%s%3N; done';
  const child = spawn('ssh', ['-F', fleet.sshConfigFile, name, ask], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  t.after(() => child.kill());
  child.stdin.write('\n');
  await answers.next();
  const sent = Date.now();
  child.stdin.write('\n');
  const answer = await answers.next();
  const offset = Number(answer.value) - (sent + Date.now()) / 2;
  child.stdin.end();
  return offset;
}

/**
 * A directory of its own; whatever fleet is in it at the end of the test is stopped before it is
 * removed.
 */
function directoryForFleet(t: TestContext): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'faultline-fleet-'));
  t.after(async () => {
    await stopFleet(dir);
    rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  });
  return dir;
}
