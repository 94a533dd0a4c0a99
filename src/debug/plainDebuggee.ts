// Any program on a node without a debugger: its output, its end, and a way to end it.

import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { delay, withDeadline } from '../base/async.ts';
import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import type { ProcessExit, Shell } from '../remote/shell.ts';
import type { Debuggee, DebuggeeClient } from './debuggee.ts';
import { findPython, launch, type LaunchedProgram, type ProgramPlan } from './launcher.ts';

export interface PlainDebuggeeOptions {
  readonly node: string;
  readonly plan: ProgramPlan;
  /** The recorded interpreter, which can run the launcher when the node has no other. */
  readonly python: string | undefined;
}

/** The launcher on the node ends a program within 4 s: it asks first. In milliseconds. */
const endMs = 4_800;
/** A child that lives on may hold the program's output open. */
const lastOutputMs = 1_000;

export class PlainDebuggee implements Debuggee {
  readonly launched = Promise.resolve();
  private readonly shell: Shell;
  private readonly options: PlainDebuggeeOptions;
  private readonly client: DebuggeeClient;
  private readonly aborted = new AbortController();
  private program: LaunchedProgram | undefined;
  private isRestarting = false;

  private readonly handlers: Readonly<Record<string, (args: unknown) => Promise<unknown>>> = {
    configurationDone: () => this.start(),
    terminate: () => this.end(),
    restart: () => this.restart(),
    threads: async () => ({ threads: [] }),
    setBreakpoints: async (args) => ({ breakpoints: unverified(args) }),
    setFunctionBreakpoints: async (args) => ({ breakpoints: unverified(args) }),
    setExceptionBreakpoints: async () => undefined,
  };

  constructor(shell: Shell, options: PlainDebuggeeOptions, client: DebuggeeClient) {
    this.shell = shell;
    this.options = options;
    this.client = client;
  }

  async handle(command: string, args: unknown): Promise<unknown> {
    const handler = Object.hasOwn(this.handlers, command) ? this.handlers[command] : undefined;
    if (handler !== undefined) return handler(args);
    throw new UserError('debug.noDebugger', 'This program runs without a debugger.');
  }

  async end(): Promise<void> {
    this.aborted.abort();
    await this.endProgram();
  }

  private async start(): Promise<void> {
    const { node, plan, python } = this.options;
    const candidates = ['python3', '/usr/bin/python3', ...(python === undefined ? [] : [python])];
    const program = await launch(this.shell, plan, {
      mode: 'exec',
      python: await findPython(this.shell, node, candidates, this.aborted.signal),
      node,
      onNote: (note) => this.client.output('console', `Note: ${note}.\n`),
    });
    this.program = program;
    this.client.output('console', `Started on ${node}: ${toDisplay(plan.argv.join(' '), 500)}\n`);
    void this.watch(program);
  }

  private async restart(): Promise<void> {
    this.isRestarting = true;
    await this.endProgram();
    this.isRestarting = false;
    await this.start();
  }

  private async endProgram(): Promise<void> {
    const program = this.program;
    if (program === undefined) return;
    // The launcher on the node ends the program, and all its children, when its stdin ends.
    program.stdin.end();
    await withDeadline(program.exited, endMs, () => notHeardOf(this.options.node)).catch(() => {
      // Nothing more can be done from here; the node ends it when the channel closes.
    });
    program.dispose();
  }

  private async watch(program: LaunchedProgram): Promise<void> {
    const output = Promise.all([
      this.pass(program.stdout, 'stdout'),
      this.pass(program.stderr, 'stderr'),
    ]);
    const exit = await program.exited;
    await Promise.race([output, delay(lastOutputMs)]);
    if (this.isRestarting) return;
    const failure = program.failure() ?? this.explainLoss(exit);
    if (failure === undefined) this.tellExit(exit);
    program.dispose();
    this.client.ended(failure);
  }

  private async pass(stream: Readable, category: 'stdout' | 'stderr'): Promise<void> {
    const decoder = new StringDecoder('utf8');
    stream.on('data', (chunk: Buffer) => this.client.output(category, decoder.write(chunk)));
    await new Promise((resolve) => stream.once('close', resolve));
    this.client.output(category, decoder.end());
  }

  private tellExit({ exitCode, signal }: ProcessExit): void {
    if (signal !== undefined) this.client.output('console', `Ended by ${toDisplay(signal, 40)}.\n`);
    this.client.event('exited', { exitCode: exitCode ?? signalExitCode(signal) });
  }

  private explainLoss({ exitCode, signal }: ProcessExit): UserError | undefined {
    if (exitCode !== undefined || signal !== undefined || this.aborted.signal.aborted) {
      return undefined;
    }
    return new UserError(
      'node.connectionLost',
      `The connection to ${this.options.node} was lost.`,
      { hint: 'The program was ended with it. Start it again.' },
    );
  }
}

function unverified(args: unknown): DebugProtocol.Breakpoint[] {
  const { breakpoints = [] } = args as Partial<DebugProtocol.SetBreakpointsArguments>;
  const message = 'This program runs without a debugger.';
  return breakpoints.map(({ line }) => ({ verified: false, message, line }));
}

/** As shells tell it: 128 and the signal's number. */
function signalExitCode(signal: string | undefined): number {
  const numbers: Readonly<Record<string, number>> = constants.signals;
  return 128 + (numbers[signal ?? ''] ?? 0);
}

function notHeardOf(node: string): UserError {
  return new UserError('node.timeout', `${node} does not tell how the program ended.`);
}
