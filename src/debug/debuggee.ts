// What a debug session runs: a Python program under debugpy, or any program plainly.

import type { DebugProtocol } from '@vscode/debugprotocol';
import type { OutputCategory } from './outputGate.ts';

/** Exists from when the editor may set breakpoints; its program runs from `configurationDone` on. */
export interface Debuggee {
  /** Fulfilled when the program runs, or rejected with the reason why it does not. */
  readonly launched: Promise<void>;
  /** Answers one of the editor's requests with the body of the response; rejects to refuse it. */
  handle(command: string, args: unknown): Promise<unknown>;
  /** Ends the program and everything it started. Resolves when they are gone, within 5 s. */
  end(): Promise<void>;
}

/** Where a debuggee tells what happens. */
export interface DebuggeeClient {
  event(name: string, body?: DebugProtocol.Event['body']): void;
  output(category: OutputCategory, text: string): void;
  /** The debuggee has ended, with the reason when it was not its own. Called once. */
  ended(reason: Error | undefined): void;
}
