// A Shell that plays prepared programs: what `sampleProcess` does with each answer a node can give.

import { PassThrough } from 'node:stream';
import { Emitter } from '../../src/base/emitter.ts';
import type {
  ExecOptions,
  ExecResult,
  ProcessExit,
  RemoteCommand,
  RemoteProcess,
  RemoteTerminal,
  Shell,
  StartOptions,
} from '../../src/remote/shell.ts';

/** What a program prints and how it ends. */
export interface Answer {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly exitCode?: number;
  /** True for a program that prints its output and then never ends. */
  readonly hangs?: boolean;
}

export interface Started {
  readonly command: RemoteCommand;
  readonly options: StartOptions;
  readonly stdin: () => string;
  isDisposed: boolean;
}

export class ScriptedShell implements Shell {
  readonly onDidClose = new Emitter<Error | undefined>().event;
  /** Programs that were started, in order. */
  readonly started: Started[] = [];
  private readonly answerExec: string;
  private readonly answers: Answer[];

  /** `exec` always answers `answerExec`; each `start` takes the next of `answers`. */
  constructor(answerExec: string, answers: readonly Answer[]) {
    this.answerExec = answerExec;
    this.answers = [...answers];
  }

  exec(_command: RemoteCommand, _options?: ExecOptions): Promise<ExecResult> {
    return Promise.resolve({
      stdout: Buffer.from(this.answerExec),
      stderr: '',
      exitCode: 0,
      signal: undefined,
    });
  }

  start(
    command: RemoteCommand,
    options: StartOptions = {},
    signal?: AbortSignal,
  ): Promise<RemoteProcess> {
    const answer = this.answers.shift() ?? { exitCode: 127 };
    const streams = {
      stdin: new PassThrough(),
      stdout: new PassThrough(),
      stderr: new PassThrough(),
    };
    let stdin = '';
    streams.stdin.on('data', (chunk: Buffer) => (stdin += chunk.toString('utf8')));
    const started: Started = { command, options, stdin: () => stdin, isDisposed: false };
    this.started.push(started);
    let resolveExit: (exit: ProcessExit) => void = () => undefined;
    const exited = new Promise<ProcessExit>((resolve) => (resolveExit = resolve));
    streams.stdout.write(answer.stdout ?? '');
    streams.stderr.write(answer.stderr ?? '');
    const end = (exitCode: number | undefined): void => {
      streams.stdout.end();
      streams.stderr.end();
      resolveExit({ exitCode, signal: undefined });
    };
    if (answer.hangs !== true) end(answer.exitCode ?? 0);
    const dispose = (): void => {
      started.isDisposed = true;
      end(undefined);
    };
    signal?.addEventListener('abort', dispose, { once: true });
    return Promise.resolve({ ...streams, exited, dispose });
  }

  openTerminal(): Promise<RemoteTerminal> {
    return Promise.reject(new Error('not part of this test'));
  }

  dispose(): void {
    // Nothing is open.
  }
}
