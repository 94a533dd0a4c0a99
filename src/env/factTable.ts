// The comparable facts of many environments as rows: one fact, and what each environment says of it. Nothing
// is judged here but which values are the same one.

import {
  describePython,
  describeVersion,
  isImportant,
  judgeInterpreters,
  judgeMissingInterpreter,
  judgePackage,
  matchPythons,
  sameVersion,
} from './diffPythons.ts';
import {
  differentManagers,
  judgeSystemPackage,
  packagedAgain,
  upstreamOf,
} from './diffSystemPackages.ts';
import { judgeVariable, own, showVariable, withoutOwnPlaces } from './diffVariables.ts';
import type { Comparable, ComparablePython } from './comparable.ts';
import type { ChapterId } from './difference.ts';
import { isRedacted, type EnvValue, type Variables } from './envSnapshot.ts';
import { scalarFacts, type Judgement, type ScalarFact } from './scalarFacts.ts';
import { canonicalPythonVersion, harmlessVariable } from './severity.ts';

/** What one environment says of one fact. */
export type FactCell =
  | {
      readonly kind: 'value';
      readonly text: string;
      /** Equal keys are the same value, although it may be spelled in two ways. */
      readonly key: string;
    }
  /** It was asked for and is not there: not installed, not set. */
  | { readonly kind: 'absent' }
  /** Nobody can tell. */
  | { readonly kind: 'unknown'; readonly why: string };

export interface FactRow {
  readonly path: string;
  readonly chapters: readonly ChapterId[];
  /** One for each environment, in their order. */
  readonly cells: readonly FactCell[];
  /** How much it matters that the environments at these two indexes differ; not called for equal keys. */
  readonly judge: (a: number, b: number) => Judgement;
  /** True when values with different keys may still be as good as the same: the judge says `info`. */
  readonly isTolerant: boolean;
  /** Why two spellings with one key are the same value; undefined where only the key is compared. */
  readonly sameBecause: string | undefined;
  /** Rows of one subject that say the same of every environment are one fact, told in several places. */
  readonly subject?: string;
}

/** An environment, or why there is none: a node that did not answer. */
export type FactColumn = Comparable | { readonly label: string; readonly unavailable: string };

/** In no order that means anything. Time and space are linear in facts times environments. */
export function factRows(columns: readonly FactColumn[]): readonly FactRow[] {
  return [
    ...scalarRows(columns),
    ...variableRows(columns),
    ...pythonRows(columns),
    ...systemPackageRows(columns),
  ];
}

export function isComparable(column: FactColumn): column is Comparable {
  return !('unavailable' in column);
}

const absent: FactCell = { kind: 'absent' };

/** Why this environment says nothing of a fact that belongs to a chapter of the snapshot. */
function whyUnknown(column: FactColumn, chapter: string): FactCell {
  if (!isComparable(column)) return { kind: 'unknown', why: column.unavailable };
  const missing = column.missing.find((each) => each.chapter === chapter);
  return { kind: 'unknown', why: missing?.why ?? 'it does not say' };
}

/** The reasons of each environment, made once a chapter. */
function unknownCells(columns: readonly FactColumn[], chapter: string): readonly FactCell[] {
  return columns.map((column) => whyUnknown(column, chapter));
}

// --- One value each -----------------------------------------------------------------------------------------

/** The chapter of the snapshot that a path comes from, where its first word is not the chapter's name. */
const chapterOfFact: ReadonlyMap<string, string> = new Map([
  ['umask', 'command'],
  ['cwd', 'command'],
]);

function scalarRows(columns: readonly FactColumn[]): FactRow[] {
  const found = new Map<string, (ScalarFact | undefined)[]>();
  columns.forEach((column, at) => {
    if (!isComparable(column)) return;
    for (const fact of scalarFacts(column)) {
      const facts = found.get(fact.path) ?? new Array<ScalarFact | undefined>(columns.length);
      facts[at] = fact;
      found.set(fact.path, facts);
    }
  });
  return [...found].map(([path, facts]) => scalarRow(path, facts, columns));
}

function scalarRow(
  path: string,
  facts: readonly (ScalarFact | undefined)[],
  columns: readonly FactColumn[],
): FactRow {
  const one = facts.find((fact) => fact !== undefined) as ScalarFact;
  const [firstWord = ''] = path.split('.', 1);
  const chapter = chapterOfFact.get(firstWord) ?? firstWord;
  const cells = columns.map((column, at): FactCell => {
    const fact = facts[at];
    if (fact !== undefined) return { kind: 'value', text: fact.text, key: fact.key };
    const wasAsked =
      one.missing !== undefined && isComparable(column) && column[one.missing.of] !== undefined;
    return wasAsked ? absent : whyUnknown(column, chapter);
  });
  return {
    path,
    chapters: one.chapters,
    cells,
    judge: (a, b) => {
      const [x, y] = [facts[a], facts[b]];
      if (x !== undefined && y !== undefined) return x.judge(y);
      return one.missing?.judgement ?? { severity: 'info', weight: 0 };
    },
    isTolerant: true,
    sameBecause: undefined,
  };
}

// --- Variables ----------------------------------------------------------------------------------------------

const places = {
  loginShell: { chapters: ['login'], where: 'a login shell' },
  plainCommand: { chapters: ['command'], where: 'a plain command' },
} as const;
type Place = keyof typeof places;

/** `env.X` where a login shell and a plain command have the same X in every environment, else one row each. */
function variableRows(columns: readonly FactColumn[]): FactRow[] {
  const names = new Set<string>();
  for (const column of columns) {
    if (!isComparable(column)) continue;
    for (const variables of [column.loginShell, column.plainCommand]) {
      for (const name of Object.keys(variables ?? {})) names.add(name);
    }
  }
  const unknown = {
    loginShell: unknownCells(columns, 'env.loginShell'),
    plainCommand: unknownCells(columns, 'env.plainCommand'),
  };
  const keyId = commonest(
    columns.flatMap((column) => (isComparable(column) ? [column.keyId] : [])),
  );
  return [...names].flatMap((name) => {
    const rowOf = (place: Place | undefined): FactRow =>
      variableRow(name, place, columns, keyId, unknown);
    const isOne = columns.every(
      (column) =>
        !isComparable(column) ||
        column.loginShell === undefined ||
        column.plainCommand === undefined ||
        isSameValue(own(column.loginShell, name), own(column.plainCommand, name)),
    );
    return isOne ? [rowOf(undefined)] : [rowOf('loginShell'), rowOf('plainCommand')];
  });
}

function isSameValue(a: EnvValue | undefined, b: EnvValue | undefined): boolean {
  if (a === undefined || b === undefined || !isRedacted(a) || !isRedacted(b)) return a === b;
  return a.hash === b.hash && a.length === b.length;
}

function variableRow(
  name: string,
  place: Place | undefined,
  columns: readonly FactColumn[],
  keyId: string | undefined,
  unknown: Readonly<Record<Place, readonly FactCell[]>>,
): FactRow {
  const variablesOf = (column: Comparable): Variables | undefined =>
    place === undefined ? (column.plainCommand ?? column.loginShell) : column[place];
  const valueOf = (at: number): EnvValue | undefined => {
    const column = columns[at];
    const variables =
      column !== undefined && isComparable(column) ? variablesOf(column) : undefined;
    return variables === undefined ? undefined : own(variables, name);
  };
  const cells = columns.map((column, at): FactCell => {
    const variables = isComparable(column) ? variablesOf(column) : undefined;
    if (!isComparable(column) || variables === undefined) {
      return unknown[place ?? 'plainCommand'][at] as FactCell;
    }
    const value = own(variables, name);
    return value === undefined ? absent : variableCell(value, column, keyId);
  });
  return {
    path: place === undefined ? `env.${name}` : `env.${place}.${name}`,
    chapters: place === undefined ? ['login', 'command'] : places[place].chapters,
    cells,
    judge: (a, b) => {
      const where = place === undefined ? null : `in ${places[place].where}`;
      // Whoever is judged is there: an unknown cell is not.
      const sides = { a: columns[a] as Comparable, b: columns[b] as Comparable };
      return judgeVariable(name, { left: valueOf(a), right: valueOf(b) }, where, sides);
    },
    isTolerant: harmlessVariable(name) !== undefined,
    sameBecause: "differs by the node's own name or home directory alone",
  };
}

/**
 * Masked values are told apart by hash under one key: what another key made is unknown. One that is masked
 * here and plain there differs, as what gives a secret away is its name and its look alone.
 */
function variableCell(value: EnvValue, column: Comparable, keyId: string | undefined): FactCell {
  const text = showVariable(value) ?? '';
  if (!isRedacted(value)) {
    return { kind: 'value', text, key: `=${withoutOwnPlaces(value, column)}` };
  }
  return column.keyId === keyId
    ? { kind: 'value', text, key: `#${value.length} ${value.hash}` }
    : { kind: 'unknown', why: 'masked with another key, so nobody can tell' };
}

function commonest(values: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0];
}

// --- Python -------------------------------------------------------------------------------------------------

/** One interpreter as the environments have it: at the index of each. */
type Cluster = (ComparablePython | undefined)[];

/** Matched one environment after the other with those before it, as `comparePythons` matches two. */
function clusterPythons(columns: readonly FactColumn[]): readonly Cluster[] {
  const clusters: Cluster[] = [];
  const clusterOf = new Map<ComparablePython, Cluster>();
  columns.forEach((column, at) => {
    const pythons = isComparable(column) ? (column.pythons ?? []) : [];
    const { matches, onlyB } = matchPythons([...clusterOf.keys()], pythons);
    for (const { a, b } of matches) (clusterOf.get(a) as Cluster)[at] = b;
    for (const python of onlyB) {
      const cluster: Cluster = new Array<ComparablePython | undefined>(columns.length);
      cluster[at] = python;
      clusters.push(cluster);
      clusterOf.set(python, cluster);
    }
  });
  return clusters;
}

function pythonRows(columns: readonly FactColumn[]): FactRow[] {
  const unknown = unknownCells(columns, 'pythons');
  const versions = new Map<string, string>();
  return clusterPythons(columns).flatMap((cluster) =>
    interpreterRows(cluster, columns, unknown, versions),
  );
}

/** `versions` remembers the canonical form of those already seen. */
function interpreterRows(
  cluster: Cluster,
  columns: readonly FactColumn[],
  unknown: readonly FactCell[],
  versions: Map<string, string>,
): FactRow[] {
  const first = cluster.find((python) => python !== undefined) as ComparablePython;
  const { prefix } = first;
  const hasNone: FactCell = { kind: 'unknown', why: 'it has no such interpreter' };
  const knowsAll = (column: FactColumn): boolean =>
    isComparable(column) && column.pythons !== undefined && column.hasAllPythons === true;
  const cellsOf = (
    tell: (python: ComparablePython) => FactCell,
    without: FactCell,
  ): readonly FactCell[] =>
    columns.map((column, at): FactCell => {
      const python = cluster[at];
      if (python !== undefined) return tell(python);
      return knowsAll(column) ? without : (unknown[at] as FactCell);
    });
  const pythonAt = (at: number): ComparablePython => cluster[at] ?? first;
  const shared = { chapters: ['python'] as const, sameBecause: sameVersion };
  const names = new Set(cluster.flatMap((python) => Object.keys(python?.packages ?? {})));
  return [
    {
      ...shared,
      path: `python.${prefix}`,
      cells: cellsOf(
        (python) => ({ kind: 'value', text: describePython(python), key: 'there' }),
        absent,
      ),
      judge: (a, b) => judgeMissingInterpreter((cluster[a] ?? cluster[b]) as ComparablePython),
      isTolerant: false,
      // Its version and its packages are rows of their own.
      sameBecause: undefined,
    },
    {
      ...shared,
      path: `python.${prefix}.version`,
      cells: cellsOf((python) => {
        const text = describeVersion(python);
        return { kind: 'value', text, key: text };
      }, hasNone),
      judge: (a, b) => judgeInterpreters(pythonAt(a), pythonAt(b)),
      isTolerant: true,
    },
    ...[...names].map((name): FactRow => {
      const versionOf = ({ packages }: ComparablePython): string | null =>
        Object.hasOwn(packages, name) ? (packages[name] ?? null) : null;
      return {
        ...shared,
        path: `packages.${prefix}.${name}`,
        cells: cellsOf((python) => {
          const text = versionOf(python);
          return text === null
            ? absent
            : { kind: 'value', text, key: remember(versions, text, canonicalPythonVersion) };
        }, hasNone),
        judge: (a, b) => {
          const [x, y] = [pythonAt(a), pythonAt(b)];
          return judgePackage(name, versionOf(x), versionOf(y), isImportant(x) || isImportant(y));
        },
        isTolerant: false,
        subject: `package ${name}`,
      };
    }),
  ];
}

/** Versions are as many as packages, and most environments have the same ones. */
function remember(
  known: Map<string, string>,
  text: string,
  make: (text: string) => string,
): string {
  const made = known.get(text) ?? make(text);
  known.set(text, made);
  return made;
}

// --- System packages ----------------------------------------------------------------------------------------

function systemPackageRows(columns: readonly FactColumn[]): FactRow[] {
  const packagesOf = columns.map((column) =>
    isComparable(column) ? column.systemPackages : undefined,
  );
  const manager = commonest(packagesOf.flatMap((of) => (of === undefined ? [] : [of.manager])));
  if (manager === undefined) return [];
  const unknown = unknownCells(columns, 'systemPackages').map((cell, at): FactCell => {
    const other = packagesOf[at]?.manager;
    return other === undefined || other === manager
      ? cell
      : { kind: 'unknown', why: differentManagers(manager, other) };
  });
  const comparable = packagesOf.map((of) => (of?.manager === manager ? of.packages : undefined));
  const names = new Set(comparable.flatMap((packages) => Object.keys(packages ?? {})));
  const upstreams = new Map<string, string>();
  return [...names].map((name): FactRow => {
    const versionAt = (at: number): string | null => {
      const packages = comparable[at];
      return packages !== undefined && Object.hasOwn(packages, name)
        ? (packages[name] ?? null)
        : null;
    };
    return {
      path: `systemPackages.${name}`,
      chapters: ['packages'],
      cells: comparable.map((packages, at): FactCell => {
        if (packages === undefined) return unknown[at] as FactCell;
        const text = versionAt(at);
        return text === null
          ? absent
          : { kind: 'value', text, key: remember(upstreams, text, upstreamOf) };
      }),
      judge: (a, b) => judgeSystemPackage(name, versionAt(a), versionAt(b)),
      isTolerant: false,
      sameBecause: packagedAgain,
    };
  });
}
