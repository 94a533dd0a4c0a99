// An editor for tests: drives a session that runs in this process, and keeps all it was sent.

import { PassThrough } from 'node:stream';
import { DebugClient } from '@vscode/debugadapter-testsupport';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { FaultlineSession, type SessionHost } from '../../src/debug/session.ts';
import { FrameDecoder, type AdapterMessage } from '../../src/debug/framing.ts';
import { eventually } from '../fakes/eventually.ts';

export class TestEditor extends DebugClient {
  readonly session: FaultlineSession;
  /** All messages from the session, in order. */
  readonly messages: AdapterMessage[] = [];

  constructor(host: SessionHost) {
    super('node', '', 'faultline');
    this.defaultTimeout = 30_000;
    const toSession = new PassThrough();
    const fromSession = new PassThrough();
    const decoder = new FrameDecoder();
    fromSession.on('data', (chunk: Buffer) => this.messages.push(...decoder.push(chunk)));
    this.connect(fromSession, toSession);
    this.session = new FaultlineSession(host);
    // The session must not end this process with itself.
    this.session.setRunAsServer(true);
    this.session.start(toSession, fromSession);
  }

  /** Launches and configures as VS Code does; resolves when the launch is answered. */
  async run(
    configuration: object,
    filters: readonly string[] | undefined = ['uncaught'],
    breakpoints: readonly DebugProtocol.SetBreakpointsArguments[] = [],
  ): Promise<void> {
    const configure = async (): Promise<void> => {
      await this.waitForEvent('initialized', 30_000);
      for (const args of breakpoints) await this.setBreakpointsRequest(args);
      if (filters !== undefined) {
        await this.setExceptionBreakpointsRequest({ filters: [...filters] });
      }
      await this.configurationDoneRequest();
    };
    const configured = configure();
    await this.initializeRequest();
    // A refused launch is the reason why no `initialized` ever comes.
    await Promise.all([
      this.launchRequest(configuration),
      Promise.race([configured, this.ended()]),
    ]);
  }

  events<T extends DebugProtocol.Event>(name: T['event']): T[] {
    return this.messages.filter(
      (message): message is T & { type: 'event' } =>
        message.type === 'event' && message.event === name,
    );
  }

  /** What a debug console shows of a category. */
  output(category: string): string {
    return this.events<DebugProtocol.OutputEvent>('output')
      .filter(({ body }) => body.category === category)
      .map(({ body }) => body.output)
      .join('');
  }

  async stopped(): Promise<DebugProtocol.StoppedEvent['body']> {
    const [stop] = await this.eventually<DebugProtocol.StoppedEvent>('stopped');
    return stop!.body;
  }

  async ended(): Promise<void> {
    await this.eventually('terminated');
  }

  async eventually<T extends DebugProtocol.Event>(name: T['event']): Promise<T[]> {
    await eventually(() => {
      if (this.events(name).length === 0) throw new Error(`no "${name}"; ${this.summary()}`);
    }, 30_000);
    return this.events<T>(name);
  }

  /** The top frames of a stopped thread. */
  async frames(threadId: number): Promise<DebugProtocol.StackFrame[]> {
    const { body } = await this.stackTraceRequest({ threadId, startFrame: 0, levels: 20 });
    return body.stackFrames;
  }

  /** The local variables of a frame, by name. */
  async locals(frameId: number): Promise<Record<string, string>> {
    const { body } = await this.scopesRequest({ frameId });
    const variablesReference = body.scopes[0]?.variablesReference ?? 0;
    const { body: found } = await this.variablesRequest({ variablesReference });
    return Object.fromEntries(found.variables.map(({ name, value }) => [name, value]));
  }

  private summary(): string {
    return this.messages
      .map((message) =>
        message.type === 'event'
          ? `${message.event} ${JSON.stringify(message.body)}`
          : message.command,
      )
      .join('\n')
      .slice(-2000);
  }
}
