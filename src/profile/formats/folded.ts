// Folded stacks: one line a stack, `outermost;…;innermost weight`. What flamegraph.pl, inferno and
// speedscope read and what `stackcollapse-*`, py-spy (`--format raw`) and nylas' stacksampler
// write. https://github.com/brendangregg/FlameGraph#2-fold-stacks
//
// The format has no place for threads, times or lines being executed: threads are merged. A frame
// is written as py-spy writes it, `name (file:line)`, with the function's first line.

import type { Frame } from '../frame.ts';
import { ProfileBuilder, type Profile, type WeightKind } from '../profile.ts';
import { skippedNote } from '../notes.ts';
import { importedMeta } from './imported.ts';

export function writeFolded(profile: Profile, kind: WeightKind): string {
  const weights = weighStacks(profile, kind);
  const { parents, frames } = profile.stacks;
  const labels = profile.frames.names.map((name, row) =>
    frameLabel({ name, file: profile.frames.files[row]!, line: profile.frames.lines[row]! }),
  );
  const sums = new Map<string, number>();
  for (const [stack, weight] of weights) {
    const names: string[] = [];
    for (let at = stack; at >= 0; at = parents[at]!) names.push(labels[frames[at]!]!);
    const key = names.reverse().join(';');
    if (key !== '') sums.set(key, (sums.get(key) ?? 0) + weight);
  }
  return [...sums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([stack, weight]) => `${stack} ${roundWeight(weight)}\n`)
    .join('');
}

function weighStacks(profile: Profile, kind: WeightKind): ReadonlyMap<number, number> {
  const column = profile.samples.weights[kind] ?? new Float64Array();
  const sums = new Map<number, number>();
  column.forEach((weight, row) => {
    const stack = profile.samples.stacks[row]!;
    if (weight > 0) sums.set(stack, (sums.get(stack) ?? 0) + weight);
  });
  return sums;
}

/** flamegraph.pl takes fractions; six digits keep microseconds of a weight in milliseconds. */
function roundWeight(weight: number): number {
  return Math.round(weight * 1e6) / 1e6;
}

/** A frame as one field: what would break the line apart is replaced. */
function frameLabel({ name, file, line }: Frame): string {
  const label = file === '' ? name : line > 0 ? `${name} (${file}:${line})` : `${name} (${file})`;

  return label.replace(/;/g, ':').replace(/[\u0000-\u001f\u007f]/g, '\ufffd');
}

/** Longest stack text that is taken apart; a longer line is skipped. */
const maxLineLength = 1 << 22;

export function readFolded(text: string): Profile {
  const builder = new ProfileBuilder();
  const thread = builder.thread('all threads');
  let skipped = 0;
  for (const line of eachLine(text)) {
    if (isHeader(line)) continue;
    const parsed = line.length > maxLineLength ? undefined : parseLine(line);
    if (parsed === undefined) {
      skipped++;
      continue;
    }
    const calls = parsed.frames.map((frame) => [builder.frame(frame), 0] as const);
    builder.sample({ timeMs: 0, stack: builder.stack(calls), thread, wall: parsed.weight });
  }
  return builder.build(
    importedMeta({ format: 'folded', unit: 'samples', notes: skippedNote(skipped, 'line') }),
  );
}

function* eachLine(text: string): Generator<string> {
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    yield text.slice(start, text[end - 1] === '\r' ? end - 1 : end);
    start = end + 1;
  }
}

/** Blank lines, comments, and the two head lines of nylas' stacksampler. */
function isHeader(line: string): boolean {
  return (
    line.trim() === '' || line.startsWith('#') || /^(?:elapsed|granularity) [\d.]+$/.test(line)
  );
}

function parseLine(line: string): { frames: readonly Frame[]; weight: number } | undefined {
  const space = line.lastIndexOf(' ');
  if (space < 1 || !/^\d{1,15}(?:\.\d{1,9})?$/.test(line.slice(space + 1))) return undefined;
  const names = line
    .slice(0, space)
    .split(';')
    .filter((name) => name !== '');
  if (names.length === 0) return undefined;
  return { frames: names.map(parseLabel), weight: Number(line.slice(space + 1)) };
}

/** `name (file:line)` → its parts; any other text is a name. */
function parseLabel(label: string): Frame {
  const open = label.lastIndexOf(' (');
  if (open > 0 && label.endsWith(')')) {
    const place = label.slice(open + 2, -1);
    const colon = place.lastIndexOf(':');
    const line = place.slice(colon + 1);
    if (colon > 0 && /^\d{1,9}$/.test(line)) {
      return { name: label.slice(0, open), file: place.slice(0, colon), line: Number(line) };
    }
    if (/[\\/.<]/.test(place)) return { name: label.slice(0, open), file: place, line: 0 };
  }
  return { name: label, file: '', line: 0 };
}
