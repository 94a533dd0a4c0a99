// Which Python interpreters and packages differ. Interpreters are matched by the variable that names their
// place, by the place, then by what they are for: /srv/shop/venv here and /opt/shop/venv there are both
// the shop's.

import type { Comparable, ComparablePython } from './comparable.ts';
import type { Findings, RankedDifference } from './difference.ts';
import type { Judgement } from './scalarFacts.ts';
import {
  compareSeverity,
  interpreterSeverity,
  lessSevere,
  packageSeverity,
  type Severity,
} from './severity.ts';

interface Match {
  readonly a: ComparablePython;
  readonly b: ComparablePython;
}

export function comparePythons(left: Comparable, right: Comparable): Findings {
  if (left.pythons === undefined || right.pythons === undefined) return { differences: [] };
  const { matches, onlyA, onlyB } = matchPythons(left.pythons, right.pythons);
  const missing = [
    ...(right.hasAllPythons === true ? onlyA.map((python) => onOneSide(python, 'a')) : []),
    ...(left.hasAllPythons === true ? onlyB.map((python) => onOneSide(python, 'b')) : []),
  ];
  return {
    differences: [
      ...matches.flatMap(compareVersions),
      ...missing,
      ...joinEqual(matches.flatMap(comparePackages)),
    ],
  };
}

interface Matching {
  readonly matches: readonly Match[];
  readonly onlyA: readonly ComparablePython[];
  readonly onlyB: readonly ComparablePython[];
}

type Key = (python: ComparablePython) => string;

/** The surest first; '' matches nothing. */
const placeKeys: readonly Key[] = [
  ({ foundBy }) => foundBy?.find((how) => how.startsWith('$')) ?? '',
  ({ prefix, version }) => (prefix === '' ? '' : `${prefix} ${minorOf(version)}`),
  ({ prefix }) => prefix,
  ({ executable }) => executable,
];

export function matchPythons(
  a: readonly ComparablePython[],
  b: readonly ComparablePython[],
): Matching {
  const byPlace = placeKeys.reduce<Matching>(
    (matching, key) => matchBy(key, matching, (_, others) => others[0]),
    { matches: [], onlyA: a, onlyB: b },
  );
  // One whose place is taken on the other node as well is not missing there, although that one was
  // matched with another.
  const isElsewhere = (python: ComparablePython, others: readonly ComparablePython[]): boolean =>
    !others.some(({ prefix }) => prefix === python.prefix);
  return matchBy(
    roleOf,
    {
      matches: byPlace.matches,
      onlyA: byPlace.onlyA.filter((python) => isElsewhere(python, b)),
      onlyB: byPlace.onlyB.filter((python) => isElsewhere(python, a)),
    },
    // A role that several have tells nothing.
    (same, others) => (same.length === 1 && others.length === 1 ? others[0] : undefined),
  );
}

/** Matches what is left by one key; `choose` picks among those of the same key on both sides. */
function matchBy(
  key: Key,
  { matches, onlyA, onlyB }: Matching,
  choose: (
    same: readonly ComparablePython[],
    others: readonly ComparablePython[],
  ) => ComparablePython | undefined,
): Matching {
  const taken = new Set<ComparablePython>();
  const found = onlyA.flatMap((python): Match[] => {
    const wanted = key(python);
    if (wanted === '') return [];
    const same = onlyA.filter((other) => key(other) === wanted);
    const others = onlyB.filter((other) => key(other) === wanted && !taken.has(other));
    const other = choose(same, others);
    if (other === undefined) return [];
    taken.add(python).add(other);
    return [{ a: python, b: other }];
  });
  return {
    matches: [...matches, ...found],
    onlyA: onlyA.filter((python) => !taken.has(python)),
    onlyB: onlyB.filter((python) => !taken.has(python)),
  };
}

/** What an interpreter is for, wherever it lies; '' when its place does not tell. */
function roleOf({ isVenv, prefix }: ComparablePython): string {
  if (!isVenv) return '';
  const [parent = '', name = ''] = prefix.split('/').slice(-2);
  return `${parent}/${name}`;
}

function minorOf(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}

/** A program runs with it, or it was made for one program. */
export function isImportant({ isVenv, isInUse }: ComparablePython): boolean {
  return isVenv || isInUse === true;
}

function elsewhere({ a, b }: Match): string | null {
  return a.prefix === b.prefix ? null : `compared with ${b.prefix}`;
}

function onOneSide(python: ComparablePython, side: 'a' | 'b'): RankedDifference {
  const text = describePython(python);
  return {
    path: `python.${python.prefix}`,
    chapters: ['python'],
    a: side === 'a' ? text : null,
    b: side === 'b' ? text : null,
    ...judgeMissingInterpreter(python),
    note: null,
  };
}

export function describePython(python: ComparablePython): string {
  const count = Object.keys(python.packages).length;
  return `${describeVersion(python)}, ${count} ${count === 1 ? 'package' : 'packages'}`;
}

/** Of an interpreter that another environment does not have. */
export function judgeMissingInterpreter(python: ComparablePython): Judgement {
  return {
    severity: isImportant(python) ? 'high' : python.prefix === '/usr' ? 'medium' : 'low',
    weight: isImportant(python) ? 70 : 32,
  };
}

export function describeVersion({ implementation, version }: ComparablePython): string {
  return implementation === 'cpython' ? version : `${implementation} ${version}`;
}

function compareVersions(match: Match): RankedDifference[] {
  const { a, b } = match;
  const [left, right] = [describeVersion(a), describeVersion(b)];
  if (left === right) return [];
  return [
    {
      path: `python.${a.prefix}.version`,
      chapters: ['python'],
      a: left,
      b: right,
      ...judgeInterpreters(a, b),
      note: elsewhere(match),
    },
  ];
}

export function judgeInterpreters(a: ComparablePython, b: ComparablePython): Judgement {
  const severity =
    a.implementation === b.implementation ? interpreterSeverity(a.version, b.version) : 'high';
  const isUsed = isImportant(a) || isImportant(b);
  return { severity: isUsed ? severity : lessSevere(severity), weight: 100 };
}

/** They install packages; programs do not import them. */
const tools = new Set(['pip', 'setuptools', 'wheel', 'virtualenv', 'pipx', 'poetry', 'uv']);

const weights: Readonly<Record<Severity, number>> = { high: 83, medium: 60, low: 30, info: 0 };

interface PackageDifference extends RankedDifference {
  readonly name: string;
  readonly prefix: string;
}

function comparePackages(match: Match): PackageDifference[] {
  const { a, b } = match;
  const left = new Map(Object.entries(a.packages));
  const right = new Map(Object.entries(b.packages));
  return [...new Set([...left.keys(), ...right.keys()])].flatMap((name) => {
    const [x, y] = [left.get(name) ?? null, right.get(name) ?? null];
    if (x === y) return [];
    const judgement = judgePackage(name, x, y, isImportant(a) || isImportant(b));
    return [
      {
        name,
        prefix: a.prefix,
        path: `packages.${a.prefix}.${name}`,
        chapters: ['python'] as const,
        a: x,
        b: y,
        ...judgement,
        note: judgement.note ?? elsewhere(match),
      },
    ];
  });
}

/** Of a distribution that two interpreters can import; null where one cannot. `isUsed`: by a program. */
export function judgePackage(
  name: string,
  a: string | null,
  b: string | null,
  isUsed: boolean,
): Judgement {
  const severity = packageDifference(name, a, b, isUsed);
  const note = severity === 'info' ? sameVersion : undefined;
  return { severity, weight: weights[severity], note };
}

export const sameVersion = 'two spellings of one version';

function packageDifference(
  name: string,
  a: string | null,
  b: string | null,
  isUsed: boolean,
): Severity {
  const plain = packageSeverity(a, b);
  if (plain === 'info') return 'info';
  if (tools.has(name)) return 'low';
  if (a === null || b === null) return isUsed ? 'high' : 'low';
  return isUsed ? plain : lessSevere(plain);
}

/**
 * A virtual environment that also sees the system's packages repeats their differences: the worst is kept
 * and says where else.
 */
function joinEqual(differences: readonly PackageDifference[]): RankedDifference[] {
  const groups = new Map<string, PackageDifference[]>();
  for (const difference of differences) {
    const key = JSON.stringify([difference.name, difference.a, difference.b]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [difference]);
    else group.push(difference);
  }
  return [...groups.values()].map((group) => {
    const [worst, ...others] = [...group].sort((x, y) => compareSeverity(x.severity, y.severity));
    const { name: _name, prefix: _prefix, ...difference } = worst as PackageDifference;
    const also =
      others.length === 0 ? null : `also in ${others.map(({ prefix }) => prefix).join(', ')}`;
    const note = [difference.note, also].filter((text) => text !== null).join('; ');
    return { ...difference, note: note === '' ? null : note };
  });
}
