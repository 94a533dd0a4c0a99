// Shell over child processes on this machine: the local node, and the tests' workhorse. It sends the same
// bytes as the SSH shells do, so quoting and framing are tested without sshd.

import { spawn, type ChildProcess } from 'node:child_process';
import { Emitter } from '../base/emitter.ts';
import { UserError } from '../base/errors.ts';
import { bootstrapCommand, encodeCommand } from './command.ts';
import { collect, programOutput } from './channel.ts';
import type {
  ExecOptions,
  ExecResult,
  ProcessExit,
  RemoteCommand,
  RemoteProcess,
  RemoteTerminal,
  Shell,
  StartOptions,
} from './shell.ts';

export interface LocalShellOptions {
  /** Program and leading arguments of the stand-in for the login shell. Default: `/bin/sh -c`. */
  readonly loginShell?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

export class LocalShell implements Shell {
  private readonly options: LocalShellOptions;
  private readonly closed = new Emitter<Error | undefined>();
  private readonly running = new Set<RemoteProcess>();
  private isDisposed = false;

  readonly onDidClose = this.closed.event;

  constructor(options: LocalShellOptions = {}) {
    this.options = options;
  }

  async exec(
    command: RemoteCommand,
    options: ExecOptions = {},
    signal?: AbortSignal,
  ): Promise<ExecResult> {
    return collect(await this.start(command, {}, signal), options, 'this machine', signal);
  }

  start(
    command: RemoteCommand,
    options: StartOptions = {},
    signal?: AbortSignal,
  ): Promise<RemoteProcess> {
    signal?.throwIfAborted();
    const { header, marker } = encodeCommand(command, options);
    const [program = '/bin/sh', ...args] = this.options.loginShell ?? ['/bin/sh', '-c'];
    const child = spawn(program, [...args, bootstrapCommand], {
      env: this.options.env ?? process.env,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.on('error', () => {
      // The program may end without reading its input; its exit says what happened.
    });
    child.stdin.write(header);
    const exited = waitForExit(child);
    const close = (): void => remote.dispose();
    const remote: RemoteProcess = {
      stdin: child.stdin,
      ...programOutput({ stdout: child.stdout, stderr: child.stderr, exited }, marker, close),
      exited,
      dispose: () => {
        this.running.delete(remote);
        child.stdin.destroy();
        child.stdout.destroy();
        child.stderr.destroy();
        if (options.guard !== true) child.kill();
      },
    };
    this.running.add(remote);
    void exited.then(() => this.running.delete(remote));
    signal?.addEventListener('abort', () => remote.dispose(), { once: true });
    return Promise.resolve(remote);
  }

  openTerminal(): Promise<RemoteTerminal> {
    return Promise.reject(
      new UserError('node.noTerminal', 'This machine has a terminal of its own: use that one.'),
    );
  }

  dispose(): void {
    if (this.isDisposed) return;
    this.isDisposed = true;
    for (const remote of [...this.running]) remote.dispose();
    this.closed.fire(undefined);
    this.closed.dispose();
  }
}

function waitForExit(child: ChildProcess): Promise<ProcessExit> {
  return new Promise((resolve) => {
    child.once('error', () => resolve({ exitCode: undefined, signal: undefined }));
    child.once('exit', (code, signal) =>
      resolve({ exitCode: code ?? undefined, signal: signal ?? undefined }),
    );
  });
}
