// An SSH server in this process, on a loopback port: it counts what a client dares to send, and can misbehave.

import { spawn } from 'node:child_process';
import { connect, type AddressInfo, type Socket } from 'node:net';
import ssh2, {
  type AuthContext,
  type Connection as ServerConnection,
  type ServerChannel,
  type ServerConfig,
  type Session,
} from 'ssh2';

export type FakeHostKeyType = 'ed25519' | 'ecdsa' | 'rsa';

/** A host key with its private half, as PEM. */
export interface FakeHostKey {
  readonly pem: string;
  readonly blob: Buffer;
}

export interface FakeSshServerOptions {
  readonly hostKeys: readonly FakeHostKey[];
  /** Whether a login succeeds, whatever is sent, or what decides. Default: it does. */
  readonly acceptsLogin?: boolean | ((context: AuthContext) => void);
  readonly algorithms?: ServerConfig['algorithms'];
  /** Instead of running the command in a local sh. */
  readonly onExec?: (channel: ServerChannel, command: string) => void;
}

export class FakeSshServer {
  readonly port: number;
  /** Every USERAUTH_REQUEST so far, `none` among them. */
  readonly loginRequests: string[] = [];
  readonly connections = new Set<ServerConnection>();
  /** Signals that clients asked for, e.g. `TERM`. */
  readonly signals: string[] = [];
  /** TCP connections so far, and those open now. */
  accepted = 0;
  readonly sockets = new Set<Socket>();
  private readonly server: ssh2.Server;

  private constructor(server: ssh2.Server, port: number) {
    this.server = server;
    this.port = port;
  }

  static async start(options: FakeSshServerOptions): Promise<FakeSshServer> {
    const { hostKeys, algorithms } = options;
    const server = new ssh2.Server({
      hostKeys: hostKeys.map(({ pem }) => pem),
      ...(algorithms === undefined ? {} : { algorithms }),
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    });
    const fake = new FakeSshServer(server, port);
    server.on('connection', (connection) => fake.onConnection(connection, options));
    // ssh2 tells of a connection only after its greeting.
    const { _srv: tcp } = server as unknown as { _srv: NodeJS.EventEmitter };
    tcp.on('connection', (socket: Socket) => {
      fake.accepted++;
      fake.sockets.add(socket);
      socket.setNoDelay(true);
      socket.once('close', () => fake.sockets.delete(socket));
    });
    return fake;
  }

  /** From now on the connections show another host key, at the next key exchange. */
  changeHostKey({ pem, blob }: FakeHostKey): void {
    const key = ssh2.utils.parseKey(pem);
    const type = blob.toString('latin1', 4, 4 + blob.readUInt32BE(0));
    for (const connection of this.connections) {
      const { _protocol: protocol } = connection as unknown as {
        _protocol: { _hostKeys: Record<string, unknown> };
      };
      protocol._hostKeys = { ...protocol._hostKeys, [type]: key };
    }
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
    });
  }

  /** ssh2's server tells nobody of them once a program runs. */
  private hearSignals(connection: ServerConnection): void {
    const { _protocol: protocol } = connection as unknown as {
      readonly _protocol: { readonly _handlers: Record<string, (...args: unknown[]) => void> };
    };
    const inner = protocol._handlers['CHANNEL_REQUEST'];
    protocol._handlers['CHANNEL_REQUEST'] = (...args) => {
      if (args[2] === 'signal') this.signals.push(String(args[4]));
      inner?.(...args);
    };
  }

  private onConnection(
    connection: ServerConnection,
    { acceptsLogin = true, onExec }: FakeSshServerOptions,
  ): void {
    this.connections.add(connection);
    connection.on('error', () => {
      // A client that leaves in the middle is what these tests are about.
    });
    connection.on('close', () => this.connections.delete(connection));
    connection.on('authentication', (context) => {
      this.loginRequests.push(context.method);
      if (typeof acceptsLogin === 'function') acceptsLogin(context);
      else if (acceptsLogin) context.accept();
      else context.reject(['publickey']);
    });
    connection.on('session', (accept) => serveSession(accept(), onExec));
    this.hearSignals(connection);
    connection.on('tcpip', (accept, _reject, { destIP, destPort }) => {
      forward(accept(), destIP, destPort);
    });
  }
}

/** New keys; RSA takes a tenth of a second. */
export function makeHostKey(type: FakeHostKeyType = 'ed25519'): FakeHostKey {
  const pair = {
    ed25519: () => ssh2.utils.generateKeyPairSync('ed25519'),
    ecdsa: () => ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 }),
    rsa: () => ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 }),
  }[type]();
  return { pem: pair.private, blob: Buffer.from(pair.public.split(' ')[1]!, 'base64') };
}

/** Commands run in a local sh, as the user of the test. */
function serveSession(session: Session, onExec: FakeSshServerOptions['onExec']): void {
  session.on('exec', (accept, _reject, { command }) => {
    const channel = accept();
    if (onExec !== undefined) return onExec(channel, command);
    const child = spawn('/bin/sh', ['-c', command], { stdio: 'pipe' });
    child.stdin.on('error', () => {
      // It ended without reading all of its input.
    });
    channel.pipe(child.stdin);
    child.stdout.pipe(channel, { end: false });
    child.stderr.pipe(channel.stderr, { end: false });
    channel.on('close', () => child.kill());
    child.on('close', (code) => {
      channel.exit(code ?? 255);
      channel.end();
    });
  });
}

function forward(channel: ServerChannel, host: string, port: number): void {
  const socket = connect(port, host);
  socket.on('error', () => channel.close());
  channel.on('error', () => socket.destroy());
  channel.on('close', () => socket.destroy());
  channel.pipe(socket).pipe(channel);
}
