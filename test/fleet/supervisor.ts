// Talks to node/supervise.py: starts it, reads its events, tells it to go on, holds its lifeline.

import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { identify, type ProcessId } from './system.ts';

export const SUPERVISE = path.join(import.meta.dirname, 'node/supervise.py');

interface SupervisorEvent {
  readonly event: string;
  readonly pid?: number;
  readonly message?: string;
}

interface Waiter {
  readonly event: string;
  resolve(event: SupervisorEvent): void;
  reject(error: Error): void;
}

/**
 * One running supervise.py. Its processes end when our end of its stdin closes, unless `keep` was
 * told.
 */
export class Supervisor {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #logFile: string;
  readonly #seen: SupervisorEvent[] = [];
  #waiters: Waiter[] = [];
  #failure: Error | undefined;

  constructor(name: string, argv: readonly string[], logFile: string) {
    this.name = name;
    this.#logFile = logFile;
    const log = openSync(logFile, 'a', 0o600);
    const [file, ...args] = argv;
    // a session of its own: Ctrl-C in the terminal reaches the starter, which then stops us in
    // order
    this.#child = spawn(file ?? '', args, {
      detached: true,
      cwd: '/',
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' },
      stdio: ['pipe', 'pipe', log],
    });
    closeSync(log);
    this.#listen();
  }

  /** The process we started: under namespaces `unshare`, whose child is the supervisor. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get processId(): ProcessId | undefined {
    return identify(this.pid);
  }

  /** Resolves once the supervisor has said `event`, now or before. */
  async said(event: string, timeoutMs = 15_000): Promise<SupervisorEvent> {
    const before = this.#seen.find((seen) => seen.event === event);
    if (before) return before;
    if (this.#failure) throw this.#failure;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<SupervisorEvent>((resolve, reject) => {
        this.#waiters.push({ event, resolve, reject });
        timer = setTimeout(
          () => reject(new Error(`${this.name} was not ${event} after ${timeoutMs} ms`)),
          timeoutMs,
        );
      });
    } finally {
      clearTimeout(timer);
    }
  }

  tell(word: 'go' | 'keep'): void {
    this.#child.stdin?.write(`${word}\n`);
  }

  /** Lets the starter's event loop end although the node runs on; the lifeline stays. */
  unref(): void {
    this.#child.unref();
    for (const pipe of [this.#child.stdin, this.#child.stdout]) {
      if (pipe instanceof Socket) pipe.unref();
    }
  }

  #listen(): void {
    const { stdin, stdout } = this.#child;
    // writing to a supervisor that has just ended: its exit is reported below
    stdin?.on('error', () => {});
    if (stdout) createInterface({ input: stdout }).on('line', (line) => this.#onLine(line));
    this.#child.on('error', (error) => this.#fail(error));
    this.#child.on('exit', (code, signal) =>
      this.#fail(new Error(`${this.name} ended (${code ?? signal}): ${this.#lastWords()}`)),
    );
  }

  #onLine(line: string): void {
    const event = JSON.parse(line) as SupervisorEvent;
    if (event.event === 'failed') return this.#fail(new Error(`${this.name}: ${event.message}`));
    this.#seen.push(event);
    for (const waiter of this.#waiters) if (waiter.event === event.event) waiter.resolve(event);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#failure);
  }

  #lastWords(): string {
    // the directory may have been removed by now
    const log = existsSync(this.#logFile) ? readFileSync(this.#logFile, 'utf8') : '';
    return log.trim().split('\n').slice(-3).join(' / ');
  }
}
