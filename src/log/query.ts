// What is asked of the logs, and whether an entry answers it.

import type { EpochMs } from '../base/time.ts';
import { UserError } from '../base/errors.ts';
import { formats } from './detect.ts';
import {
  isAtLeast,
  levelNumbers,
  levels,
  type ContextId,
  type Level,
  type LogEntry,
} from './logEntry.ts';

/** Everything that is given must hold. Without `contextId` and `text` the ends of the files are read. */
export interface LogQuery {
  readonly contextId?: ContextId;
  /** A fixed text, not a pattern; upper and lower case differ. */
  readonly text?: string;
  /** By our clock, both ends included. */
  readonly since?: EpochMs;
  readonly until?: EpochMs;
  /** This level or a more severe one. */
  readonly level?: Level;
}

/** Throws a UserError `log.badQuery` for what cannot be searched for. */
export function checkQuery(query: LogQuery): void {
  for (const text of [query.contextId, query.text]) {
    if (text === undefined) continue;
    if (text === '')
      throw badQuery('An empty text is found everywhere: give at least one character.');
    if (/[\0\r\n]/.test(text)) throw badQuery('A text to search for is part of one line.');
    if (text.length > 4096) throw badQuery('A text to search for has at most 4,096 characters.');
  }
  if (query.since !== undefined && query.until !== undefined && query.since > query.until) {
    throw badQuery('The search would end before it begins.');
  }
}

function badQuery(message: string): UserError {
  return new UserError('log.badQuery', message);
}

/**
 * Fixed texts of which a line of every matching entry holds at least one; none when all entries are
 * candidates. They are what nodes search for; `matches` then decides.
 */
export function needles(query: LogQuery): readonly string[] {
  if (query.contextId !== undefined) return [query.contextId];
  if (query.text !== undefined) return spellings(query.text);
  if (query.level !== undefined && levelNumbers[query.level] >= levelNumbers.warn) {
    return levelNeedles(query.level);
  }
  return [];
}

/** A text as it stands in a plain line and in JSON strings of the usual writers. */
function spellings(text: string): readonly string[] {
  const escaped = JSON.stringify(text).slice(1, -1);
  const ascii = escaped.replace(
    /[\u0080-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return [...new Set([text, escaped, ascii])];
}

/** The ways in which the formats write this level and those above it. */
function levelNeedles(least: Level): readonly string[] {
  const wanted = levels.filter((level) => isAtLeast(level, least));
  const words = formats.flatMap((format) =>
    Object.entries(format.levelNames)
      .filter(([, level]) => wanted.includes(level))
      .map(([word]) => word),
  );
  return [
    ...new Set(
      words.flatMap((word) =>
        /^\d+$/.test(word)
          ? [`"level":${word}`, `"level": ${word}`]
          : [word, word.toUpperCase(), word.charAt(0).toUpperCase() + word.slice(1)],
      ),
    ),
  ];
}

/** `time` is what the entry is sorted by: its own, or that of the entry above it. */
export function matches(entry: LogEntry, query: LogQuery, time = entry.time): boolean {
  const { contextId, text, since, until, level } = query;
  if (level !== undefined && !isAtLeast(entry.level, level)) return false;
  if (contextId !== undefined && !mentions(entry, contextId)) return false;
  if (text !== undefined && !entry.raw.includes(text) && !entry.message.includes(text)) {
    if (!spellings(text).some((spelling) => entry.raw.includes(spelling))) return false;
  }
  if (time === undefined || !Number.isFinite(time)) return true;
  const error = entry.errorMs ?? 0;
  if (since !== undefined && time + error < since) return false;
  return until === undefined || time - error <= until;
}

/** The entry is of this context, or names its id as a whole word: `req-1` does not stand in `req-12`. */
function mentions(entry: LogEntry, id: ContextId): boolean {
  if (entry.contextId === id) return true;
  // A hyphen is part of the word only where ids have hyphens: a trace id is also found in a traceparent.
  const wordPart = id.includes('-') ? /[\w-]/ : /\w/;
  const { raw } = entry;
  for (let at = raw.indexOf(id); at >= 0; at = raw.indexOf(id, at + 1)) {
    if (!wordPart.test(raw.charAt(at - 1)) && !wordPart.test(raw.charAt(at + id.length)))
      return true;
  }
  return false;
}
