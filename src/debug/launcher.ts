// Starts a program on a node exactly as a plan says, through the probe's launcher (src/probe/python/launch.py):
// directory, environment, umask and limits are the plan's, byte for byte.

import type { Readable, Writable } from 'node:stream';
import { delay } from '../base/async.ts';
import { UserError } from '../base/errors.ts';
import { pythonProgram } from '../probe/python.ts';
import type { ProcessExit, Shell } from '../remote/shell.ts';
import { LauncherLines } from '../run/launcherLines.ts';
import type { LaunchPlan } from '../run/launchPlan.ts';

/** What is started, and with what. What is undefined is left as a plain command on the node has it. */
export interface ProgramPlan {
  readonly argv: readonly string[];
  readonly cwd: string | undefined;
  readonly env: LaunchPlan['env'];
  /** True: `env` is added to the environment of a plain command. False: it is all there is. */
  readonly inheritEnv: boolean;
  readonly umask: string | undefined;
  readonly limits: LaunchPlan['limits'] | undefined;
}

export interface LaunchedProgram {
  /** Everything written here reaches an adapter. A plain program's stdin is /dev/null. */
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Without what the launcher says itself. */
  readonly stderr: Readable;
  readonly exited: Promise<ProcessExit>;
  /** Why it did not start, once it has exited; undefined when it did start. */
  failure(): UserError | undefined;
  /** Closes the channel: the launcher then ends the program and everything it started. */
  dispose(): void;
}

export interface LaunchOptions {
  /** `exec`: a plain program. `adapter`: a program that reads stdin and ends with it. */
  readonly mode: 'exec' | 'adapter';
  /** Interpreter for the launcher itself. */
  readonly python: string;
  /** The node's name, for error sentences. */
  readonly node: string;
  /** What is not as planned, e.g. a limit that could not be set. */
  readonly onNote: (note: string) => void;
}

/** A sign of life so often; three missing ones and the launcher ends the program. */
const heartbeatMs = 10_000;
/** A child of the program may hold its stderr open for long. */
const lastWordsMs = 500;

export async function launch(
  shell: Shell,
  plan: ProgramPlan,
  { mode, python, node, onNote }: LaunchOptions,
  signal?: AbortSignal,
): Promise<LaunchedProgram> {
  const launcher = pythonProgram('python/launch.py', { python, title: 'Start a program' });
  const process = await shell.start(launcher.command, {}, signal);
  process.stdin.on('error', () => {
    // A launcher that has ended says why on stderr.
  });
  const request = { ...plan, mode, heartbeatSeconds: (3 * heartbeatMs) / 1000 };
  process.stdin.write(launcher.input);
  process.stdin.write(`${JSON.stringify(request)}\n`);
  const heartbeat =
    mode === 'exec' ? setInterval(() => process.stdin.write('\n'), heartbeatMs) : undefined;
  void process.exited.then(() => clearInterval(heartbeat));
  const lines = new LauncherLines({ onNote });
  process.stderr.once('close', () => lines.end());
  const said = closed(lines);
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr.pipe(lines),
    exited: process.exited.then(async (exit) => {
      // An exit may be heard of before the last words are.
      await Promise.race([said, delay(lastWordsMs)]);
      return exit;
    }),
    failure: () => (lines.refusal === undefined ? undefined : cannotStart(node, lines.refusal)),
    dispose: () => {
      clearInterval(heartbeat);
      process.dispose();
    },
  };
}

function closed(stream: Readable): Promise<void> {
  return new Promise((resolve) => stream.once('close', resolve));
}

/** An interpreter on the node that the launcher can run with: the first of these that is there. */
export async function findPython(
  shell: Shell,
  node: string,
  candidates: readonly string[],
  signal?: AbortSignal,
): Promise<string> {
  const script =
    'for p in "$@"; do command -v "$p" >/dev/null 2>&1 && printf %s "$p" && exit; done; exit 1';
  const { exitCode, stdout } = await shell.exec({ script, args: candidates }, {}, signal);
  if (exitCode === 0) return stdout.toString();
  throw new UserError('debug.noPython', `${node} has no Python 3, which starts programs there.`, {
    hint: `Install python3 on ${node}.`,
  });
}

function cannotStart(node: string, why: string): UserError {
  return new UserError('debug.cannotStart', `The program cannot start on ${node}: ${why}.`, {
    hint: 'See the preflight for what is different there.',
  });
}
