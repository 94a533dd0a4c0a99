// An entry → lines for people, through pino-pretty. Everything that could act instead of being seen (escape
// sequences, bidi controls) is made visible on the way.

import pinoPretty from 'pino-pretty';
import { toDisplay, toDisplayLines } from '../base/displayText.ts';
import type { TimeDisplay } from '../base/time.ts';
import { remainingFields } from './detect.ts';
import { timeText, writerOf } from './entryText.ts';
import { levelNumbers, levels, type Level, type LogEntry } from './logEntry.ts';

/** Longest text shown of one value; the whole is in the entry. */
const maxTextLength = 4000;
const maxLines = 500;

const continuationIndent = '    ';
const levelWidth = 'ERROR'.length;

export interface RenderOptions {
  readonly colorize: boolean;
  /** In whose zone times are shown. Default: UTC. */
  readonly times?: TimeDisplay;
}

export type EntryRenderer = (entry: LogEntry, marks?: string) => readonly string[];

/**
 * `[2026-11-22 06:17:54.123Z] ERROR (shop.worker on work-2): [req-7f3a] settle failed {"order":"7"}`, then
 * the continuation lines, indented. With `colorize`, ANSI colours for a terminal.
 */
export function entryRenderer(options: RenderOptions): EntryRenderer {
  const display = options.times ?? 'utc';
  const pretty = pinoPretty.prettyFactory({
    colorize: options.colorize,
    singleLine: true,
    translateTime: false,
    // pino-pretty leaves the host name out by default; ours is the node's name.
    ignore: '',
    customPrettifiers: {
      time: (time) => `[${typeof time === 'string' ? time : ''}]`,
      // pino-pretty's own label, padded so that what follows stands in a column.
      level: (level, _key, _log, { labelColorized }) =>
        labelColorized + ' '.repeat(levelWidth - nameOfLevel(Number(level)).length),
    },
  });
  return (entry, marks = '') => {
    const [firstLine = '', ...messageRest] = entry.message.split('\n');
    const lines = pretty(toRecord(entry, firstLine, timeText(entry, display), marks))
      .trimEnd()
      .split('\n');
    if (messageRest.at(-1) === '') messageRest.pop();
    const below = [...messageRest, ...entry.raw.split('\n').slice(1)];
    for (const line of below.slice(0, maxLines)) {
      lines.push(`${continuationIndent}${toDisplay(line, maxTextLength)}`.trimEnd());
    }
    if (below.length > maxLines) {
      lines.push(`${continuationIndent}… ${below.length - maxLines} more lines`);
    }
    return lines;
  };
}

function nameOfLevel(number: number): Level {
  return levels.find((level) => levelNumbers[level] === number) ?? 'error';
}

/** The record that pino-pretty is given: its keys, then the fields that have no place of their own. */
function toRecord(
  entry: LogEntry,
  message: string,
  time: string,
  marks: string,
): Record<string, unknown> {
  const own = new Set(['name', 'hostname', 'logger', 'service', 'time', 'level', 'msg']);
  const rest = Object.entries(remainingFields(entry.format, entry.fields)).filter(
    ([name]) => !own.has(name) && name !== '__proto__',
  );
  const context = entry.contextId === undefined ? '' : `[${toDisplay(entry.contextId, 200)}] `;
  return {
    ...(clean(Object.fromEntries(rest)) as Record<string, unknown>),
    time: marks === '' ? time : `${time} ${marks}`,
    ...(entry.level === undefined ? {} : { level: levelNumbers[entry.level] }),
    name: writerOf(entry),
    hostname: toDisplay(entry.node, 60),
    msg: `${context}${toDisplay(message, maxTextLength)}`,
  };
}

/** Texts with nothing hidden in them, also in arrays, objects and their keys. */
function clean(value: unknown): unknown {
  if (typeof value === 'string') {
    return toDisplayLines(
      value.length > maxTextLength ? `${value.slice(0, maxTextLength)}…` : value,
    );
  }
  if (Array.isArray(value)) return value.map(clean);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [toDisplay(name, 200), clean(part)]),
  );
}
