// What we did to the nodes: every remote command with its text and its cost. Kept in memory only, bounded, and
// never sent anywhere; secrets are masked before a command is kept.

import type { Disposable } from '../base/disposable.ts';
import { toDisplay } from '../base/displayText.ts';
import { Emitter } from '../base/emitter.ts';
import type { EpochMs } from '../base/time.ts';
import { decodeName } from './nodeFiles.ts';
import type { ProcessExit, RemoteCommand } from './shell.ts';

/** `exec`: a short program run to its end. `start`: one whose output is read as it comes. */
export type CommandKind = 'exec' | 'start' | 'terminal';

export interface CommandEntry {
  /** Counts up by one from the first command. */
  readonly id: number;
  /** The node's name. */
  readonly node: string;
  readonly kind: CommandKind;
  /** What it is for, in a few words. */
  readonly title: string;
  /** The literal program text; empty for a terminal with the user's own login shell. */
  readonly script: string;
  /** `$1`, `$2` …: bytes that are no text as `\xNN`, secrets masked, very long ones cut. Hostile. */
  readonly args: readonly string[];
  /** The text of a program that it is sent on stdin first; empty for most. */
  readonly program: string;
  /** By our clock. */
  readonly startedAt: EpochMs;
  /** Undefined while it runs. */
  readonly durationMs: number | undefined;
  /** With the text of the command itself. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /**
   * Undefined while it runs, and when it never began. Both parts are undefined when its end was not heard of:
   * we closed the channel, or the connection was lost.
   */
  readonly exit: ProcessExit | undefined;
}

/** Of one node, over all its commands, also those that are not kept any more. */
export interface CommandTotals {
  readonly node: string;
  readonly count: number;
  readonly running: number;
  /** Ended with another exit code than 0, or by a signal; terminals do not count. */
  readonly failed: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Sum over the commands that have ended. */
  readonly durationMs: number;
}

/** One command under way, as the shell that runs it tells of it. What comes after `end` is ignored. */
export interface RunningCommand {
  sent(bytes: number): void;
  received(bytes: number): void;
  end(exit: ProcessExit | undefined): void;
}

/** The arguments of a command with the secrets in them masked; as many as were given. */
export type RedactArgs = (args: readonly string[]) => readonly string[];

export interface CommandLogLimits {
  readonly entries: number;
  /** Characters of program texts and arguments; a text that many commands share counts once. */
  readonly characters: number;
}

export const defaultCommandLimits: CommandLogLimits = { entries: 2000, characters: 8 << 20 };

/** A longer argument (a whole file's content, say) is cut; how much is missing is said. */
const maxArgLength = 64 << 10;

/** Most often that listeners are told: bytes are counted thousands of times a second. */
const changeMs = 250;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class CommandLog implements Disposable {
  private readonly redact: RedactArgs;
  private readonly limits: CommandLogLimits;
  private readonly kept: Mutable<CommandEntry>[] = [];
  private readonly byNode = new Map<string, Mutable<CommandTotals>>();
  private readonly texts = new SharedTexts();
  private readonly changed = new Emitter<void>();
  private timer: NodeJS.Timeout | undefined;
  private nextId = 1;
  private droppedCount = 0;

  /** Coalesced: at most four times a second. */
  readonly onDidChange = this.changed.event;

  constructor(redact: RedactArgs, limits: CommandLogLimits = defaultCommandLimits) {
    this.redact = redact;
    this.limits = limits;
  }

  /** Ended commands that were dropped to stay within the limits since the log was cleared. */
  get dropped(): number {
    return this.droppedCount;
  }

  /** To be called when the command is about to be sent; `command` is undefined for a plain terminal. */
  begin(node: string, kind: CommandKind, command: RemoteCommand | undefined): RunningCommand {
    const entry: Mutable<CommandEntry> = {
      id: this.nextId++,
      node,
      kind,
      title: titleOf(kind, command),
      script: this.texts.take(command?.script ?? ''),
      program: this.texts.take(command?.program ?? ''),
      args: this.redact((command?.args ?? []).map(showArg)).map((arg) => this.texts.take(arg)),
      startedAt: Date.now(),
      durationMs: undefined,
      bytesSent: 0,
      bytesReceived: 0,
      exit: undefined,
    };
    const totals = this.totalsOf(node);
    totals.count++;
    totals.running++;
    this.kept.push(entry);
    this.dropOldest();
    this.changedSoon();
    return this.follow(entry);
  }

  /** In the order in which they began. */
  entries(node?: string): readonly CommandEntry[] {
    return this.kept
      .filter((entry) => node === undefined || entry.node === node)
      .map((entry) => ({ ...entry }));
  }

  find(id: number): CommandEntry | undefined {
    const entry = this.kept.find((candidate) => candidate.id === id);
    return entry === undefined ? undefined : { ...entry };
  }

  /** Nodes in the order of their first command. */
  totals(): readonly CommandTotals[] {
    return [...this.byNode.values()].map((totals) => ({ ...totals }));
  }

  /** Forgets all that has ended, and counts from zero; what runs stays. */
  clear(): void {
    const running = this.kept.filter(({ durationMs }) => durationMs === undefined);
    for (const entry of this.kept) if (!running.includes(entry)) this.release(entry);
    this.kept.splice(0, this.kept.length, ...running);
    this.byNode.clear();
    for (const { node, bytesSent, bytesReceived } of running) {
      const totals = this.totalsOf(node);
      totals.count++;
      totals.running++;
      totals.bytesSent += bytesSent;
      totals.bytesReceived += bytesReceived;
    }
    this.droppedCount = 0;
    this.changedSoon();
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.changed.dispose();
  }

  private follow(entry: Mutable<CommandEntry>): RunningCommand {
    const startedAt = performance.now();
    let hasEnded = false;
    return {
      sent: (bytes) => {
        if (hasEnded) return;
        entry.bytesSent += bytes;
        this.totalsOf(entry.node).bytesSent += bytes;
        this.changedSoon();
      },
      received: (bytes) => {
        if (hasEnded) return;
        entry.bytesReceived += bytes;
        this.totalsOf(entry.node).bytesReceived += bytes;
        this.changedSoon();
      },
      end: (exit) => {
        if (hasEnded) return;
        hasEnded = true;
        entry.durationMs = performance.now() - startedAt;
        entry.exit = exit;
        const totals = this.totalsOf(entry.node);
        totals.running--;
        totals.durationMs += entry.durationMs;
        if (hasFailed(entry)) totals.failed++;
        this.dropOldest();
        this.changedSoon();
      },
    };
  }

  private totalsOf(node: string): Mutable<CommandTotals> {
    const known = this.byNode.get(node);
    if (known !== undefined) return known;
    const totals = {
      node,
      count: 0,
      running: 0,
      failed: 0,
      bytesSent: 0,
      bytesReceived: 0,
      durationMs: 0,
    };
    this.byNode.set(node, totals);
    return totals;
  }

  /** What still runs stays while anything else can go: the user has to be able to see it. */
  private dropOldest(): void {
    while (
      this.kept.length > this.limits.entries ||
      this.texts.characters > this.limits.characters
    ) {
      const ended = this.kept.findIndex(({ durationMs }) => durationMs !== undefined);
      const [dropped] = this.kept.splice(Math.max(0, ended), 1);
      if (dropped === undefined) return;
      this.release(dropped);
      this.droppedCount++;
    }
  }

  private release({ script, program, args }: CommandEntry): void {
    for (const text of [script, program, ...args]) this.texts.release(text);
  }

  private changedSoon(): void {
    if (this.timer !== undefined) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.changed.fire();
    }, changeMs);
    // Nobody is kept waiting for a log of the past: a command of the terminal ends when its work does.
    this.timer.unref();
  }
}

/** Ended badly as far as the node told. A terminal ends with whatever the user's last command did. */
export function hasFailed({ kind, exit }: Pick<CommandEntry, 'kind' | 'exit'>): boolean {
  if (exit === undefined || kind === 'terminal') return false;
  return exit.signal !== undefined || (exit.exitCode ?? 0) !== 0;
}

/** Texts that are held as often as they were taken, and counted once. */
class SharedTexts {
  private readonly held = new Map<string, number>();
  private length = 0;

  get characters(): number {
    return this.length;
  }

  take(text: string): string {
    const times = this.held.get(text) ?? 0;
    if (times === 0) this.length += text.length;
    this.held.set(text, times + 1);
    return text;
  }

  release(text: string): void {
    const times = this.held.get(text) ?? 0;
    if (times > 1) {
      this.held.set(text, times - 1);
    } else if (times === 1) {
      this.held.delete(text);
      this.length -= text.length;
    }
  }
}

/** As text: bytes that are not UTF-8 as `\xNN`. */
function showArg(arg: string | Uint8Array): string {
  const text = typeof arg === 'string' ? arg : decodeName(arg);
  const shown = text.replace(
    /[\udc80-\udcff]/gu,
    (char) => `\\x${(char.charCodeAt(0) - 0xdc00).toString(16)}`,
  );
  if (shown.length <= maxArgLength) return shown;
  const rest = shown.length - maxArgLength;
  return `${shown.slice(0, maxArgLength)}… (${rest.toLocaleString('en')} more characters)`;
}

const maxTitleLength = 80;

/** The command's own title, else the comment its program begins with, else the program's first line. */
function titleOf(kind: CommandKind, command: RemoteCommand | undefined): string {
  if (command === undefined) return kind === 'terminal' ? 'Login shell' : 'Program';
  if (command.title !== undefined) return toDisplay(command.title, maxTitleLength);
  const lines = command.script.split('\n', 20).map((line) => line.trim());
  const first = lines.find((line) => line !== '') ?? '';
  return toDisplay(first.replace(/^#!?\s*/, ''), maxTitleLength);
}
