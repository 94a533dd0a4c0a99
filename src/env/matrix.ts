// Many environments → who is the odd one out: for each fact that is not the same everywhere its values, the
// majority, and who is outside it. Pure. What could not be checked is named, never taken for "the same".

import { isComparable, factRows, type FactColumn, type FactRow } from './factTable.ts';
import { compareRank } from './diff.ts';
import type { ChapterId } from './difference.ts';
import type { Judgement } from './scalarFacts.ts';
import { compareSeverity, type Severity } from './severity.ts';

export interface MatrixValue {
  /** As most of those nodes spell it; null is "not there". */
  readonly text: string | null;
  /** Other spellings of the same value, e.g. `1.0.0` beside `1.0`. */
  readonly spellings: readonly string[];
  /** How many nodes have it. */
  readonly count: number;
}

export interface MatrixRow {
  /** As the path of an `EnvDifference`. */
  readonly path: string;
  readonly chapters: readonly ChapterId[];
  /** Of the worst difference from the commonest value. */
  readonly severity: Severity;
  readonly note: string | null;
  /** Paths of the same fact elsewhere that split the nodes alike: a package in a second interpreter. */
  readonly also: readonly string[];
  /** The commonest first; at least two. */
  readonly values: readonly MatrixValue[];
  /** True when more than half of the nodes that could be checked have the first value. */
  readonly hasMajority: boolean;
  /** For each node the index of its value, -1 where nobody can tell. */
  readonly cells: readonly number[];
  /** Indexes of the nodes outside the majority; none where there is no majority. */
  readonly outliers: readonly number[];
  /** Why a node could not be checked, by its index. */
  readonly unchecked: readonly { readonly node: number; readonly why: string }[];
}

/** A fact whose values differ harmlessly. */
export interface FoldedRow {
  readonly path: string;
  readonly note: string;
}

export interface MatrixNode {
  readonly name: string;
  /** Why there is nothing of it; undefined when it answered. */
  readonly missing: string | undefined;
  /** Chapters it could not tell, and why. */
  readonly unchecked: readonly { readonly chapter: string; readonly why: string }[];
  /** In how many facts it is outside the majority. */
  readonly outlierCounts: Readonly<Record<Exclude<Severity, 'info'>, number>>;
}

export interface EnvMatrix {
  /** In the order they were given in. */
  readonly nodes: readonly MatrixNode[];
  /** Indexes of `nodes`, the oddest first; those that did not answer last. */
  readonly ranking: readonly number[];
  /** The likeliest trouble first. */
  readonly rows: readonly MatrixRow[];
  readonly folded: readonly FoldedRow[];
  /** How many of the folded ones have each reason, the commonest first. */
  readonly foldedReasons: readonly { readonly note: string; readonly count: number }[];
  /** Facts that are the same on every node that could be checked, of which there are at least two. */
  readonly sameCount: number;
}

export function compareMany(columns: readonly FactColumn[]): EnvMatrix {
  const judged = factRows(columns).map(judgeRow);
  const differing = joinSubjects(
    judged.flatMap((verdict) => (verdict.kind === 'differs' ? [verdict.row] : [])),
  );
  const rows = differing.sort(compareRank).map(({ weight: _, subject: __, ...row }) => row);
  const folded = judged
    .flatMap((verdict) => (verdict.kind === 'folded' ? [verdict.folded] : []))
    .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const nodes = columns.map((column, at) => describeNode(column, at, rows));
  return {
    nodes,
    ranking: rankNodes(nodes),
    rows,
    folded,
    foldedReasons: countReasons(folded),
    sameCount: judged.filter(({ kind }) => kind === 'same').length,
  };
}

type RankedRow = MatrixRow & { readonly weight: number; readonly subject: string | undefined };

type Verdict =
  /** On one node alone nothing can be the same. */
  | { readonly kind: 'same' | 'alone' }
  | { readonly kind: 'folded'; readonly folded: FoldedRow }
  | { readonly kind: 'differs'; readonly row: RankedRow };

/** Nodes with one value. */
interface Group {
  readonly text: string | null;
  /** Indexes of its nodes; the first one stands for it. */
  readonly nodes: number[];
  readonly spellings: Set<string>;
}

function judgeRow(row: FactRow): Verdict {
  const plain = groupByKey(row);
  if (plain.length === 0) return { kind: 'alone' };
  plain.sort((a, b) => b.nodes.length - a.nodes.length);
  const { groups, note } = row.isTolerant
    ? mergeTolerated(row, plain)
    : { groups: plain, note: undefined };
  const checked = groups.reduce((sum, { nodes }) => sum + nodes.length, 0);
  const [first, ...others] = groups as [Group, ...Group[]];
  if (others.length === 0) {
    const why = note ?? (first.spellings.size > 1 ? row.sameBecause : undefined);
    if (why !== undefined) return { kind: 'folded', folded: { path: row.path, note: why } };
    return { kind: checked < 2 ? 'alone' : 'same' };
  }
  const worst = worstOf(others.map((other) => row.judge(headOf(first), headOf(other))));
  if (worst.severity === 'info') {
    return {
      kind: 'folded',
      folded: { path: row.path, note: worst.note ?? row.sameBecause ?? '' },
    };
  }
  return { kind: 'differs', row: describeRow(row, groups, worst, checked) };
}

function headOf({ nodes }: Group): number {
  return nodes[0] as number;
}

function groupByKey({ cells }: FactRow): Group[] {
  // Nearly always there is one value: it is looked at without a map.
  const groups = new Map<string | null, Group>();
  let last: { readonly key: string | null; readonly group: Group } | undefined;
  cells.forEach((cell, at) => {
    if (cell.kind === 'unknown') return;
    const key = cell.kind === 'absent' ? null : cell.key;
    const text = cell.kind === 'absent' ? null : cell.text;
    let group = last?.key === key ? last.group : groups.get(key);
    if (group === undefined) {
      group = { text, nodes: [], spellings: new Set() };
      groups.set(key, group);
    }
    last = { key, group };
    group.nodes.push(at);
    if (text !== null) group.spellings.add(text);
  });
  return [...groups.values()];
}

/** Values that the judge takes for the same join the commonest one they are near to. */
function mergeTolerated(
  row: FactRow,
  groups: readonly Group[],
): { readonly groups: Group[]; readonly note: string | undefined } {
  const merged: Group[] = [];
  let note: string | undefined;
  for (const group of groups) {
    const isNear = (leader: Group): boolean => {
      const judgement = row.judge(headOf(leader), headOf(group));
      if (judgement.severity !== 'info') return false;
      note ??= judgement.note;
      return true;
    };
    const leader = merged.find(isNear);
    if (leader === undefined) {
      merged.push(group);
      continue;
    }
    leader.nodes.push(...group.nodes);
    for (const spelling of group.spellings) leader.spellings.add(spelling);
  }
  return { groups: merged.sort((a, b) => b.nodes.length - a.nodes.length), note };
}

function worstOf(judgements: readonly Judgement[]): Judgement {
  return judgements.reduce((worst, each) =>
    (compareSeverity(each.severity, worst.severity) || worst.weight - each.weight) < 0
      ? each
      : worst,
  );
}

function describeRow(
  { path, chapters, cells, subject }: FactRow,
  groups: readonly Group[],
  { severity, weight, note }: Judgement,
  checked: number,
): RankedRow {
  const valueOfNode = new Array<number>(cells.length).fill(-1);
  groups.forEach(({ nodes }, value) => {
    for (const node of nodes) valueOfNode[node] = value;
  });
  const hasMajority = (groups[0] as Group).nodes.length * 2 > checked;
  return {
    path,
    chapters,
    severity,
    weight,
    subject,
    note: note ?? null,
    also: [],
    values: groups.map(({ text, nodes, spellings }) => ({
      text,
      spellings: [...spellings].filter((spelling) => spelling !== text).sort(),
      count: nodes.length,
    })),
    hasMajority,
    cells: valueOfNode,
    outliers: hasMajority ? valueOfNode.flatMap((value, node) => (value > 0 ? [node] : [])) : [],
    unchecked: cells.flatMap((cell, node) =>
      cell.kind === 'unknown' ? [{ node, why: cell.why }] : [],
    ),
  };
}

/** A virtual environment that also sees the system's packages repeats their rows: the worst one is kept. */
function joinSubjects(rows: readonly RankedRow[]): RankedRow[] {
  const groups = new Map<string, RankedRow[]>();
  rows.forEach((row, at) => {
    const values = row.values.map(({ text }) => text);
    const key =
      row.subject === undefined ? String(at) : JSON.stringify([row.subject, values, row.cells]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  });
  return [...groups.values()].map((group) => {
    const [worst, ...others] = group.sort(compareRank) as [RankedRow, ...RankedRow[]];
    return { ...worst, also: others.map(({ path }) => path) };
  });
}

function describeNode(column: FactColumn, at: number, rows: readonly MatrixRow[]): MatrixNode {
  const count = (severity: Severity): number =>
    rows.filter((row) => row.severity === severity && row.outliers.includes(at)).length;
  return {
    name: column.label,
    missing: isComparable(column) ? undefined : column.unavailable,
    unchecked: isComparable(column) ? column.missing : [],
    outlierCounts: { high: count('high'), medium: count('medium'), low: count('low') },
  };
}

/** One high difference is odder than any number of medium ones: severities say what breaks programs. */
function rankNodes(nodes: readonly MatrixNode[]): readonly number[] {
  const keyOf = ({ missing, outlierCounts: { high, medium, low } }: MatrixNode): number[] => [
    missing === undefined ? 1 : 0,
    high,
    medium,
    low,
  ];
  const keys = nodes.map(keyOf);
  return nodes
    .map((_, at) => at)
    .sort((a, b) => {
      const [x, y] = [keys[a] as number[], keys[b] as number[]];
      const differs = x.findIndex((part, at) => part !== y[at]);
      return differs < 0 ? a - b : (y[differs] as number) - (x[differs] as number);
    });
}

function countReasons(folded: readonly FoldedRow[]): EnvMatrix['foldedReasons'] {
  const counts = new Map<string, number>();
  for (const { note } of folded) counts.set(note, (counts.get(note) ?? 0) + 1);
  return [...counts]
    .map(([note, count]) => ({ note, count }))
    .sort((a, b) => b.count - a.count || (a.note < b.note ? -1 : 1));
}
