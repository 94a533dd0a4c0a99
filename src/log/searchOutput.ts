// What logSearch.sh prints, as bytes → notes and lines. A note is NUL, a letter, text, NUL and may stand in
// the middle of a line; see src/probe/sh/logSearch.sh for the letters.

import { LineSplitter } from '../base/lines.ts';
import type { SourceLine } from './assemble.ts';

export type SearchOutputPart =
  | { readonly kind: 'note'; readonly letter: string; readonly text: string }
  | { readonly kind: 'line'; readonly line: SourceLine };

/** Longest note kept, in bytes: a path is at most 4,096. A hostile node's endless note is cut. */
const maxNoteBytes = 16 << 10;

export class SearchOutputReader {
  private readonly lines = new LineSplitter();
  private note: Uint8Array[] | undefined;
  private noteBytes = 0;

  *push(chunk: Uint8Array): Generator<SearchOutputPart> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(0, start);
      const part = chunk.subarray(start, end < 0 ? chunk.length : end);
      if (this.note === undefined) {
        for (const line of this.lines.push(part)) {
          yield { kind: 'line', line: parseNumbered(line.text) };
        }
      } else {
        this.keepNote(part);
      }
      if (end < 0) return;
      start = end + 1;
      if (this.note === undefined) {
        this.note = [];
        this.noteBytes = 0;
      } else {
        const text = Buffer.concat(this.note).toString('utf8');
        this.note = undefined;
        yield { kind: 'note', letter: text.slice(0, 1), text: text.slice(1) };
      }
    }
  }

  private keepNote(part: Uint8Array): void {
    const kept = part.slice(0, maxNoteBytes - this.noteBytes);
    this.noteBytes += kept.length;
    if (kept.length > 0) this.note?.push(kept);
  }
}

/** `12:text`, or `:text` where lines were not counted. */
function parseNumbered(text: string): SourceLine {
  const colon = text.indexOf(':');
  const number = text.slice(0, Math.max(colon, 0));
  return {
    text: text.slice(colon + 1),
    line: /^\d{1,15}$/.test(number) ? Number(number) : undefined,
  };
}
