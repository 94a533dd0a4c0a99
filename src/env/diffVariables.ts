// Which variables differ. An environment exists several times on a node (login shell, plain command,
// process); a variable that differs the same way in all of them is one difference.

import { encodeText } from '../remote/command.ts';
import type { Comparable } from './comparable.ts';
import type { ChapterId, Findings, RankedDifference, Uncompared } from './difference.ts';
import { isRedacted, type EnvValue, type Variables } from './envSnapshot.ts';
import { describeRedacted } from './redact.ts';
import type { Judgement } from './scalarFacts.ts';
import { harmlessVariable, variableSeverity, type Severity } from './severity.ts';

interface Pair {
  readonly name: 'loginShell' | 'plainCommand' | 'process';
  readonly chapters: readonly ChapterId[];
  /** In words, after "in". */
  readonly where: string;
  readonly a: Variables;
  readonly b: Variables;
}

export function compareVariables(a: Comparable, b: Comparable): Findings {
  const pairs = pairUp(a, b);
  const names = new Set(pairs.flatMap((pair) => [...Object.keys(pair.a), ...Object.keys(pair.b)]));
  const sides = { a, b, canCompareHashes: a.keyId === b.keyId };
  const found = [...names].map((name) => compareVariable(name, pairs, sides));
  return {
    differences: found.flatMap(({ differences }) => differences),
    uncompared: found.flatMap(({ uncompared }) => uncompared ?? []),
  };
}

function pairUp(a: Comparable, b: Comparable): readonly Pair[] {
  const pairs: Pair[] = [];
  const add = (pair: Omit<Pair, 'a' | 'b'>, left?: Variables, right?: Variables): void => {
    if (left !== undefined && right !== undefined) pairs.push({ ...pair, a: left, b: right });
  };
  add(
    { name: 'loginShell', chapters: ['login'], where: 'a login shell' },
    a.loginShell,
    b.loginShell,
  );
  add(
    { name: 'plainCommand', chapters: ['command'], where: 'a plain command' },
    a.plainCommand,
    b.plainCommand,
  );
  const process = { name: 'process', chapters: ['command'], where: 'the process' } as const;
  if (a.process !== undefined) add(process, a.process, b.process ?? b.plainCommand);
  else if (b.process !== undefined) add(process, a.plainCommand, b.process);
  return pairs;
}

interface Sides {
  readonly a: Comparable;
  readonly b: Comparable;
  readonly canCompareHashes: boolean;
}

function compareVariable(name: string, pairs: readonly Pair[], sides: Sides): Findings {
  const verdicts = pairs.map((pair) => {
    const [left, right] = [own(pair.a, name), own(pair.b, name)];
    return { pair, left, right, equality: compareValues(left, right, sides.canCompareHashes) };
  });
  const differing = verdicts.filter(({ equality }) => equality === 'different');
  const unknown = verdicts.filter(({ equality }) => equality === 'unknown');
  const uncompared: Uncompared[] =
    unknown.length === 0
      ? []
      : [{ path: `env.${name}`, why: 'masked with different keys, so nobody can tell' }];
  const [first, ...others] = differing;
  if (first === undefined) return { differences: [], uncompared };
  const isSameEverywhere =
    differing.length === verdicts.length &&
    others.every(
      ({ left, right }) =>
        showVariable(left) === showVariable(first.left) &&
        showVariable(right) === showVariable(first.right),
    );
  if (isSameEverywhere) {
    const chapters = differing.flatMap(({ pair }) => pair.chapters);
    return { differences: [judge(`env.${name}`, name, first, chapters, null, sides)], uncompared };
  }
  return {
    differences: differing.map((verdict) => {
      const { pair } = verdict;
      const where = others.length === 0 ? `only in ${pair.where}` : `in ${pair.where}`;
      return judge(`env.${pair.name}.${name}`, name, verdict, pair.chapters, where, sides);
    }),
    uncompared,
  };
}

export function own(variables: Variables, name: string): EnvValue | undefined {
  return Object.hasOwn(variables, name) ? variables[name] : undefined;
}

/** Masked values are told apart by hash under one key, else by their length alone. */
function compareValues(
  a: EnvValue | undefined,
  b: EnvValue | undefined,
  canCompareHashes: boolean,
): 'same' | 'different' | 'unknown' {
  if (a === undefined || b === undefined) return a === b ? 'same' : 'different';
  if (!isRedacted(a) && !isRedacted(b)) return a === b ? 'same' : 'different';
  if (lengthOf(a) !== lengthOf(b)) return 'different';
  if (!isRedacted(a) || !isRedacted(b) || !canCompareHashes) return 'unknown';
  return a.hash === b.hash ? 'same' : 'different';
}

function lengthOf(value: EnvValue): number {
  return isRedacted(value) ? value.length : encodeText(value).length;
}

export function showVariable(value: EnvValue | undefined): string | null {
  if (value === undefined) return null;
  return isRedacted(value) ? describeRedacted(value) : value;
}

interface TwoValues {
  readonly left: EnvValue | undefined;
  readonly right: EnvValue | undefined;
}

function judge(
  path: string,
  name: string,
  values: TwoValues,
  chapters: readonly ChapterId[],
  where: string | null,
  sides: Sides,
): RankedDifference {
  const { severity, weight, note } = judgeVariable(name, values, where, sides);
  const [a, b] = [showVariable(values.left), showVariable(values.right)];
  return { path, chapters, a, b, severity, weight, note: note ?? null };
}

/** Of a variable with two values, undefined where it is not set. `where`: in which environment, in words. */
export function judgeVariable(
  name: string,
  { left, right }: TwoValues,
  where: string | null,
  sides: Pick<Sides, 'a' | 'b'>,
): Judgement {
  const [a, b] = [showVariable(left), showVariable(right)];
  const harmless = harmlessVariable(name) ?? harmlessValue(left, right, sides);
  const severity = harmless === undefined ? variableSeverity(name, a, b) : 'info';
  const notes = [harmless, where, ...valueNotes(name, left, right, sides)];
  const note = notes.filter((text) => text != null).join('; ');
  return {
    severity,
    weight: weightOf(name, severity, a === null || b === null),
    note: note === '' ? undefined : note,
  };
}

function weightOf(name: string, severity: Severity, isMissing: boolean): number {
  if (severity === 'high') return isMissing ? 84 : 81;
  if (name === 'PATH') return 68;
  return isMissing ? 56 : 52;
}

/** `http://work-1:8000` and `http://work-2:8000` on work-1 and work-2 say the same. */
function harmlessValue(
  a: EnvValue | undefined,
  b: EnvValue | undefined,
  sides: Pick<Sides, 'a' | 'b'>,
): string | undefined {
  if (typeof a !== 'string' || typeof b !== 'string') return undefined;
  const [left, right] = [withoutOwnName(a, sides.a), withoutOwnName(b, sides.b)];
  if (left === right) return "differs by the node's own name alone";
  return withoutHome(left, sides.a) === withoutHome(right, sides.b)
    ? 'differs by the home directory alone'
    : undefined;
}

/** Shorter names occur in ordinary words. */
const minNameLength = 3;

/** The value with the node's own names, and then its home directory, taken out. */
export function withoutOwnPlaces(value: string, of: Comparable): string {
  return withoutHome(withoutOwnName(value, of), of);
}

function withoutOwnName(value: string, { label, os }: Comparable): string {
  return [label, os?.hostname ?? '']
    .filter((name) => name.length >= minNameLength)
    .sort((x, y) => y.length - x.length)
    .reduce((text, name) => text.replaceAll(name, '\u0000name'), value);
}

function withoutHome(value: string, { user }: Comparable): string {
  const home = user?.home ?? '';
  // HOME itself is told as a difference of its own.
  return home.length < minNameLength || value === home
    ? value
    : value.replaceAll(home, '\u0000home');
}

function valueNotes(
  name: string,
  a: EnvValue | undefined,
  b: EnvValue | undefined,
  sides: Pick<Sides, 'a' | 'b'>,
): readonly string[] {
  if (a === undefined || b === undefined) return [];
  if (isRedacted(a) || isRedacted(b)) return ['a secret: its value is not shown'];
  return name === 'PATH' || name.endsWith('PATH') ? [describePaths(a, b, sides)] : [];
}

/** How two lists of directories differ: what only one has, else the order. */
function describePaths(a: string, b: string, sides: Pick<Sides, 'a' | 'b'>): string {
  const [left, right] = [a.split(':'), b.split(':')];
  const only = (these: readonly string[], those: readonly string[]): string =>
    [...new Set(these)].filter((entry) => !those.includes(entry)).join(', ');
  const [onlyA, onlyB] = [only(left, right), only(right, left)];
  if (onlyA === '' && onlyB === '') return 'the same entries in another order';
  return [
    onlyA === '' ? '' : `only on ${sides.a.label}: ${onlyA}`,
    onlyB === '' ? '' : `only on ${sides.b.label}: ${onlyB}`,
  ]
    .filter((text) => text !== '')
    .join('; ');
}
