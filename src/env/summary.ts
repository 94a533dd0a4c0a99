// Two environments as texts that belong side by side: a summary whose lines name the same fact on both sides,
// so that a text diff marks just the values, and the chapters that differ.

import { canonicalChapters, chapterIds, showText, type ChapterText } from './canonical.ts';
import type { EnvComparison } from './diff.ts';
import type { ChapterId, EnvDifference } from './difference.ts';
import type { EnvSnapshot } from './envSnapshot.ts';
import { severities } from './severity.ts';

export interface SummaryTexts {
  readonly a: string;
  readonly b: string;
}

const valueLength = 200;

export function summaryTexts(comparison: EnvComparison): SummaryTexts {
  return { a: sideText(comparison, 'a'), b: sideText(comparison, 'b') };
}

/** `3 differences: 1 high, 2 low`, or that there are none. */
export function countDifferences({ differences }: EnvComparison): string {
  if (differences.length === 0) return 'no differences';
  const counts = severities.flatMap((severity) => {
    const count = differences.filter((difference) => difference.severity === severity).length;
    return count === 0 ? [] : [`${count} ${severity}`];
  });
  const word = differences.length === 1 ? 'difference' : 'differences';
  return `${differences.length} ${word}: ${counts.join(', ')}`;
}

function sideText(comparison: EnvComparison, side: 'a' | 'b'): string {
  const { differences, folded, uncompared } = comparison;
  const lines = [
    countDifferences(comparison),
    '',
    ...differences.flatMap((difference) => [
      `${difference.severity.padEnd(6)}  ${showText(difference.path)} = ${valueOf(difference, side)}`,
      ...(difference.note === null ? [] : [`        ${cut(showText(difference.note))}`]),
    ]),
    ...block(`Folded, as they do not matter (${folded.length})`, folded, ({ path, note }) => [
      path,
      note ?? '',
    ]),
    ...block(`Not compared (${uncompared.length})`, uncompared, ({ path, why }) => [path, why]),
  ];
  return `${lines.join('\n')}\n`;
}

function valueOf(difference: EnvDifference, side: 'a' | 'b'): string {
  const value = difference[side];
  return value === null ? '(not there)' : cut(showText(value));
}

function cut(text: string): string {
  return text.length > valueLength ? `${text.slice(0, valueLength)}…` : text;
}

/** The same on both sides: a diff view hides it until somebody asks. */
function block<T>(
  title: string,
  items: readonly T[],
  describe: (item: T) => readonly [string, string],
): string[] {
  if (items.length === 0) return [];
  const lines = items
    .map(describe)
    .map(([path, why]) => `        ${showText(path)}: ${cut(showText(why))}`);
  return ['', title, ...lines];
}

/**
 * The chapters that differ, worst first: [a's, b's]. One whose facts differ harmlessly alone is left out; one
 * that a side could not be asked for is in.
 */
export function differingChapters(
  a: EnvSnapshot,
  b: EnvSnapshot,
  { differences, folded }: EnvComparison,
): readonly (readonly [ChapterText, ChapterText])[] {
  const options = { foldHarmless: true };
  const right = new Map(canonicalChapters(b, options).map((chapter) => [chapter.id, chapter]));
  const isIn =
    (id: ChapterId) =>
    ({ chapters }: EnvDifference): boolean =>
      chapters.includes(id);
  const rankOf = (id: ChapterId): number => {
    const worst = differences.find(isIn(id));
    return worst === undefined ? severities.length : severities.indexOf(worst.severity);
  };
  return canonicalChapters(a, options)
    .flatMap((chapter): [ChapterText, ChapterText][] => {
      const other = right.get(chapter.id);
      if (other === undefined || other.text === chapter.text) return [];
      const isHarmless = !differences.some(isIn(chapter.id)) && folded.some(isIn(chapter.id));
      return isHarmless ? [] : [[chapter, other]];
    })
    .sort(
      ([x], [y]) =>
        rankOf(x.id) - rankOf(y.id) || chapterIds.indexOf(x.id) - chapterIds.indexOf(y.id),
    );
}
