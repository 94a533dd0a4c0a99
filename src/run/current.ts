// What a node is like now, as far as a recorded run cares: asked in one round trip, before a preflight.

import * as v from 'valibot';
import { UserError } from '../base/errors.ts';
import { toDisplay } from '../base/displayText.ts';
import { pythonProgram } from '../probe/python.ts';
import { probeSource } from '../probe/sources.ts';
import type { Node } from '../remote/node.ts';
import type { Shell } from '../remote/shell.ts';
import { isRedacted, type RunRecord } from './runRecord.ts';

const nullableText = v.nullish(v.string());
const valueSchema = v.union([
  v.string(),
  v.object({
    redacted: v.literal(true),
    reason: v.fallback(v.picklist(['name', 'value']), 'name'),
    length: v.number(),
    hash: v.string(),
  }),
]);

const currentSchema = v.object({
  format: v.literal('faultline.current'),
  version: v.literal(1),
  host: v.object({ name: v.string(), os: v.string(), kernel: v.string(), machine: v.string() }),
  user: v.object({
    name: v.string(),
    uid: v.number(),
    gid: v.number(),
    groups: v.array(v.string()),
  }),
  umask: v.string(),
  limits: v.record(v.string(), v.tuple([v.number(), v.number()])),
  timezone: v.object({ tz: nullableText, name: nullableText }),
  cwd: v.union([
    v.object({ exists: v.literal(true), physical: v.string() }),
    v.object({ exists: v.literal(false), reason: v.string() }),
  ]),
  program: nullableText,
  interpreter: v.nullish(
    v.object({
      implementation: v.string(),
      version: v.string(),
      executable: v.string(),
      prefix: v.string(),
      packages: v.record(v.string(), v.string()),
    }),
  ),
  code: v.nullish(v.object({ commit: nullableText, branch: nullableText, dirty: v.boolean() })),
  files: v.record(v.string(), v.nullable(v.string())),
  secrets: v.record(
    v.string(),
    v.object({ found: v.boolean(), same: v.boolean(), where: nullableText }),
  ),
  env: v.record(v.string(), valueSchema),
  notes: v.array(v.string()),
});

export type CurrentFacts = v.InferOutput<typeof currentSchema>;

/** Errors: `run.noPython`, `run.factsUnreadable`. */
export async function readCurrentFacts(
  shell: Shell,
  node: Node,
  record: RunRecord,
  signal?: AbortSignal,
): Promise<CurrentFacts> {
  const program = pythonProgram('python/current.py', { title: 'Compare a run with now' });
  const question = JSON.stringify({
    cwd: record.cwd.logical,
    argv0: record.argv[0] ?? '',
    env: Object.fromEntries(Object.entries(record.env).filter(([, value]) => !isRedacted(value))),
    salt: record.redaction.salt,
    secrets: Object.fromEntries(
      Object.entries(record.env).flatMap(([name, value]) =>
        isRedacted(value) ? [[name, value.hash]] : [],
      ),
    ),
    python: record.interpreter?.executable ?? null,
    codeRoot: record.code?.root ?? null,
    files: Object.keys(record.code?.files ?? {}).map((file) => `${record.code?.root}/${file}`),
    recorder: probeSource('python/faultline_probe.py'),
  });
  const stdin = Buffer.concat([program.input, Buffer.from(`${question}\n`)]);
  const answer = await shell.exec(program.command, { stdin }, signal);
  if (answer.exitCode === 127) {
    throw new UserError(
      'run.noPython',
      `${node.name} has no Python 3, so nothing can be compared.`,
      {
        hint: `Install python3 on ${node.name}.`,
      },
    );
  }
  const checked = v.safeParse(currentSchema, parseJson(answer.stdout.toString('utf8')));
  if (checked.success) return checked.output;
  const reason = toDisplay(answer.stderr.trim().split('\n').at(-1) ?? '', 200);
  throw new UserError(
    'run.factsUnreadable',
    `${node.name} did not tell what it is like now${reason === '' ? '' : `: ${reason}`}.`,
    { hint: 'Try again; if it stays, reopen the run without a preflight.' },
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the schema refuses it.
    return undefined;
  }
}
