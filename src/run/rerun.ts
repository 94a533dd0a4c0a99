// A launch plan → the run again, on its node, under the recorder; then the verdict on its failure.

import { UserError } from '../base/errors.ts';
import { pythonProgram } from '../probe/python.ts';
import { probeSource } from '../probe/sources.ts';
import type { Node } from '../remote/node.ts';
import type { ProcessExit, Shell } from '../remote/shell.ts';
import { LauncherLines } from './launcherLines.ts';
import type { LaunchPlan } from './launchPlan.ts';
import type { RunRecord } from './runRecord.ts';
import { readRun } from './runStore.ts';
import { compareFailures, type FailureComparison } from './sameFailure.ts';

/** What the launcher on the node is told; see src/probe/python/launch.py. */
export interface LaunchRequest {
  readonly argv: readonly string[];
  readonly cwd?: string;
  readonly env: LaunchPlan['env'];
  /** True: `env` is added to the environment a plain command has on the node. */
  readonly inheritEnv?: boolean;
  readonly umask?: string;
  readonly limits?: LaunchPlan['limits'];
  readonly parent?: string;
  readonly contextId?: string;
}

export interface RunOutput {
  readonly onStdout: (chunk: Buffer) => void;
  readonly onStderr: (chunk: Buffer) => void;
}

export interface FinishedRun extends ProcessExit {
  /** Undefined when the program could not be started or the recorder could not write. */
  readonly run: string | undefined;
}

/** Exit code of the launcher when the program could not be started; its stderr says why. */
export const cannotStartExitCode = 97;

/**
 * Runs a program on a node under the recorder to its end. The recorder's own last line is kept from
 * `onStderr`. Errors: `run.cannotStart`, `run.noPython`, `node.connectionLost`.
 */
export async function runRecorded(
  shell: Shell,
  node: Node,
  request: LaunchRequest,
  output: RunOutput,
  options: { readonly python?: string } = {},
  signal?: AbortSignal,
): Promise<FinishedRun> {
  const program = pythonProgram('python/launch.py', {
    title: 'Run a program under the recorder',
    ...(options.python === undefined ? {} : { python: options.python }),
  });
  const process = await shell.start(program.command, {}, signal);
  process.stdin.on('error', () => {
    // A launcher that ended has said why on stderr.
  });
  const recorder = probeSource('python/faultline_probe.py');
  process.stdin.write(program.input);
  process.stdin.write(`${JSON.stringify({ ...request, mode: 'run', recorder })}\n`);
  const stderr = new LauncherLines({
    onNote: (note) => output.onStderr(Buffer.from(`faultline: note: ${note}\n`)),
    isRecorded: true,
  });
  process.stderr.once('close', () => stderr.end());
  process.stdout.on('data', output.onStdout);
  process.stderr.pipe(stderr).on('data', output.onStderr);
  const [exit] = await Promise.all([process.exited, ended(process.stdout), ended(stderr)]);
  signal?.throwIfAborted();
  process.dispose();
  if (stderr.refusal !== undefined && exit.exitCode === cannotStartExitCode) {
    throw new UserError(
      'run.cannotStart',
      `The run cannot start on ${node.name}: ${stderr.refusal}.`,
      {
        hint: 'See the preflight for what is different there.',
      },
    );
  }
  if (exit.exitCode === 127 && stderr.runId === undefined) {
    throw new UserError(
      'run.noPython',
      `${node.name} has no Python 3, so runs cannot be recorded there.`,
      {
        hint: `Install python3 on ${node.name}.`,
      },
    );
  }
  if (exit.exitCode === undefined && exit.signal === undefined) {
    throw new UserError('node.connectionLost', `The connection to ${node.name} was lost.`, {
      hint: 'The program was ended with it. Start it again.',
    });
  }
  return { ...exit, run: stderr.runId };
}

export interface Rerun extends FinishedRun, FailureComparison {
  readonly record: RunRecord | undefined;
}

/** Runs a recorded run again and compares the ends. */
export async function rerun(
  shell: Shell,
  node: Node,
  recorded: RunRecord,
  plan: LaunchPlan,
  output: RunOutput,
  signal?: AbortSignal,
): Promise<Rerun> {
  const request: LaunchRequest = {
    argv: plan.argv,
    cwd: plan.cwd,
    env: plan.env,
    umask: plan.umask,
    limits: plan.limits,
    parent: plan.parent,
    ...(plan.contextId === undefined ? {} : { contextId: plan.contextId }),
  };
  const finished = await runRecorded(shell, node, request, output, {}, signal);
  const record =
    finished.run === undefined ? undefined : await readRun(shell, node, finished.run, signal);
  const end = record ?? {
    exitCode: finished.exitCode ?? null,
    signal: finished.signal ?? null,
    exception: null,
    stderrTail: '',
  };
  return { ...finished, ...compareFailures(recorded, end), record };
}

function ended(stream: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve) => {
    stream.once('end', resolve);
    stream.once('close', resolve);
    stream.once('error', () => resolve());
  });
}
