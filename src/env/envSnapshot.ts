// The environment of a node at one moment, as it is stored and shown: a versioned JSON document. Secrets
// are already masked in it. A chapter that could not be had says why instead of its facts.

import * as v from 'valibot';
import { UserError } from '../base/errors.ts';
import { readVersioned, type Upgrade } from './versioned.ts';

export const snapshotFormat = 'faultline.env';
export const snapshotVersion = 1;

/** A value that is not kept; what is, tells equal from different to who holds the key. */
const redactedSchema = v.object({
  redacted: v.literal(true),
  /** What gave it away: the variable's name or the look of its value. */
  reason: v.picklist(['name', 'value']),
  /** In characters. */
  length: v.number(),
  /** First 8 hex digits of HMAC-SHA256(key, value). Comparable where the key is the same one. */
  hash: v.string(),
});

const valueSchema = v.union([v.string(), redactedSchema]);

/** As `v.record`, but keeps names such as `constructor` that valibot's own leaves out. */
function recordOf<T>(schema: v.GenericSchema<unknown, T>) {
  return v.pipe(
    v.custom<Readonly<Record<string, T>>>(
      (value) =>
        typeof value === 'object' &&
        value !== null &&
        !Array.isArray(value) &&
        Object.values(value).every((each) => v.is(schema, each)),
      'is not a map of the expected values',
    ),
  );
}

/** Facts with how they were got, or why they were not. */
function chapterOf<T extends v.ObjectEntries>(entries: T) {
  return v.union([
    v.object({ source: v.string(), ...entries }),
    v.object({ unavailable: v.string() }),
  ]);
}

const nullableText = v.nullable(v.string());

const diskSchema = v.object({
  mount: v.string(),
  /** What is mounted, e.g. `/dev/vda` or `server:/export`. */
  device: v.string(),
  fileSystem: nullableText,
  isShared: v.boolean(),
  sizeBytes: v.number(),
  usedBytes: v.number(),
  availableBytes: v.number(),
  /** Null where the file system does not count them. */
  inodes: v.nullable(v.object({ total: v.number(), used: v.number() })),
});

const pythonSchema = v.object({
  executable: v.string(),
  realExecutable: v.string(),
  version: v.string(),
  /** `cpython`, `pypy` … */
  implementation: v.string(),
  /** For a virtual environment, its directory. */
  prefix: v.string(),
  basePrefix: v.string(),
  isVenv: v.boolean(),
  /** Whether a running process uses it. */
  isInUse: v.boolean(),
  foundBy: v.array(v.string()),
  /** Distributions it can import, by normalised name (PEP 503). */
  packages: recordOf(v.string()),
});

const variablesEntries = { variables: recordOf(valueSchema) };

const snapshotSchema = v.object({
  format: v.literal(snapshotFormat),
  version: v.literal(snapshotVersion),
  /** The node's name in Faultline. */
  node: v.string(),
  /** Our clock, ISO 8601 UTC, when the node was asked. */
  takenAt: v.string(),
  durationMs: v.number(),
  /** True when at least one chapter could not be had. */
  partial: v.boolean(),
  redaction: v.object({
    /** Says which key made the hashes, without telling the key. */
    keyId: v.string(),
  }),
  clock: chapterOf({
    /** The node's own time when the snapshot was taken, ISO 8601 UTC, to the second. */
    nodeTime: nullableText,
    /** Node's clock minus ours, and how far that may be off. */
    offsetMs: v.nullable(v.number()),
    errorMs: v.nullable(v.number()),
  }),
  os: chapterOf({
    prettyName: v.string(),
    /** As in os-release, e.g. `debian` and `12`. */
    id: nullableText,
    versionId: nullableText,
    kernelName: v.string(),
    kernel: v.string(),
    machine: v.string(),
    hostname: v.string(),
  }),
  user: chapterOf({
    name: v.string(),
    uid: v.number(),
    gid: v.number(),
    groups: v.array(v.string()),
    home: v.string(),
    shell: v.string(),
  }),
  /** The state a plain command starts in. */
  command: chapterOf({
    cwd: v.object({ logical: v.string(), physical: v.string() }),
    /** Octal, e.g. `0022`. */
    umask: v.string(),
  }),
  /** Soft and hard limit by name (`nofile`, `nproc` …) in the units of setrlimit(2); -1 is unlimited. */
  limits: chapterOf({ limits: recordOf(v.tuple([v.number(), v.number()])) }),
  locale: chapterOf({
    /** LANG, LANGUAGE and LC_* of a plain command. */
    variables: recordOf(v.string()),
    /** What these make of it, e.g. `UTF-8` or `ANSI_X3.4-1968`. */
    charmap: nullableText,
  }),
  timezone: chapterOf({
    /** The variable TZ of a plain command. */
    tz: nullableText,
    /** The machine's zone, e.g. `Europe/Berlin`. */
    zone: nullableText,
    /** What `date` makes of both. */
    abbreviation: nullableText,
    offsetMinutes: v.nullable(v.number()),
  }),
  cpu: chapterOf({
    model: v.string(),
    count: v.number(),
    /** How many of them a process here may use. */
    usable: v.nullable(v.number()),
  }),
  memory: chapterOf({
    totalBytes: v.number(),
    availableBytes: v.nullable(v.number()),
    swapBytes: v.nullable(v.number()),
  }),
  disks: chapterOf({
    disks: v.array(diskSchema),
    /** What could not be asked, e.g. a network file system whose server is away. */
    notes: v.array(v.string()),
  }),
  env: v.object({
    /** What a login gives: the user's shell with its start-up files. */
    loginShell: chapterOf({ shell: v.string(), ...variablesEntries }),
    /** What a command sent over SSH gets. */
    plainCommand: chapterOf(variablesEntries),
  }),
  pythons: chapterOf({ interpreters: v.array(pythonSchema), notes: v.array(v.string()) }),
  nodejs: chapterOf({
    runtimes: v.array(v.object({ executable: v.string(), version: v.string() })),
  }),
  systemPackages: chapterOf({
    /** `dpkg`, `rpm` or `apk`: whose rules compare the versions. */
    manager: v.string(),
    /** Version by name; `name:architecture` for a second architecture of one name. */
    packages: recordOf(v.string()),
  }),
});

export type EnvSnapshot = v.InferOutput<typeof snapshotSchema>;
export type RedactedValue = v.InferOutput<typeof redactedSchema>;
export type EnvValue = string | RedactedValue;
export type Variables = Readonly<Record<string, EnvValue>>;
export type PythonInterpreter = v.InferOutput<typeof pythonSchema>;
export type Disk = v.InferOutput<typeof diskSchema>;
export interface Unavailable {
  readonly unavailable: string;
}
/** The facts of a chapter that was had. */
export type Available<T> = Exclude<T, Unavailable>;

/** Upgrades[n] makes a document of version n + 2 from one of version n + 1. */
const upgrades: readonly Upgrade[] = [];

/**
 * Checks a snapshot that comes from a file. An older version is upgraded. Errors: `env.notSnapshot`,
 * `env.tooNew`, `env.invalid`.
 */
export function parseSnapshot(value: unknown): EnvSnapshot {
  const current = readVersioned(value, {
    format: snapshotFormat,
    version: snapshotVersion,
    upgrades,
    what: 'an environment snapshot',
    area: 'env',
  });
  const checked = v.safeParse(snapshotSchema, current);
  if (checked.success) return checked.output;
  const issue = checked.issues[0];
  const path = v.getDotPath(issue) ?? 'the document';
  throw new UserError('env.invalid', `This snapshot is damaged: ${path}: ${issue.message}.`, {
    hint: 'Take it again.',
  });
}

/** Reads the text of a snapshot file. */
export function readSnapshot(text: string): EnvSnapshot {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UserError('env.notSnapshot', 'This file is not JSON.', {
      hint: 'A snapshot file is what "faultline env NODE --out FILE" writes.',
      cause,
    });
  }
  return parseSnapshot(value);
}

/** The text of a snapshot file. Bytes that are not UTF-8 are `\udcXX` escapes in it. */
export function writeSnapshot(snapshot: EnvSnapshot): string {
  return `${JSON.stringify(snapshot, undefined, 2)}\n`;
}

export function isRedacted(value: EnvValue): value is RedactedValue {
  return typeof value !== 'string';
}

export function isAvailable<T extends object>(chapter: T): chapter is Available<T> {
  return !('unavailable' in chapter);
}

/** The chapters that could not be had, by their path in the snapshot, and why. */
export function unavailableChapters(
  snapshot: EnvSnapshot,
): readonly { readonly chapter: string; readonly why: string }[] {
  const { env, ...rest } = snapshot;
  const all = [
    ...Object.entries(rest),
    ...Object.entries(env).map(([name, chapter]) => [`env.${name}`, chapter] as const),
  ];
  return all.flatMap(([chapter, facts]) =>
    typeof facts === 'object' && 'unavailable' in facts
      ? [{ chapter, why: facts.unavailable }]
      : [],
  );
}
