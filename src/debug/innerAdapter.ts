// A debug adapter on a node, as one side of the Debug Adapter Protocol: requests are sent and answered, events
// arrive. Nothing that the adapter itself asks for is ever passed on: `runInTerminal` and `startDebugging`
// would run on the developer's own machine.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { withDeadline } from '../base/async.ts';
import { toDisplay, toDisplayLines } from '../base/displayText.ts';
import { describeError, UserError } from '../base/errors.ts';
import type { ProcessExit } from '../remote/shell.ts';
import { encodeMessage, readMessages, type AdapterMessage } from './framing.ts';
import type { LaunchedProgram } from './launcher.ts';

export interface InnerAdapterListener {
  onEvent(event: DebugProtocol.Event): void;
  /** The adapter asked for something. It has been refused. */
  onRefused(command: string): void;
  /** Called once, when the adapter is gone, with the reason when it was not asked to go. */
  onClosed(error: UserError | undefined): void;
}

/** The adapter's last words for an error sentence, in bytes. */
const maxStderrBytes = 4 << 10;
/** Time the adapter has for `disconnect`, and then the supervisor on the node for its end, in milliseconds. */
const disconnectMs = 2_000;
const endMs = 3_000;

interface PendingRequest {
  readonly resolve: (body: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class InnerAdapter {
  private readonly program: LaunchedProgram;
  private readonly node: string;
  private readonly listener: InnerAdapterListener;
  private readonly pending = new Map<number, PendingRequest>();
  private lastSeq = 0;
  private stderrTail = Buffer.alloc(0);
  private closedBy: UserError | 'us' | undefined;
  private ended: Promise<void> | undefined;

  constructor(program: LaunchedProgram, node: string, listener: InnerAdapterListener) {
    this.program = program;
    this.node = node;
    this.listener = listener;
    program.stderr.on('data', (chunk: Buffer) => {
      this.stderrTail = Buffer.concat([this.stderrTail, chunk]).subarray(-maxStderrBytes);
    });
    void this.pump();
  }

  /** The body of the adapter's answer. A refusal is a UserError `debug.refused` with the adapter's words. */
  request(command: string, args?: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.closedBy !== undefined) return reject(this.gone());
      const seq = ++this.lastSeq;
      this.pending.set(seq, { resolve, reject });
      const request: DebugProtocol.Request = { seq, type: 'request', command, arguments: args };
      this.write(request);
    });
  }

  /** The adapter's last words, for an error sentence; empty when it has said nothing. */
  lastWords(): string {
    const text = toDisplayLines(this.stderrTail.toString('utf8').trim());
    return text === '' ? '' : ` Its last words: ${text.slice(-1000)}`;
  }

  /**
   * Ends the adapter and all it has started. Resolves when they are gone, or after 5 s: then the node does
   * not answer, and ends them itself once it notices that the channel is closed.
   */
  end(): Promise<void> {
    this.ended ??= this.endOnce();
    return this.ended;
  }

  private async endOnce(): Promise<void> {
    if (this.closedBy === undefined) {
      const disconnected = this.request('disconnect', { terminateDebuggee: true });
      this.closedBy = 'us';
      await withDeadline(disconnected, disconnectMs, () => this.gone()).catch(() => {
        // An adapter that is stuck is ended by its supervisor.
      });
    }
    this.program.stdin.end();
    await withDeadline(this.program.exited, endMs, () => this.gone()).catch(() => {
      // Nothing more can be done from here.
    });
    this.program.dispose();
  }

  private async pump(): Promise<void> {
    try {
      for await (const message of readMessages(this.program.stdout)) {
        this.receive(message);
        // Whoever waited for an answer passes it on before an event that came after it.
        if (message.type === 'response') await nextTurn();
      }
      const exit = withDeadline(this.program.exited, endMs, () => this.silent());
      this.close(this.explainEnd(await exit));
    } catch (error) {
      this.close(error instanceof UserError ? error : this.explainError(error));
    }
  }

  private receive(message: AdapterMessage): void {
    switch (message.type) {
      case 'event':
        return this.listener.onEvent(message);
      case 'response':
        return this.settle(message);
      case 'request':
        return this.refuse(message);
    }
  }

  private settle(response: DebugProtocol.Response): void {
    const pending = this.pending.get(response.request_seq);
    this.pending.delete(response.request_seq);
    if (pending === undefined) return;
    if (response.success) pending.resolve(response.body);
    else pending.reject(new UserError('debug.refused', refusal(response)));
  }

  private refuse(request: DebugProtocol.Request): void {
    const response: DebugProtocol.Response = {
      seq: ++this.lastSeq,
      type: 'response',
      request_seq: request.seq,
      success: false,
      command: request.command,
      message: 'A debug adapter on a node may not ask for this.',
    };
    this.write(response);
    this.listener.onRefused(toDisplay(request.command, 60));
  }

  private write(message: DebugProtocol.ProtocolMessage): void {
    if (this.program.stdin.writable) this.program.stdin.write(encodeMessage(message));
  }

  private close(reason: UserError): void {
    const isAskedFor = this.closedBy === 'us';
    this.closedBy ??= reason;
    const error = this.gone();
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
    // Whatever is left of it on the node ends with its channel.
    this.program.dispose();
    this.listener.onClosed(isAskedFor ? undefined : reason);
  }

  private explainEnd(exit: ProcessExit): UserError {
    const failure = this.program.failure();
    if (failure !== undefined) return failure;
    if (exit.exitCode === undefined && exit.signal === undefined) {
      return new UserError('node.connectionLost', `The connection to ${this.node} was lost.`, {
        hint: 'The program was ended with it. Start it again.',
      });
    }
    const how = exit.signal ?? `exit code ${exit.exitCode}`;
    return new UserError(
      'debug.adapterEnded',
      `The debugger on ${this.node} ended by itself (${how}).${this.lastWords()}`,
    );
  }

  private silent(): UserError {
    return new UserError(
      'debug.adapterSilent',
      `The debugger on ${this.node} has stopped talking.${this.lastWords()}`,
    );
  }

  private explainError(error: unknown): UserError {
    return new UserError(
      'debug.adapterLost',
      `The debugger on ${this.node} cannot be read any more (${describeError(error)}).`,
      { cause: error },
    );
  }

  private gone(): UserError {
    return this.closedBy instanceof UserError
      ? this.closedBy
      : new UserError('debug.ended', 'The debug session has ended.');
  }
}

/** What the adapter says about a refused request, as one text without control characters. */
function refusal({ message, body, command }: DebugProtocol.Response): string {
  const detail: unknown = (body as { error?: { format?: unknown } } | undefined)?.error?.format;
  const words = [message, detail].find((text) => typeof text === 'string' && text !== '');
  return typeof words === 'string'
    ? toDisplayLines(words).slice(0, 4000)
    : `The debugger refused "${toDisplay(command, 60)}".`;
}
