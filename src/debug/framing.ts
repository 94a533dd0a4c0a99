// Bytes of a debug adapter's stdio ↔ messages of the Debug Adapter Protocol (a header with the body's length,
// an empty line, a JSON body). What arrives comes from a node and is not trusted: sizes are bounded, and
// anything that is not the protocol ends the stream with one UserError.

import type { DebugProtocol } from '@vscode/debugprotocol';
import { UserError } from '../base/errors.ts';

/** Longest header block we read. Real ones have one line of some 25 bytes. */
export const maxHeaderBytes = 8 << 10;
/** Largest body we read. A debugger's largest answers, 10,000 variables, have some 3 MB. */
export const maxBodyBytes = 64 << 20;

/** A message with the fields its type promises; nothing is known of its `body` or `arguments`. */
export type AdapterMessage =
  | (DebugProtocol.Request & { readonly type: 'request' })
  | (DebugProtocol.Response & { readonly type: 'response' })
  | (DebugProtocol.Event & { readonly type: 'event' });

/** The message as one frame, ready to be written. */
export function encodeMessage(message: DebugProtocol.ProtocolMessage): Buffer {
  const body = Buffer.from(JSON.stringify(message), 'utf8');
  return Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`, 'latin1'), body]);
}

/** The messages of a stream. A stream that ends in the middle of a frame simply ends: its reader is told so elsewhere. */
export async function* readMessages(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<AdapterMessage> {
  const decoder = new FrameDecoder();
  for await (const chunk of chunks) yield* decoder.push(chunk);
}

/** The same for callers that are handed chunks. After it has thrown, it must not be used again. */
export class FrameDecoder {
  private readonly received = new ByteQueue();
  /** Length of the body that is being received; undefined while its header is. */
  private bodyLength: number | undefined;

  *push(chunk: Uint8Array): Generator<AdapterMessage> {
    this.received.append(chunk);
    for (;;) {
      this.bodyLength ??= this.takeHeader();
      if (this.bodyLength === undefined || this.received.length < this.bodyLength) return;
      const body = this.received.take(this.bodyLength);
      this.bodyLength = undefined;
      yield parseBody(body);
    }
  }

  private takeHeader(): number | undefined {
    const received = this.received.peek(maxHeaderBytes + headerEnd.length);
    const end = received.indexOf(headerEnd);
    if (end >= 0) {
      const header = received.toString('latin1', 0, end);
      this.received.take(end + headerEnd.length);
      return contentLength(header);
    }
    if (received.length > maxHeaderBytes) throw badFrame('a header has no end');
    return undefined;
  }
}

const headerEnd = Buffer.from('\r\n\r\n', 'latin1');

function contentLength(header: string): number {
  let length: number | undefined;
  for (const line of header.split('\r\n')) {
    const [, name, value] = /^([A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined || value === undefined) throw badFrame('a header line is not one');
    if (name.toLowerCase() !== 'content-length') continue;
    if (length !== undefined) throw badFrame('a frame has two lengths');
    if (!/^\d{1,10}$/.test(value)) throw badFrame("a frame's length is not a number");
    length = Number(value);
  }
  if (length === undefined) throw badFrame('a frame has no length');
  if (length > maxBodyBytes) throw badFrame('a frame is larger than 64 MiB');
  return length;
}

function parseBody(body: Buffer): AdapterMessage {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw badFrame('a body is not JSON', cause);
  }
  if (!isMessage(value)) throw badFrame('a body is no message of the protocol');
  return value;
}

/** Deeper than any real answer, and shallow enough for everything that walks a message recursively. */
const maxDepth = 200;

function isMessage(value: unknown): value is AdapterMessage {
  if (!isObject(value) || typeof value['seq'] !== 'number' || isDeeperThan(value, maxDepth)) {
    return false;
  }
  switch (value['type']) {
    case 'request':
      return typeof value['command'] === 'string';
    case 'event':
      return typeof value['event'] === 'string';
    case 'response':
      return (
        typeof value['request_seq'] === 'number' &&
        typeof value['success'] === 'boolean' &&
        typeof value['command'] === 'string'
      );
    default:
      return false;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isDeeperThan(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (depth === 0) return true;
  return Object.values(value).some((child) => isDeeperThan(child, depth - 1));
}

function badFrame(why: string, cause?: unknown): UserError {
  return new UserError(
    'debug.badFrame',
    `The debug adapter does not speak the Debug Adapter Protocol: ${why}.`,
    {
      hint: 'Something else may print to its standard output on the node.',
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

/** Bytes in one buffer that grows with what arrived, never with what was announced. */
class ByteQueue {
  private buffer = Buffer.alloc(4096);
  private start = 0;
  private end = 0;

  get length(): number {
    return this.end - this.start;
  }

  append(chunk: Uint8Array): void {
    if (this.end + chunk.length > this.buffer.length) this.makeRoom(chunk.length);
    this.buffer.set(chunk, this.end);
    this.end += chunk.length;
  }

  /** Up to `count` of the first bytes, without removing them. Valid until the next call. */
  peek(count: number): Buffer {
    return this.buffer.subarray(this.start, Math.min(this.end, this.start + count));
  }

  /** Removes and gives the first `count` bytes. Valid until the next call. */
  take(count: number): Buffer {
    const taken = this.peek(count);
    this.start += taken.length;
    return taken;
  }

  private makeRoom(count: number): void {
    const needed = this.length + count;
    // Small again after a large frame.
    const size = Math.max(4096, 2 ** Math.ceil(Math.log2(needed)));
    const target = size === this.buffer.length ? this.buffer : Buffer.alloc(size);
    this.buffer.copy(target, 0, this.start, this.end);
    this.buffer = target;
    this.end -= this.start;
    this.start = 0;
  }
}
