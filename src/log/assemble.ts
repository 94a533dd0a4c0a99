// Lines of one file → entries with their continuation lines.

import { maxEpochMs, type EpochMs, type UtcOffsetMinutes } from '../base/time.ts';
import type { ClockOffset } from '../remote/node.ts';
import { startsTrace, TraceTracker } from './continuation.ts';
import { findRunId, parseLine, type ParsedLine } from './detect.ts';
import type { LogEntry } from './logEntry.ts';

/** Where an entry's lines come from, and how its time is to be read and corrected. */
export interface LineOrigin {
  readonly node: string;
  readonly source: string;
  readonly zone: UtcOffsetMinutes;
  /** Undefined when the node's clock could not be measured: times are then shown as the node has them. */
  readonly clock: ClockOffset | undefined;
}

export interface SourceLine {
  readonly text: string;
  readonly line?: number | undefined;
  readonly offset?: number | undefined;
}

/** Most continuation lines and characters that an entry takes; further lines become entries of their own. */
const maxLines = 2000;
const maxChars = 1 << 20;

interface OpenEntry {
  readonly first: SourceLine;
  readonly parsed: ParsedLine | undefined;
  readonly trace: TraceTracker;
  readonly lines: string[];
  chars: number;
}

/** Takes a file's lines in order and gives each entry when the line after it shows that it is whole. */
export class Assembler {
  /** May be another one from now on, when the zone or the clock were looked at again. */
  origin: LineOrigin;
  private open: OpenEntry | undefined;

  constructor(origin: LineOrigin) {
    this.origin = origin;
  }

  /** True while an entry waits for the line that ends it. */
  get isPending(): boolean {
    return this.open !== undefined;
  }

  /** The entry that this line ends, if it does. */
  push(line: SourceLine): LogEntry | undefined {
    const parsed = parseLine(line.text, this.origin.zone);
    if (parsed === undefined && this.open !== undefined && belongsTo(this.open, line.text)) {
      this.open.lines.push(line.text);
      this.open.chars += line.text.length;
      return undefined;
    }
    const done = this.flush();
    // An empty line between entries says nothing.
    if (line.text === '') return done;
    const trace = new TraceTracker();
    // A trace that belongs to no entry above is a text entry of its own, to its end.
    if (parsed === undefined) trace.continues(line.text);
    this.open = { first: line, parsed, trace, lines: [line.text], chars: line.text.length };
    return done;
  }

  /** The entry so far: at the end of a file, before a gap, or when no line came for a while. */
  flush(): LogEntry | undefined {
    const open = this.open;
    this.open = undefined;
    return open === undefined ? undefined : toEntry(open, this.origin);
  }
}

function belongsTo(open: OpenEntry, line: string): boolean {
  if (open.lines.length > maxLines || open.chars > maxChars) return false;
  const isTrace = open.trace.continues(line);
  if (open.parsed?.format.continuation === 'everything') return true;
  if (open.lines.length > 1 || !startsTrace(line)) return isTrace;
  // A trace below an entry is its own when the entry tells of an error; else another part of the program
  // (often the interpreter itself, on stderr) wrote it.
  const level = open.parsed?.level;
  return open.parsed === undefined || level === 'error' || level === 'fatal' || level === 'warn';
}

function toEntry(open: OpenEntry, origin: LineOrigin): LogEntry {
  const { parsed, first } = open;
  const raw = open.lines.join('\n').replace(/\n+$/, '');
  return {
    node: origin.node,
    source: origin.source,
    line: first.line,
    offset: first.offset,
    format: parsed?.format.name ?? 'text',
    nodeTime: parsed?.nodeTime,
    time: correct(parsed?.nodeTime, origin.clock),
    errorMs: origin.clock?.errorMs,
    zone: origin.zone,
    level: parsed?.level,
    contextId: parsed?.contextId,
    runId: findRunId(raw),
    message: parsed?.message ?? first.text,
    fields: parsed?.fields ?? {},
    raw,
  };
}

/** Node's time → ours. Kept to whole microseconds, as the lines have them. */
function correct(time: EpochMs | undefined, clock: ClockOffset | undefined): EpochMs | undefined {
  if (time === undefined || clock === undefined) return time;
  const corrected = Math.round((time - clock.offsetMs) * 1000) / 1000;
  // A clock that is off by more than a calendar holds: its entries stand at the calendar's end.
  return Math.max(-maxEpochMs, Math.min(maxEpochMs, corrected));
}
