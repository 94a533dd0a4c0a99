// Peers that are dead, and programs that nobody waits for any more (reliability.md R-07, R-15, B-009).

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import type { UserError } from '../../src/base/errors.ts';
import { sshConnector } from '../../src/remote/connect.ts';
import { ConnectionReport } from '../../src/remote/connectionReport.ts';
import { knownHostsLine } from '../../src/remote/knownHosts.ts';
import { LoginGate } from '../../src/remote/loginGate.ts';
import type { Node } from '../../src/remote/node.ts';
import { NodeRegistry } from '../../src/remote/nodeRegistry.ts';
import { PooledShell, type PoolLimits } from '../../src/remote/pooledShell.ts';
import { createSsh2Transport } from '../../src/remote/ssh2Connection.ts';
import { ChaosProxy } from '../fakes/chaosProxy.ts';
import { eventually } from '../fakes/eventually.ts';
import { FakeSshServer, makeHostKey } from '../fakes/fakeSshServer.ts';
import { startSshd, type TestSshd } from '../fakes/sshd.ts';
import { sshTarget } from '../fakes/sshTarget.ts';

const node: Node = { name: 'node', host: 'node', labels: [], logs: [], origin: 'settings' };
let sshd: TestSshd;
before(async () => {
  sshd = await startSshd();
});
after(() => sshd.stop());

/** An ssh configuration for the node, through a proxy if there is one. */
async function configFor(proxy: ChaosProxy | undefined, lines = ''): Promise<string> {
  const file = await sshd.config(`  HostKeyAlias known\n${lines}`);
  const known = join(sshd.dir, 'known_hosts');
  await writeFile(known, `${sshd.hostKeyLine}\n${sshd.hostKeyLine.replace(/^\S+/, 'known')}\n`);
  if (proxy !== undefined) {
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace(`Port ${sshd.port}`, `Port ${proxy.port}`));
  }
  return file;
}

async function connect(
  options: {
    readonly proxy?: ChaosProxy;
    readonly lines?: string;
    readonly limits?: Partial<PoolLimits>;
  } = {},
): Promise<PooledShell> {
  const configFile = await configFor(options.proxy, options.lines);
  const connector = sshConnector(
    () => ({ configFile }),
    () => ({}),
    options.limits === undefined ? {} : { limits: options.limits },
  );
  return connector(node, new AbortController().signal);
}

const aliveEverySecond = '  ServerAliveInterval 1\n  ServerAliveCountMax 3';

/** The process of sshd that serves this shell. */
async function servingPid(shell: PooledShell): Promise<number> {
  return Number((await shell.exec({ script: 'echo $PPID' })).stdout.toString());
}

describe('a peer that is dead', () => {
  test('R-07: a stopped sshd is shown as lost within 5 s, what ran fails, and the node comes back', async (t) => {
    const configFile = await configFor(undefined, aliveEverySecond);
    const connector = sshConnector(
      () => ({ configFile }),
      () => ({}),
    );
    const registry = new NodeRegistry(connector, { random: () => 0.01 });
    registry.setNodes([node]);
    const shell = (await registry.shell(node)) as PooledShell;
    const pid = await servingPid(shell);
    const program = await shell.start({ script: 'exec cat' });
    program.stdout.resume();
    program.stderr.resume();
    const running = shell.exec({ script: 'exec sleep 60' }, { timeoutMs: 60_000 });
    const failed = assert.rejects(running, { code: 'node.connectionLost' });
    process.kill(pid, 'SIGSTOP');
    try {
      const stoppedAt = performance.now();
      const lost = new Promise<string>((resolve) => {
        registry.onDidChange(() => {
          const state = registry.state(node);
          if (state.kind === 'waiting') resolve(state.failure.message);
        });
      });
      assert.equal(await lost, 'The connection to node was lost.');
      const ms = performance.now() - stoppedAt;
      t.diagnostic(`lost after ${(ms / 1000).toFixed(1)} s`);
      assert.ok(ms <= 5_000, String(ms));
      await failed;
      assert.deepEqual(await program.exited, { exitCode: undefined, signal: undefined });
      await eventually(() => assert.equal(registry.state(node).kind, 'ready'));
      assert.notEqual(await servingPid((await registry.shell(node)) as PooledShell), pid);
    } finally {
      process.kill(pid, 'SIGKILL');
      registry.dispose();
    }
  });

  test('a slow link that is busy with our data is not taken for dead', async () => {
    const proxy = await ChaosProxy.start(sshd.port);
    const lines = '  ServerAliveInterval 1\n  ServerAliveCountMax 1';
    const shell = await connect({ proxy, lines });
    shell.dispose();
    proxy.chaos = { bytesPerSecond: 200_000 };
    const slow = await connect({ proxy, lines });
    const startedAt = performance.now();
    const { stdout } = await slow.exec({ script: 'head -c 800000 /dev/zero' });
    assert.equal(stdout.length, 800_000);
    assert.ok(performance.now() - startedAt > 2_500);
    slow.dispose();
    await proxy.stop();
  });

  test('a killed sshd: what runs ends as lost, what comes after fails at once', async () => {
    const shell = await connect();
    const closed = new Promise<Error | undefined>((resolve) => shell.onDidClose(resolve));
    const pid = await servingPid(shell);
    const running = shell.exec({ script: 'exec sleep 60' }, { timeoutMs: 60_000 });
    const failed = assert.rejects(running, { code: 'node.connectionLost' });
    const program = await shell.start({ script: 'exec cat' });
    const terminal = await shell.openTerminal({ columns: 80, rows: 24 });
    for (const stream of [program.stdout, program.stderr, terminal.output]) stream.resume();
    const ended = new Promise((resolve) => terminal.output.once('end', resolve));
    const killedAt = performance.now();
    process.kill(pid, 'SIGKILL');
    await failed;
    assert.equal(((await closed) as UserError).code, 'node.connectionLost');
    for (const exited of [program.exited, terminal.exited]) {
      assert.deepEqual(await exited, { exitCode: undefined, signal: undefined });
    }
    await ended;
    terminal.write('nobody hears this\n');
    await assert.rejects(shell.exec({ script: 'true' }), { code: 'node.connectionLost' });
    assert.ok(performance.now() - killedAt < 1_000);
  });
});

describe('R-15: what runs on a node when nobody is there any more', () => {
  /** Programs of every kind, each with children; resolves with the pids when all of them run. */
  const startAll = async (shell: PooledShell, hasTerminal = true): Promise<number[]> => {
    const say = 'echo "pid=$$"; sleep 777 & echo "pid=$!";';
    const guarded = await shell.start(
      { script: `trap "" HUP; ${say} exec sleep 777` },
      { guard: true },
    );
    const stubborn = await shell.start(
      { script: `trap "" TERM HUP INT; ${say} while :; do sleep 777; done` },
      { guard: true },
    );
    const follower = await shell.start({ script: 'echo "pid=$$"; echo "pid=$$"; exec cat' });
    const outputs = [guarded.stdout, stubborn.stdout, follower.stdout];
    if (hasTerminal) {
      const size = { columns: 80, rows: 24 };
      const terminal = await shell.openTerminal(size, { script: `${say} exec sleep 777` });
      outputs.push(terminal.output);
    }
    return (await Promise.all(outputs.map((output) => readPids(output)))).flat();
  };

  const assertGone = async (
    pids: readonly number[],
    withinMs: number,
    atLeast = 6,
  ): Promise<number> => {
    const startedAt = performance.now();
    assert.ok(pids.length >= atLeast);
    await eventually(() => assert.deepEqual(pids.filter(isRunning).map(describePid), []), withinMs);
    return performance.now() - startedAt;
  };

  test('after the close all of it is gone', async (t) => {
    const shell = await connect();
    const pids = await startAll(shell);
    shell.dispose();
    t.diagnostic(`gone after ${((await assertGone(pids, 5_000)) / 1000).toFixed(1)} s`);
  });

  test('after kill -9 of the process that uses the core all of it is gone', async (t) => {
    const configFile = await configFor(undefined);
    const src = join(import.meta.dirname, '../../src');
    const script = `
      import { sshConnector } from '${src}/remote/connect.ts';
      const connect = sshConnector(() => ({ configFile: ${JSON.stringify(configFile)} }), () => ({}));
      const node = { name: 'node', host: 'node', labels: [], logs: [], origin: 'settings' };
      const shell = await connect(node, new AbortController().signal);
      const startAll = ${startAll.toString().replaceAll('readPids(output)', 'show(output)')};
      const show = (output) => { output.on('data', (bytes) => process.stdout.write(bytes)); return []; };
      await startAll(shell);
      setInterval(() => undefined, 1000);`;
    const core = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pids = await readPids(core.stdout, 8);
    core.kill('SIGKILL');
    t.diagnostic(`gone after ${((await assertGone(pids, 5_000)) / 1000).toFixed(1)} s`);
  });

  test('in a black hole all of it is gone after the time of silence', async (t) => {
    const proxy = await ChaosProxy.start(sshd.port);
    const silenceMs = 3_000;
    const shell = await connect({ proxy, limits: { silenceMs } });
    const pids = await startAll(shell, false);
    // While we are there, it goes on.
    await new Promise((resolve) => setTimeout(resolve, silenceMs + 1_500));
    assert.ok(pids.every(isRunning));
    proxy.blackHoleAll();
    const ms = await assertGone(pids, silenceMs + 5_000);
    t.diagnostic(`silence ${silenceMs / 1000} s, gone after ${(ms / 1000).toFixed(1)} s`);
    shell.dispose();
    await proxy.stop();
  });

  test('a terminal, and what is beside it, outlives a sleep of this machine', async () => {
    const proxy = await ChaosProxy.start(sshd.port);
    const silenceMs = 1_000;
    const shell = await connect({ proxy, limits: { silenceMs } });
    // The lifeline of the program is there first, and goes when the terminal comes.
    const program = await shell.start({ script: 'echo "pid=$$"; echo "pid=$$"; exec cat' });
    const pids = await readPids(program.stdout);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const command = { script: 'echo "pid=$$"; sleep 777 & echo "pid=$!"; exec sleep 777' };
    const terminal = await shell.openTerminal({ columns: 80, rows: 24 }, command);
    pids.push(...(await readPids(terminal.output)));
    await new Promise((resolve) => setTimeout(resolve, 500));
    proxy.blackHoleAll();
    await new Promise((resolve) => setTimeout(resolve, silenceMs + 2_000));
    assert.deepEqual(
      pids.filter((pid) => !isRunning(pid)),
      [],
    );
    shell.dispose();
    await proxy.stop();
    await assertGone(pids, 5_000, pids.length);
  });

  // sshd itself heeds a signal only where it separates privileges: run by root, for a user who is not root.
  for (const how of ['aborted', 'too slow', 'too wordy', 'done']) {
    test(`a short program that is ${how} is ${how === 'done' ? 'left alone' : 'ended by a signal'}`, async () => {
      const hostKey = makeHostKey();
      const server = await FakeSshServer.start({ hostKeys: [hostKey] });
      const file = join(sshd.dir, `known_hosts-${server.port}`);
      await writeFile(file, knownHostsLine(`[127.0.0.1]:${server.port}`, hostKey.blob));
      const connection = await createSsh2Transport()({
        node: 'node',
        target: sshTarget({ alias: 'node', port: server.port, userKnownHostsFiles: [file] }),
        resolve: () => Promise.reject(new Error('there are no jump hosts')),
        prompts: {},
        acceptedHostKeys: new Set(),
        gate: new LoginGate(),
        report: new ConnectionReport(),
      });
      const shell = new PooledShell({
        node: 'node',
        connection,
        connectAnother: () => Promise.reject(new Error('there is no other')),
      });
      const abort = new AbortController();
      const script = `head -c 5000 /dev/zero; ${how === 'done' ? '' : 'exec sleep 7'}`;
      const limits = { 'too slow': { timeoutMs: 300 }, 'too wordy': { maxOutputBytes: 1_000 } }[
        how
      ];
      const running = shell.exec({ script }, limits, abort.signal);
      if (how === 'aborted') setTimeout(() => abort.abort(), 200);
      if (how === 'done') await running;
      else await assert.rejects(running);
      await connection.ping(1_000);
      assert.deepEqual(server.signals, how === 'done' ? [] : ['TERM']);
      shell.dispose();
      await server.stop();
    });
  }
});

function pidsIn(text: string): number[] {
  return [...text.matchAll(/pid=(\d+)[\r\n]/g)].map(([, pid]) => Number(pid));
}

async function readPids(output: Readable, count = 2): Promise<number[]> {
  let text = '';
  output.on('data', (bytes: Buffer) => (text += bytes.toString()));
  await eventually(() => assert.ok(pidsIn(text).length >= count, text), 10_000);
  return pidsIn(text);
}

/** A process that has ended, but that nobody has buried, does not count. */
function isRunning(pid: number): boolean {
  if (!existsSync(`/proc/${pid}`)) return false;
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function describePid(pid: number): string {
  try {
    return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')}`;
  } catch {
    return String(pid);
  }
}
