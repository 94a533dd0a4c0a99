// What the fleet asks of the machine: its tools, its processes (by pid and start time, never by
// name).

import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../../src/base/errors.ts';

export const PYTHON = '/usr/bin/python3';
export const SSHD = '/usr/sbin/sshd';
const SEARCHED = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/bin'];

/** Debian package → a file or command that shows it is installed. */
const PACKAGES: Readonly<Record<string, () => boolean>> = {
  git: () => hasCommand('git'),
  iproute2: () => hasCommand('ip'),
  libfaketime: () => faketimeLibrary() !== undefined,
  'openssh-client': () => hasCommand('ssh') && hasCommand('ssh-keygen'),
  'openssh-server': () => existsSync(SSHD),
  python3: () => existsSync(PYTHON),
  'python3-debugpy': () => existsSync('/usr/lib/python3/dist-packages/debugpy'),
  'util-linux': () => hasCommand('unshare') && hasCommand('nsenter'),
};

/** What the fleet cannot start without; the others cost a feature (clock skew, debugging). */
const REQUIRED = ['git', 'openssh-client', 'openssh-server', 'python3'];

/** Debian packages the fleet uses that this machine lacks; for the one who starts it to install. */
export function missingSystemPackages(): string[] {
  return Object.entries(PACKAGES).flatMap(([name, isThere]) => (isThere() ? [] : [name]));
}

export function requireSystemPackages(): void {
  const missing = missingSystemPackages().filter((name) => REQUIRED.includes(name));
  if (missing.length > 0) {
    throw new UserError('fleet.missingPackages', `The demo fleet needs ${missing.join(', ')}.`, {
      hint: `Run: sudo apt-get install -y ${missing.join(' ')}`,
    });
  }
}

function hasCommand(name: string): boolean {
  return SEARCHED.some((directory) => existsSync(path.join(directory, name)));
}

/** libfaketime's variant for threaded programs, or undefined when it is not installed. */
export function faketimeLibrary(): string | undefined {
  const roots = readdirSync('/usr/lib').filter((name) => name.includes('-linux-'));
  return roots
    .map((name) => `/usr/lib/${name}/faketime/libfaketimeMT.so.1`)
    .find((file) => existsSync(file));
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** Runs a program to its end and returns its stdout; a failure is an error with its stderr. */
export function run(file: string, args: readonly string[], options: RunOptions = {}) {
  return new Promise<string>((resolve, reject) => {
    const env = { ...(options.env ?? process.env), PATH: [...SEARCHED].join(':') };
    const child = spawn(file, args, { cwd: options.cwd, env });
    let [out, err] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
    // a program that ends before it has read its input is told by its exit code
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const what = err.trim() || out.trim() || `ended with ${code ?? signal}`;
      if (code === 0) resolve(out);
      else reject(new Error(`${file} ${args.join(' ')}: ${what}`));
    });
  });
}

/** A process for certain: a pid alone may be another's by now. */
export interface ProcessId {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTicks: string;
}

/** undefined when there is no such process, or only its zombie. */
export function identify(pid: number): ProcessId | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined; // it has ended
  }
  // the command's name is in parentheses and may hold spaces and parentheses itself
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTicks] = [fields[0], fields[19]];
  return state === 'Z' || startTicks === undefined ? undefined : { pid, startTicks };
}

export function isAlive(process: ProcessId): boolean {
  return identify(process.pid)?.startTicks === process.startTicks;
}

/** Signals exactly this process; one that has ended is left in peace. */
export function signalProcess(target: ProcessId, signal: NodeJS.Signals): void {
  if (!isAlive(target)) return;
  try {
    process.kill(target.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** True once all have ended, false when one still lives after `timeoutMs`. */
export async function haveEnded(all: readonly ProcessId[], timeoutMs: number): Promise<boolean> {
  return await becomesTrue(() => !all.some(isAlive), timeoutMs);
}

/** Asks every 20 ms. */
export async function becomesTrue(
  ask: () => boolean | Promise<boolean>,
  timeoutMs: number,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (await ask()) return true;
    if (performance.now() > deadline) return false;
    await delay(20);
  }
}

/**
 * The processes that were started with `name=value` in their environment (only those we may look
 * into).
 */
export function processesWithVariable(name: string, value: string): ProcessId[] {
  const wanted = `${name}=${value}`;
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) return [];
    try {
      const environment = readFileSync(`/proc/${entry}/environ`, 'latin1');
      if (!environment.split('\0').includes(wanted)) return [];
    } catch {
      return []; // ended, or another user's
    }
    return identify(Number(entry)) ?? [];
  });
}
