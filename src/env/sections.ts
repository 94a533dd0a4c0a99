// The frame around what src/probe/sh/facts.sh prints: bytes → named sections. See that file for the format.

import { isUtf8 } from 'node:buffer';

export interface Section {
  readonly content: Buffer;
  /** Undefined when the section has no end: it was cut off. */
  readonly exitCode: number | undefined;
}

/** The text that ends the output's last section: after it nothing more is worth waiting for. */
export function endOfSection(word: string): string {
  return `\n\u001e${word} =`;
}

/** The sections by name, as far as the output goes. `word` is the one the script was given. */
export function readSections(output: Buffer, word: string): ReadonlyMap<string, Section> {
  const mark = Buffer.from(`\n\u001e${word} `, 'latin1');
  const sections = new Map<string, Section>();
  let open: { readonly name: string; readonly from: number } | undefined;
  for (let at = output.indexOf(mark); at >= 0; at = output.indexOf(mark, at + 1)) {
    const lineStart = at + mark.length;
    const lineEnd = output.indexOf('\n', lineStart);
    if (lineEnd < 0) break;
    const line = output.toString('latin1', lineStart, lineEnd);
    if (open !== undefined) {
      const content = output.subarray(open.from, at);
      sections.set(open.name, { content, exitCode: exitCodeIn(line) });
    }
    open = line.startsWith('=') ? undefined : { name: line, from: lineEnd + 1 };
  }
  if (open !== undefined) {
    sections.set(open.name, { content: output.subarray(open.from), exitCode: undefined });
  }
  return sections;
}

function exitCodeIn(line: string): number | undefined {
  return /^=\d{1,3}$/.test(line) ? Number(line.slice(1)) : undefined;
}

/** Text that ends in NUL each, as the bytes' text (see `decodeText`). A cut last one is left out. */
export function splitNul(bytes: Buffer): string[] {
  const texts: string[] = [];
  let from = 0;
  for (let to = bytes.indexOf(0); to >= 0; to = bytes.indexOf(0, from)) {
    texts.push(decodeText(bytes.subarray(from, to)));
    from = to + 1;
  }
  return texts;
}

/** Pairs out of a flat list. A key without its value is left out. */
export function pairUp(texts: readonly string[]): readonly (readonly [string, string])[] {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < texts.length; at += 2) {
    pairs.push([texts[at] as string, texts[at + 1] as string]);
  }
  return pairs;
}

/**
 * Bytes as text that `encodeText` makes the same bytes of again: what is not UTF-8 becomes lone surrogates
 * U+DC80 … U+DCFF, as Python's surrogateescape does.
 */
export function decodeText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  const parts: string[] = [];
  let good = 0;
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      parts.push(bytes.toString('utf8', good, at), String.fromCharCode(0xdc00 + (bytes[at] ?? 0)));
      at += 1;
      good = at;
    } else at += length;
  }
  parts.push(bytes.toString('utf8', good));
  return parts.join('');
}

/** Length of the UTF-8 character that begins here, 0 when none does. */
function sequenceLength(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  return isUtf8(bytes.subarray(at, at + length)) && at + length <= bytes.length ? length : 0;
}
