// faultline run | runs | show | preflight | rerun: what src/run does, for terminals and scripts.

import { createInterface } from 'node:readline/promises';
import { constants } from 'node:os';
import { parseArgs } from 'node:util';
import { describeError, UserError } from '../base/errors.ts';
import { toDisplay } from '../base/displayText.ts';
import { isProduction, type Node } from '../remote/node.ts';
import { readCurrentFacts } from '../run/current.ts';
import { planLaunch } from '../run/launchPlan.ts';
import { preflight, summarise, type Finding } from '../run/preflight.ts';
import { rerun, runRecorded, type LaunchRequest, type RunOutput } from '../run/rerun.ts';
import { describeEnd, type RunHead } from '../run/runRecord.ts';
import { findRun, listRuns, type ListedRun } from '../run/runStore.ts';
import {
  exitCodes,
  findNode,
  print,
  selectNodes,
  wrongUse,
  type CliCommand,
  type CliContext,
} from './context.ts';

/** `faultline run NODE [--cwd D] [--env K=V]… [--python P] -- CMD ARG…` */
export const runCommand: CliCommand = async (args, context) => {
  const end = args.indexOf('--');
  const argv = end < 0 ? [] : args.slice(end + 1);
  const { values, positionals } = parse(end < 0 ? args : args.slice(0, end), {
    cwd: { type: 'string' },
    env: { type: 'string', multiple: true },
    python: { type: 'string' },
  });
  const [name, ...rest] = positionals;
  if (name === undefined || rest.length > 0 || argv.length === 0) {
    throw wrongUse(
      'faultline run needs a node, and the command after "--".',
      'Example: faultline run web-1 -- python3 task.py --order 7',
    );
  }
  const node = findNode(name, context.access.nodes);
  const python = text(values.python);
  const cwd = text(values.cwd);
  const request: LaunchRequest = {
    argv: withPython(argv, python),
    env: parseVariables((values.env ?? []) as readonly string[]),
    inheritEnv: true,
    ...(cwd === undefined ? {} : { cwd }),
  };
  const shell = await context.access.shell(node, context.signal);
  const collected = new CollectedOutput(context);
  const finished = await runRecorded(
    shell,
    node,
    request,
    collected.output,
    python === undefined ? {} : { python },
    context.signal,
  );
  const { run, exitCode, signal } = finished;
  if (context.json) {
    print(
      context,
      {
        run: run ?? null,
        exitCode: exitCode ?? null,
        signal: signal ?? null,
        ...collected.texts(),
      },
      () => '',
    );
    return exitCodes.done;
  }
  context.stderr.write(
    run === undefined ? 'faultline: the run was not recorded\n' : `faultline: run ${run}\n`,
  );
  return exitCode ?? 128 + signalNumber(signal);
};

/**
 * `--python P` is the interpreter that `python` and `python3` mean in the command, and that runs a command
 * ending in `.py`.
 */
function withPython(argv: readonly string[], python: string | undefined): readonly string[] {
  const [program = '', ...args] = argv;
  if (python === undefined) return argv;
  if (/^python(3(\.\d+)?)?$/.test(program)) return [python, ...args];
  return program.endsWith('.py') ? [python, ...argv] : argv;
}

function parseVariables(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf('=');
      if (at < 1) throw wrongUse(`--env needs NAME=VALUE, not "${word}".`);
      return [word.slice(0, at), word.slice(at + 1)];
    }),
  );
}

/** `faultline runs [NODE…] [--failed]` */
export const runsCommand: CliCommand = async (args, context) => {
  const { values, positionals } = parse(args, { failed: { type: 'boolean' } });
  const nodes = selectNodes(positionals, context.access.nodes);
  const list = await listRuns(
    context.access,
    nodes,
    { failedOnly: values.failed === true },
    context.signal,
  );
  print(context, list.runs, () =>
    list.runs.length === 0 ? 'No recorded runs.' : list.runs.map(describeRun).join('\n'),
  );
  for (const { node, error } of list.missing) {
    context.stderr.write(`faultline: ${node.name} could not answer: ${describeError(error)}\n`);
  }
  return list.missing.length > 0 ? exitCodes.nodeMissing : exitCodes.done;
};

function describeRun(run: RunHead): string {
  const command = toDisplay(run.argv.join(' '), 80);
  return `${run.run}  ${run.node.padEnd(12)} ${toDisplay(describeEnd(run), 60).padEnd(28)} ${command}`;
}

/** `faultline show RUN` */
export const showCommand: CliCommand = async (args, context) => {
  const { record } = await recordedRun(args, context, 'show');
  context.stdout.write(`${JSON.stringify(record, undefined, 2)}\n`);
  return exitCodes.done;
};

/** `faultline preflight RUN [--on NODE]` */
export const preflightCommand: CliCommand = async (args, context) => {
  const { values, positionals } = parse(args, { on: { type: 'string' } });
  const run = await recordedRun(positionals, context, 'preflight');
  const node = targetNode(text(values.on), run, context);
  const findings = await findingsOn(run, node, context);
  print(context, { findings }, () => describeFindings(findings));
  return findings.some((finding) => finding.status === 'differs')
    ? exitCodes.found
    : exitCodes.done;
};

async function findingsOn(run: ListedRun, node: Node, context: CliContext): Promise<Finding[]> {
  const shell = await context.access.shell(node, context.signal);
  return preflight(run.record, await readCurrentFacts(shell, node, run.record, context.signal));
}

function describeFindings(findings: readonly Finding[]): string {
  const told = findings.filter((finding) => finding.status !== 'same');
  const lines = told.map((finding) => {
    const values =
      finding.status === 'differs'
        ? `${show(finding.recorded)} → ${show(finding.current)}`
        : 'could not be checked';
    const note = finding.note === null ? '' : `  (${toDisplay(finding.note, 160)})`;
    return `${finding.severity.padEnd(7)} ${toDisplay(finding.fact, 80)}: ${values}${note}`;
  });
  return [...lines, summarise(findings)].join('\n');
}

function show(value: string | null): string {
  return value === null ? 'not there' : toDisplay(value, 120);
}

/** `faultline rerun RUN [--on NODE] [--yes]` */
export const rerunCommand: CliCommand = async (args, context) => {
  const { values, positionals } = parse(args, {
    on: { type: 'string' },
    yes: { type: 'boolean', short: 'y' },
  });
  const run = await recordedRun(positionals, context, 'rerun');
  const node = targetNode(text(values.on), run, context);
  await confirmRerun(run, node, values.yes === true, context);
  const shell = await context.access.shell(node, context.signal);
  const collected = new CollectedOutput(context);
  const plan = planLaunch(run.record, node.name);
  const result = await rerun(shell, node, run.record, plan, collected.output, context.signal);
  if (context.json) {
    const { run: id, exitCode, signal, sameFailure, difference } = result;
    print(
      context,
      {
        run: id ?? null,
        exitCode: exitCode ?? null,
        signal: signal ?? null,
        sameFailure,
        difference: difference ?? null,
        ...collected.texts(),
      },
      () => '',
    );
    return exitCodes.done;
  }
  context.stderr.write(
    `faultline: ${result.sameFailure ? 'It ended the same way.' : (result.difference ?? '')}\n` +
      (result.run === undefined ? '' : `faultline: run ${result.run}\n`),
  );
  return result.exitCode ?? 128 + signalNumber(result.signal);
};

/** A rerun changes things: on a production node its name is typed first, or `--yes` given. */
async function confirmRerun(
  run: ListedRun,
  node: Node,
  yes: boolean,
  context: CliContext,
): Promise<void> {
  if (yes || !isProduction(node)) return;
  const command = toDisplay(run.record.argv.join(' '), 300);
  if (!process.stdin.isTTY || context.json) {
    throw new UserError(
      'cli.notConfirmed',
      `${node.name} is labelled production, so this is not run without being confirmed: ${command}`,
      { hint: 'Look at the preflight, then add --yes.' },
    );
  }
  const questions = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await questions.question(
      `${node.name} is labelled production. This will run in ${run.record.cwd.logical}:\n` +
        `  ${command}\nType the node's name to go on: `,
      { signal: context.signal },
    );
    if (answer.trim() === node.name) return;
    throw new UserError('cli.notConfirmed', 'Not started: that is not the name of the node.');
  } finally {
    questions.close();
  }
}

async function recordedRun(
  words: readonly string[],
  context: CliContext,
  command: string,
): Promise<ListedRun> {
  const [id, ...rest] = words;
  if (id === undefined || rest.length > 0) {
    throw wrongUse(
      `faultline ${command} needs the id of one run.`,
      'See "faultline runs" for the recorded runs.',
    );
  }
  return findRun(context.access, context.access.nodes, id, context.signal);
}

function targetNode(on: string | undefined, run: ListedRun, context: CliContext): Node {
  return on === undefined ? run.node : findNode(on, context.access.nodes);
}

type Options = NonNullable<Parameters<typeof parseArgs>[0]>['options'];

function parse(
  args: readonly string[],
  options: NonNullable<Options>,
): { values: Record<string, unknown>; positionals: string[] } {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw wrongUse(error instanceof Error ? error.message : String(error));
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

const maxCollectedBytes = 16 << 20;

/** Passes a program's output through, or collects it for `--json`. */
class CollectedOutput {
  readonly output: RunOutput;
  private readonly stdout: Buffer[] = [];
  private readonly stderr: Buffer[] = [];

  constructor(context: CliContext) {
    this.output = context.json
      ? { onStdout: collectInto(this.stdout), onStderr: collectInto(this.stderr) }
      : {
          onStdout: (chunk) => context.stdout.write(chunk),
          onStderr: (chunk) => context.stderr.write(chunk),
        };
  }

  texts(): { readonly stdout: string; readonly stderr: string } {
    return {
      stdout: Buffer.concat(this.stdout).toString('utf8'),
      stderr: Buffer.concat(this.stderr).toString('utf8'),
    };
  }
}

function collectInto(chunks: Buffer[]): (chunk: Buffer) => void {
  let length = 0;
  return (chunk) => {
    if (length < maxCollectedBytes) chunks.push(chunk.subarray(0, maxCollectedBytes - length));
    length += chunk.length;
  };
}

/** A shell says 128 + the signal's number for a program that died by one. */
function signalNumber(signal: string | undefined): number {
  const known: Readonly<Record<string, number>> = constants.signals;
  return signal === undefined ? 0 : (known[signal] ?? 0);
}
