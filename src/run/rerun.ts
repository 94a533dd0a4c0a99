// A launch plan → the run again, on its node, under the recorder; then the verdict on its failure.

import { UserError } from '../base/errors.ts';
import { pythonProgram } from '../probe/python.ts';
import { probeSource } from '../probe/sources.ts';
import type { Node } from '../remote/node.ts';
import type { ProcessExit, Shell } from '../remote/shell.ts';
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

const recorderLine = /^faultline: run (r-[\w.-]{1,78})$/;
const cannotStartLine = /^faultline: cannot start: (.*)$/;

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
    ...(options.python === undefined ? {} : { python: options.python }),
  });
  const process = await shell.start(program.command, {}, signal);
  process.stdin.on('error', () => {
    // A launcher that ended has said why on stderr.
  });
  const recorder = probeSource('python/faultline_probe.py');
  process.stdin.write(program.input);
  process.stdin.write(`${JSON.stringify({ ...request, mode: 'run', recorder })}\n`);
  const stderr = new RecorderLines(output.onStderr);
  process.stdout.on('data', output.onStdout);
  process.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  const [exit] = await Promise.all([process.exited, ended(process.stdout), ended(process.stderr)]);
  signal?.throwIfAborted();
  stderr.end();
  process.dispose();
  if (stderr.cannotStart !== undefined && exit.exitCode === cannotStartExitCode) {
    throw new UserError(
      'run.cannotStart',
      `The run cannot start on ${node.name}: ${stderr.cannotStart}.`,
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

/** Passes stderr on as it comes, but for the lines that the launcher and the recorder say at the end. */
class RecorderLines {
  runId: string | undefined;
  cannotStart: string | undefined;
  private readonly pass: (chunk: Buffer) => void;
  private pending = Buffer.alloc(0);

  constructor(pass: (chunk: Buffer) => void) {
    this.pass = pass;
  }

  push(chunk: Buffer): void {
    this.pending = Buffer.concat([this.pending, chunk]);
    for (;;) {
      const end = this.pending.indexOf(0x0a);
      if (end < 0) break;
      this.line(this.pending.subarray(0, end + 1));
      this.pending = this.pending.subarray(end + 1);
    }
    // What cannot become one of our lines is passed on at once: a prompt has no line end.
    const start = this.pending.toString('latin1', 0, 11);
    if (!'faultline: '.startsWith(start)) {
      if (this.pending.length > 0) this.pass(this.pending);
      this.pending = Buffer.alloc(0);
    }
  }

  end(): void {
    if (this.pending.length > 0) this.line(this.pending);
    this.pending = Buffer.alloc(0);
  }

  private line(line: Buffer): void {
    const text = line.toString('utf8').trimEnd();
    const run = recorderLine.exec(text);
    const refusal = cannotStartLine.exec(text);
    if (run !== null) this.runId = run[1];
    else if (refusal !== null) this.cannotStart = refusal[1]?.replace(/\.$/, '');
    else this.pass(line);
  }
}
