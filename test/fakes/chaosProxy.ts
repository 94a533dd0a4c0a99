// A TCP proxy on a loopback port that does to a connection what networks do: delay it, let it drip, flip a bit, cut it
// off or swallow everything. Faults are counted in bytes from the start of the connection.

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface Chaos {
  /** Every chunk arrives this much later, in milliseconds. */
  readonly delayMs?: number;
  /** To the client, at most. */
  readonly bytesPerSecond?: number;
  /** This byte to the client has its lowest bit flipped. */
  readonly flipAt?: number;
  /** After this many bytes to the client the connection is reset. */
  readonly resetAt?: number;
  /** After this many bytes to the client nothing passes any more, either way, and nobody is told. */
  readonly blackHoleAt?: number;
}

export class ChaosProxy {
  readonly port: number;
  /** What is done to connections from now on. */
  chaos: Chaos = {};
  /** Connections so far. */
  accepted = 0;
  /** Bytes that went to the client, all connections together. */
  delivered = 0;
  private readonly server: Server;
  private readonly links = new Set<Link>();

  private constructor(server: Server, port: number) {
    this.server = server;
    this.port = port;
  }

  static async start(targetPort: number): Promise<ChaosProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve());
    });
    const proxy = new ChaosProxy(server, (server.address() as AddressInfo).port);
    server.on('connection', (client) => {
      proxy.accepted++;
      const link = new Link(client, connect(targetPort, '127.0.0.1'), proxy);
      proxy.links.add(link);
      client.once('close', () => proxy.links.delete(link));
    });
    return proxy;
  }

  get connections(): number {
    return this.links.size;
  }

  /** Resets what is connected now. */
  resetAll(): void {
    for (const link of this.links) link.reset();
  }

  /** Swallows everything on what is connected now. */
  blackHoleAll(): void {
    for (const link of this.links) link.isBlackHole = true;
  }

  async stop(): Promise<void> {
    this.resetAll();
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
    });
  }
}

class Link {
  isBlackHole = false;
  private readonly client: Socket;
  private readonly server: Socket;
  private readonly proxy: ChaosProxy;
  private readonly chaos: Chaos;
  private sent = 0;
  /** What is to be done to the client's stream, one after the other. */
  private queue: Promise<void> = Promise.resolve();

  constructor(client: Socket, server: Socket, proxy: ChaosProxy) {
    this.client = client;
    this.server = server;
    this.proxy = proxy;
    this.chaos = proxy.chaos;
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => {
        // Its 'close' ends the other side, too.
      });
    }
    client.on('close', () => server.destroy());
    server.on('close', () => this.later(() => client.destroySoon()));
    client.on('data', (chunk) => {
      this.afterDelay(() => {
        if (!this.isBlackHole) server.write(chunk);
      });
    });
    server.on('data', (chunk) => {
      // Nothing is read while a slow client is being served.
      server.pause();
      this.later(async () => {
        await this.deliver(chunk);
        server.resume();
      });
    });
  }

  reset(): void {
    this.client.resetAndDestroy();
    this.server.destroy();
  }

  private later(work: () => void | Promise<void>): void {
    this.queue = this.queue.then(work);
  }

  private afterDelay(work: () => void): void {
    if (this.chaos.delayMs === undefined) work();
    else setTimeout(work, this.chaos.delayMs);
  }

  private async deliver(chunk: Buffer): Promise<void> {
    const { delayMs, bytesPerSecond } = this.chaos;
    if (delayMs !== undefined) await wait(delayMs);
    if (bytesPerSecond === undefined) return this.send(chunk);
    const pieceBytes = Math.max(1, Math.floor(bytesPerSecond / 20));
    for (let at = 0; at < chunk.length && !this.client.destroyed; at += pieceBytes) {
      this.send(chunk.subarray(at, at + pieceBytes));
      await wait((1000 * pieceBytes) / bytesPerSecond);
    }
  }

  private send(bytes: Buffer): void {
    if (this.isBlackHole || this.client.destroyed) return;
    const { flipAt, resetAt, blackHoleAt } = this.chaos;
    const limit = Math.min(resetAt ?? Infinity, blackHoleAt ?? Infinity) - this.sent;
    const passed = bytes.subarray(0, Math.max(0, Math.min(bytes.length, limit)));
    const flipped = (flipAt ?? -1) - this.sent;
    if (flipped >= 0 && flipped < passed.length) passed[flipped]! ^= 1;
    this.sent += passed.length;
    this.proxy.delivered += passed.length;
    this.client.write(passed);
    if (passed.length === bytes.length) return;
    if (resetAt !== undefined && this.sent >= resetAt) this.reset();
    else this.isBlackHole = true;
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
