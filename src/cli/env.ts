// faultline env NODE | env diff A B: a node's environment, and what differs between two.

import { randomBytes } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { toDisplay } from '../base/displayText.ts';
import { describeError, UserError } from '../base/errors.ts';
import { canonicalText } from '../env/canonical.ts';
import { snapshotNode } from '../env/collect.ts';
import { fromSnapshot, type Comparable } from '../env/comparable.ts';
import { diffEnvironments, type EnvComparison } from '../env/diff.ts';
import type { EnvDifference } from '../env/difference.ts';
import {
  readSnapshot,
  unavailableChapters,
  writeSnapshot,
  type EnvSnapshot,
} from '../env/envSnapshot.ts';
import { loadOrCreateKey, userStateDirectory, type RedactionKey } from '../env/redactionKey.ts';
import { countDifferences } from '../env/summary.ts';
import {
  exitCodes,
  findNode,
  print,
  wrongUse,
  type CliCommand,
  type CliContext,
} from './context.ts';

export interface EnvCommandOptions {
  /** The environment of a recorded run. Errors: UserErrors, `node.…` when its node cannot be asked. */
  readonly resolveRun: (run: string, context: CliContext) => Promise<Comparable>;
  /** The key of the hashes. Default: the user's own, made on first use. */
  readonly key?: () => RedactionKey;
}

export function envCommand(options: EnvCommandOptions): CliCommand {
  const key = options.key ?? (() => loadOrCreateKey(userStateDirectory()));
  return (args, context) => {
    const [first, ...rest] = args;
    return first === 'diff'
      ? showDifferences(rest, context, { ...options, key })
      : showEnvironment(args, context, key());
  };
}

const usage = 'Usage: faultline env NODE [--out FILE], or faultline env diff A B.';

async function showEnvironment(
  args: readonly string[],
  context: CliContext,
  key: RedactionKey,
): Promise<number> {
  const { name, out } = parseEnvironmentArgs(args);
  const node = findNode(name, context.access.nodes);
  const snapshot = await snapshotNode(context.access, node, key, context.signal);
  for (const { chapter, why } of unavailableChapters(snapshot)) {
    context.stderr.write(
      `faultline: ${node.name}: ${chapter} is not available: ${toDisplay(why)}\n`,
    );
  }
  if (out !== undefined) await writePrivately(out, writeSnapshot(snapshot));
  print(context, snapshot, () =>
    out === undefined
      ? canonicalText(snapshot)
      : `The environment of ${node.name} is in ${out}${snapshot.partial ? ', incomplete' : ''}.`,
  );
  return exitCodes.done;
}

function parseEnvironmentArgs(args: readonly string[]): {
  readonly name: string;
  readonly out: string | undefined;
} {
  const { positionals, values } = parse(args);
  const [name] = positionals;
  if (name === undefined || positionals.length > 1) throw wrongUse('env takes one node.', usage);
  return { name, out: values.out };
}

function parse(args: readonly string[]): ReturnType<typeof parseOptions> {
  try {
    return parseOptions(args);
  } catch (error) {
    throw wrongUse(error instanceof Error ? error.message : String(error), usage);
  }
}

function parseOptions(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: { out: { type: 'string', short: 'o' } },
    allowPositionals: true,
  });
}

/** For its user alone, as it holds the environment of a machine; never half written. */
async function writePrivately(file: string, text: string): Promise<void> {
  const unfinished = `${file}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await writeFile(unfinished, text, { mode: 0o600, flag: 'wx' });
    await rename(unfinished, file);
  } catch (cause) {
    await rm(unfinished, { force: true });
    throw wrongUse(`${file} cannot be written: ${describeError(cause)}.`);
  }
}

// --- Differences --------------------------------------------------------------------------------------------

type DiffOptions = EnvCommandOptions & { readonly key: () => RedactionKey };

async function showDifferences(
  args: readonly string[],
  context: CliContext,
  options: DiffOptions,
): Promise<number> {
  const { positionals, values } = parse(args);
  const [first, second] = positionals;
  if (
    first === undefined ||
    second === undefined ||
    positionals.length > 2 ||
    values.out !== undefined
  ) {
    throw wrongUse('env diff takes two of: a node, a snapshot file, run:ID.', usage);
  }
  // Files and names are looked at before any node is asked, in their order: the first mistake is told.
  const readers = [
    await prepareSide(first, context, options),
    await prepareSide(second, context, options),
  ];
  const sides = await Promise.allSettled(readers.map((read) => read()));
  const [a, b] = sides.flatMap((side) => (side.status === 'fulfilled' ? [side.value] : []));
  if (a === undefined || b === undefined) return reportMissing(sides, context);
  const comparison = diffEnvironments(a, b);
  print(
    context,
    {
      a: a.label,
      b: b.label,
      differences: comparison.differences,
      folded: comparison.folded,
      uncompared: comparison.uncompared,
    },
    () => describeComparison(a.label, b.label, comparison),
  );
  return comparison.differences.length > 0 ? exitCodes.found : exitCodes.done;
}

/** Nodes that did not answer are all named; anything else is the caller's error. */
function reportMissing(
  sides: readonly PromiseSettledResult<Comparable>[],
  { stderr }: CliContext,
): number {
  const errors = sides.flatMap((side): unknown[] =>
    side.status === 'rejected' ? [side.reason] : [],
  );
  const other = errors.find((error) => !isNodeError(error));
  if (other !== undefined) throw other;
  for (const error of errors) stderr.write(`faultline: ${toDisplay(describeError(error))}\n`);
  return exitCodes.nodeMissing;
}

function isNodeError(error: unknown): boolean {
  return error instanceof UserError && /^(node|env\.noAnswer)\b/.test(error.code);
}

/**
 * How to get a side's environment. A node's name wins over a file of the same name: write `./NAME` for the
 * file.
 */
async function prepareSide(
  side: string,
  context: CliContext,
  { resolveRun, key }: DiffOptions,
): Promise<() => Promise<Comparable>> {
  if (side.startsWith('run:')) return () => resolveRun(side.slice('run:'.length), context);
  const { access, signal } = context;
  const node = access.nodes.find(({ name }) => name === side);
  if (node !== undefined) {
    return async () => fromSnapshot(await snapshotNode(access, node, key(), signal));
  }
  const snapshot = await readSnapshotFile(side, context);
  return () => Promise.resolve(fromSnapshot(snapshot));
}

async function readSnapshotFile(file: string, { access }: CliContext): Promise<EnvSnapshot> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const isName = (cause as NodeJS.ErrnoException).code === 'ENOENT' && !/[/\\.]/.test(file);
    // Says which nodes there are.
    if (isName) findNode(file, access.nodes);
    throw wrongUse(`${file} cannot be read: ${describeError(cause)}.`);
  }
  try {
    return readSnapshot(text);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw wrongUse(`${file}: ${error.message}`, error.hint);
  }
}

const maxValueLength = 120;

function describeComparison(a: string, b: string, comparison: EnvComparison): string {
  const { differences, folded, uncompared } = comparison;
  const head =
    differences.length === 0
      ? `${a} and ${b} do not differ.`
      : `${a} ↔ ${b}: ${countDifferences(comparison)}`;
  return [
    head,
    ...differences.map(describeDifference),
    ...(folded.length === 0 ? [] : ['', `Folded, as they do not matter (${folded.length}):`]),
    ...folded.map(({ path, note }) => `        ${toDisplay(path)}  ${toDisplay(note ?? '')}`),
    ...(uncompared.length === 0 ? [] : ['', 'Not compared:']),
    ...uncompared.map(({ path, why }) => `        ${toDisplay(path)}: ${toDisplay(why)}`),
  ].join('\n');
}

function describeDifference({ path, a, b, severity, note }: EnvDifference): string {
  const value = (text: string | null): string =>
    text === null ? '–' : toDisplay(text, maxValueLength);
  const why = note === null ? '' : `  (${toDisplay(note, 2 * maxValueLength)})`;
  return `${severity.padEnd(7)} ${toDisplay(path)}: ${value(a)} → ${value(b)}${why}`;
}
