// A Python program under debugpy: the editor's requests → debugpy's adapter on the node, and back, with every
// path mapped, and only what an editor may hear passed on.

import type { DebugProtocol } from '@vscode/debugprotocol';
import { abortable, withDeadline } from '../base/async.ts';
import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import type { Shell } from '../remote/shell.ts';
import { adapterSupervisor } from './adapterSupervisor.ts';
import { BreakpointMerger } from './breakpoints.ts';
import {
  checkInterpreter,
  debugpyLaunchArguments,
  type Debugpy,
  type DebugpyOptions,
  type PythonProgramPlan,
} from './debugpy.ts';
import type { Debuggee, DebuggeeClient } from './debuggee.ts';
import { Deferred } from './deferred.ts';
import { exceptionFilters } from './exceptionFilters.ts';
import { InnerAdapter } from './innerAdapter.ts';
import { launch, type ProgramPlan } from './launcher.ts';
import type { PathMap } from './pathMap.ts';

export interface PythonDebuggeeOptions extends DebugpyOptions {
  readonly node: string;
  readonly plan: ProgramPlan;
  readonly program: PythonProgramPlan;
  readonly debugpy: Debugpy;
  readonly paths: PathMap;
  /** A reopened run stops at its uncaught exception, whatever the editor's filters were set to before. */
  readonly isReopened: boolean;
  /** The time debugpy has to start the program. Default 20,000 ms. */
  readonly startTimeoutMs?: number;
}

/** Starts the program under debugpy; resolves when debugpy takes breakpoints, before the program runs. */
export async function startPythonDebuggee(
  shell: Shell,
  options: PythonDebuggeeOptions,
  client: DebuggeeClient,
  signal?: AbortSignal,
): Promise<Debuggee> {
  const { node, plan, debugpy } = options;
  signal?.throwIfAborted();
  const isolated = [debugpy.python, '-I'];
  const adapter = await launch(
    shell,
    {
      ...plan,
      argv: [
        ...isolated,
        '-S',
        '-c',
        adapterSupervisor,
        ...isolated,
        `${debugpy.directory}/adapter`,
      ],
    },
    {
      mode: 'adapter',
      python: debugpy.python,
      node,
      onNote: (note) => client.output('console', `Note: ${note}.\n`),
    },
  );
  const debuggee = new PythonDebuggee(
    (listener) => new InnerAdapter(adapter, node, listener),
    options,
    client,
  );
  try {
    const checked = checkInterpreter(shell, options.program, debugpy, signal);
    await Promise.all([debuggee.start(signal), checked]);
    return debuggee;
  } catch (error) {
    await debuggee.end();
    throw isStartFailure(error) ? startFailed(error, debugpy) : error;
  }
}

const defaultStartTimeoutMs = 20_000;

/** Requests of the editor that are the adapter's to answer, besides those with a handler of their own. */
const relayedRequests: ReadonlySet<string> = new Set([
  'breakpointLocations',
  'completions',
  'continue',
  'evaluate',
  'exceptionInfo',
  'goto',
  'gotoTargets',
  'loadedSources',
  'modules',
  'next',
  'pause',
  'scopes',
  'setExpression',
  'setFunctionBreakpoints',
  'setVariable',
  'source',
  'stackTrace',
  'stepIn',
  'stepInTargets',
  'stepOut',
  'threads',
  'variables',
]);

/** Events that are passed on as they are, besides those with a handler of their own. */
const relayedEvents: ReadonlySet<string> = new Set([
  'breakpoint',
  'continued',
  'invalidated',
  'loadedSource',
  'module',
  'thread',
]);

type Handler = (args: unknown) => Promise<unknown>;

class PythonDebuggee implements Debuggee {
  readonly launched: Promise<void>;
  private readonly adapter: InnerAdapter;
  private readonly options: PythonDebuggeeOptions;
  private readonly client: DebuggeeClient;
  private readonly breakpoints = new BreakpointMerger();
  private readonly refused = new Set<string>();
  private readonly initialized = new Deferred();
  private readonly launching = new Deferred();
  private isConfigured = false;
  private hasExceptionFilters = false;
  private stopsAtSystemExit = false;

  private readonly handlers: Readonly<Record<string, Handler>> = {
    setBreakpoints: (args) => this.setBreakpoints(args as DebugProtocol.SetBreakpointsArguments),
    setExceptionBreakpoints: (args) =>
      this.setExceptionFilters((args as DebugProtocol.SetExceptionBreakpointsArguments).filters),
    configurationDone: () => this.configurationDone(),
    terminate: () => this.terminate(),
  };

  constructor(
    connect: (listener: ConstructorParameters<typeof InnerAdapter>[2]) => InnerAdapter,
    options: PythonDebuggeeOptions,
    client: DebuggeeClient,
  ) {
    this.options = options;
    this.client = client;
    this.launched = this.launching.promise;
    this.adapter = connect({
      onEvent: (event) => this.onEvent(event),
      onRefused: (command) => this.onRefused(command),
      onClosed: (error) => this.onClosed(error),
    });
  }

  async start(signal?: AbortSignal): Promise<void> {
    const timeoutMs = this.options.startTimeoutMs ?? defaultStartTimeoutMs;
    await withDeadline(abortable(this.initialize(), signal), timeoutMs, () =>
      this.startedTooSlowly(timeoutMs),
    );
    const { node, debugpy, program } = this.options;
    this.client.output(
      'console',
      `Started on ${node} with ${toDisplay(program.python, 200)}, ` +
        `under debugpy ${debugpy.version} of ${toDisplay(debugpy.python, 200)}. ` +
        `The debugger adds PYTHONUNBUFFERED, PYTHONIOENCODING and PYDEVD_USE_FRAME_EVAL to the ` +
        `environment.\n`,
    );
  }

  private async initialize(): Promise<void> {
    await this.adapter.request('initialize', {
      clientID: 'faultline',
      adapterID: 'debugpy',
      linesStartAt1: true,
      columnsStartAt1: true,
      pathFormat: 'path',
      supportsVariableType: true,
      supportsRunInTerminalRequest: false,
    });
    const { program, plan, debugpy } = this.options;
    const args = debugpyLaunchArguments(program, debugpy, plan.cwd, this.options);
    // The answer to `launch` comes after `configurationDone`; before it, only a refusal does.
    this.adapter.request('launch', args).then(
      () => this.launching.resolve(),
      (error: Error) => {
        this.launching.reject(error);
        this.initialized.reject(error);
      },
    );
    await this.initialized.promise;
  }

  async handle(command: string, args: unknown): Promise<unknown> {
    const handler = Object.hasOwn(this.handlers, command) ? this.handlers[command] : undefined;
    if (handler !== undefined) return handler(args);
    if (!relayedRequests.has(command)) {
      throw new UserError('debug.unknownRequest', `"${toDisplay(command, 60)}" is not supported.`);
    }
    return this.relay(command, this.sourceToNode(args));
  }

  end(): Promise<void> {
    return this.adapter.end();
  }

  private async relay(command: string, args: unknown): Promise<unknown> {
    const body = await this.adapter.request(command, args);
    const mapped = this.options.paths.sourcesToClient(body);
    if (command === 'stackTrace') return withPlainFrames(mapped);
    return command === 'exceptionInfo' ? withoutNotes(mapped) : mapped;
  }

  private async terminate(): Promise<unknown> {
    // debugpy kills the debuggee's group; the rest ends with the adapter.
    const answer = this.adapter.request('terminate', {});
    await withDeadline(
      answer,
      3_000,
      () => new UserError('debug.stuck', 'The debugger is stuck.'),
    ).catch(() => this.end());
    return undefined;
  }

  // --- Breakpoints ---------------------------------------------------------------------------------

  private async setBreakpoints(args: DebugProtocol.SetBreakpointsArguments): Promise<unknown> {
    const { source, breakpoints = [] } = args;
    const path = source.path ?? '';
    if (holdsText(source)) return this.relay('setBreakpoints', args);
    const mapped = this.options.paths.toNode(path);
    if (mapped.kind !== 'here') {
      const message =
        mapped.kind === 'otherNode'
          ? `This file is on ${toDisplay(mapped.node, 100)}.`
          : `No file of ${this.options.node} is mapped to this one.`;
      return { breakpoints: breakpoints.map(({ line }) => ({ verified: false, line, message })) };
    }
    const { all, pick } = this.breakpoints.replace(mapped.path, path, breakpoints);
    const body = await this.adapter.request('setBreakpoints', {
      ...args,
      source: { path: mapped.path },
      breakpoints: all,
      lines: all.map(({ line }) => line),
    });
    const answers = (body as DebugProtocol.SetBreakpointsResponse['body'] | undefined)?.breakpoints;
    if (!Array.isArray(answers))
      throw new UserError('debug.refused', 'The debugger did not answer.');
    // The editor knows which file it asked about; the adapter's name for it says nothing more.
    return { breakpoints: pick(answers).map((answer) => ({ ...answer, source: undefined })) };
  }

  private async setExceptionFilters(filters: readonly string[]): Promise<unknown> {
    this.hasExceptionFilters = true;
    const wanted = new Set(filters);
    if (this.options.isReopened && !this.isConfigured) wanted.add(exceptionFilters.uncaught);
    this.stopsAtSystemExit = wanted.has(exceptionFilters.systemExit);
    await this.adapter.request('setExceptionBreakpoints', {
      filters: [
        ...(wanted.has(exceptionFilters.raised) ? ['raised'] : []),
        ...(wanted.has(exceptionFilters.uncaught) || this.stopsAtSystemExit ? ['uncaught'] : []),
      ],
    });
    return undefined;
  }

  private async configurationDone(): Promise<unknown> {
    if (!this.hasExceptionFilters) await this.setExceptionFilters([exceptionFilters.uncaught]);
    this.isConfigured = true;
    return this.relay('configurationDone', undefined);
  }

  private sourceToNode(args: unknown): unknown {
    const source = (args as { readonly source?: DebugProtocol.Source } | undefined)?.source;
    if (source?.path === undefined || holdsText(source)) return args;
    const mapped = this.options.paths.toNode(source.path);
    if (mapped.kind === 'here') return { ...(args as object), source: { path: mapped.path } };
    throw new UserError('debug.otherFile', `This file is not on ${this.options.node}.`);
  }

  // --- Events --------------------------------------------------------------------------------------

  private onEvent({ event, body }: DebugProtocol.Event): void {
    switch (event) {
      case 'initialized':
        return this.initialized.resolve();
      case 'output':
        return this.onOutput(body as DebugProtocol.OutputEvent['body'] | undefined);
      case 'exited':
        this.initialized.reject(
          new UserError('debug.endedEarly', 'the interpreter ended before the program began.'),
        );
        return this.client.event(event, body);
      case 'stopped':
        return void this.onStopped(body as DebugProtocol.StoppedEvent['body'] | undefined);
      case 'process':
        return this.client.event('process', { ...(body as object), isLocalProcess: false });
      case 'terminated':
        // Whether the session is started again is not the adapter's to say.
        return this.client.ended(undefined);
      default:
        if (!relayedEvents.has(event)) return;
        return this.client.event(event, this.options.paths.sourcesToClient(body));
    }
  }

  private onOutput(body: DebugProtocol.OutputEvent['body'] | undefined): void {
    if (typeof body?.output !== 'string') return;
    const { category = 'console', output } = body;
    if (category === 'telemetry') return;
    this.client.output(
      category === 'stdout' || category === 'stderr' ? category : 'console',
      output,
    );
  }

  private async onStopped(body: DebugProtocol.StoppedEvent['body'] | undefined): Promise<void> {
    const threadId = body?.threadId;
    if (body?.reason === 'exception' && threadId !== undefined && !this.stopsAtSystemExit) {
      if (await this.isSystemExit(threadId)) {
        this.adapter.request('continue', { threadId }).catch(() => {
          // The program has ended meanwhile, which is what it was continued for.
        });
        return;
      }
    }
    this.client.event('stopped', withoutNotes(body));
  }

  /** `sys.exit()` is an exception that nobody catches, but no failure. debugpy stops at it all the same. */
  private async isSystemExit(threadId: number): Promise<boolean> {
    try {
      const info = (await this.adapter.request('exceptionInfo', { threadId })) as
        DebugProtocol.ExceptionInfoResponse['body'] | undefined;
      return (
        /^(?:[\w.]+\.)?SystemExit\b/.test(info?.exceptionId ?? '') && info?.breakMode !== 'always'
      );
    } catch {
      // Without an answer the stop is shown: it may be the failure.
      return false;
    }
  }

  private onRefused(command: string): void {
    if (this.refused.has(command) || this.refused.size >= 10) return;
    this.refused.add(command);
    this.client.output(
      'console',
      `Refused: the debugger on ${this.options.node} asked this editor to do "${command}".\n`,
    );
  }

  private onClosed(error: UserError | undefined): void {
    const reason = error ?? new UserError('debug.ended', 'The debug session has ended.');
    this.initialized.reject(reason);
    this.launching.reject(reason);
    this.client.ended(error);
  }

  private startedTooSlowly(timeoutMs: number): UserError {
    return new UserError(
      'debug.startTimeout',
      `it took more than ${timeoutMs / 1000} s.${this.adapter.lastWords()}`,
    );
  }
}

/** The adapter holds this source's text itself: its path is a label, and nothing to map. */
function holdsText({ sourceReference }: DebugProtocol.Source): boolean {
  return sourceReference !== undefined && sourceReference > 0;
}

/**
 * debugpy writes a remark about its own frames behind the type of an exception: "KeyError (note: full exception
 * trace is shown but execution is paused at: _run_module_as_main)".
 */
function withoutNotes(body: unknown): unknown {
  if (typeof body !== 'object' || body === null) return body;
  return Object.fromEntries(
    Object.entries(body).map(([key, value]: [string, unknown]) => [
      key,
      typeof value === 'string'
        ? value.replace(/\s+\(note: full exception trace [^)]*\)$/, '')
        : withoutNotes(value),
    ]),
  );
}

const startFailures: ReadonlySet<string> = new Set([
  'debug.refused',
  'debug.startTimeout',
  'debug.endedEarly',
  'debug.unusable',
]);

function isStartFailure(error: unknown): error is UserError {
  return error instanceof UserError && startFailures.has(error.code);
}

function startFailed(error: UserError, debugpy: Debugpy): UserError {
  return new UserError(error.code, `debugpy could not start the program: ${error.message}`, {
    hint:
      `debugpy ${debugpy.version} may not fit the recorded interpreter: install debugpy for it, ` +
      `or reopen the run without debugger.`,
    cause: error,
  });
}

/**
 * debugpy calls frames of libraries `subtle`, and an editor passes over those when it chooses what to show. The
 * frame that failed is the one to show, also in a library.
 */
function withPlainFrames(body: unknown): unknown {
  const frames = (body as DebugProtocol.StackTraceResponse['body'] | undefined)?.stackFrames;
  if (!Array.isArray(frames)) return body;
  return {
    ...(body as object),
    stackFrames: frames.map(({ presentationHint, source, ...frame }) => ({
      ...frame,
      ...(presentationHint === 'label' ? { presentationHint } : {}),
      ...(source === undefined ? {} : { source: { ...source, presentationHint: 'normal' } }),
    })),
  };
}
