// SSH messages as a broken or hostile server sends them: past what ssh2's own server would allow.

import { createServer, type AddressInfo, type Socket } from 'node:net';
import type { Connection as ServerConnection } from 'ssh2';

/** What of a server's side of a connection is not public. */
interface ServerProtocol {
  readonly _packetRW: {
    readonly write: {
      alloc(length: number): Buffer;
      readonly allocStart: number;
      finalize(packet: Buffer): Buffer;
    };
  };
  readonly _cipher: { encrypt(packet: Buffer): void };
  channelData(channel: number, data: Buffer): void;
  channelEOF(channel: number): void;
  channelClose(channel: number): void;
  channelWindowAdjust(channel: number, amount: number): void;
  exitStatus(channel: number, code: number): void;
  exitSignal(channel: number, name: string, dumped: boolean, message: string): void;
  requestSuccess(): void;
  requestFailure(): void;
}

export function protocolOf(connection: ServerConnection): ServerProtocol {
  return (connection as unknown as { readonly _protocol: ServerProtocol })._protocol;
}

/** Sends any message, encrypted as the connection is by now. */
export function sendMessage(connection: ServerConnection, payload: Buffer): void {
  const protocol = protocolOf(connection);
  const { write } = protocol._packetRW;
  const packet = write.alloc(payload.length);
  packet.set(payload, write.allocStart);
  protocol._cipher.encrypt(write.finalize(packet));
}

/** A message of its number (RFC 4250 §4.1.2) and fields: a number is a uint32, a boolean a byte, a text a string. */
export function message(
  type: number,
  ...fields: readonly (number | boolean | string | Buffer)[]
): Buffer {
  return Buffer.concat([
    Buffer.of(type),
    ...fields.map((field) => {
      if (typeof field === 'boolean') return Buffer.of(field ? 1 : 0);
      if (typeof field === 'number') return uint32(field);
      const bytes = Buffer.from(field as string);
      return Buffer.concat([uint32(bytes.length), bytes]);
    }),
  ]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export interface RawServer extends AsyncDisposable {
  readonly port: number;
  /** Those that the client has not closed. */
  readonly sockets: ReadonlySet<Socket>;
}

/** A TCP server that does what `onSocket` says. */
export async function rawServer(onSocket: (socket: Socket) => void): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const all: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    all.push(socket);
    for (const event of ['end', 'close']) socket.once(event, () => sockets.delete(socket));
    socket.resume();
    socket.on('error', () => {
      // The client leaves as it likes.
    });
    onSocket(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    [Symbol.asyncDispose]: async () => {
      for (const socket of all) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}
