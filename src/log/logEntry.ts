// One parsed log record, and what all the steps after a format say about it.

import { formatIso, maxEpochMs, type EpochMs, type UtcOffsetMinutes } from '../base/time.ts';

/** From least to most severe. The numbers are pino's, which pino-pretty renders. */
export const levelNumbers = {
  trace: 10,
  debug: 20,
  info: 30,
  warn: 40,
  error: 50,
  fatal: 60,
} as const;

export type Level = keyof typeof levelNumbers;

export const levels = Object.keys(levelNumbers) as readonly Level[];

export function isLevel(text: string): text is Level {
  return Object.hasOwn(levelNumbers, text);
}

/** True when `level` is `minimum` or more severe. An entry without a level is never severe enough. */
export function isAtLeast(level: Level | undefined, minimum: Level): boolean {
  return level !== undefined && levelNumbers[level] >= levelNumbers[minimum];
}

/** The id of a request, as it stands in the logs of every node the request visits. */
export type ContextId = string;

export type Fields = Readonly<Record<string, unknown>>;

export interface LogEntry {
  /** Name of the node it was read from. */
  readonly node: string;
  /** Path of the file on the node. */
  readonly source: string;
  /** 1-based number of its first line; undefined where counting lines would mean reading the whole file. */
  readonly line: number | undefined;
  /** Byte offset of its first line in the file, where that is known (while following). */
  readonly offset: number | undefined;
  /** Name of the format it was recognised as; `text` for an unknown line, which is kept as it is. */
  readonly format: string;
  /** The time the line carries, by the node's clock; undefined when it carries none. */
  readonly nodeTime: EpochMs | undefined;
  /** `nodeTime` by our clock: minus the node's clock offset. Undefined with it. */
  readonly time: EpochMs | undefined;
  /** The true time lies within ± this of `time`; undefined when the node's clock could not be measured. */
  readonly errorMs: number | undefined;
  /** The node's own zone when the entry was read: how far its local time was ahead of UTC. */
  readonly zone: UtcOffsetMinutes;
  readonly level: Level | undefined;
  readonly contextId: ContextId | undefined;
  /** Id of the run record that the program named in this entry (`r-…`). */
  readonly runId: string | undefined;
  /** Without the parts that stand in fields; may hold line feeds. */
  readonly message: string;
  /** All that the line says by name, values as they were: not cleaned, not shortened, hostile. */
  readonly fields: Fields;
  /** The whole text with its continuation lines, without the last line ending. Hostile. */
  readonly raw: string;
}

/** An entry in its place among the entries of other nodes. */
export interface MergedEntry extends LogEntry {
  /** A neighbour from another node is closer in time than the two clocks' errors: either came first. */
  readonly orderUnknown: boolean;
}

/** An entry as `faultline logs --json` prints it: a stable contract, to which keys are only added. */
export function toJson(entry: LogEntry | MergedEntry): Readonly<Record<string, unknown>> {
  return {
    time: isoOrNull(entry.time),
    nodeTime: isoOrNull(entry.nodeTime),
    errorMs: entry.errorMs ?? null,
    node: entry.node,
    source: entry.source,
    line: entry.line ?? null,
    offset: entry.offset ?? null,
    level: entry.level ?? null,
    contextId: entry.contextId ?? null,
    run: entry.runId ?? null,
    format: entry.format,
    orderUnknown: 'orderUnknown' in entry ? entry.orderUnknown : false,
    message: entry.message,
    raw: entry.raw,
    fields: entry.fields,
  };
}

function isoOrNull(time: EpochMs | undefined): string | null {
  // What a node claims may be no date.
  return time === undefined || !(Math.abs(time) <= maxEpochMs) ? null : formatIso(time);
}
