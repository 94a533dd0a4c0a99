// faultline env NODE | env diff A B | env matrix | env check | env history: nodes' environments, and what differs.

import { randomBytes } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { toDisplay } from '../base/displayText.ts';
import { describeError, UserError } from '../base/errors.ts';
import { canonicalText } from '../env/canonical.ts';
import { fromSnapshot, type Comparable } from '../env/comparable.ts';
import { diffEnvironments, type EnvComparison } from '../env/diff.ts';
import type { EnvDifference } from '../env/difference.ts';
import {
  readSnapshot,
  unavailableChapters,
  writeSnapshot,
  type EnvSnapshot,
} from '../env/envSnapshot.ts';
import { EnvHistory } from '../env/history.ts';
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
import { checkDrift, checkFormats, type CheckFormat } from './envCheck.ts';
import { showHistory } from './envHistory.ts';
import { showMatrix } from './envMatrix.ts';
import { isNodeError, takeAndKeep, type SnapshotKeeping } from './envSnapshots.ts';

export interface EnvCommandOptions {
  /** The environment of a recorded run. Errors: UserErrors, `node.…` when its node cannot be asked. */
  readonly resolveRun: (run: string, context: CliContext) => Promise<Comparable>;
  /** The key of the hashes. Default: the user's own, made on first use. */
  readonly key?: () => RedactionKey;
  /** Where snapshots are kept. Default: with the user's state, in `environments`. */
  readonly history?: () => EnvHistory;
}

export function envCommand(options: EnvCommandOptions): CliCommand {
  const key = options.key ?? (() => loadOrCreateKey(userStateDirectory()));
  const history =
    options.history ??
    (() => new EnvHistory({ directory: path.join(userStateDirectory(), 'environments') }));
  return async (args, context) => {
    const { positionals, values } = parse(args);
    const [first = '', ...rest] = positionals;
    const subcommand = Object.hasOwn(subcommands, first) ? subcommands[first] : undefined;
    const { options: allowed, run } = subcommand ?? { options: ['out'], run: showEnvironment };
    const other = Object.keys(values).find((name) => name !== noHistory && !allowed.includes(name));
    if (other !== undefined) {
      throw wrongUse(`env ${subcommand === undefined ? '' : `${first} `}has no --${other}.`, usage);
    }
    const kept = values[noHistory] === true ? undefined : history();
    const keeping = (): SnapshotKeeping => ({ key: key(), history: kept });
    const code = await run(subcommand === undefined ? positionals : rest, {
      values,
      context,
      keeping,
      history,
      resolveRun: options.resolveRun,
    });
    await kept?.prune().catch((error: unknown) => {
      context.stderr.write(`faultline: old snapshots stay: ${toDisplay(describeError(error))}\n`);
    });
    return code;
  };
}

const usage =
  'Usage: faultline env NODE [--out FILE], env diff A B, env matrix NODE… [--failing NODE,…] [--all], ' +
  'env check --baseline FILE NODE… [--format text|sarif|junit], or env history NODE [FACT].';

const noHistory = 'no-history';

type Values = ReturnType<typeof parseOptions>['values'];

interface Call {
  readonly values: Values;
  readonly context: CliContext;
  readonly keeping: () => SnapshotKeeping;
  readonly history: () => EnvHistory;
  readonly resolveRun: EnvCommandOptions['resolveRun'];
}

interface Subcommand {
  /** Names of the options it takes. */
  readonly options: readonly string[];
  readonly run: (words: readonly string[], call: Call) => Promise<number>;
}

/** A node that is called like one of these is told by its place in the other commands. */
const subcommands: Readonly<Record<string, Subcommand>> = {
  diff: { options: [], run: showDifferences },
  matrix: {
    options: ['failing', 'all'],
    run: (names, { values, context, keeping }) =>
      showMatrix(
        {
          names,
          failing: values.failing?.split(',').filter((name) => name !== ''),
          all: values.all === true,
        },
        context,
        keeping(),
      ),
  },
  check: { options: ['baseline', 'format'], run: check },
  history: {
    options: [],
    run: (words, { context, history }) => showHistory(words, context, history()),
  },
};

async function check(names: readonly string[], call: Call): Promise<number> {
  const { values, context, keeping } = call;
  const { baseline: baselineFile, format = 'text' } = values;
  if (baselineFile === undefined) throw wrongUse('env check needs --baseline FILE.', usage);
  if (!isCheckFormat(format)) {
    throw wrongUse(`--format is ${checkFormats.join(', ')}, not ${toDisplay(format)}.`);
  }
  const baseline = fromSnapshot(await readSnapshotFile(baselineFile, context));
  return checkDrift({ names, baselineFile, baseline, format }, context, keeping());
}

function isCheckFormat(text: string): text is CheckFormat {
  return (checkFormats as readonly string[]).includes(text);
}

async function showEnvironment(
  names: readonly string[],
  { values: { out }, context, keeping }: Call,
): Promise<number> {
  const [name] = names;
  if (name === undefined || names.length > 1) throw wrongUse('env takes one node.', usage);
  const node = findNode(name, context.access.nodes);
  const snapshot = await takeAndKeep(node, context, keeping());
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
    options: {
      out: { type: 'string', short: 'o' },
      failing: { type: 'string' },
      all: { type: 'boolean' },
      baseline: { type: 'string' },
      format: { type: 'string' },
      [noHistory]: { type: 'boolean' },
    },
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

async function showDifferences(words: readonly string[], call: Call): Promise<number> {
  const { context } = call;
  const [first, second] = words;
  if (first === undefined || second === undefined || words.length > 2) {
    throw wrongUse('env diff takes two of: a node, a snapshot file, run:ID.', usage);
  }
  // Files and names are looked at before any node is asked, in their order: the first mistake is told.
  const readers = [await prepareSide(first, call), await prepareSide(second, call)];
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

/**
 * How to get a side's environment. A node's name wins over a file of the same name: write `./NAME` for the
 * file.
 */
async function prepareSide(
  side: string,
  { context, resolveRun, keeping }: Call,
): Promise<() => Promise<Comparable>> {
  if (side.startsWith('run:')) return () => resolveRun(side.slice('run:'.length), context);
  const node = context.access.nodes.find(({ name }) => name === side);
  if (node !== undefined) {
    return async () => fromSnapshot(await takeAndKeep(node, context, keeping()));
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
