// What content that was read of a file is known by, so that the file is found again after a lost connection.

/** A generation of a file, and how far it was read: as follower.py tells it and takes it back. */
export interface FileMark {
  /** The follower's number for it. */
  readonly generation: number;
  readonly path: string;
  /** Device and inode, in the follower's words. */
  readonly id: string;
  /** Bytes that were read of it. */
  readonly offset: number;
  /** Its first bytes, and the last ones before the offset: at most 64 of each. */
  readonly head: Buffer;
  readonly tail: Buffer;
}

const fingerprintBytes = 64;

/** The mark after the next bytes. */
export function advanceMark(mark: FileMark, bytes: Buffer): FileMark {
  const { head, tail } = mark;
  return {
    ...mark,
    offset: mark.offset + bytes.length,
    // Copies: the bytes are part of a larger chunk, which must not be kept for their sake.
    head: head.length < fingerprintBytes ? joined(head, bytes).subarray(0, fingerprintBytes) : head,
    tail: joined(tail, bytes.subarray(-fingerprintBytes)).subarray(-fingerprintBytes),
  };
}

/** The mark after the file was cut to nothing. */
export function restartMark(mark: FileMark): FileMark {
  return { ...mark, offset: 0, head: Buffer.alloc(0), tail: Buffer.alloc(0) };
}

function joined(before: Buffer, bytes: Buffer): Buffer {
  return Buffer.concat([before, bytes.subarray(0, fingerprintBytes)]);
}

/** A mark in a follower's `resume`; see follower.py. */
export function toResume(mark: FileMark, is: { readonly open: boolean; readonly copy: boolean }) {
  return {
    g: mark.generation,
    path: mark.path,
    id: mark.id,
    o: mark.offset,
    head: mark.head.toString('base64'),
    tail: mark.tail.toString('base64'),
    ...is,
  };
}
