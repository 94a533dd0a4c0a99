// Did it fail the same way? Compares a recorded end with the end of a rerun, parts that always change left out.

import type { RunRecord } from './runRecord.ts';

export interface FailureComparison {
  readonly sameFailure: boolean;
  /** One sentence on what was different; undefined when the failure is the same. */
  readonly difference: string | undefined;
}

/** The parts of a run's end that identify its failure. */
export type RunEnd = Pick<RunRecord, 'exitCode' | 'signal' | 'exception' | 'stderrTail'>;

/** A run that passed, repeated by one that passed, counts as the same end. */
export function compareFailures(recorded: RunEnd, repeated: RunEnd): FailureComparison {
  const difference =
    differentEnd(recorded, repeated) ??
    differentException(recorded, repeated) ??
    differentLastLine(recorded, repeated);
  return { sameFailure: difference === undefined, difference };
}

function differentEnd(recorded: RunEnd, repeated: RunEnd): string | undefined {
  const before = endOf(recorded);
  const after = endOf(repeated);
  if (before === after) return undefined;
  if (after === 'exit code 0') return `The run passed; recorded was ${before}.`;
  return `It ended with ${after}; recorded was ${before}.`;
}

function endOf(end: RunEnd): string {
  if (end.signal != null) return end.signal;
  return end.exitCode == null ? 'no exit code' : `exit code ${end.exitCode}`;
}

function differentException(recorded: RunEnd, repeated: RunEnd): string | undefined {
  const before = recorded.exception ?? undefined;
  const after = repeated.exception ?? undefined;
  if (before === undefined && after === undefined) return undefined;
  if (before === undefined || after === undefined) {
    const which = before === undefined ? 'only the rerun' : 'only the recorded run';
    return `There is an exception in ${which}: ${(before ?? after)!.type}.`;
  }
  if (before.type !== after.type) return `It raised ${after.type}; recorded was ${before.type}.`;
  if (normalise(before.message) !== normalise(after.message)) {
    return `${after.type} says "${after.message}"; recorded was "${before.message}".`;
  }
  const from = before.frames.at(-1);
  const at = after.frames.at(-1);
  if (from === undefined || at === undefined) return undefined;
  if (baseName(from.file) !== baseName(at.file) || from.function !== at.function) {
    return `It failed in ${at.function} (${at.file}:${at.line}); recorded was ${from.function} (${from.file}:${from.line}).`;
  }
  if (from.line !== at.line) {
    return `It failed at line ${at.line} of ${at.file}; recorded was line ${from.line}.`;
  }
  return undefined;
}

/** Without an exception, the last line of stderr is what a program says of its failure. */
function differentLastLine(recorded: RunEnd, repeated: RunEnd): string | undefined {
  if (recorded.exception != null || endOf(recorded) === 'exit code 0') return undefined;
  const before = lastLine(recorded.stderrTail);
  const after = lastLine(repeated.stderrTail);
  if (normalise(before) === normalise(after)) return undefined;
  return `It said "${after}"; recorded was "${before}".`;
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1)?.trim() ?? '';
}

/** Addresses, times, process ids, durations and temporary names are different in every run. */
export function normalise(text: string): string {
  return text
    .replace(/0x[0-9a-f]{4,}/gi, '0x…')
    .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?/g, '<time>')
    .replace(/\b\d\d:\d\d:\d\d([.,]\d+)?\b/g, '<time>')
    .replace(/\b(pid|process|thread)([ =:#]*)\d+/gi, '$1$2…')
    .replace(/\/tmp\/[\w./-]+/g, '/tmp/…')
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '<uuid>')
    .replace(/\b\d+(\.\d+)? ?(ms|µs|us|ns|s|seconds?)\b/g, '<duration>')
    .trim();
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
