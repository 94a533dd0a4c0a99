// The seam between Faultline and a node: everything that happens on a node goes through a Shell.

import type { Readable, Writable } from 'node:stream';
import type { Disposable } from '../base/disposable.ts';
import type { Event } from '../base/emitter.ts';

/**
 * A program text for the node's POSIX `sh` (never for the user's login shell) with positional parameters.
 * `args` reach the script as `$1`, `$2` … byte for byte, whatever they hold, so nothing is ever
 * interpolated into `script`. NUL bytes are refused (no argument can hold one).
 */
export interface RemoteCommand {
  readonly script: string;
  readonly args?: readonly (string | Uint8Array)[];
  /** What it is for, in a few words, as the log of commands calls it. Not sent. */
  readonly title?: string;
  /** The text of a program that is sent on stdin first, by whoever starts it: also for the log only. */
  readonly program?: string;
}

export interface StartOptions {
  /**
   * True for a program that does not watch its stdin: a guard on the node ends its whole process group when
   * the channel closes, also when the connection is lost. It then has no stdin (it reads /dev/null).
   */
  readonly guard?: boolean;
}

export interface ExecOptions {
  /** Sent to the program's stdin, which is then closed. Default: nothing. */
  readonly stdin?: string | Uint8Array;
  /** The program is ended and a UserError `node.timeout` thrown after this time. Default 30,000 ms. */
  readonly timeoutMs?: number;
  /** Output beyond this many bytes ends the program with a UserError `node.tooMuchOutput`. Default 64 MiB. */
  readonly maxOutputBytes?: number;
}

/** How a program ended. Both are undefined when the connection was lost before its end was heard of. */
export interface ProcessExit {
  readonly exitCode: number | undefined;
  /** With the SIG prefix, e.g. `SIGKILL`. */
  readonly signal: string | undefined;
}

export interface ExecResult extends ProcessExit {
  readonly stdout: Buffer;
  readonly stderr: string;
  /** What the login shell's start-up files printed before the program: at most 4 KiB of stdout and of stderr. */
  readonly noise?: string;
}

/** A running program on a node. Disposing of it closes the channel (a guarded program is then ended). */
export interface RemoteProcess extends Disposable {
  readonly stdin: Writable;
  /** Holds the channel back when it is not read. */
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** What the login shell printed before the program, so far: at most 4 KiB of stdout and of stderr. */
  readonly noise?: () => string;
  /** Resolves once; never rejects. */
  readonly exited: Promise<ProcessExit>;
}

export interface TerminalOptions {
  readonly columns: number;
  readonly rows: number;
}

export interface RemoteTerminal extends Disposable {
  readonly output: Readable;
  readonly exited: Promise<ProcessExit>;
  write(data: string): void;
  resize(size: TerminalOptions): void;
}

export interface Shell extends Disposable {
  /** Fires once, when the connection is gone, with the reason when it was not asked for. */
  readonly onDidClose: Event<Error | undefined>;
  /** Runs a short program to its end. A non-zero exit is a result, not an error. */
  exec(command: RemoteCommand, options?: ExecOptions, signal?: AbortSignal): Promise<ExecResult>;
  /** Starts a program whose output is read as it comes. Aborting disposes of it. */
  start(
    command: RemoteCommand,
    options?: StartOptions,
    signal?: AbortSignal,
  ): Promise<RemoteProcess>;
  /** A login shell (or `command`) on a pseudo terminal. */
  openTerminal(options: TerminalOptions, command?: RemoteCommand): Promise<RemoteTerminal>;
}
