// (a, b) → what differs, the likeliest trouble first. Pure. Facts that change by themselves are folded away
// with a reason, and what could not be compared is named: silence means "the same".

import type { Comparable } from './comparable.ts';
import type { EnvDifference, Findings, RankedDifference, Uncompared } from './difference.ts';
import { compareVariables } from './diffVariables.ts';
import { comparePythons } from './diffPythons.ts';
import { compareSystemPackages } from './diffSystemPackages.ts';
import { scalarFacts, type Judgement, type ScalarFact } from './scalarFacts.ts';
import { compareSeverity } from './severity.ts';

export interface EnvComparison {
  /** Worst first. */
  readonly differences: readonly EnvDifference[];
  /** Harmless ones and those that change by themselves, each with its reason as `note`. */
  readonly folded: readonly EnvDifference[];
  readonly uncompared: readonly Uncompared[];
}

export function diffEnvironments(a: Comparable, b: Comparable): EnvComparison {
  const parts: readonly Findings[] = [
    { differences: compareScalars(a, b) },
    compareVariables(a, b),
    comparePythons(a, b),
    compareSystemPackages(a, b),
  ];
  const found = parts
    .flatMap((part) => part.differences)
    .sort(compareRank)
    .map(({ weight: _, ...difference }): EnvDifference => difference);
  return {
    differences: found.filter(({ severity }) => severity !== 'info'),
    folded: found.filter(({ severity }) => severity === 'info'),
    uncompared: [...missingChapters(a, b), ...parts.flatMap((part) => part.uncompared ?? [])],
  };
}

type Ranked = Pick<RankedDifference, 'severity' | 'weight' | 'path'>;

/** Sorts the likeliest trouble first; paths by code unit, so that the order is the same in every locale. */
export function compareRank(left: Ranked, right: Ranked): number {
  return (
    compareSeverity(left.severity, right.severity) ||
    right.weight - left.weight ||
    (left.path < right.path ? -1 : left.path > right.path ? 1 : 0)
  );
}

function missingChapters(a: Comparable, b: Comparable): Uncompared[] {
  return [a, b].flatMap(({ label, missing }) =>
    missing.map(({ chapter, why }) => ({ path: chapter, why: `${label}: ${why}` })),
  );
}

function compareScalars(a: Comparable, b: Comparable): RankedDifference[] {
  const factsOf = (of: Comparable): ReadonlyMap<string, ScalarFact> =>
    new Map(scalarFacts(of).map((fact) => [fact.path, fact]));
  const [left, right] = [factsOf(a), factsOf(b)];
  return [...new Set([...left.keys(), ...right.keys()])].flatMap((path) => {
    const [x, y] = [left.get(path), right.get(path)];
    const one = x ?? y;
    const judgement = judgeScalar(x, y, x === undefined ? a : b);
    if (one === undefined || judgement === undefined) return [];
    const { severity, weight, note = null } = judgement;
    const { chapters } = one;
    return [{ path, chapters, a: x?.text ?? null, b: y?.text ?? null, severity, weight, note }];
  });
}

/** Undefined for no difference. `lacking` is the side that does not have it, when one does not. */
function judgeScalar(
  x: ScalarFact | undefined,
  y: ScalarFact | undefined,
  lacking: Comparable,
): Judgement | undefined {
  if (x !== undefined && y !== undefined) return x.key === y.key ? undefined : x.judge(y);
  const missing = (x ?? y)?.missing;
  return missing === undefined || lacking[missing.of] === undefined ? undefined : missing.judgement;
}
