// What follower.py prints, as bytes → frames. See src/probe/python/follower.py for what each means.

import { UserError } from '../base/errors.ts';
import type { UtcOffsetMinutes } from '../base/time.ts';
import type { FileMark } from './followMark.ts';

export type FollowFrame =
  /** `since`: the node's time when it began, as it is to be told when it goes on later. */
  | { readonly kind: 'zone'; readonly offset: UtcOffsetMinutes; readonly since: number }
  | { readonly kind: 'open'; readonly mark: FileMark }
  | { readonly kind: 'known'; readonly mark: FileMark; readonly isCopy: boolean }
  | {
      readonly kind: 'data';
      readonly generation: number;
      readonly offset: number;
      readonly bytes: Buffer;
    }
  | { readonly kind: 'cut'; readonly generation: number; readonly isWhole: boolean }
  | { readonly kind: 'close'; readonly generation: number }
  | { readonly kind: 'forget'; readonly generation: number }
  | {
      readonly kind: 'gap';
      readonly generation: number;
      readonly path: string;
      readonly reason: string;
      /** The file that holds what is missing here, and how many bytes: where that is known. */
      readonly at: string | undefined;
      readonly bytes: number | undefined;
    }
  | { readonly kind: 'resumed' }
  | { readonly kind: 'warn'; readonly warning: string; readonly path: string }
  | { readonly kind: 'ready' }
  | { readonly kind: 'beat' };

const maxHeaderBytes = 64 << 10;
const maxPayloadBytes = 1 << 20;

/** Throws a UserError `log.badFollow` when the bytes are not what the follower prints. */
export class FollowFrameReader {
  private rest: Buffer = Buffer.alloc(0);

  *push(chunk: Uint8Array): Generator<FollowFrame> {
    this.rest = this.rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.rest, chunk]);
    for (;;) {
      const end = this.rest.indexOf(0x0a);
      if (end < 0) {
        if (this.rest.length > maxHeaderBytes) throw badFollow();
        return;
      }
      const header = parseHeader(this.rest.toString('latin1', 0, end));
      const size = header['f'] === 'data' ? count(header['n'], maxPayloadBytes) : 0;
      if (this.rest.length < end + 1 + size) return;
      const frame = toFrame(header, this.rest.subarray(end + 1, end + 1 + size));
      this.rest = this.rest.subarray(end + 1 + size);
      if (frame !== undefined) yield frame;
    }
  }
}

function parseHeader(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw badFollow();
}

/** No zone is a whole day away. */
function zoneOffset(value: unknown): UtcOffsetMinutes {
  return typeof value === 'number' && Math.abs(value) < 24 * 60 ? Math.trunc(value) : 0;
}

/** Undefined for a frame of a later version. */
function toFrame(
  header: Readonly<Record<string, unknown>>,
  bytes: Buffer,
): FollowFrame | undefined {
  const generation = (): number => count(header['g']);
  switch (header['f']) {
    case 'zone':
      return { kind: 'zone', offset: zoneOffset(header['offset']), since: time(header['since']) };
    case 'open':
      return { kind: 'open', mark: toMark(header) };
    case 'known':
      return { kind: 'known', mark: toMark(header), isCopy: header['copy'] === true };
    case 'data':
      return { kind: 'data', generation: generation(), offset: count(header['o']), bytes };
    case 'cut':
      return { kind: 'cut', generation: generation(), isWhole: header['whole'] === true };
    case 'close':
      return { kind: 'close', generation: generation() };
    case 'forget':
      return { kind: 'forget', generation: generation() };
    case 'gap':
      return {
        kind: 'gap',
        generation: generation(),
        path: text(header['path']),
        reason: text(header['reason']),
        at: header['at'] === undefined ? undefined : text(header['at']),
        bytes: header['bytes'] === undefined ? undefined : count(header['bytes']),
      };
    case 'resumed':
      return { kind: 'resumed' };
    case 'warn':
      return { kind: 'warn', warning: text(header['kind']), path: text(header['path']) };
    case 'ready':
      return { kind: 'ready' };
    case 'beat':
      return { kind: 'beat' };
    default:
      return undefined;
  }
}

function toMark(header: Readonly<Record<string, unknown>>): FileMark {
  return {
    generation: count(header['g']),
    path: text(header['path']),
    id: text(header['id']),
    offset: count(header['o']),
    head: Buffer.from(text(header['head']), 'base64'),
    tail: Buffer.from(text(header['tail']), 'base64'),
  };
}

function time(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw badFollow();
  return value;
}

function count(value: unknown, most: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > most) {
    throw badFollow();
  }
  return value;
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw badFollow();
  return value;
}

function badFollow(): UserError {
  return new UserError('log.badFollow', 'The node sent something that is no log follow.', {
    hint: 'Start following again; if it comes back, look at the login scripts of the node.',
  });
}
