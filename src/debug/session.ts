// A debug session of type `faultline`: the editor's requests → a program on a node. In VS Code it runs inline,
// in tests over stdio. Handlers return a promise of the response's body; `dispatchRequest` alone awaits and
// answers, so that each request gets exactly one answer.

import {
  CapabilitiesEvent,
  DebugSession,
  Event,
  OutputEvent,
  Response,
  TerminatedEvent,
} from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { abortable } from '../base/async.ts';
import { toDisplay } from '../base/displayText.ts';
import { describeError, isAbort, UserError } from '../base/errors.ts';
import type { Node, NodeAccess } from '../remote/node.ts';
import type { Shell } from '../remote/shell.ts';
import type { LaunchPlan } from '../run/launchPlan.ts';
import type { Debuggee, DebuggeeClient } from './debuggee.ts';
import { findDebugpy, findPythonProgram } from './debugpy.ts';
import { exceptionFilterList } from './exceptionFilters.ts';
import {
  parseConfiguration,
  programPlanOf,
  type LaunchConfiguration,
  type RunConfiguration,
} from './launchConfiguration.ts';
import type { ProgramPlan } from './launcher.ts';
import { OutputGate } from './outputGate.ts';
import { PathMap } from './pathMap.ts';
import { PlainDebuggee } from './plainDebuggee.ts';
import { startPythonDebuggee } from './pythonDebuggee.ts';

/** What a session asks of whoever made it. */
export interface SessionHost {
  readonly access: NodeAccess;
  /** A recorded run and the user's choices → what is started. Rejects to refuse the start. */
  resolvePlan(configuration: RunConfiguration, signal: AbortSignal): Promise<LaunchPlan>;
  /** Whether this machine has the file, for path mappings. Default: it has none. */
  hasLocalFile?(path: string): boolean;
}

/** What is stated before it is known which program is started; a plain one takes most of it back. */
const capabilities: DebugProtocol.Capabilities = {
  supportsConfigurationDoneRequest: true,
  supportsTerminateRequest: true,
  supportsConditionalBreakpoints: true,
  supportsHitConditionalBreakpoints: true,
  supportsLogPoints: true,
  supportsFunctionBreakpoints: true,
  supportsEvaluateForHovers: true,
  supportsSetVariable: true,
  supportsSetExpression: true,
  supportsCompletionsRequest: true,
  supportsExceptionInfoRequest: true,
  supportsModulesRequest: true,
  supportsDelayedStackTraceLoading: true,
  supportsGotoTargetsRequest: true,
  supportsStepInTargetsRequest: true,
  supportsClipboardContext: true,
  supportsValueFormattingOptions: true,
  exceptionBreakpointFilters: [...exceptionFilterList],
};

const plainCapabilities: DebugProtocol.Capabilities = {
  supportsRestartRequest: true,
  supportsConditionalBreakpoints: false,
  supportsHitConditionalBreakpoints: false,
  supportsLogPoints: false,
  supportsFunctionBreakpoints: false,
  supportsEvaluateForHovers: false,
  supportsSetVariable: false,
  supportsSetExpression: false,
  supportsCompletionsRequest: false,
  supportsExceptionInfoRequest: false,
  supportsModulesRequest: false,
  supportsGotoTargetsRequest: false,
  supportsStepInTargetsRequest: false,
  exceptionBreakpointFilters: [],
};

/** What is started, and where. */
interface Start {
  readonly node: Node;
  readonly plan: ProgramPlan;
  readonly python: string | undefined;
}

type Handler = (args: unknown) => Promise<unknown>;

export class FaultlineSession extends DebugSession {
  private readonly host: SessionHost;
  private readonly output = new OutputGate((category, text) =>
    this.sendEvent(new OutputEvent(text, category)),
  );
  private readonly disposed = new AbortController();
  private launching: AbortController | undefined;
  private debuggee: Debuggee | undefined;
  private hasTerminated = false;

  private readonly handlers: Readonly<Record<string, Handler>> = {
    initialize: async () => capabilities,
    launch: (args) => this.launch(args),
    attach: () => Promise.reject(notSupported('attach')),
    disconnect: () => this.disconnect(),
  };

  private readonly client: DebuggeeClient = {
    event: (name, body) => this.tell(name, body),
    output: (category, text) => this.output.push(category, text),
    ended: (reason) => this.onEnded(reason),
  };

  constructor(host: SessionHost) {
    super();
    this.host = host;
  }

  /** Ends the session and the program on the node, whatever state it is in. */
  override dispose(): void {
    void this.end();
  }

  /** As `dispose`; resolves when the program is gone, within 5 s. */
  async end(): Promise<void> {
    this.disposed.abort();
    await this.disconnect();
    this.output.dispose();
  }

  // Called by the base class when the editor's end of a stdio session closes.
  override shutdown(): void {
    void this.end().finally(() => super.shutdown());
  }

  protected override dispatchRequest(request: DebugProtocol.Request): void {
    void this.answer(request);
  }

  private async answer(request: DebugProtocol.Request): Promise<void> {
    const response: DebugProtocol.Response = new Response(request);
    try {
      response.body = await this.handle(request.command, request.arguments);
    } catch (error) {
      return this.refuse(response, error);
    }
    this.sendResponse(response);
  }

  private handle(command: string, args: unknown): Promise<unknown> {
    const handler = Object.hasOwn(this.handlers, command) ? this.handlers[command] : undefined;
    if (handler !== undefined) return handler(args);
    if (this.debuggee !== undefined) return this.debuggee.handle(command, args);
    return Promise.reject(new UserError('debug.notStarted', 'The program has not started yet.'));
  }

  private refuse(response: DebugProtocol.Response, error: unknown): void {
    const text = isAbort(error) ? 'Cancelled.' : describeError(error);
    this.sendErrorResponse(response, {
      id: 1,
      format: '{_text}',
      variables: { _text: text },
      // A refused launch has to be seen; a hover over something that is no variable has not.
      showUser: response.command === 'launch' && !isAbort(error),
    });
  }

  // --- Launch --------------------------------------------------------------------------------------

  private async launch(args: unknown): Promise<undefined> {
    if (this.launching !== undefined) throw new UserError('debug.twice', 'Already launched.');
    const launching = new AbortController();
    this.launching = launching;
    const { signal } = launching;
    if (this.disposed.signal.aborted) launching.abort();
    const configuration = parseConfiguration(args);
    const start = await abortable(this.findStart(configuration, signal), signal);
    const shell = await this.host.access.shell(start.node, signal);
    const debuggee = await this.startDebuggee(shell, start, configuration, signal);
    this.debuggee = debuggee;
    if (signal.aborted) {
      // Ended meanwhile, when there was no debuggee to end yet.
      await debuggee.end();
      signal.throwIfAborted();
    }
    this.tell('initialized');
    await debuggee.launched;
    return undefined;
  }

  private async findStart(configuration: LaunchConfiguration, signal: AbortSignal): Promise<Start> {
    if (configuration.kind === 'program') {
      const { node, plan, python } = configuration;
      return { node: this.findNode(node), plan, python };
    }
    const plan = await this.host.resolvePlan(configuration, signal);
    return { node: this.findNode(plan.node), plan: programPlanOf(plan), python: plan.python };
  }

  private findNode(name: string): Node {
    const node = this.host.access.nodes.find((candidate) => candidate.name === name);
    if (node !== undefined) return node;
    throw new UserError('debug.noSuchNode', `There is no node named "${toDisplay(name, 100)}".`, {
      hint: 'See the Nodes view, or the setting "faultline.nodes".',
    });
  }

  private async startDebuggee(
    shell: Shell,
    { node, plan, python }: Start,
    configuration: LaunchConfiguration,
    signal: AbortSignal,
  ): Promise<Debuggee> {
    const { noDebug, mappings, stopOnEntry, justMyCode } = configuration;
    const program = noDebug ? undefined : await findPythonProgram(shell, plan, python, signal);
    if (program === undefined) {
      this.sendEvent(new CapabilitiesEvent(plainCapabilities));
      return new PlainDebuggee(shell, { node: node.name, plan, python }, this.client);
    }
    const interpreters = [program.python, '/usr/bin/python3', 'python3'];
    const debugpy = await findDebugpy(shell, node.name, interpreters, signal);
    return startPythonDebuggee(
      shell,
      {
        node: node.name,
        plan,
        program,
        debugpy,
        stopOnEntry,
        justMyCode,
        isReopened: configuration.kind === 'run',
        paths: new PathMap(node.name, mappings, (path) => this.host.hasLocalFile?.(path) ?? false),
      },
      this.client,
      signal,
    );
  }

  // --- End -----------------------------------------------------------------------------------------

  private async disconnect(): Promise<undefined> {
    this.launching?.abort();
    await this.debuggee?.end();
    return undefined;
  }

  private onEnded(reason: Error | undefined): void {
    if (reason !== undefined) this.output.push('console', `${describeError(reason)}\n`);
    if (this.hasTerminated) return;
    this.hasTerminated = true;
    this.output.flush();
    this.sendEvent(new TerminatedEvent());
  }

  private tell(name: string, body?: DebugProtocol.Event['body']): void {
    // What the program printed before is seen before.
    this.output.flush();
    this.sendEvent(new Event(name, body));
  }
}

function notSupported(command: string): UserError {
  return new UserError('debug.notSupported', `"${command}" is not supported yet.`);
}
