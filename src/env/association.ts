// Which differing fact goes with the failing nodes. Fleets are small and facts are many, so something always
// splits the nodes as the failures do by chance: this says nothing where chance is a good enough reason.
//
// The test is Fisher's exact one, two-sided: it is not said beforehand which side of a split fails, so both
// directions count; as in R's fisher.test, p is the sum over all tables as probable as the one seen or less
// (A. Agresti, A Survey of Exact Inference for Contingency Tables, Statistical Science 7 (1992), 131–153).
// The correction is Holm's step-down (S. Holm, Scandinavian Journal of Statistics 6 (1979), 65–70), which holds
// however the facts hang together, and they do: packages are installed together. It bounds the chance of even
// one wrong suspect, as each costs somebody an afternoon; Benjamini and Hochberg's bounds their share, which
// means little when one to three are told, and holds only under kinds of dependence that nobody checks here.
// Splits that could not reach the level whatever had failed are not tested and not counted (R. E. Tarone,
// Biometrics 46 (1990), 515–522): that is known from how many nodes are on which side, before looking who failed.

import type { EnvMatrix, MatrixRow } from './matrix.ts';
import type { Severity } from './severity.ts';

export interface AssociatedFact {
  readonly path: string;
  /** The value that goes with the failures; null is "not there". */
  readonly text: string | null;
  readonly severity: Severity;
}

/** Facts that split the nodes in one way, and how the failures lie in it. */
export interface Association {
  /** The likeliest trouble first: nothing here can tell them apart. */
  readonly facts: readonly AssociatedFact[];
  /** Of the failing nodes that could be checked, how many have the values. */
  readonly failing: { readonly having: number; readonly of: number };
  readonly passing: { readonly having: number; readonly of: number };
  /** That chance alone splits them at least as unevenly. */
  readonly p: number;
  /** The same, for all the splits that were tested together. */
  readonly adjustedP: number;
}

export interface AssociationReport {
  readonly failing: readonly string[];
  readonly passing: readonly string[];
  /** Those that chance does not explain, the surest first. */
  readonly associations: readonly Association[];
  /**
   * On every failing node and on no passing one, but with too few nodes to exclude chance: facts to look at, no
   * claim. `adjustedP` is 1 for one that was not tested.
   */
  readonly unproven: readonly Association[];
  /** Why nothing can be told whatever the facts are; undefined when something could. */
  readonly silentBecause: string | undefined;
  /** Splits that were tested. */
  readonly testedCount: number;
}

export interface AssociationOptions {
  /** The chance of even one wrong suspect that is taken. Default 0.05. */
  readonly level?: number;
}

/**
 * With fewer that could be checked nothing is tested: one failing node shares everything odd about it with its
 * failure, and nothing says which of that matters.
 */
export const minFailingNodes = 2;
/** Fewer passing nodes make no contrast. */
export const minPassingNodes = 2;

/** `failing` are names of nodes of the matrix; the others that answered passed. */
export function associate(
  matrix: EnvMatrix,
  failing: ReadonlySet<string>,
  { level = 0.05 }: AssociationOptions = {},
): AssociationReport {
  const answered = matrix.nodes.map(({ missing }) => missing === undefined);
  const sides = matrix.nodes.map(({ name }, at): Side =>
    answered[at] === true ? (failing.has(name) ? 'failing' : 'passing') : 'neither',
  );
  const namesOf = (side: Side): readonly string[] =>
    matrix.nodes.flatMap(({ name }, at) => (sides[at] === side ? [name] : []));
  const [failingNames, passingNames] = [namesOf('failing'), namesOf('passing')];
  const splits = groupSplits(matrix.rows, sides);
  const tested = testable(splits, level);
  const adjusted = holm(tested.map(({ p }) => p));
  const adjustedOf = new Map(tested.map((split, at) => [split, adjusted[at] as number]));
  const told = splits
    .map((split) => describeSplit(split, adjustedOf.get(split) ?? 1))
    .filter(({ failing, passing }) => failing.having * passing.of > passing.having * failing.of)
    .sort(compareAssociations);
  const isProven = ({ adjustedP }: Association): boolean => adjustedP <= level;
  return {
    failing: failingNames,
    passing: passingNames,
    associations: told.filter(isProven),
    unproven: told.filter((each) => !isProven(each) && isPerfect(each)),
    silentBecause: whySilent(failingNames.length, passingNames.length, level),
    testedCount: tested.length,
  };
}

type Side = 'failing' | 'passing' | 'neither';

function isPerfect({ failing, passing }: Pick<Association, 'failing' | 'passing'>): boolean {
  return failing.having === failing.of && passing.having === 0 && passing.of > 0;
}

function whySilent(failing: number, passing: number, level: number): string | undefined {
  if (failing === 0 || passing === 0) {
    return `there are no ${failing === 0 ? 'failing' : 'passing'} nodes to compare with`;
  }
  if (failing < minFailingNodes) return 'one failing node shares everything odd about it';
  if (passing < minPassingNodes) return 'one passing node is too little to compare with';
  const best = fisherExact({ a: failing, b: 0, c: 0, d: passing });
  if (best <= level) return undefined;
  const often = Math.round(1 / best);
  return `with ${failing} failing and ${passing} passing nodes even a perfect match is chance in 1 of ${often} cases`;
}

// --- Splits -------------------------------------------------------------------------------------------------

/** A value against all others, over the nodes that could be checked. */
interface Split {
  /** In the order of the matrix, which is that of likely trouble. */
  readonly facts: readonly AssociatedFact[];
  readonly table: Table;
  readonly p: number;
  readonly smallestP: number;
}

/** Rows: failing, passing. Columns: with the value, without. */
export interface Table {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

/**
 * One split for all facts that part the nodes alike. Of a fact with two values both sides are the same split;
 * it is told by the value that the failing nodes have more of.
 */
function groupSplits(rows: readonly MatrixRow[], sides: readonly Side[]): readonly Split[] {
  const groups = new Map<string, { table: Table; facts: AssociatedFact[] }>();
  for (const { path, severity, values, cells } of rows) {
    const tables = tablesOf(cells, values.length, sides);
    values.forEach(({ text }, value) => {
      const table = tables[value] as Table;
      if (!isSupported(table) && !isPerfect(sidesOf(table))) return;
      // Both values of two would be told twice: the one that fails more often stands for both.
      if (values.length === 2 && !isRaised(table) && !(value === 0 && isEven(table))) return;
      const key = cells
        .map((cell, at) => (sides[at] === 'neither' || cell < 0 ? '-' : cell === value ? '1' : '0'))
        .join('');
      const group = groups.get(key);
      const fact = { path, text, severity };
      if (group === undefined) groups.set(key, { table, facts: [fact] });
      else group.facts.push(fact);
    });
  }
  return [...groups.values()].map(({ table, facts }) => ({
    facts,
    table,
    p: fisherExact(table),
    smallestP: smallestP(table),
  }));
}

/** Each value of a fact against its others. */
function tablesOf(
  cells: readonly number[],
  valueCount: number,
  sides: readonly Side[],
): readonly Table[] {
  const having = {
    failing: new Array<number>(valueCount).fill(0),
    passing: new Array<number>(valueCount).fill(0),
  };
  const of = { failing: 0, passing: 0 };
  cells.forEach((value, at) => {
    const side = sides[at];
    if (value < 0 || side === undefined || side === 'neither') return;
    having[side][value] = (having[side][value] as number) + 1;
    of[side]++;
  });
  return having.failing.map((a, value) => {
    const c = having.passing[value] as number;
    return { a, b: of.failing - a, c, d: of.passing - c };
  });
}

/** By the margins alone: how many nodes are on which side and have the value, not which of them fail. */
function isSupported({ a, b, c, d }: Table): boolean {
  const isCommon = a + c >= minFailingNodes && b + d >= 1;
  return a + b >= minFailingNodes && c + d >= minPassingNodes && isCommon;
}

function isRaised({ a, b, c, d }: Table): boolean {
  return a * d > b * c;
}

function isEven({ a, b, c, d }: Table): boolean {
  return a * d === b * c;
}

function describeSplit({ facts, table, p }: Split, adjustedP: number): Association {
  return { facts, ...sidesOf(table), p, adjustedP };
}

function sidesOf({ a, b, c, d }: Table): Pick<Association, 'failing' | 'passing'> {
  return { failing: { having: a, of: a + b }, passing: { having: c, of: c + d } };
}

function compareAssociations(x: Association, y: Association): number {
  return x.adjustedP - y.adjustedP || x.p - y.p;
}

/**
 * The splits that have a minimum of support and could reach the level, by Tarone's rule: the smallest k such that
 * at most k splits can have a p of level/k. Only how many nodes stand where decides, so Holm's bound holds for
 * these alone.
 */
function testable(splits: readonly Split[], level: number): readonly Split[] {
  const supported = splits.filter(({ table }) => isSupported(table));
  for (let k = 1; ; k++) {
    const able = supported.filter((split) => split.smallestP <= level / k);
    if (able.length <= k) return able;
  }
}

/** p-values adjusted by Holm's step-down, in the order they came in. */
export function holm(ps: readonly number[]): readonly number[] {
  const order = ps.map((_, at) => at).sort((x, y) => (ps[x] as number) - (ps[y] as number));
  const adjusted = new Array<number>(ps.length);
  let largest = 0;
  order.forEach((at, rank) => {
    largest = Math.max(largest, Math.min(1, (ps[at] as number) * (ps.length - rank)));
    adjusted[at] = largest;
  });
  return adjusted;
}

// --- Fisher's exact test ------------------------------------------------------------------------------------

/** Tables as probable as the seen one up to rounding are as probable: R's own margin. */
const tieMargin = 1 + 1e-7;

/** Two-sided p of a two-by-two table. 1 when a row or a column is empty. */
export function fisherExact(table: Table): number {
  const { logs, seen } = tableLogs(table);
  const limit = (logs[seen] as number) + Math.log(tieMargin);
  return sumOf(logs.filter((log) => log <= limit));
}

/** The smallest p that any table with these margins has. */
function smallestP(table: Table): number {
  const { logs } = tableLogs(table);
  const least = Math.min(logs[0] as number, logs.at(-1) as number);
  return sumOf(logs.filter((log) => log <= least + Math.log(tieMargin)));
}

function sumOf(logs: readonly number[]): number {
  return Math.min(
    1,
    logs.reduce((sum, log) => sum + Math.exp(log), 0),
  );
}

/** Logarithms of the probabilities of all tables with these margins, and which of them was seen. */
function tableLogs({ a, b, c, d }: Table): {
  readonly logs: readonly number[];
  readonly seen: number;
} {
  const [failing, passing, having] = [a + b, c + d, a + c];
  const total = failing + passing;
  const from = Math.max(0, having - passing);
  const to = Math.min(failing, having);
  const all = logChoose(total, having);
  const logs = Array.from(
    { length: to - from + 1 },
    (_, at) => logChoose(failing, from + at) + logChoose(passing, having - from - at) - all,
  );
  return { logs, seen: a - from };
}

/** Logarithms of n!, made as far as they were asked for. */
const logFactorials: number[] = [0];

function logFactorial(n: number): number {
  for (let at = logFactorials.length; at <= n; at++) {
    logFactorials.push((logFactorials[at - 1] as number) + Math.log(at));
  }
  return logFactorials[n] as number;
}

function logChoose(n: number, k: number): number {
  return logFactorial(n) - logFactorial(k) - logFactorial(n - k);
}

// --- In words -----------------------------------------------------------------------------------------------

/** `numpy 1.24 on 3 of 3 failing, 0 of 9 passing nodes`. What comes from a node is in it as it is. */
export function describeAssociation({ facts, failing, passing }: Association): string {
  const [first, ...others] = facts;
  const name = first === undefined ? '' : describeFact(first.path, first.text);
  const also =
    others.length === 0
      ? ''
      : others.length < 3
        ? `, and alike ${others.map(({ path, text }) => describeFact(path, text)).join(', ')}`
        : `, and ${others.length} facts alike`;
  return (
    `${name} on ${failing.having} of ${failing.of} failing, ` +
    `${passing.having} of ${passing.of} passing nodes${also}`
  );
}

/** A fact with a value as people say it: `numpy 1.24`, `TARIFF_REGION not set`, `umask 0077`. */
export function describeFact(path: string, text: string | null): string {
  const variable = /^env\.(?:(?:loginShell|plainCommand|process)\.)?(.+)$/s.exec(path)?.[1];
  if (variable !== undefined) return text === null ? `${variable} not set` : `${variable}=${text}`;
  const name = factName(path);
  return text === null ? `no ${name}` : `${name} ${text}`;
}

function factName(path: string): string {
  // Names of distributions are normalised: no dot is in them.
  if (path.startsWith('packages.')) return path.slice(path.lastIndexOf('.') + 1);
  if (path.startsWith('systemPackages.')) return path.slice('systemPackages.'.length);
  if (path.startsWith('python.')) return `Python ${path.slice('python.'.length)}`;
  return path;
}
