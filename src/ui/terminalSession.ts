// A terminal on a node over its life: opened, lost, opened again. Knows no VS Code, so it is tested without.

import { StringDecoder } from 'node:string_decoder';
import { delay } from '../base/async.ts';
import { toDisplay } from '../base/displayText.ts';
import { Emitter } from '../base/emitter.ts';
import { describeError, isAbort } from '../base/errors.ts';
import { TerminalTextFilter } from '../debug/terminalText.ts';
import type { RemoteTerminal, TerminalOptions } from '../remote/shell.ts';

export interface TerminalSessionOptions {
  /** The node's name, for what we say ourselves. */
  readonly node: string;
  /** Connects where needed. */
  readonly open: (size: TerminalOptions, signal: AbortSignal) => Promise<RemoteTerminal>;
}

/** A connection that takes longer is said to be under way. */
const sayConnectingMs = 400;
/** After the exit: a background child may keep the output open. */
const lastOutputMs = 500;
/** So much is passed on at once; then the screen gets a moment, and the node is held back meanwhile. */
const burstBytes = 256 << 10;
const burstPauseMs = 10;

/**
 * What a program that was cut off may have left behind: the alternate screen, mouse reports, bracketed paste, a
 * hidden cursor, a scroll region, colours, and a link that was left open. (The more usual 1049 would also move the cursor, where the screen is the
 * normal one already.)
 */
const resetModes =
  '\u001b]8;;\u001b\\\u001b[?1047l\u001b[?1000l\u001b[?1002l\u001b[?1003l\u001b[?1006l\u001b[?2004l\u001b[!p\u001b[?25h\u001b[0m';

export class TerminalSession {
  private readonly options: TerminalSessionOptions;
  private readonly written = new Emitter<string>();
  private readonly ended = new Emitter<number>();
  private readonly closing = new AbortController();
  private size: TerminalOptions = { columns: 80, rows: 24 };
  private terminal: RemoteTerminal | undefined;
  private state: 'idle' | 'connecting' | 'open' | 'lost' = 'idle';
  /** What was typed while the connection was being made. */
  private typed: string[] = [];

  readonly onDidWrite = this.written.event;
  /** The shell on the node ended, with this exit code. */
  readonly onDidEnd = this.ended.event;

  constructor(options: TerminalSessionOptions) {
    this.options = options;
  }

  open(size: TerminalOptions | undefined): void {
    if (size !== undefined) this.size = size;
    void this.run();
  }

  close(): void {
    this.closing.abort();
    this.terminal?.dispose();
  }

  input(data: string): void {
    if (this.state === 'open') this.terminal?.write(data);
    else if (this.state === 'connecting') this.typed.push(data);
    else if (this.state === 'lost' && data.includes('\r')) void this.run();
  }

  resize(size: TerminalOptions): void {
    this.size = size;
    this.terminal?.resize(size);
  }

  /** From the connection to its end. Never rejects: what goes wrong is written on the screen. */
  private async run(): Promise<void> {
    this.state = 'connecting';
    this.typed = [];
    try {
      const terminal = await this.connect();
      if (this.closing.signal.aborted) return terminal.dispose();
      this.terminal = terminal;
      this.state = 'open';
      for (const data of this.typed.splice(0)) terminal.write(data);
      // A resize while the channel was being opened.
      terminal.resize(this.size);
      await this.show(terminal);
    } catch (error) {
      if (this.closing.signal.aborted || isAbort(error)) return;
      this.offer(describeError(error), 'try again');
    }
  }

  private async connect(): Promise<RemoteTerminal> {
    const name = toDisplay(this.options.node, 60);
    let hasSaid = false;
    const timer = setTimeout(() => {
      hasSaid = true;
      this.written.fire(`Connecting to ${name}…`);
    }, sayConnectingMs);
    try {
      return await this.options.open(this.size, this.closing.signal);
    } finally {
      clearTimeout(timer);
      // The line is the node's.
      if (hasSaid) this.written.fire('\r\u001b[K');
    }
  }

  private async show(terminal: RemoteTerminal): Promise<void> {
    const reading = this.read(terminal);
    const exit = await terminal.exited;
    await Promise.race([reading, delay(lastOutputMs)]);
    terminal.dispose();
    this.terminal = undefined;
    if (this.closing.signal.aborted) return;
    if (exit.exitCode === undefined && exit.signal === undefined) {
      this.written.fire(resetModes);
      this.offer(`The connection to ${this.options.node} was lost.`, 'reconnect');
      return;
    }
    this.ended.fire(exit.exitCode ?? 1);
  }

  private async read({ output }: RemoteTerminal): Promise<void> {
    const decoder = new StringDecoder('utf8');
    // The node may not rename the tab, write the clipboard or answer for the user.
    const filter = new TerminalTextFilter('terminal');
    let burst = 0;
    try {
      for await (const chunk of output as AsyncIterable<Buffer>) {
        this.written.fire(filter.push(decoder.write(chunk)));
        burst += chunk.length;
        if (burst < burstBytes) continue;
        burst = 0;
        await delay(burstPauseMs);
      }
    } catch {
      // The connection was lost: the exit says so.
    }
    this.written.fire(filter.push(decoder.end()));
  }

  /** As VS Code does where a terminal's process is gone. */
  private offer(what: string, verb: string): void {
    this.state = 'lost';
    this.written.fire(
      `\r\n\u001b[7m * \u001b[0m ${toDisplay(what, 600)} Press Enter to ${verb}.\r\n`,
    );
  }
}
