// Places in source files that log text names: `File "/srv/x.py", line 7`, `at f (/srv/x.js:10:5)`.

export interface SourceLink {
  /** Where in the text it stands: first character, and one behind the last. */
  readonly start: number;
  readonly end: number;
  /** Absolute path on the node that wrote the text. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
}

const patterns: readonly RegExp[] = [
  // Python
  /File "(?<path>\/[^"\n]{1,1000})", line (?<line>\d{1,9})/g,
  // Node.js: `at f (/srv/x.js:10:5)`, `at file:///srv/x.js:10:5`
  /\bat (?:[^()\n]{0,200}\()?(?:file:\/\/)?(?<path>\/[^\s():]{1,1000}):(?<line>\d{1,9}):\d+/g,
  // Go: `	/srv/x.go:10 +0x1d`
  /^\s+(?<path>\/[^\s():]{1,1000}\.go):(?<line>\d{1,9})/g,
];

/** The links of one line of text, in no certain order. Only absolute paths: others lead nowhere. */
export function findSourceLinks(text: string): readonly SourceLink[] {
  if (!text.includes('/') || text.length > 4000) return [];
  return patterns.flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => ({
      start: match.index,
      end: match.index + match[0].length,
      path: match.groups!['path']!,
      line: Number(match.groups!['line']),
    })),
  );
}
