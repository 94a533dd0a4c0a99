// The run record: what the probe's recorder wrote about one run of a program, as read from a node.

import * as v from 'valibot';
import { UserError } from '../base/errors.ts';

export const runRecordVersion = 1;

/** A secret that was masked on the node before it was written. */
const redactedSchema = v.object({
  redacted: v.literal(true),
  /** Whether the variable's name or the look of its value gave it away. */
  reason: v.fallback(v.picklist(['name', 'value']), 'name'),
  length: v.number(),
  /** First 8 hex digits of HMAC-SHA256 with the record's own salt: tells equal from different. */
  hash: v.string(),
});

const frameSchema = v.object({
  file: v.string(),
  line: v.number(),
  function: v.string(),
  code: v.nullish(v.string()),
});

const exceptionSchema = v.object({
  type: v.string(),
  module: v.nullish(v.string()),
  message: v.string(),
  traceback: v.optional(v.string(), ''),
  /** Outermost first, as in a Python traceback. */
  frames: v.optional(v.array(frameSchema), []),
  source: v.nullish(v.string()),
});

const text = v.nullish(v.string());
const count = v.nullish(v.number());

const recordSchema = v.object({
  format: v.literal('faultline.run'),
  version: v.number(),
  id: v.pipe(v.string(), v.regex(/^[\w.-]{1,80}$/, 'is not a run id')),
  parent: text,
  contextId: text,
  state: v.picklist(['running', 'passed', 'failed', 'lost']),
  /** ISO 8601 UTC, by the node's own clock. */
  startedAt: v.string(),
  endedAt: text,
  durationMs: count,
  exitCode: count,
  signal: text,
  exception: v.nullish(exceptionSchema),
  stderrTail: v.optional(v.string(), ''),
  pid: count,
  argv: v.array(v.string()),
  program: text,
  cwd: v.object({ logical: v.string(), physical: v.string() }),
  env: v.record(v.string(), v.union([v.string(), redactedSchema])),
  redaction: v.optional(v.object({ salt: v.string() }), { salt: '' }),
  user: v.object({
    name: v.string(),
    uid: v.number(),
    gid: v.number(),
    groups: v.optional(v.array(v.string()), []),
  }),
  umask: v.optional(v.string(), '0022'),
  /** Soft and hard limit by name; -1 is unlimited. */
  limits: v.optional(v.record(v.string(), v.tuple([v.number(), v.number()])), {}),
  locale: v.optional(v.record(v.string(), text), {}),
  timezone: v.optional(v.object({ tz: text, name: text, offsetMinutes: count }), {
    tz: null,
    name: null,
    offsetMinutes: null,
  }),
  host: v.object({
    name: v.string(),
    os: text,
    kernel: text,
    machine: text,
    addresses: v.optional(v.array(v.string()), []),
  }),
  interpreter: v.nullish(
    v.object({
      implementation: text,
      version: v.string(),
      executable: v.string(),
      realExecutable: text,
      prefix: text,
      basePrefix: text,
      hashSeed: text,
    }),
  ),
  packages: v.optional(v.record(v.string(), v.string()), {}),
  code: v.nullish(
    v.object({
      root: v.string(),
      commit: text,
      branch: text,
      dirty: v.nullish(v.boolean()),
      files: v.optional(v.record(v.string(), v.string()), {}),
    }),
  ),
  stdin: text,
  tty: v.nullish(v.boolean()),
  recorder: v.nullish(v.object({ name: v.string(), version: v.string(), mode: text })),
  notes: v.optional(v.array(v.string()), []),
});

export type RunRecord = v.InferOutput<typeof recordSchema>;
export type RecordedValue = RunRecord['env'][string];
export type RedactedValue = Extract<RecordedValue, { readonly redacted: true }>;

/** `lost`: it was running when last heard of, and its process is gone without a word. */
export type RunState = RunRecord['state'];

/** What a list of runs shows of each. */
export interface RunHead {
  readonly run: string;
  readonly node: string;
  readonly argv: readonly string[];
  readonly state: RunState;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly contextId: string | null;
  readonly exception: { readonly type: string; readonly message: string } | null;
}

const headSchema = v.object({
  run: v.pipe(v.string(), v.regex(/^[\w.-]{1,80}$/)),
  argv: v.array(v.string()),
  state: v.picklist(['running', 'passed', 'failed', 'lost']),
  startedAt: v.string(),
  endedAt: v.optional(v.nullable(v.string()), null),
  exitCode: v.optional(v.nullable(v.number()), null),
  signal: v.optional(v.nullable(v.string()), null),
  contextId: v.optional(v.nullable(v.string()), null),
  exception: v.optional(v.nullable(v.object({ type: v.string(), message: v.string() })), null),
});

/** Checks a record that came from a node or a file. Errors: `run.tooNew`, `run.invalid`. */
export function parseRunRecord(value: unknown): RunRecord {
  const version = v.safeParse(v.object({ version: v.number() }), value);
  if (version.success && version.output.version > runRecordVersion) {
    throw new UserError(
      'run.tooNew',
      `This run record has version ${version.output.version}; this Faultline reads up to ` +
        `version ${runRecordVersion}.`,
      { hint: 'Update Faultline.' },
    );
  }
  const checked = v.safeParse(recordSchema, value);
  if (checked.success) return checked.output;
  const issue = checked.issues[0];
  const path = (issue.path ?? []).map((step) => String(step.key)).join('.');
  throw new UserError('run.invalid', `This is not a run record: ${path}: ${issue.message}.`);
}

/** Undefined when a line of the recorder's list is not a head: an unreadable record hides no others. */
export function parseRunHead(value: unknown, node: string): RunHead | undefined {
  const checked = v.safeParse(headSchema, value);
  return checked.success ? { ...checked.output, node } : undefined;
}

export function headOf(record: RunRecord, node: string): RunHead {
  return {
    run: record.id,
    node,
    argv: record.argv,
    state: record.state,
    startedAt: record.startedAt,
    endedAt: record.endedAt ?? null,
    exitCode: record.exitCode ?? null,
    signal: record.signal ?? null,
    contextId: record.contextId ?? null,
    exception:
      record.exception == null
        ? null
        : { type: record.exception.type, message: record.exception.message },
  };
}

export function isRedacted(value: RecordedValue): value is RedactedValue {
  return typeof value !== 'string';
}

/**
 * Where the run failed: the innermost frame of the exception that has a source file (`<frozen os>` has none).
 */
export function failingFrame(
  record: RunRecord,
): { readonly file: string; readonly line: number } | undefined {
  const frame = record.exception?.frames.findLast((candidate) => candidate.file.startsWith('/'));
  return frame === undefined ? undefined : { file: frame.file, line: frame.line };
}

/**
 * What people call the program: `shop.settle` for `/venv/bin/python -m shop.settle --order 7`, `task.py` for
 * `python3 -u jobs/task.py`, else the program's own name.
 */
export function programName(argv: readonly string[]): string {
  const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
  const [program = '', ...args] = argv;
  if (!/^(python|pypy|node)[\d.]*$/.test(baseName(program))) return baseName(program);
  const module = args.indexOf('-m');
  const script = args.findIndex((arg) => !arg.startsWith('-'));
  if (module >= 0 && (script < 0 || module < script)) return args[module + 1] ?? program;
  const named = script < 0 || args.includes('-c') ? undefined : args[script];
  return named === undefined ? baseName(program) : baseName(named);
}

/** How the run ended, in words: `KeyError: 'X'`, `exit code 3`, `SIGKILL`. */
export function describeEnd(head: RunHead): string {
  if (head.exception !== null) {
    return head.exception.message === ''
      ? head.exception.type
      : `${head.exception.type}: ${head.exception.message}`;
  }
  if (head.signal !== null) return head.signal;
  if (head.state === 'lost') return 'ended without a word';
  if (head.exitCode !== null) return head.exitCode === 0 ? 'passed' : `exit code ${head.exitCode}`;
  return 'running';
}
