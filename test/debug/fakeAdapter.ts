// A node whose debug adapter is a function of the test: what a session does with an adapter's words, without
// an adapter.

import { PassThrough } from 'node:stream';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { encodeMessage, FrameDecoder, type AdapterMessage } from '../../src/debug/framing.ts';
import type { SessionHost } from '../../src/debug/session.ts';
import { Emitter } from '../../src/base/emitter.ts';
import type { Node } from '../../src/remote/node.ts';
import type {
  ExecResult,
  ProcessExit,
  RemoteProcess,
  RemoteTerminal,
  Shell,
} from '../../src/remote/shell.ts';

const node: Node = { name: 'work-2', host: 'work-2', labels: [], logs: [], origin: 'settings' };

/** The adapter's end of its stdio. */
export class FakeAdapter implements RemoteProcess {
  readonly stdin = new PassThrough();
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  readonly exited: Promise<ProcessExit>;
  /** All that the session has sent to the adapter. */
  readonly received: AdapterMessage[] = [];
  isDisposed = false;
  private readonly answer: (message: AdapterMessage, adapter: FakeAdapter) => void;
  private resolveExit: (exit: ProcessExit) => void = () => undefined;
  private seq = 0;

  constructor(answer: (message: AdapterMessage, adapter: FakeAdapter) => void) {
    this.answer = answer;
    this.exited = new Promise((resolve) => (this.resolveExit = resolve));
    this.stdin.on('end', () => this.exit(0));
    this.skipLauncher();
  }

  /** Sends anything at all. */
  send(message: object): void {
    this.stdout.write(encodeMessage({ seq: ++this.seq, ...message } as AdapterMessage));
  }

  event(event: string, body?: unknown): void {
    this.send({ type: 'event', event, body });
  }

  respond({ seq, command }: DebugProtocol.Request, body?: unknown): void {
    this.send({ type: 'response', request_seq: seq, command, success: true, body });
  }

  exit(exitCode: number | undefined): void {
    this.stdout.end();
    this.stderr.end();
    this.resolveExit({ exitCode, signal: undefined });
  }

  dispose(): void {
    this.isDisposed = true;
    this.exit(undefined);
  }

  /** The launcher's program and plan come first: a length, that many bytes, a line. */
  private skipLauncher(): void {
    let text = Buffer.alloc(0);
    const decoder = new FrameDecoder();
    let hasStarted = false;
    this.stdin.on('data', (chunk: Buffer) => {
      if (hasStarted) return this.receive(decoder, chunk);
      text = Buffer.concat([text, chunk]);
      const lengthEnd = text.indexOf('\n');
      const programEnd = lengthEnd + 1 + Number(text.subarray(0, lengthEnd));
      const planEnd = lengthEnd < 0 ? -1 : text.indexOf('\n', programEnd);
      if (planEnd < 0) return;
      hasStarted = true;
      this.receive(decoder, text.subarray(planEnd + 1));
    });
  }

  private receive(decoder: FrameDecoder, chunk: Buffer): void {
    for (const message of decoder.push(chunk)) {
      this.received.push(message);
      this.answer(message, this);
    }
  }
}

/** What a well-behaved adapter does with a request. Gives false for one it does not know. */
export function answerWell(message: AdapterMessage, adapter: FakeAdapter): boolean {
  if (message.type !== 'request') return false;
  switch (message.command) {
    case 'initialize':
      adapter.respond(message, {});
      return true;
    case 'launch':
      adapter.event('initialized');
      return true;
    case 'setExceptionBreakpoints':
      adapter.respond(message);
      return true;
    case 'configurationDone': {
      adapter.respond(message);
      const launched = adapter.received.find(
        (one) => one.type === 'request' && one.command === 'launch',
      );
      if (launched?.type === 'request') adapter.respond(launched);
      return true;
    }
    case 'disconnect':
      adapter.respond(message);
      return true;
    default:
      return false;
  }
}

class FakeShell implements Shell {
  readonly onDidClose = new Emitter<Error | undefined>().event;
  private readonly adapter: FakeAdapter;

  constructor(adapter: FakeAdapter) {
    this.adapter = adapter;
  }

  /** Every interpreter has debugpy. */
  exec(): Promise<ExecResult> {
    const found = JSON.stringify(['/usr/bin/python3', '/usr/lib/debugpy', '9.9.9', false]);
    return Promise.resolve({
      stdout: Buffer.from(found),
      stderr: '',
      exitCode: 0,
      signal: undefined,
    });
  }

  start(): Promise<RemoteProcess> {
    return Promise.resolve(this.adapter);
  }

  openTerminal(): Promise<RemoteTerminal> {
    return Promise.reject(new Error('no terminal here'));
  }

  dispose(): void {
    this.adapter.dispose();
  }
}

/** A host whose one node, `work-2`, runs this adapter for every program. */
export function hostOf(adapter: FakeAdapter): SessionHost {
  const shell = new FakeShell(adapter);
  return {
    access: {
      nodes: [node],
      onDidChange: new Emitter<Node>().event,
      state: () => ({ kind: 'ready', clock: undefined }),
      shell: () => Promise.resolve(shell),
      clock: () => Promise.reject(new Error('no clock here')),
    },
    resolvePlan: () =>
      Promise.resolve({
        node: 'work-2',
        parent: 'r-1',
        contextId: undefined,
        argv: ['python3', 'settle.py'],
        cwd: '/srv/shop',
        env: {},
        umask: '0022',
        limits: {},
        python: '/usr/bin/python3',
        failedAt: undefined,
      }),
    hasLocalFile: () => true,
  };
}
