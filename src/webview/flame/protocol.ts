// What the panel and the page of the flame graph say to each other. Both sides check what arrives.

import type { Profile } from '../../profile/profile.ts';

/** Panel → page. */
export type ToFlame = {
  readonly type: 'profile';
  /** The page's saved state belongs to the profile of this id. */
  readonly id: string;
  readonly title: string;
  readonly profile: Profile;
};

/** Page → panel: named actions, never commands. */
export type FromFlame =
  | { readonly type: 'ready' }
  /** Show this line of a file on the profile's node. */
  | { readonly type: 'openSource'; readonly file: string; readonly line: number }
  | { readonly type: 'copy'; readonly text: string }
  | { readonly type: 'save' };

/** The message, or undefined when it is none of ours. */
export function readToFlame(value: unknown): ToFlame | undefined {
  if (!isRecord(value) || value['type'] !== 'profile') return undefined;
  const { id, title, profile } = value;
  if (typeof id !== 'string' || typeof title !== 'string' || !isProfile(profile)) return undefined;
  return { type: 'profile', id, title, profile };
}

/** Longest text a page may ask to copy or to open, in UTF-16 units. */
const maxTextLength = 1 << 16;

/** The message, or undefined when it is none of ours. */
export function readFromFlame(value: unknown): FromFlame | undefined {
  if (!isRecord(value)) return undefined;
  const { type, file, line, text } = value;
  switch (type) {
    case 'ready':
    case 'save':
      return { type };
    case 'openSource':
      return isText(file) && file !== '' && isCount(line) ? { type, file, line } : undefined;
    case 'copy':
      return isText(text) ? { type, text } : undefined;
    default:
      return undefined;
  }
}

/**
 * True when every column has its type, its length and values that point into the tables: the page
 * then need not check again while it draws.
 */
export function isProfile(value: unknown): value is Profile {
  if (!isRecord(value)) return false;
  const { meta, frames, stacks, threads, samples } = value;
  return (
    isMeta(meta) &&
    isFrames(frames) &&
    isTextList(threads) &&
    isStacks(stacks, frames.names.length) &&
    isSamples(samples, stacks.parents.length, threads.length)
  );
}

function isMeta(value: unknown): value is Profile['meta'] {
  if (!isRecord(value)) return false;
  const { node, pid, command, durationMs, unit, rateAskedHz, rateGotHz, missed, torn } = value;
  const { notes, sampler, startedAt } = value;
  return (
    typeof node === 'string' &&
    typeof command === 'string' &&
    isCount(durationMs) &&
    (unit === 'samples' || unit === 'milliseconds' || unit === 'bytes') &&
    [pid, rateAskedHz, rateGotHz, startedAt].every(isOptionalCount) &&
    isCount(missed) &&
    isCount(torn) &&
    isTextList(notes) &&
    isRecord(sampler) &&
    typeof sampler['name'] === 'string' &&
    typeof sampler['reason'] === 'string' &&
    isOptionalCount(sampler['cpuSeconds'])
  );
}

function isFrames(value: unknown): value is Profile['frames'] {
  if (!isRecord(value)) return false;
  const { names, files, lines } = value;
  return (
    isTextList(names) &&
    isTextList(files) &&
    lines instanceof Uint32Array &&
    files.length === names.length &&
    lines.length === names.length
  );
}

function isStacks(value: unknown, frameCount: number): value is Profile['stacks'] {
  if (!isRecord(value)) return false;
  const { parents, frames, lines } = value;
  return (
    parents instanceof Int32Array &&
    frames instanceof Uint32Array &&
    lines instanceof Uint32Array &&
    frames.length === parents.length &&
    lines.length === parents.length &&
    parents.every((parent, row) => parent >= -1 && parent < row) &&
    frames.every((frame) => frame < frameCount)
  );
}

function isSamples(
  value: unknown,
  stackCount: number,
  threadCount: number,
): value is Profile['samples'] {
  if (!isRecord(value)) return false;
  const { times, stacks, threads, weights } = value;
  return (
    times instanceof Float64Array &&
    stacks instanceof Int32Array &&
    threads instanceof Uint32Array &&
    isRecord(weights) &&
    stacks.length === times.length &&
    threads.length === times.length &&
    stacks.every((stack) => stack >= -1 && stack < stackCount) &&
    threads.every((thread) => thread < threadCount) &&
    [weights['cpu'], weights['wall']].every(
      (column) =>
        column === undefined ||
        (column instanceof Float64Array &&
          column.length === times.length &&
          column.every((weight) => weight >= 0 && weight < Infinity)),
    )
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= maxTextLength;
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

/** A finite number from 0 on. */
function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isOptionalCount(value: unknown): boolean {
  return value === undefined || isCount(value);
}
