// A Connection whose channels are child processes of this machine, with limits and ends as a test wants them.

import { spawn } from 'node:child_process';
import { OnceEmitter } from '../../src/base/emitter.ts';
import type { Channel, ChannelRequest, Connection } from '../../src/remote/connection.ts';
import { sessionLimit } from '../../src/remote/sshFailures.ts';

export class FakeConnection implements Connection {
  private readonly closedEmitter = new OnceEmitter<Error | undefined>();
  private readonly channels = new Set<Channel>();
  readonly onDidClose = this.closedEmitter.event;
  /** As sshd's MaxSessions. */
  readonly maxSessions: number;
  /** Most channels that were open at once. */
  peak = 0;
  opened = 0;
  isClosed = false;

  constructor(options: { readonly maxSessions?: number } = {}) {
    this.maxSessions = options.maxSessions ?? 10;
  }

  get open(): number {
    return this.channels.size;
  }

  openChannel(request: ChannelRequest): Promise<Channel> {
    if (this.channels.size >= this.maxSessions) return Promise.reject(sessionLimit('node'));
    const child = spawn('/bin/sh', ['-c', request.command ?? 'exec sh'], { stdio: 'pipe' });
    child.stdin.on('error', () => {
      // The program may end without reading its input.
    });
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const channel: Channel = {
      stdin: child.stdin,
      stdout: child.stdout,
      stderr: child.stderr,
      exited: new Promise((resolve) => {
        child.once('exit', (code, signal) => {
          if (this.isClosed) resolve({ exitCode: undefined, signal: undefined });
          else resolve({ exitCode: code ?? undefined, signal: signal ?? undefined });
        });
      }),
      closed,
      resize: () => undefined,
      dispose: () => {
        child.stdin.destroy();
        child.kill('SIGKILL');
      },
    };
    this.channels.add(channel);
    this.opened++;
    this.peak = Math.max(this.peak, this.channels.size);
    void closed.then(() => this.channels.delete(channel));
    return Promise.resolve(channel);
  }

  ping(): Promise<void> {
    return Promise.resolve();
  }

  lose(reason: Error): void {
    this.end(reason);
  }

  dispose(): void {
    this.end(undefined);
  }

  private end(reason: Error | undefined): void {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const channel of this.channels) channel.dispose();
    this.closedEmitter.fire(reason);
  }
}
