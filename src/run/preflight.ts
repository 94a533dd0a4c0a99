// (record, now) → findings: what is the same, what differs, what could not be checked, worst first. Pure.

import type { CurrentFacts } from './current.ts';
import { isRedacted, type RecordedValue, type RunRecord } from './runRecord.ts';
import {
  compareSeverity,
  interpreterSeverity,
  lessSevere,
  packageSeverity,
  variableSeverity,
  type Severity,
} from '../env/severity.ts';

export type FindingStatus = 'same' | 'differs' | 'unchecked';

export interface Finding {
  /** What was compared, e.g. `packages.pricelib`, `env.TARIFF_REGION`, `cwd`. */
  readonly fact: string;
  readonly status: FindingStatus;
  readonly recorded: string | null;
  readonly current: string | null;
  /** How likely this difference changes the outcome; `info` for what is the same. */
  readonly severity: Severity;
  readonly note: string | null;
}

/** Compares everything the record holds. The order is: differs, unchecked, same; each worst first. */
export function preflight(record: RunRecord, now: CurrentFacts): Finding[] {
  const suspects = suspectsOf(record);
  const findings = [
    ...placeFindings(record, now),
    ...userFindings(record, now),
    ...variableFindings(record, now, suspects),
    ...interpreterFindings(record, now),
    ...packageFindings(record, now, suspects),
    ...codeFindings(record, now),
  ];
  return findings.sort(
    (a, b) =>
      statusOrder[a.status] - statusOrder[b.status] ||
      compareSeverity(a.severity, b.severity) ||
      suspects.rank(b.fact) - suspects.rank(a.fact) ||
      a.fact.localeCompare(b.fact),
  );
}

const statusOrder: Readonly<Record<FindingStatus, number>> = { differs: 0, unchecked: 1, same: 2 };

/** What the recorded failure itself points at: names in its message, packages and files in its traceback. */
interface Suspects {
  isNamed(name: string): boolean;
  isInTraceback(packageName: string): boolean;
  rank(fact: string): number;
}

function suspectsOf(record: RunRecord): Suspects {
  const words = new Set(
    `${record.exception?.message ?? ''} ${record.stderrTail}`.split(/[^A-Za-z0-9_.-]+/),
  );
  const code = (record.exception?.frames ?? []).map((frame) => frame.code ?? '').join('\n');
  const files = (record.exception?.frames ?? []).map((frame) => frame.file);
  const isNamed = (name: string): boolean => words.has(name) || hasWord(code, name);
  const isInTraceback = (name: string): boolean => {
    const module = name.replaceAll('-', '_');
    return files.some((file) => file.includes(`/${module}/`) || file.endsWith(`/${module}.py`));
  };
  const rank = (fact: string): number => {
    const name = fact.slice(fact.indexOf('.') + 1);
    if (fact.startsWith('packages.') && isInTraceback(name)) return 3;
    if (isNamed(name) || isNamed(name.replaceAll('-', '_'))) return 2;
    return 0;
  };
  return { isNamed, isInTraceback, rank };
}

function hasWord(text: string, word: string): boolean {
  return text.split(/\W+/).includes(word);
}

function same(fact: string, value: string | null): Finding {
  return { fact, status: 'same', recorded: value, current: value, severity: 'info', note: null };
}

function differs(
  fact: string,
  recorded: string | null,
  current: string | null,
  severity: Severity,
  note: string | null = null,
): Finding {
  return { fact, status: 'differs', recorded, current, severity, note };
}

function unchecked(fact: string, recorded: string | null, note: string): Finding {
  return { fact, status: 'unchecked', recorded, current: null, severity: 'low', note };
}

/** One comparison of two plain values; undefined in the record means there is nothing to say. */
function compare(
  fact: string,
  recorded: string | null | undefined,
  current: string | null | undefined,
  severity: Severity,
  note: string | null = null,
): Finding[] {
  if (recorded == null) return [];
  if (current == null) return [unchecked(fact, recorded, 'The node did not tell.')];
  return [
    recorded === current ? same(fact, recorded) : differs(fact, recorded, current, severity, note),
  ];
}

function placeFindings(record: RunRecord, now: CurrentFacts): Finding[] {
  const { cwd } = record;
  const directory = !now.cwd.exists
    ? differs('cwd', cwd.logical, null, 'high', `The directory cannot be used: ${now.cwd.reason}.`)
    : now.cwd.physical !== cwd.physical
      ? differs(
          'cwd',
          cwd.physical,
          now.cwd.physical,
          'medium',
          'A link on the way points elsewhere.',
        )
      : same('cwd', cwd.logical);
  return [
    directory,
    ...compare(
      'host',
      record.host.name,
      now.host.name,
      'low',
      'Another node than the recorded one.',
    ),
    ...compare('os', record.host.os, now.host.os, 'low'),
    ...compare('kernel', record.host.kernel, now.host.kernel, 'low'),
    ...compare('machine', record.host.machine, now.host.machine, 'high'),
    programFinding(record, now),
  ];
}

function programFinding(record: RunRecord, now: CurrentFacts): Finding {
  const recorded = record.program ?? record.argv[0] ?? null;
  if (now.program == null) {
    return differs('program', recorded, null, 'high', 'The program is not there or cannot be run.');
  }
  return recorded === now.program
    ? same('program', recorded)
    : differs('program', recorded, now.program, 'high', 'Its name means another file now.');
}

function userFindings(record: RunRecord, now: CurrentFacts): Finding[] {
  const groups = (names: readonly string[]): string => [...new Set(names)].sort().join(', ');
  return [
    ...compare('user', record.user.name, now.user.name, 'high', 'Permissions may differ.'),
    ...compare('groups', groups(record.user.groups), groups(now.user.groups), 'low'),
    ...compare('umask', record.umask, now.umask, 'low', 'The rerun uses the recorded umask.'),
    ...limitFindings(record, now),
    ...timezoneFindings(record, now),
  ];
}

function limitFindings(record: RunRecord, now: CurrentFacts): Finding[] {
  return Object.entries(record.limits).map(([name, [soft, hard]]) => {
    const fact = `limits.${name}`;
    const current = now.limits[name];
    const text = (value: number): string => (value === -1 ? 'unlimited' : String(value));
    const recorded = text(soft);
    if (current === undefined) return unchecked(fact, recorded, 'This node has no such limit.');
    if (current[0] === soft) return same(fact, recorded);
    const reachable = current[1] === -1 || (soft !== -1 && soft <= current[1]);
    return differs(
      fact,
      recorded,
      text(current[0]),
      reachable ? 'low' : 'medium',
      reachable
        ? 'The rerun uses the recorded limit.'
        : `The recorded limit is beyond what this user may set (${text(hard)} then).`,
    );
  });
}

function timezoneFindings(record: RunRecord, now: CurrentFacts): Finding[] {
  return compare('timezone', record.timezone.name, now.timezone.name, 'medium');
}

function variableFindings(record: RunRecord, now: CurrentFacts, suspects: Suspects): Finding[] {
  const names = new Set([...Object.keys(record.env), ...Object.keys(now.env)]);
  return [...names].map((name) => {
    const fact = `env.${name}`;
    const recorded = record.env[name];
    const current = now.env[name];
    if (recorded !== undefined && isRedacted(recorded)) return secretFinding(fact, name, now);
    const before = display(recorded);
    const after = display(current);
    if (before === after) return same(fact, before);
    const severity = suspects.isNamed(name) ? 'high' : restoredSeverity(name, before, after);
    return differs(fact, before, after, severity, variableNote(recorded, current));
  });
}

/** The rerun restores every variable, so a difference says less than it would for a plain start. */
function restoredSeverity(name: string, before: string | null, after: string | null): Severity {
  const plain = lessSevere(variableSeverity(name, before, after));
  return after === null && plain !== 'info' ? 'low' : plain;
}

function variableNote(
  recorded: RecordedValue | undefined,
  current: RecordedValue | undefined,
): string {
  if (current === undefined) return 'Only in the recorded run; the rerun sets it.';
  if (recorded === undefined) return 'Not in the recorded run; the rerun goes without it.';
  return 'The rerun uses the recorded value.';
}

function secretFinding(fact: string, name: string, now: CurrentFacts): Finding {
  const secret = now.secrets[name];
  const hidden = '‹redacted›';
  if (secret === undefined || !secret.found) {
    return {
      fact,
      status: 'unchecked',
      recorded: hidden,
      current: null,
      severity: 'medium',
      note: 'This secret is not on the node any more: the rerun goes without it unless you give it.',
    };
  }
  if (secret.same) {
    return { ...same(fact, hidden), note: `The same value is in the node's ${secret.where}.` };
  }
  return differs(fact, hidden, hidden, 'high', `Another value is in the node's ${secret.where}.`);
}

function display(value: RecordedValue | undefined): string | null {
  if (value === undefined) return null;
  return isRedacted(value) ? `‹redacted #${value.hash}›` : value;
}

function interpreterFindings(record: RunRecord, now: CurrentFacts): Finding[] {
  const recorded = record.interpreter;
  if (recorded == null) return [];
  const version = `${recorded.implementation ?? 'Python'} ${recorded.version}`;
  if (now.interpreter == null) {
    return [
      differs('interpreter', version, null, 'high', `${recorded.executable} cannot be run here.`),
    ];
  }
  return now.interpreter.version === recorded.version
    ? [same('interpreter', version)]
    : [
        differs(
          'interpreter',
          recorded.version,
          now.interpreter.version,
          interpreterSeverity(recorded.version, now.interpreter.version),
        ),
      ];
}

function packageFindings(record: RunRecord, now: CurrentFacts, suspects: Suspects): Finding[] {
  const recorded = record.packages;
  const current = now.interpreter?.packages;
  if (current === undefined) {
    return Object.keys(recorded).length === 0
      ? []
      : [unchecked('packages', null, 'The recorded interpreter cannot be asked for its packages.')];
  }
  const names = new Set([...Object.keys(recorded), ...Object.keys(current)]);
  return [...names].map((name) => {
    const fact = `packages.${name}`;
    const before = recorded[name] ?? null;
    const after = current[name] ?? null;
    if (before === after) return same(fact, before);
    const isSuspect = suspects.isInTraceback(name) || suspects.isNamed(name.replaceAll('-', '_'));
    const note = suspects.isInTraceback(name)
      ? 'Its files are in the recorded traceback.'
      : isSuspect
        ? 'The recorded failure names it.'
        : null;
    return differs(fact, before, after, isSuspect ? 'high' : packageSeverity(before, after), note);
  });
}

function codeFindings(record: RunRecord, now: CurrentFacts): Finding[] {
  const code = record.code;
  if (code == null) return [];
  const files = Object.entries(code.files).map(([file, hash]) => {
    const fact = `code.files.${file}`;
    const current = now.files[`${code.root}/${file}`];
    if (current === undefined) return unchecked(fact, hash.slice(0, 12), 'It could not be read.');
    if (current === null)
      return differs(fact, hash.slice(0, 12), null, 'high', 'The file is gone.');
    if (current === hash) return same(fact, hash.slice(0, 12));
    const note = 'This file is in the recorded traceback and was changed since.';
    return differs(fact, hash.slice(0, 12), current.slice(0, 12), 'high', note);
  });
  const commit = compare('code.commit', code.commit, now.code?.commit, 'high', `In ${code.root}.`);
  const dirty =
    code.dirty == null || now.code == null
      ? []
      : compare('code.localEdits', yesNo(code.dirty), yesNo(now.code.dirty), 'medium');
  return [...commit, ...dirty, ...files];
}

function yesNo(value: boolean): string {
  return value ? 'yes' : 'no';
}

/** `3 differ, 1 could not be checked, 120 are the same`. */
export function summarise(findings: readonly Finding[]): string {
  const count = (status: FindingStatus): number =>
    findings.filter((finding) => finding.status === status).length;
  return (
    `${count('differs')} differ, ${count('unchecked')} could not be checked, ` +
    `${count('same')} are the same`
  );
}
