// Which of many short texts occur in a long one, in a single pass: what makes it cheap to try no pattern at
// all on an ordinary log line.

interface Hint {
  readonly text: string;
  /** Index of the entry that asks for it. */
  readonly entry: number;
}

const hashBits = 15;
const hashMask = (1 << hashBits) - 1;
const prefixLength = 3;

/** Entries, each with hints of which one has to occur. */
export class HintIndex<T> {
  private readonly entries: readonly T[];
  /** Hints by the hash of their first three characters: five bits of each, so a fourth falls out. */
  private readonly byPrefix = new Array<readonly Hint[] | undefined>(1 << hashBits);
  /** Hints shorter than that are looked for one by one. */
  private readonly short: Hint[] = [];

  constructor(entries: readonly T[], hintsOf: (entry: T) => readonly string[]) {
    this.entries = entries;
    entries.forEach((value, entry) => {
      for (const text of hintsOf(value)) this.add({ text, entry });
    });
  }

  private add(hint: Hint): void {
    if (hint.text.length < prefixLength) {
      this.short.push(hint);
      return;
    }
    let hash = 0;
    for (let at = 0; at < prefixLength; at++) hash = step(hash, hint.text.charCodeAt(at));
    this.byPrefix[hash] = [...(this.byPrefix[hash] ?? []), hint];
  }

  /** The entries one of whose hints occurs in the text, in their order. */
  find(text: string): readonly T[] {
    const found = new Set<number>();
    for (const hint of this.short) if (text.includes(hint.text)) found.add(hint.entry);
    let hash = 0;
    for (let at = 0; at < text.length; at++) {
      hash = step(hash, text.charCodeAt(at));
      const hints = this.byPrefix[hash];
      if (hints === undefined) continue;
      for (const hint of hints) {
        if (text.startsWith(hint.text, at - prefixLength + 1)) found.add(hint.entry);
      }
    }
    if (found.size === 0) return [];
    return [...found].sort((a, b) => a - b).map((entry) => this.entries[entry] as T);
  }
}

function step(hash: number, code: number): number {
  return ((hash << 5) ^ code) & hashMask;
}
