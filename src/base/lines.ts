// Bytes → lines. Splits bytes and not strings, so a character cut in two by a chunk border survives.

const newline = 0x0a;
const carriageReturn = 0x0d;

/** Longest line kept, in bytes (goal R-23): the rest of a longer line is dropped and counted. */
export const maxLineBytes = 1 << 20;

export interface Line {
  /** The line's text without its line ending; bytes that are not UTF-8 become U+FFFD. */
  readonly text: string;
  /** Bytes of this line that were dropped because it is longer than the limit; 0 for most lines. */
  readonly droppedBytes: number;
  /** False for a last line that the stream ended in the middle of. */
  readonly isComplete: boolean;
}

/** Splits at LF and CR LF; a lone CR stays in the text. */
export async function* splitLines(
  chunks: AsyncIterable<Uint8Array>,
  limit: number = maxLineBytes,
): AsyncGenerator<Line> {
  const splitter = new LineSplitter(limit);
  for await (const chunk of chunks) yield* splitter.push(chunk);
  const last = splitter.end();
  if (last !== undefined) yield last;
}

/** The same as `splitLines` for callers that are handed chunks instead of asking for them. */
export class LineSplitter {
  private readonly limit: number;
  private parts: Uint8Array[] = [];
  private keptBytes = 0;
  private droppedBytes = 0;

  constructor(limit: number = maxLineBytes) {
    this.limit = limit;
  }

  *push(chunk: Uint8Array): Generator<Line> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(newline, start);
      if (end < 0) break;
      this.keep(chunk.subarray(start, end));
      yield this.take(true);
      start = end + 1;
    }
    // A copy: the sender may fill the same chunk again. (Buffer's own `slice` would not copy.)
    if (start < chunk.length) this.keep(new Uint8Array(chunk.subarray(start)));
  }

  /** The unfinished last line, if there is one. */
  end(): Line | undefined {
    return this.keptBytes + this.droppedBytes === 0 ? undefined : this.take(false);
  }

  private keep(part: Uint8Array): void {
    const room = this.limit - this.keptBytes;
    const kept = part.length > room ? part.subarray(0, room) : part;
    if (kept.length > 0) this.parts.push(kept);
    this.keptBytes += kept.length;
    this.droppedBytes += part.length - kept.length;
  }

  private take(isComplete: boolean): Line {
    const bytes = this.parts.length === 1 ? Buffer.from(this.parts[0]!) : Buffer.concat(this.parts);
    const end =
      isComplete && this.droppedBytes === 0 && bytes.at(-1) === carriageReturn
        ? bytes.length - 1
        : bytes.length;
    const line = {
      text: bytes.toString('utf8', 0, end),
      droppedBytes: this.droppedBytes,
      isComplete,
    };
    this.parts = [];
    this.keptBytes = 0;
    this.droppedBytes = 0;
    return line;
  }
}
