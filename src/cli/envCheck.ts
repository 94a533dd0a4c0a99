// faultline env check --baseline FILE NODE…: whether nodes are still what a snapshot says, for CI.

import { toDisplay } from '../base/displayText.ts';
import { showText } from '../env/canonical.ts';
import type { Comparable } from '../env/comparable.ts';
import { diffEnvironments } from '../env/diff.ts';
import type { FactColumn } from '../env/factTable.ts';
import { countDifferences } from '../env/summary.ts';
import { exitCodes, findNode, print, wrongUse, type CliContext } from './context.ts';
import { junitReport, sarifReport, type NodeDrift } from './driftReports.ts';
import { takeColumns, type SnapshotKeeping } from './envSnapshots.ts';

export const checkFormats = ['text', 'sarif', 'junit'] as const;
export type CheckFormat = (typeof checkFormats)[number];

export interface CheckArgs {
  readonly names: readonly string[];
  /** As it was written. */
  readonly baselineFile: string;
  readonly baseline: Comparable;
  readonly format: CheckFormat;
}

/** Exit code 3 when some node could not answer, else 1 when something differs. */
export async function checkDrift(
  { names, baselineFile, baseline, format }: CheckArgs,
  context: CliContext,
  keeping: SnapshotKeeping,
): Promise<number> {
  if (names.length === 0) throw wrongUse('env check takes one or more nodes.');
  const nodes = [...new Set(names)].map((name) => findNode(name, context.access.nodes));
  const columns = await takeColumns(nodes, context, keeping);
  const drifts = columns.map((column) => compareWith(baseline, column));
  for (const drift of drifts) {
    if ('missing' in drift) {
      context.stderr.write(`faultline: ${toDisplay(`${drift.node}: ${drift.missing}`)}\n`);
    }
  }
  const report = { baseline: baselineFile, nodes: drifts };
  if (format === 'sarif') context.stdout.write(sarifReport(baselineFile, drifts));
  else if (format === 'junit') context.stdout.write(junitReport(baselineFile, drifts));
  else print(context, report, () => drifts.map(describeDrift).join('\n'));
  if (drifts.some((drift) => 'missing' in drift)) return exitCodes.nodeMissing;
  const differs = drifts.some((drift) => !('missing' in drift) && drift.differences.length > 0);
  return differs ? exitCodes.found : exitCodes.done;
}

function compareWith(baseline: Comparable, column: FactColumn): NodeDrift {
  return 'unavailable' in column
    ? { node: column.label, missing: column.unavailable }
    : { node: column.label, ...diffEnvironments(baseline, column) };
}

const maxValueLength = 120;

function describeDrift(drift: NodeDrift): string {
  if ('missing' in drift) return `${drift.node}: could not be checked`;
  const { node, differences, folded, uncompared } = drift;
  return [
    `${node}: ${countDifferences(drift)}, ${folded.length} folded`,
    ...differences.map(
      ({ severity, path, a, b, note }) =>
        `${severity.padEnd(7)} ${showText(path)}: ${show(a)} → ${show(b)}` +
        (note === null ? '' : `  (${toDisplay(note, 2 * maxValueLength)})`),
    ),
    ...uncompared.map(({ path, why }) => `        not compared: ${showText(`${path}: ${why}`)}`),
  ].join('\n');
}

function show(value: string | null): string {
  return value === null ? '–' : toDisplay(value, maxValueLength);
}
