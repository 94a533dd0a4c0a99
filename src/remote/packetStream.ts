// Length-prefixed packets over a stream, and the fields in them (RFC 4251 §5). What OpenSSH's control socket
// speaks, for its own messages and for the SSH messages that it passes on.

import type { Duplex } from 'node:stream';

/** OpenSSH's own limit for a packet is 256 KiB; one that claims more is not from it. */
const maxPacketBytes = 512 << 10;

export class PacketStream {
  private readonly stream: Duplex;
  private pieces: Buffer[] = [];
  private length = 0;
  /** Bytes to have before it is worth looking again. */
  private needed = 4;

  /** `onEnd` is called once, with the reason when it was not an ordinary end. */
  constructor(
    stream: Duplex,
    onPacket: (packet: Buffer) => void,
    onEnd: (reason: Error | undefined) => void,
  ) {
    this.stream = stream;
    let reason: Error | undefined;
    stream.on('data', (chunk: Buffer) => {
      try {
        this.accept(chunk, onPacket);
      } catch (error) {
        stream.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    });
    stream.once('error', (error) => (reason = error));
    stream.once('close', () => onEnd(reason));
  }

  /** `done` is called when the packet has left us, or never will. */
  send(packet: Buffer, done?: () => void): void {
    if (this.stream.destroyed) return done?.();
    const head = Buffer.alloc(4);
    head.writeUInt32BE(packet.length);
    this.stream.write(Buffer.concat([head, packet]), () => done?.());
  }

  destroy(reason?: Error): void {
    this.stream.destroy(reason);
  }

  private accept(chunk: Buffer, onPacket: (packet: Buffer) => void): void {
    this.pieces.push(chunk);
    this.length += chunk.length;
    if (this.length < this.needed) return;
    const bytes = this.pieces.length === 1 ? this.pieces[0]! : Buffer.concat(this.pieces);
    let at = 0;
    this.needed = 4;
    while (bytes.length - at >= 4) {
      const size = bytes.readUInt32BE(at);
      if (size > maxPacketBytes) throw new Error(`a packet of ${size} bytes`);
      if (bytes.length - at < 4 + size) {
        this.needed = 4 + size;
        break;
      }
      onPacket(bytes.subarray(at + 4, at + 4 + size));
      at += 4 + size;
    }
    this.pieces = at === bytes.length ? [] : [bytes.subarray(at)];
    this.length = bytes.length - at;
  }
}

export function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index);
  return bytes;
}

export function string(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([uint32(bytes.length), bytes]);
}

/** Reads fields one after the other; throws where the packet is too short for one. */
export class FieldReader {
  private readonly bytes: Buffer;
  private at: number;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  uint32(): number {
    return this.take(4).readUInt32BE();
  }

  string(): Buffer {
    return this.take(this.uint32());
  }

  text(): string {
    return this.string().toString('utf8');
  }

  private take(length: number): Buffer {
    const end = this.at + length;
    if (end > this.bytes.length) throw new Error('a packet is too short for what it says it holds');
    const field = this.bytes.subarray(this.at, end);
    this.at = end;
    return field;
  }
}
