// What follower.py prints, as bytes → frames. See src/probe/python/follower.py for what each means.

import { UserError } from '../base/errors.ts';
import type { UtcOffsetMinutes } from '../base/time.ts';

export type FollowFrame =
  | { readonly kind: 'zone'; readonly offset: UtcOffsetMinutes }
  | {
      readonly kind: 'open';
      readonly generation: number;
      readonly path: string;
      readonly offset: number;
    }
  | {
      readonly kind: 'data';
      readonly generation: number;
      readonly offset: number;
      readonly bytes: Buffer;
    }
  | { readonly kind: 'cut'; readonly generation: number; readonly isWhole: boolean }
  | { readonly kind: 'close'; readonly generation: number }
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
  const generation = (): number => count(header['g'], Number.MAX_SAFE_INTEGER);
  const offset = (): number => count(header['o'], Number.MAX_SAFE_INTEGER);
  switch (header['f']) {
    case 'zone':
      return { kind: 'zone', offset: zoneOffset(header['offset']) };
    case 'open':
      return {
        kind: 'open',
        generation: generation(),
        path: text(header['path']),
        offset: offset(),
      };
    case 'data':
      return { kind: 'data', generation: generation(), offset: offset(), bytes };
    case 'cut':
      return { kind: 'cut', generation: generation(), isWhole: header['whole'] === true };
    case 'close':
      return { kind: 'close', generation: generation() };
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

function count(value: unknown, most: number): number {
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
