// What a log format is: data, with sample lines that are its own tests. A new format is a new file here and
// a row in `detect.ts`.

import type { ContextId, Fields, Level } from '../logEntry.ts';

export interface LogFormat {
  readonly name: string;
  /** For people. */
  readonly title: string;
  /**
   * The beginning of an entry's first line, as a POSIX extended regular expression without `{n}` (mawk knows
   * none). Used on nodes to tell where an entry ends; it may overlook a first line, which costs some bytes,
   * but never takes a continuation line for one, which would lose it.
   */
  readonly starts: string;
  /** How a first line becomes named fields: by a notation, or by a pattern's named groups. */
  readonly fields: 'json' | 'logfmt' | RegExp;
  /** Names of the fields that may hold each of these; the first present wins. A dot goes into objects. */
  readonly time: readonly string[];
  readonly level: readonly string[];
  readonly message: readonly string[];
  readonly contextId: readonly string[];
  /** A level's spellings, in lower case. */
  readonly levelNames: Readonly<Record<string, Level>>;
  /** Values of a context field that mean "none". */
  readonly noContext: readonly string[];
  /**
   * Which unrecognised lines below an entry belong to it: every one, or only what is part of a traceback
   * (indented lines and what `continuation.ts` knows of stack traces).
   */
  readonly continuation: 'everything' | 'traceback';
  readonly samples: readonly FormatSample[];
}

/** A sample entry and what must be read from it. `time` is ISO, as read on a node at UTC+01:00. */
export interface FormatSample {
  readonly raw: string;
  readonly time: string | undefined;
  readonly level: Level | undefined;
  readonly contextId: ContextId | undefined;
  readonly message: string;
  /** Some of the fields. */
  readonly fields?: Fields;
}
