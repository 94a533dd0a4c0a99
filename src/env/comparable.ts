// What can be compared with what: a snapshot, or the part of one that a run record holds. A fact that is not
// there is not compared.

import {
  isAvailable,
  unavailableChapters,
  type Available,
  type Disk,
  type EnvSnapshot,
  type EnvValue,
  type PythonInterpreter,
  type Variables,
} from './envSnapshot.ts';

type Facts<K extends keyof EnvSnapshot> = Omit<Available<EnvSnapshot[K]>, 'source'>;

export type ComparablePython = Pick<
  PythonInterpreter,
  'executable' | 'realExecutable' | 'version' | 'implementation' | 'prefix' | 'isVenv' | 'packages'
> & {
  readonly isInUse?: boolean;
  /** `$SHOP_HOME/venv` names the same thing on two nodes, wherever it lies. */
  readonly foundBy?: readonly string[];
};

export interface Comparable {
  /** The node's name, or the run's. */
  readonly label: string;
  /** Which key made the hashes of masked values. */
  readonly keyId: string;
  readonly clock?: { readonly offsetMs: number; readonly errorMs: number };
  readonly os?: Partial<Facts<'os'>>;
  readonly user?: Partial<Facts<'user'>>;
  readonly umask?: string;
  readonly cwd?: string;
  readonly limits?: Readonly<Record<string, readonly [number, number]>>;
  /** The encoding that the locale makes programs use. */
  readonly charmap?: string;
  readonly timezone?: Partial<Facts<'timezone'>>;
  readonly cpu?: Facts<'cpu'>;
  readonly memory?: Facts<'memory'>;
  readonly disks?: readonly Disk[];
  readonly loginShell?: Variables;
  readonly plainCommand?: Variables;
  /** Of one process; compared with a plain command's where the other side has no process. */
  readonly process?: Variables;
  readonly pythons?: readonly ComparablePython[];
  /** True when `pythons` are all there are, so that one less is a difference. */
  readonly hasAllPythons?: boolean;
  readonly nodejs?: Facts<'nodejs'>['runtimes'];
  readonly systemPackages?: Facts<'systemPackages'>;
  /** Chapters that could not be had, and why. */
  readonly missing: readonly { readonly chapter: string; readonly why: string }[];
}

export function fromSnapshot(snapshot: EnvSnapshot): Comparable {
  const { clock, command, limits, locale, disks, env, pythons, nodejs, systemPackages } = snapshot;
  return {
    label: snapshot.node,
    keyId: snapshot.redaction.keyId,
    ...(isAvailable(clock) && clock.offsetMs !== null
      ? { clock: { offsetMs: clock.offsetMs, errorMs: clock.errorMs ?? 0 } }
      : {}),
    ...pick('os', snapshot.os),
    ...pick('user', snapshot.user),
    ...(isAvailable(command) ? { umask: command.umask, cwd: command.cwd.logical } : {}),
    ...(isAvailable(limits) ? { limits: limits.limits } : {}),
    ...(isAvailable(locale) && locale.charmap !== null ? { charmap: locale.charmap } : {}),
    ...pick('timezone', snapshot.timezone),
    ...pick('cpu', snapshot.cpu),
    ...pick('memory', snapshot.memory),
    ...(isAvailable(disks) ? { disks: disks.disks } : {}),
    ...(isAvailable(env.loginShell) ? { loginShell: env.loginShell.variables } : {}),
    ...(isAvailable(env.plainCommand) ? { plainCommand: env.plainCommand.variables } : {}),
    ...(isAvailable(pythons) ? { pythons: pythons.interpreters, hasAllPythons: true } : {}),
    ...(isAvailable(nodejs) ? { nodejs: nodejs.runtimes } : {}),
    ...(isAvailable(systemPackages) ? { systemPackages } : {}),
    missing: unavailableChapters(snapshot),
  };
}

function pick<K extends string, T extends object>(
  name: K,
  chapter: T,
): { readonly [P in K]?: Available<T> } {
  return (isAvailable(chapter) ? { [name]: chapter } : {}) as { readonly [P in K]?: Available<T> };
}

/** What a run record tells of an environment, as plain fields. */
export interface RunFacts {
  readonly label: string;
  readonly env: Readonly<Record<string, EnvValue>>;
  /** Id of the key of the masked values: `redactionKey(record.redaction.salt).id`. */
  readonly keyId: string;
  readonly user: {
    readonly name: string;
    readonly uid: number;
    readonly gid: number;
    readonly groups: readonly string[];
  };
  readonly umask: string;
  readonly cwd: string;
  readonly limits: Readonly<Record<string, readonly [number, number]>>;
  readonly timezone: {
    readonly tz?: string | null;
    readonly name?: string | null;
    readonly offsetMinutes?: number | null;
  };
  readonly host: {
    readonly name: string;
    readonly kernel?: string | null;
    readonly machine?: string | null;
  };
  readonly interpreter:
    | {
        readonly executable: string;
        readonly realExecutable?: string | null;
        readonly version: string;
        readonly implementation?: string | null;
        readonly prefix?: string | null;
        readonly basePrefix?: string | null;
      }
    | null
    | undefined;
  readonly packages: Readonly<Record<string, string>>;
}

/**
 * The facts of a run beside those of a node. Its environment is that of a process, its interpreter one of
 * many, so only what both sides have is compared.
 */
export function fromRunFacts(run: RunFacts): Comparable {
  const { host, timezone } = run;
  return {
    label: run.label,
    keyId: run.keyId,
    os: {
      hostname: host.name,
      ...(host.kernel == null ? {} : { kernel: host.kernel }),
      ...(host.machine == null ? {} : { machine: host.machine }),
    },
    user: { ...run.user, groups: [...run.user.groups] },
    umask: run.umask,
    cwd: run.cwd,
    limits: run.limits,
    timezone: {
      tz: timezone.tz ?? null,
      ...(timezone.name == null ? {} : { abbreviation: timezone.name }),
      ...(timezone.offsetMinutes == null ? {} : { offsetMinutes: timezone.offsetMinutes }),
    },
    process: run.env,
    ...(run.interpreter == null ? {} : { pythons: [toPython(run.interpreter, run.packages)] }),
    missing: [],
  };
}

function toPython(
  interpreter: NonNullable<RunFacts['interpreter']>,
  packages: RunFacts['packages'],
): ComparablePython {
  const prefix = interpreter.prefix ?? '';
  return {
    executable: interpreter.executable,
    realExecutable: interpreter.realExecutable ?? interpreter.executable,
    version: interpreter.version,
    implementation: (interpreter.implementation ?? 'cpython').toLowerCase(),
    prefix,
    isVenv: interpreter.basePrefix != null && interpreter.basePrefix !== prefix,
    isInUse: true,
    packages,
  };
}
