// faultline env matrix NODE…: who is the odd one out, and which fact goes with the failing nodes.

import { toDisplay } from '../base/displayText.ts';
import { formatCount } from '../base/figures.ts';
import {
  associate,
  describeAssociation,
  type Association,
  type AssociationReport,
} from '../env/association.ts';
import { showText } from '../env/canonical.ts';
import { compareMany, type EnvMatrix, type MatrixNode, type MatrixRow } from '../env/matrix.ts';
import { exitCodes, findNode, print, wrongUse, type CliContext } from './context.ts';
import { takeColumns, type SnapshotKeeping } from './envSnapshots.ts';

export interface MatrixArgs {
  readonly names: readonly string[];
  /** Names of failing nodes; undefined when nobody said which fail. */
  readonly failing: readonly string[] | undefined;
  /** Every row, and what was folded. */
  readonly all: boolean;
}

/** Exit code 1 when facts differ, 3 when some node could not answer. */
export async function showMatrix(
  { names, failing, all }: MatrixArgs,
  context: CliContext,
  keeping: SnapshotKeeping,
): Promise<number> {
  const unique = [...new Set(names)];
  if (unique.length < 2) throw wrongUse('env matrix takes two or more nodes.');
  const other = failing?.find((name) => !unique.includes(name));
  if (other !== undefined)
    throw wrongUse(`--failing names ${other}, which is not among the nodes.`);
  const nodes = unique.map((name) => findNode(name, context.access.nodes));
  const matrix = compareMany(await takeColumns(nodes, context, keeping));
  const report = failing === undefined ? undefined : associate(matrix, new Set(failing));
  for (const { name, missing } of matrix.nodes) {
    if (missing !== undefined) {
      context.stderr.write(`faultline: ${toDisplay(`${name}: ${missing}`)}\n`);
    }
  }
  const width = (context.stdout as { readonly columns?: number }).columns ?? defaultWidth;
  print(context, { ...matrix, association: report }, () =>
    describeMatrix(matrix, report, { all, width }),
  );
  if (matrix.nodes.some(({ missing }) => missing !== undefined)) return exitCodes.nodeMissing;
  return matrix.rows.length > 0 ? exitCodes.found : exitCodes.done;
}

const defaultWidth = 120;
const maxRows = 40;

interface TextOptions {
  readonly all: boolean;
  /** Of the terminal, in characters. */
  readonly width: number;
}

function describeMatrix(
  matrix: EnvMatrix,
  report: AssociationReport | undefined,
  { all, width }: TextOptions,
): string {
  const { rows, folded, foldedReasons, sameCount, nodes, ranking } = matrix;
  const shown = all ? rows : rows.slice(0, maxRows);
  const odd = ranking.flatMap((at) => describeOddNode(nodes[at]));
  const unchecked = nodes.flatMap(({ name, missing, unchecked }) =>
    missing === undefined
      ? unchecked.map(({ chapter, why }) => `        ${name}: ${chapter}: ${showText(why)}`)
      : [`        ${name}: ${showText(missing)}`],
  );
  const head =
    `${formatCount(nodes.length, 'node', 'nodes')}: ` +
    `${formatCount(rows.length, 'fact differs', 'facts differ')}, ` +
    `${formatCount(sameCount, 'is the same', 'are the same')}, ` +
    `${folded.length.toLocaleString('en')} folded`;
  const lines = [
    head,
    ...(report === undefined ? [] : ['', ...describeReport(report)]),
    ...(odd.length === 0 ? [] : ['', 'Outside the majority:', ...odd]),
    ...(shown.length === 0 ? [] : ['', ...tableOf(shown, nodes, width)]),
    ...(shown.length < rows.length
      ? [`        … and ${rows.length - shown.length} more: add --all`]
      : []),
    ...(folded.length === 0 ? [] : ['', `Folded, as they do not matter (${folded.length}):`]),
    ...(all
      ? folded.map(({ path, note }) => `        ${showText(path)}: ${showText(note)}`)
      : foldedReasons.map(({ note, count }) => `        ${count} × ${showText(note)}`)),
    ...(unchecked.length === 0 ? [] : ['', 'Could not check:', ...unchecked]),
  ];
  return lines.map((line) => cut(line, width)).join('\n');
}

function describeOddNode(node: MatrixNode | undefined): string[] {
  if (node === undefined || node.missing !== undefined) return [];
  const counts = Object.entries(node.outlierCounts).filter(([, count]) => count > 0);
  if (counts.length === 0) return [];
  return [
    `        ${node.name}: ${counts.map(([severity, count]) => `${count} ${severity}`).join(', ')}`,
  ];
}

function describeReport({
  failing,
  passing,
  associations,
  unproven,
  silentBecause,
  testedCount,
}: AssociationReport): string[] {
  const list = (title: string, found: readonly Association[]): string[] =>
    found.length === 0
      ? []
      : [title, ...found.map((each) => `        ${showText(describeAssociation(each))}`)];
  const sides = `${failing.length} failing, ${passing.length} passing`;
  if (associations.length + unproven.length === 0) {
    const why = silentBecause ?? `none of ${testedCount} ways the facts split the nodes`;
    return [`No fact can be said to go with the failing nodes (${sides}): ${why}.`];
  }
  const why = silentBecause ?? `${testedCount} ways of splitting the nodes were tested`;
  return [
    ...list(`Goes with the failing nodes (${sides}):`, associations),
    ...list(
      `Only on the failing nodes, which may be chance (${sides}; ${why}):`,
      // What follows from one cause fills a screen; the worst comes first.
      unproven.slice(0, maxRows),
    ),
  ];
}

/** Severity, fact, what most have, and who has what else. */
function tableOf(
  rows: readonly MatrixRow[],
  nodes: readonly MatrixNode[],
  width: number,
): string[] {
  const valueWidth = Math.max(12, Math.floor(width / 5));
  const cells = rows.map((row) => [
    row.severity,
    shorten(row.path, Math.max(20, Math.floor(width * 0.4))),
    `${valueText(row, 0, valueWidth)} ×${row.values[0]?.count ?? 0}`,
    row.values
      .slice(1)
      .map((_, at) => `${whoHas(row, at + 1, nodes)}: ${valueText(row, at + 1, valueWidth)}`)
      .join('; '),
  ]);
  const widths = [0, 1, 2].map((column) =>
    Math.max(...cells.map((row) => (row[column] ?? '').length)),
  );
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function valueText({ values }: MatrixRow, value: number, width: number): string {
  const text = values[value]?.text;
  return text == null ? '–' : cut(showText(text), width);
}

const maxNames = 3;

function whoHas({ cells }: MatrixRow, value: number, nodes: readonly MatrixNode[]): string {
  const names = cells.flatMap((cell, at) => (cell === value ? [nodes[at]?.name ?? ''] : []));
  const rest = names.length - maxNames;
  return names.slice(0, maxNames).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/** The end of a path says most. */
function shorten(path: string, width: number): string {
  const text = showText(path);
  return text.length <= width ? text : `…${text.slice(text.length - width + 1)}`;
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}
