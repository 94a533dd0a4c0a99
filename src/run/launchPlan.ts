// What a reopened run is started with: a record plus the user's choices. The step between a preflight and
// a start.

import { failingFrame, isRedacted, type RunRecord } from './runRecord.ts';

/**
 * A secret that was masked in the record. The launcher on the node looks for a value with this hash in the
 * login shell's environment and in those of running processes, so that the value itself never travels.
 */
export interface SecretReference {
  /** First 8 hex digits of HMAC-SHA256, keyed by the salt's hex digits as ASCII. */
  readonly secretHash: string;
  /** 32 hex digits. */
  readonly salt: string;
}

export interface LaunchPlan {
  /** Name of the node to start it on. */
  readonly node: string;
  /** The recorded run this one repeats. */
  readonly parent: string;
  readonly contextId: string | undefined;
  readonly argv: readonly string[];
  readonly cwd: string;
  /** The whole environment, nothing is inherited. May hold secrets the user typed: never stored or shown. */
  readonly env: Readonly<Record<string, string | SecretReference>>;
  /** Octal, e.g. `0022`. */
  readonly umask: string;
  /** Soft and hard limits by their `ulimit` name; -1 is unlimited. */
  readonly limits: Readonly<Record<string, readonly [number, number]>>;
  /** The recorded interpreter when the program is a Python program, else undefined. */
  readonly python: string | undefined;
  /** File and line where the recorded run failed, for the debugger to show. */
  readonly failedAt: { readonly file: string; readonly line: number } | undefined;
}

/** The plan that repeats a recorded run on a node. `secrets` are values the user gave, by variable name. */
export function planLaunch(
  record: RunRecord,
  node: string,
  secrets: Readonly<Record<string, string>> = {},
): LaunchPlan {
  return {
    node,
    parent: record.id,
    contextId: record.contextId ?? undefined,
    argv: record.argv,
    cwd: record.cwd.logical,
    env: Object.fromEntries(
      Object.entries(record.env).map(([name, value]) => [
        name,
        isRedacted(value)
          ? (secrets[name] ?? { secretHash: value.hash, salt: record.redaction.salt })
          : value,
      ]),
    ),
    umask: record.umask,
    limits: record.limits,
    python: record.interpreter?.executable,
    failedAt: failingFrame(record),
  };
}
