// OpenSSH's control socket (PROTOCOL.mux in its sources): how one asks a running `ssh -M` to pass SSH messages on.
//
// In proxy mode (OpenSSH 7.4 and later) the master hands us the channel messages of RFC 4254 as they are. So a
// command costs no process of its own, and exit codes, signals, window sizes and refusals are the node's own words.

import { connect } from 'node:net';
import { withDeadline } from '../base/async.ts';
import { UserError } from '../base/errors.ts';
import { FieldReader, PacketStream, uint32 } from './packetStream.ts';

const protocolVersion = 4;
const message = {
  hello: 0x0000_0001,
  stopListening: 0x1000_0009,
  proxy: 0x1000_000f,
  ok: 0x8000_0001,
  proxied: 0x8000_000f,
} as const;

const answerTimeoutMs = 5_000;

export interface ProxiedMessages {
  /** An SSH message: its type and fields. `done` is called when it has left us, or never will. */
  send(packet: Buffer, done?: () => void): void;
  destroy(): void;
}

/**
 * The way to the master's SSH connection. From then on nobody else can use the master: it has stopped listening, and
 * its socket (a file in a directory of our own, never a network port) is gone. It ends when this connection to it
 * does, so it outlives neither us nor a crash of ours.
 */
export async function takeOverMaster(
  path: string,
  onMessage: (packet: Buffer) => void,
  onEnd: (reason: Error | undefined) => void,
): Promise<ProxiedMessages> {
  const proxy = new MasterTalk(path);
  const control = new MasterTalk(path);
  try {
    await proxy.begin(message.proxy, message.proxied);
    await control.begin(message.stopListening, message.ok);
  } catch (error) {
    proxy.stream.destroy();
    throw error;
  } finally {
    control.stream.destroy();
  }
  // The length of the padding, which is always 0, precedes each message.
  proxy.passOn((packet) => onMessage(packet.subarray(1)), onEnd);
  return {
    send: (packet, done) => proxy.stream.send(Buffer.concat([Buffer.of(0), packet]), done),
    destroy: () => proxy.stream.destroy(),
  };
}

/** One connection to the control socket. */
class MasterTalk {
  readonly stream: PacketStream;
  private readonly inbox: Buffer[] = [];
  private onPacket: (packet: Buffer) => void = (packet) => void this.inbox.push(packet);
  private onEnd: (reason: Error | undefined) => void = () => undefined;
  private readonly ended: Promise<never>;

  constructor(path: string) {
    this.ended = new Promise((_, reject) => {
      this.onEnd = (reason) => reject(reason ?? new Error('the control socket was closed'));
    });
    // Heard of by whoever waits for an answer.
    this.ended.catch(() => undefined);
    this.stream = new PacketStream(
      connect(path),
      (packet) => this.onPacket(packet),
      (reason) => this.onEnd(reason),
    );
  }

  /** Greets, and makes one request without fields of its own; rejects unless `expected` answers it. */
  async begin(request: number, expected: number): Promise<void> {
    this.stream.send(uint32(message.hello, protocolVersion));
    const hello = await this.next();
    const isKnown = hello.uint32() === message.hello && hello.uint32() === protocolVersion;
    if (isKnown) this.stream.send(uint32(request, 0));
    if (!isKnown || (await this.next()).uint32() !== expected) throw tooOld();
  }

  passOn(onPacket: (packet: Buffer) => void, onEnd: (reason: Error | undefined) => void): void {
    this.onPacket = onPacket;
    this.onEnd = onEnd;
    this.ended.catch((reason: Error) => onEnd(reason));
    for (const packet of this.inbox.splice(0)) onPacket(packet);
  }

  private next(): Promise<FieldReader> {
    const packet = new Promise<Buffer>((resolve) => {
      const kept = this.inbox.shift();
      if (kept !== undefined) return resolve(kept);
      const keep = this.onPacket;
      this.onPacket = (came) => {
        this.onPacket = keep;
        resolve(came);
      };
    });
    const answer = Promise.race([packet, this.ended]).then((bytes) => new FieldReader(bytes));
    return withDeadline(answer, answerTimeoutMs, masterSilent, () => this.stream.destroy());
  }
}

function masterSilent(): UserError {
  return new UserError(
    'ssh.masterSilent',
    'The ssh program does not answer on its control socket.',
    {
      hint: 'Connect again; if that does not help, choose ssh2 as the transport (faultline.ssh.transport).',
    },
  );
}

function tooOld(): UserError {
  return new UserError(
    'ssh.tooOld',
    'The ssh program on this machine cannot share its connection.',
    {
      hint: 'Faultline needs OpenSSH 7.4 or later for this node: update it.',
    },
  );
}
