// A real sshd of our own on a loopback address, with keys made for the test.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { delay } from '../../src/base/async.ts';
import { eventually } from './eventually.ts';

export interface TestSshd {
  readonly dir: string;
  readonly port: number;
  /** Writes an ssh configuration with `Host node` and the given further lines, and gives its path. */
  config(lines?: string): Promise<string>;
  /** Replaces the known_hosts file. */
  knownHosts(text: string): Promise<void>;
  /** `[127.0.0.1]:port type base64` of the server's (first) key. */
  readonly hostKeyLine: string;
  /** The public key blobs, by type as in `ssh-ed25519`. */
  readonly hostKeys: ReadonlyMap<string, Buffer>;
  /** What sshd logged so far. */
  log(): Promise<string>;
  /** The listener; another one after a restart. */
  readonly process: ChildProcess;
  /** The listener's own count of connections that have not logged in yet (see MaxStartups). */
  unauthenticated(): Promise<number>;
  /** Kills the sessions, or those that `chosen` picks by their number; gives how many. */
  killSessions(chosen?: (index: number) => boolean): Promise<number>;
  /** Kills the listener and all sessions, and listens again on the same port after `downMs`. */
  restart(downMs: number): Promise<void>;
  stop(): Promise<void>;
}

export type HostKeyKind = 'ed25519' | 'ecdsa' | 'rsa';

/**
 * For `config`: the account's start-up files are left out. Where many nodes are one machine, a slow .bashrc counts
 * many times.
 */
export const noStartUpFiles = 'SetEnv HOME=/';

export interface SshdOptions {
  /** Further lines of sshd_config. */
  readonly config?: string;
  /** Default: ed25519. The first one's file is `host`. */
  readonly hostKeys?: readonly HostKeyKind[];
  /** Default: VERBOSE. */
  readonly logLevel?: string;
  /** Gives the program, with its first arguments, that starts sshd in a place of its own. */
  readonly launcher?: (dir: string) => Promise<readonly string[]>;
}

export async function startSshd(options: SshdOptions = {}): Promise<TestSshd> {
  const dir = await mkdtemp(join(tmpdir(), 'faultline-sshd-'));
  const port = await freePort();
  const kinds = options.hostKeys ?? ['ed25519'];
  const hostFiles = kinds.map((kind, index) => (index === 0 ? 'host' : `host-${kind}`));
  const makeKey = (name: string, kind: HostKeyKind): Buffer =>
    execFileSync('ssh-keygen', ['-q', '-t', kind, '-N', '', '-f', join(dir, name)]);
  for (const name of ['client', 'other']) makeKey(name, 'ed25519');
  for (const [index, kind] of kinds.entries()) makeKey(hostFiles[index]!, kind);
  // sshd wants its privilege separation directory, which Debian makes at boot only.
  await mkdir('/run/sshd', { recursive: true }).catch(() => undefined);
  await writeFile(
    join(dir, 'sshd_config'),
    `ListenAddress 127.0.0.1:${port}
${hostFiles.map((name) => `HostKey ${dir}/${name}`).join('\n')}
PidFile none
AuthorizedKeysFile ${dir}/client.pub
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel ${options.logLevel ?? 'VERBOSE'}
${options.config ?? ''}
`,
  );
  const log = (): Promise<string> => readFile(join(dir, 'log'), 'utf8');
  const launcher = (await options.launcher?.(dir)) ?? [];
  let child = await listen(dir, log, launcher);
  const publicKeys = await Promise.all(
    hostFiles.map(async (name) => (await readFile(join(dir, `${name}.pub`), 'utf8')).split(' ')),
  );
  const hostKeys = new Map(
    publicKeys.map(([type = '', base64 = '']) => [type, Buffer.from(base64, 'base64')]),
  );
  const hostKeyLine = `[127.0.0.1]:${port} ${publicKeys[0]!.slice(0, 2).join(' ')}`;
  const knownHosts = (text: string): Promise<void> => writeFile(join(dir, 'known_hosts'), text);
  await knownHosts(`${hostKeyLine}\n`);
  return {
    dir,
    port,
    hostKeyLine,
    hostKeys,
    log,
    knownHosts,
    get process() {
      return child;
    },
    unauthenticated: async () => {
      // There is none during a restart.
      const title = await readFile(`/proc/${child.pid}/cmdline`, 'latin1').catch(() => '');
      return Number(/\[listener\] (\d+) of/.exec(title)?.[1] ?? 0);
    },
    killSessions: async (chosen = () => true) => {
      const victims = (await childrenOf(child.pid!)).filter((_, index) => chosen(index));
      for (const pid of victims) kill(pid);
      return victims.length;
    },
    restart: async (downMs) => {
      const sessions = await childrenOf(child.pid!);
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
      for (const pid of sessions) kill(pid);
      await delay(downMs);
      child = await listen(dir, log, launcher);
    },
    config: async (lines = '') => {
      const file = join(dir, `config-${Math.random().toString(16).slice(2)}`);
      await writeFile(
        file,
        `Host node
  HostName 127.0.0.1
  Port ${port}
  User ${userInfo().username}
  IdentityFile ${dir}/client
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile ${dir}/known_hosts
  GlobalKnownHostsFile none
${lines}
`,
      );
      return file;
    },
    stop: async () => {
      if (child.exitCode === null) {
        const gone = new Promise((resolve) => child.once('exit', resolve));
        child.kill();
        await gone;
      }
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function listen(
  dir: string,
  log: () => Promise<string>,
  launcher: readonly string[],
): Promise<ChildProcess> {
  const before = (await log().catch(() => '')).length;
  const sshd = ['/usr/sbin/sshd', '-D', '-f', join(dir, 'sshd_config'), '-E', `${dir}/log`];
  const [program = '', ...args] = [...launcher, ...sshd];
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  await eventually(async () => {
    const text = (await log()).slice(before);
    if (!text.includes('Server listening')) throw new Error('sshd does not listen');
  }, 10_000);
  return child;
}

/** Oldest first. */
async function childrenOf(pid: number): Promise<number[]> {
  const list = await readFile(`/proc/${pid}/task/${pid}/children`, 'latin1');
  return list.trim().split(' ').filter(Boolean).map(Number);
}

/** A session's monitor; what is below it ends with its connection. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
