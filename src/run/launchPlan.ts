// What a reopened run is started with: a record plus the user's choices. The step between a preflight and
// a start.

/** How a run is started again. */
export type LaunchMode = 'run' | 'terminal' | 'debug';

export interface LaunchPlan {
  /** Name of the node to start it on. */
  readonly node: string;
  /** The recorded run this one repeats. */
  readonly parent: string;
  readonly contextId: string | undefined;
  readonly argv: readonly string[];
  readonly cwd: string;
  /** The whole environment, nothing is inherited. Holds secrets in the clear: never stored or shown. */
  readonly env: Readonly<Record<string, string>>;
  /** Octal, e.g. `0022`. */
  readonly umask: string;
  /** Soft and hard limits by their `ulimit` name; -1 is unlimited. */
  readonly limits: Readonly<Record<string, readonly [number, number]>>;
  /** The recorded interpreter when the program is a Python program, else undefined. */
  readonly python: string | undefined;
  /** File and line where the recorded run failed, for the debugger to show. */
  readonly failedAt: { readonly file: string; readonly line: number } | undefined;
}
