// faultline env history NODE [FACT]: what changed on a node and when, or since when one fact is as it is.

import { showText } from '../env/canonical.ts';
import { fromSnapshot } from '../env/comparable.ts';
import { factRows, type FactCell } from '../env/factTable.ts';
import type { EnvChange, EnvHistory, EnvVersion } from '../env/history.ts';
import type { EnvDifference } from '../env/difference.ts';
import { findNode, exitCodes, print, wrongUse, type CliContext } from './context.ts';

/** No node is asked. */
export async function showHistory(
  names: readonly string[],
  context: CliContext,
  history: EnvHistory,
): Promise<number> {
  const [node, fact] = names;
  if (node === undefined || names.length > 2) {
    throw wrongUse('env history takes a node, and may take a fact.');
  }
  const versions = await history.versions(node);
  const [first] = versions;
  const last = versions.at(-1);
  if (first === undefined || last === undefined) {
    // Says which nodes there are.
    findNode(node, context.access.nodes);
    throw wrongUse(
      `Nothing is kept of ${node} yet.`,
      `Snapshots are kept by "faultline env ${node}" and the other env commands.`,
    );
  }
  const changes = await history.changes(node);
  if (fact === undefined) {
    print(context, { node, versions, changes }, () => describeHistory(node, versions, changes));
    return exitCodes.done;
  }
  const snapshot = await history.snapshotAt(node, last.lastSeenAt);
  const now = snapshot === undefined ? [] : valuesOf(fact, factRows([fromSnapshot(snapshot)]));
  const told = changes
    .filter(({ differences }) => differences.some(({ path }) => isNamed(path, fact)))
    .map((change) => splitChange(change, fact));
  if (now.length + told.length === 0) {
    throw wrongUse(
      `Nothing named "${fact}" was seen on ${node}.`,
      'A fact is named as in "env diff", or by its last part: packages./usr.numpy, or numpy.',
    );
  }
  const known = await knownSince(history, node, versions, fact);
  print(context, { node, fact, now, firstSeenAt: first.firstSeenAt, changes: told }, () =>
    [
      ...now.map(({ path, text }) => {
        const change = told.findLast(({ changed }) => changed.some((each) => each.path === path));
        const since =
          change === undefined
            ? (known.get(path) ?? `since before ${first.firstSeenAt}`)
            : `since between ${change.after} and ${change.before}`;
        return `${showText(path)} is ${showText(text)}, ${since}`;
      }),
      ...[...told]
        .reverse()
        .flatMap(({ after, before, changed, others }) => [
          '',
          `${after} – ${before}`,
          ...changed.map(describeDifference),
          ...(others.length === 0 ? ['        nothing else changed'] : ['    and also']),
          ...others.map(describeDifference),
        ]),
    ].join('\n'),
  );
  return exitCodes.done;
}

function describeHistory(
  node: string,
  versions: readonly EnvVersion[],
  changes: readonly EnvChange[],
): string {
  const [first, last] = [versions[0], versions.at(-1)];
  return [
    `${node}: seen from ${first?.firstSeenAt ?? ''} to ${last?.lastSeenAt ?? ''}`,
    ...(changes.length === 0 ? ['Nothing changed.'] : []),
    ...[...changes]
      .reverse()
      .flatMap(({ after, before, differences }) => [
        '',
        `${after} – ${before}`,
        ...differences.map(describeDifference),
      ]),
  ].join('\n');
}

function isNamed(path: string, fact: string): boolean {
  return path === fact || path.endsWith(`.${fact}`);
}

/** What the newest snapshot says of the facts of this name. */
function valuesOf(
  fact: string,
  rows: ReturnType<typeof factRows>,
): readonly { readonly path: string; readonly text: string }[] {
  return rows.flatMap(({ path, cells }) =>
    isNamed(path, fact) ? [{ path, text: describeCell(cells[0]) }] : [],
  );
}

/**
 * For facts that are not in all versions as they are now, from when on they are: before, the chapter could not be
 * read, or the fact went by another name.
 */
async function knownSince(
  history: EnvHistory,
  node: string,
  versions: readonly EnvVersion[],
  fact: string,
): Promise<ReadonlyMap<string, string>> {
  const oldest = new Map<string, { readonly text: string; readonly since: string }>();
  const ended = new Set<string>();
  for (const { firstSeenAt, lastSeenAt } of [...versions].reverse()) {
    const snapshot = await history.snapshotAt(node, lastSeenAt);
    const values = snapshot === undefined ? [] : valuesOf(fact, factRows([fromSnapshot(snapshot)]));
    const texts = new Map(values.map(({ path, text }) => [path, text]));
    const isNewest = oldest.size === 0;
    for (const path of isNewest ? texts.keys() : oldest.keys()) {
      const text = texts.get(path);
      if (ended.has(path)) continue;
      if (text === undefined || (!isNewest && text !== oldest.get(path)?.text)) ended.add(path);
      else oldest.set(path, { text, since: firstSeenAt });
    }
    if (isNewest && texts.size === 0) break;
  }
  return new Map(
    [...ended].map((path) => [path, `at least since ${oldest.get(path)?.since ?? ''}`]),
  );
}

function describeCell(cell: FactCell | undefined): string {
  if (cell === undefined || cell.kind === 'absent') return 'not there';
  return cell.kind === 'value' ? cell.text : `unknown: ${cell.why}`;
}

function splitChange({ after, before, differences }: EnvChange, fact: string) {
  const isIt = ({ path }: EnvDifference): boolean => isNamed(path, fact);
  return {
    after,
    before,
    changed: differences.filter(isIt),
    others: differences.filter((difference) => !isIt(difference)),
  };
}

const maxValueLength = 120;

function cut(text: string): string {
  return text.length > maxValueLength ? `${text.slice(0, maxValueLength)}…` : text;
}

function describeDifference({ severity, path, a, b }: EnvDifference): string {
  const show = (value: string | null): string => (value === null ? '–' : cut(showText(value)));
  return `${severity.padEnd(7)} ${showText(path)}: ${show(a)} → ${show(b)}`;
}
