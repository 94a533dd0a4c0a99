// One ssh2 connection to a node, through its jump hosts. The only file that knows ssh2, and where its traps are
// closed (reliability.md §5, named P-nn here).

import { spawn } from 'node:child_process';
import { connect as connectSocket, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import ssh2, {
  type AnyAuthMethod,
  type Client,
  type ClientChannel,
  type IdentityCallback,
  type ParsedKey,
  type SignCallback,
  type SigningRequestOptions,
} from 'ssh2';
import { abortable, withDeadline } from '../base/async.ts';
import { toDisplay } from '../base/displayText.ts';
import { Emitter } from '../base/emitter.ts';
import { UserError } from '../base/errors.ts';
import type {
  Channel,
  ChannelRequest,
  ConnectOptions,
  Connection,
  Transport,
} from './connection.ts';
import { HostKeyTrust } from './hostKeyTrust.ts';
import { describeHostKey } from './knownHosts.ts';
import { KeyRing, LoginAttempts, type KeyTools, type LoginKey } from './login.ts';
import type { ProcessExit } from './shell.ts';
import type { SshTarget } from './sshConfig.ts';
import {
  channelRefused,
  closedEarly,
  connectionLost,
  handshakeTooSlow,
  hostKeyChangedLater,
  jumpLoop,
  jumpRefused,
  loginCancelled,
  loginFailure,
  misbehaving,
  noAnswer,
  passwordExpired,
  proxyFailure,
  sessionLimit,
  socketFailure,
} from './sshFailures.ts';

const connectTimeoutMs = 10_000;
const handshakeTimeoutMs = 20_000;
const channelTimeoutMs = 10_000;
/** With ssh2's counting a peer that is silent for three intervals is dead: 45 s. */
const defaultKeepalive = { intervalMs: 15_000, countMax: 2 };
/** What ssh2 grants a channel (its MAX_WINDOW); more than that unread means that the window is ignored. */
const windowBytes = 2 << 20;
const windowSlackBytes = 64 << 10;
/** A key exchange and a login take a few KiB; a peer that sends this much before is not an sshd (B-004). */
const maxBytesBeforeLogin = 2 << 20;
/** A jump connection that nobody uses any more is kept this long for the next node behind it. */
const hopLingerMs = 5_000;
const maxJumps = 16;

// What OpenSSH 9 offers less everything with SHA-1, CBC or zlib; GCM first, as it is twice as fast here.
const ciphers = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
] as const;
const macs = [
  'hmac-sha2-256-etm@openssh.com',
  'hmac-sha2-512-etm@openssh.com',
  'hmac-sha2-256',
  'hmac-sha2-512',
] as const;
const hostKeyAlgorithms = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const;
const keyExchanges = [
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'ecdh-sha2-nistp521',
  'diffie-hellman-group-exchange-sha256',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group18-sha512',
  'diffie-hellman-group14-sha256',
] as const;

/** A transport with its unlocked keys and its shared connections to jump hosts. */
export function createSsh2Transport(): Transport {
  const keyRing = new KeyRing();
  const lastKeys = new Map<string, Buffer>();
  const hops = new Map<string, Hop>();

  const connectThrough = async (
    options: ConnectOptions,
    signal: AbortSignal | undefined,
  ): Promise<{ link: Link; leave: () => void }> => {
    const jump = options.target.proxyJump;
    const context: LoginContext = { ...options, keyRing, lastKeys };
    if (jump.length === 0) {
      const address = `${options.target.host}:${options.target.port}`;
      const link = await throughGate(options, address, signal, () =>
        openLink(context, options.target, undefined, signal),
      );
      return { link, leave: () => undefined };
    }
    const { hop, leave } = await shareHop(hops, context, jump, signal);
    try {
      const link = await throughGate(options, hop.entry, signal, () =>
        openLink(context, options.target, hop.link, signal),
      );
      return { link, leave };
    } catch (error) {
      leave();
      throw error;
    }
  };

  return async (options, signal) => {
    signal?.throwIfAborted();
    const { link, leave } = await connectThrough(options, signal);
    return new Ssh2Connection(options.node, link, leave);
  };
}

async function throughGate<T>(
  options: ConnectOptions,
  entry: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const leave = await options.gate.enter(entry, signal);
  try {
    return await work();
  } finally {
    leave();
  }
}

// --- jump hosts ------------------------------------------------------------------------------------------

/** A connection to the last of a chain of jump hosts, shared by all nodes behind it. */
interface Hop {
  readonly opened: Promise<{ readonly link: Link; readonly entry: string }>;
  /** Whether a person could be asked while it was made. */
  readonly isInteractive: boolean;
  users: number;
  linger: NodeJS.Timeout | undefined;
}

async function shareHop(
  hops: Map<string, Hop>,
  context: LoginContext,
  chain: readonly string[],
  signal: AbortSignal | undefined,
  depth = 0,
): Promise<{ hop: { link: Link; entry: string }; leave: () => void }> {
  const key = JSON.stringify(chain);
  for (;;) {
    const known = hops.get(key);
    const hop = known ?? openHop(hops, key, context, chain, depth);
    clearTimeout(hop.linger);
    hop.users++;
    const leave = (): void => {
      if (--hop.users > 0) return;
      hop.linger = setTimeout(() => {
        if (hops.get(key) === hop) hops.delete(key);
        hop.opened.then(
          ({ link }) => link.close(),
          () => undefined,
        );
      }, hopLingerMs);
      hop.linger.unref();
    };
    try {
      return { hop: await abortable(hop.opened, signal), leave: once(leave) };
    } catch (error) {
      leave();
      signal?.throwIfAborted();
      // One made in the background could ask nobody; where somebody can be asked, it is made again.
      if (known === undefined || known.isInteractive || !isInteractive(context)) throw error;
    }
  }
}

function openHop(
  hops: Map<string, Hop>,
  key: string,
  context: LoginContext,
  chain: readonly string[],
  depth: number,
): Hop {
  const forget = (): void => {
    if (hops.get(key) === hop) hops.delete(key);
  };
  const open = async (): Promise<{ link: Link; entry: string }> => {
    const target = await context.resolve(chain.at(-1)!);
    // As with `ssh -J a,b`: b is reached through a, and a as its own configuration says.
    const before = chain.length > 1 ? chain.slice(0, -1) : target.proxyJump;
    if (before.length === 0) {
      const entry = `${target.host}:${target.port}`;
      const link = await throughGate(context, entry, undefined, () =>
        openLink(context, target, undefined, undefined),
      );
      return { link, entry };
    }
    if (depth > maxJumps) throw jumpLoop(context.node);
    const { hop: previous, leave } = await shareHop(hops, context, before, undefined, depth + 1);
    try {
      const link = await throughGate(context, previous.entry, undefined, () =>
        openLink(context, target, previous.link, undefined),
      );
      link.onClose(leave);
      return { link, entry: previous.entry };
    } catch (error) {
      leave();
      throw error;
    }
  };
  const hop: Hop = {
    opened: open(),
    isInteractive: isInteractive(context),
    users: 0,
    linger: undefined,
  };
  hops.set(key, hop);
  hop.opened.then(({ link }) => link.onClose(forget), forget);
  return hop;
}

function isInteractive(context: LoginContext): boolean {
  return context.prompts.hostKey !== undefined || context.prompts.password !== undefined;
}

// --- one link: socket, key exchange, login ---------------------------------------------------------------

interface LoginContext extends ConnectOptions {
  readonly keyRing: KeyRing;
  /** Alias → public key that worked there. */
  readonly lastKeys: Map<string, Buffer>;
}

/** A logged in client and its socket, which we can always destroy (P-10). */
class Link {
  readonly client: Client;
  readonly where: string;
  /** Why it ended, once it has. */
  reason: Error | undefined;
  isClosed = false;
  private readonly socket: Duplex;
  private readonly listeners = new Set<(reason: Error | undefined) => void>();
  private readonly open = new Set<ClientChannel>();

  constructor(where: string, client: Client, socket: Duplex) {
    this.where = where;
    this.client = client;
    this.socket = socket;
    client.on('error', (error: Error & { level?: string }) => {
      // An agent that fails is no end of the connection (P-16).
      if (error.level === 'agent') return;
      // After a protocol error ssh2 only half-closes (P-11).
      this.fail(this.reason ?? connectionLost(where, error));
    });
    client.once('close', () => this.fail(this.reason ?? connectionLost(where)));
    // A hop that is cut gives the inner client no error (P-24): its socket's end is enough.
    socket.once('close', () => this.fail(this.reason ?? connectionLost(where)));
    socket.on('data', () => this.audit());
  }

  /** `listener` is called once, also when the link is closed already. Gives what takes it back. */
  onClose(listener: (reason: Error | undefined) => void): () => void {
    if (this.isClosed) listener(this.reason);
    else this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The promise's result under a deadline; a link that ends first, or is too late, rejects as lost. */
  async answered<T>(promise: Promise<T>, timeoutMs: number, node: string): Promise<T> {
    let forget: (() => void) | undefined;
    const lost = new Promise<never>((_, reject) => {
      forget = this.onClose((reason) => reject(reason ?? connectionLost(node)));
    });
    const late = (): UserError => connectionLost(node);
    try {
      return await withDeadline(Promise.race([promise, lost]), timeoutMs, late, () =>
        this.fail(late()),
      );
    } finally {
      forget?.();
    }
  }

  /** Ends it in order; undefined as the reason. */
  close(): void {
    if (this.isClosed) return;
    this.client.end();
    this.end(undefined);
  }

  fail(reason: Error): void {
    this.end(reason);
  }

  watch(channel: ClientChannel): void {
    this.open.add(channel);
    channel.once('close', () => this.open.delete(channel));
  }

  /** The ledger: a node that sends past the window we granted would fill our memory (T-01, P-06). */
  private audit(): void {
    for (const channel of this.open) {
      const unread = channel.readableLength + channel.stderr.readableLength;
      if (unread > windowBytes + windowSlackBytes) {
        this.fail(misbehaving(this.where, 'it sends more than it was allowed to'));
        return;
      }
    }
  }

  private end(reason: Error | undefined): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.reason = reason;
    if (reason === undefined) {
      // Time for the farewell; a peer that does not close is cut off.
      const cut = setTimeout(() => this.socket.destroy(), 500);
      cut.unref();
      this.socket.once('close', () => clearTimeout(cut));
    } else {
      this.socket.destroy();
    }
    const listeners = [...this.listeners];
    this.listeners.clear();
    for (const listener of listeners) listener(reason);
  }
}

async function openLink(
  context: LoginContext,
  target: SshTarget,
  through: Link | undefined,
  signal: AbortSignal | undefined,
): Promise<Link> {
  const where = target === context.target ? context.node : `${context.node} (jump ${target.alias})`;
  const canAsk = context.prompts.hostKey !== undefined;
  const trust = await HostKeyTrust.load(target, { accepted: context.acceptedHostKeys, canAsk });
  signal?.throwIfAborted();
  const { socket, whyClosed } = await openSocket(where, target, through, context, signal);
  const abort = (): void => {
    socket.destroy();
  };
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await login(where, target, socket, trust, context);
  } catch (error) {
    socket.destroy();
    signal?.throwIfAborted();
    throw whyClosed(error);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

interface OpenSocket {
  readonly socket: Duplex;
  /** A better reason than the error of a login that ended early, if there is one. */
  readonly whyClosed: (error: unknown) => unknown;
}

/** We make the socket, since ssh2 leaves Nagle's algorithm on and cannot always destroy its own (P-10). */
async function openSocket(
  where: string,
  target: SshTarget,
  through: Link | undefined,
  context: LoginContext,
  signal: AbortSignal | undefined,
): Promise<OpenSocket> {
  const { report } = context;
  const asItIs = (error: unknown): unknown => error;
  if (target.proxyCommand !== undefined) {
    report.note('Start the ProxyCommand', target.proxyCommand);
    return runProxy(where, target.proxyCommand);
  }
  const timeoutMs = target.connectTimeoutMs ?? connectTimeoutMs;
  if (through !== undefined) {
    const socket = await report.step(
      `Ask ${through.where} for a way to ${target.host}:${target.port}`,
      () => forward(where, target, through, timeoutMs),
    );
    return { socket, whyClosed: asItIs };
  }
  const socket = await abortable(openTcp(where, target, report, timeoutMs), signal);
  return { socket, whyClosed: asItIs };
}

function forward(
  where: string,
  target: SshTarget,
  through: Link,
  timeoutMs: number,
): Promise<Duplex> {
  const opened = new Promise<Duplex>((resolve, reject) => {
    try {
      through.client.forwardOut('127.0.0.1', 0, target.host, target.port, (error, channel) => {
        if (error !== undefined) return reject(jumpRefused(where, target, error));
        through.watch(channel);
        resolve(channel);
      });
    } catch (error) {
      // ssh2 throws synchronously when the connection is gone (P-15).
      reject(connectionLost(through.where, error));
    }
  });
  return withDeadline(opened, timeoutMs, () => noAnswer(where, target));
}

function openTcp(
  where: string,
  target: SshTarget,
  report: ConnectOptions['report'],
  timeoutMs: number,
): Promise<Socket> {
  const endLookup = report.begin(`Look up ${target.host}`);
  let endConnect: ReturnType<typeof report.begin> | undefined;
  const socket = connectSocket({ host: target.host, port: target.port, noDelay: true });
  socket.once('lookup', (error: Error | null, address: string) => {
    if (error !== null) return;
    endLookup('ok', address);
    endConnect = report.begin(`Connect to ${address}:${target.port}`);
  });
  const connected = new Promise<Socket>((resolve, reject) => {
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error) => reject(socketFailure(where, target, error)));
    socket.once('close', () => reject(connectionLost(where)));
  });
  const done = withDeadline(
    connected,
    timeoutMs,
    () => noAnswer(where, target),
    () => socket.destroy(),
  );
  done.then(
    () => {
      // An address needs no looking up, and then no event comes.
      endLookup('ok', 'an address');
      endConnect ??= report.begin(`Connect to ${target.host}:${target.port}`);
      endConnect('ok');
    },
    (error: unknown) => (endConnect ?? endLookup)('failed', messageOf(error)),
  );
  return done;
}

/** ProxyCommand comes from the user's own ssh configuration only, and is run by a shell as ssh does. */
function runProxy(where: string, command: string): OpenSocket {
  const child = spawn('/bin/sh', ['-c', `exec ${command}`], { stdio: ['pipe', 'pipe', 'pipe'] });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => (words = `${words}${chunk.toString()}`.slice(-2000)));
  const socket = Duplex.from({ readable: child.stdout, writable: child.stdin });
  socket.on('error', () => {
    // The program's end is heard of as the end of the stream.
  });
  child.once('error', () => socket.destroy());
  socket.once('close', () => child.kill());
  const whyClosed = (error: unknown): unknown =>
    error instanceof UserError && error.code === 'node.closed' && words.trim() !== ''
      ? proxyFailure(where, words)
      : error;
  return { socket, whyClosed };
}

function login(
  where: string,
  target: SshTarget,
  socket: Duplex,
  trust: HostKeyTrust,
  context: LoginContext,
): Promise<Link> {
  const { report } = context;
  const client = new ssh2.Client();
  let link: Link | undefined;
  let pinnedKey: Buffer | undefined;
  let decided: unknown;
  let clock: NodeJS.Timeout | undefined;
  const endHandshake = report.begin('Agree on keys and ciphers');
  let endLogin: ReturnType<typeof report.begin> | undefined;
  return new Promise<Link>((resolve, reject) => {
    const fail = (error: unknown): void => {
      clearTimeout(clock);
      const reason = decided ?? error;
      endHandshake('failed', messageOf(reason));
      endLogin?.('failed', messageOf(reason));
      reject(reason instanceof Error ? reason : new Error(messageOf(reason)));
      socket.destroy();
    };
    const startClock = (): void => {
      clearTimeout(clock);
      clock = setTimeout(() => fail(handshakeTooSlow(where)), handshakeTimeoutMs);
    };
    const attempts = new LoginAttempts({
      where,
      target,
      prompts: context.prompts,
      tools: keyTools,
      keyRing: context.keyRing,
      lastKey: context.lastKeys.get(target.alias),
      whilePaused: async (question) => {
        clearTimeout(clock);
        try {
          return await question();
        } finally {
          if (link === undefined && !socket.destroyed) startClock();
        }
      },
    });
    startClock();
    client.on('error', (error: Error & { level?: string }) => {
      // Levels `agent` and `client-authentication` only mean that one method failed (P-16), but for the last.
      if (error.level === 'agent') return;
      const isRefused = error.level === 'client-authentication';
      if (isRefused && attempts.wasDeclined) return fail(loginCancelled(where, target));
      fail(loginFailure(where, target, error, attempts.tried));
    });
    client.on('close', () => fail(closedEarly(where)));
    client.on('banner', (text: string) => report.note('The node says', text.slice(0, 2000)));
    client.on('handshake', ({ kex, cs }) => {
      endHandshake('ok', `${kex}, ${cs.cipher}`);
      endLogin ??= report.begin(`Log in as ${target.user}`);
    });
    client.on('change password', () => fail(passwordExpired(where, target)));
    client.on('ready', () => {
      clearTimeout(clock);
      const method = attempts.current;
      if (method?.type === 'publickey') context.lastKeys.set(target.alias, method.key.publicBlob);
      endLogin?.('ok', describeLogin(attempts));
      client.removeAllListeners('error');
      client.removeAllListeners('close');
      client.removeAllListeners('handshake');
      link = new Link(where, client, socket);
      resolve(link);
    });
    client.connect({
      sock: socket,
      username: target.user,
      readyTimeout: 0,
      ...keepaliveOf(target),
      algorithms: {
        compress: ['none'],
        cipher: [...ciphers],
        hmac: [...macs],
        kex: [...keyExchanges],
        serverHostKey: orderHostKeys(trust.knownKeyTypes),
      },
      // ssh2 refuses a key for the literal `false` only (P-02), and asks again at each re-key, where an answer
      // that is not given at once breaks the stream (P-03): so decide once, then compare.
      hostVerifier: (key: Buffer, answer: (ok: boolean) => void): boolean | undefined => {
        if (pinnedKey !== undefined) {
          const isSame = pinnedKey.equals(key);
          if (!isSame) link?.fail(hostKeyChangedLater(where));
          return isSame;
        }
        const offered = Buffer.from(key);
        const endKey = report.begin(`Check the host key of ${trust.name}`);
        trust.check(offered).then(
          () => {
            endKey('ok', describeHostKey(offered));
            // The connection may be gone by now: ssh2 must not be answered then (P-04).
            if (socket.destroyed) return;
            pinnedKey = offered;
            answer(true);
          },
          (error: unknown) => {
            endKey('failed', messageOf(error));
            decided = error;
            fail(error);
          },
        );
        return undefined;
      },
      authHandler: (_methodsLeft, _partialSuccess, next) => {
        attempts.next().then(
          // The types know `false` only as a return value; ssh2 takes it here as "nothing left".
          (method) => {
            if (socket.destroyed) return;
            next((method === undefined ? false : toSsh2(method, target)) as AnyAuthMethod);
          },
          (error: unknown) => fail(error),
        );
      },
    });
    hearRefusals(client, (methods, isPartial) => attempts.onRefused(methods, isPartial));
    const countBytes = (): void => {
      if (link === undefined && (socket as Socket).bytesRead > maxBytesBeforeLogin) {
        fail(misbehaving(where, 'it sends without end before the login'));
      }
    };
    socket.on('data', countBytes);
  });
}

function describeLogin(attempts: LoginAttempts): string {
  const method = attempts.current;
  if (method === undefined || method.type === 'none') return 'the node asked for no authentication';
  return `with ${attempts.tried.join(', ') || method.type}`;
}

function keepaliveOf(target: SshTarget): { keepaliveInterval: number; keepaliveCountMax: number } {
  return {
    keepaliveInterval: target.serverAliveIntervalMs ?? defaultKeepalive.intervalMs,
    keepaliveCountMax:
      target.serverAliveIntervalMs === undefined
        ? defaultKeepalive.countMax
        : Math.max(1, target.serverAliveCountMax ?? 3),
  };
}

/**
 * ssh2 keeps to itself what the node answers while keys of an agent are tried, and so never hears that one was
 * accepted and a second factor is wanted (P-19). Its message handler is the only place that knows.
 */
function hearRefusals(
  client: Client,
  onRefused: (methods: readonly string[], isPartialSuccess: boolean) => void,
): void {
  const { _protocol: protocol } = client as unknown as {
    readonly _protocol: { readonly _handlers: Record<string, (...args: unknown[]) => void> };
  };
  const handlers = protocol._handlers;
  const inner = handlers['USERAUTH_FAILURE'];
  handlers['USERAUTH_FAILURE'] = (...args) => {
    const [, methods, isPartialSuccess] = args as [unknown, readonly string[], boolean];
    onRefused(methods, isPartialSuccess);
    inner?.(...args);
  };
}

function toSsh2(
  method: NonNullable<LoginAttempts['current']>,
  { user: username }: SshTarget,
): AnyAuthMethod {
  switch (method.type) {
    case 'none':
      return { type: 'none', username };
    case 'password':
      return { type: 'password', username, password: method.password };
    case 'publickey':
      // As an agent with this one key, since only an agent may take its time to sign.
      return { type: 'agent', username, agent: new OneKey(method.key) };
    case 'keyboard-interactive':
      return {
        type: 'keyboard-interactive',
        username,
        prompt: (_name, instructions, _language, questions, finish) => {
          const round = {
            instructions,
            questions: questions.map(({ prompt, echo }) => ({ prompt, echo: echo === true })),
          };
          method.answer(round).then(
            (answers) => finish([...answers]),
            () => finish([]),
          );
        },
      };
  }
}

class OneKey extends ssh2.BaseAgent {
  private readonly key: LoginKey;

  constructor(key: LoginKey) {
    super();
    this.key = key;
  }

  override getIdentities(done: IdentityCallback<ParsedKey>): void {
    const parsed = parseBlob(this.key.publicBlob);
    done(undefined, parsed === undefined ? [] : [parsed]);
  }

  override sign(
    _publicKey: unknown,
    data: Buffer,
    options: SigningRequestOptions | SignCallback,
    callback?: SignCallback,
  ): void {
    const done = typeof options === 'function' ? options : callback;
    const hash = typeof options === 'function' ? undefined : options.hash;
    this.key.sign(data, hash).then(
      (signature) => done?.(undefined, signature),
      (error: unknown) => done?.(error instanceof Error ? error : new Error(String(error))),
    );
  }
}

function parseBlob(blob: Buffer): ParsedKey | undefined {
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
  const type = blob.toString('latin1', 4, 4 + Math.min(length, 64));
  const parsed = ssh2.utils.parseKey(`${type} ${blob.toString('base64')}`);
  return parsed instanceof Error ? undefined : parsed;
}

const agentTimeoutMs = 5_000;

const keyTools: KeyTools = {
  parse: (text, passphrase) => {
    const parsed = ssh2.utils.parseKey(text, passphrase);
    if (parsed instanceof Error) {
      if (/encrypted|passphrase|bad decrypt|integrity/i.test(parsed.message)) {
        return { kind: 'locked' };
      }
      return { kind: 'unusable', reason: 'of a kind that cannot be read' };
    }
    const sign = (data: Buffer, hash: string | undefined): Buffer => {
      const signature = parsed.sign(data, hash) as Buffer | Error;
      if (signature instanceof Error) throw signature;
      return signature;
    };
    return { kind: 'key', key: { publicBlob: parsed.getPublicSSH(), sign } };
  },
  parsePublic: (text) => {
    const parsed = ssh2.utils.parseKey(text);
    if (parsed instanceof Error || parsed.isPrivateKey()) return undefined;
    return parsed.getPublicSSH();
  },
  agentKeys: async (socket) => {
    const agent = new ssh2.OpenSSHAgent(socket);
    const listed = new Promise<ParsedKey[]>((resolve, reject) => {
      agent.getIdentities((error, keys) => {
        if (error !== undefined && error !== null) return reject(error);
        resolve((keys ?? []).filter((key) => 'getPublicSSH' in key));
      });
    });
    const keys = await withDeadline(
      listed,
      agentTimeoutMs,
      () => new UserError('node.agentStuck', 'the agent does not answer'),
    );
    return keys.map((key) => ({
      publicBlob: key.getPublicSSH(),
      title: `agent key ${toDisplay(key.comment, 60)}`,
      sign: (data, hash) =>
        new Promise<Buffer>((resolve, reject) => {
          const options = (hash === undefined ? {} : { hash }) as SigningRequestOptions;
          agent.sign(key, data, options, (error, signature) => {
            if (signature === undefined) reject(error ?? new Error('the agent did not sign'));
            else resolve(signature);
          });
        }),
    }));
  },
};

function orderHostKeys(known: readonly string[]): (typeof hostKeyAlgorithms)[number][] {
  const isKnown = (algorithm: string): boolean =>
    known.includes(algorithm) || (algorithm.startsWith('rsa-') && known.includes('ssh-rsa'));
  return [
    ...hostKeyAlgorithms.filter((algorithm) => isKnown(algorithm)),
    ...hostKeyAlgorithms.filter((algorithm) => !isKnown(algorithm)),
  ];
}

// --- the connection that is handed out -------------------------------------------------------------------

class Ssh2Connection implements Connection {
  readonly hearsExits = true;
  private readonly node: string;
  private readonly link: Link;
  private readonly closed = new Emitter<Error | undefined>();

  readonly onDidClose = this.closed.event;

  /** `leaveHop` says that the jump hosts are no longer needed. */
  constructor(node: string, link: Link, leaveHop: () => void) {
    this.node = node;
    this.link = link;
    link.onClose((reason) => {
      leaveHop();
      this.closed.fire(reason);
      this.closed.dispose();
    });
  }

  async openChannel(request: ChannelRequest): Promise<Channel> {
    const { client } = this.link;
    const size = request.terminal;
    const pty =
      size === undefined
        ? undefined
        : { cols: size.columns, rows: size.rows, term: 'xterm-256color' };
    const channel = await this.open((done) => {
      if (request.command === undefined) client.shell(pty ?? false, done);
      else if (pty === undefined) client.exec(request.command, done);
      else client.exec(request.command, { pty }, done);
    });
    this.link.watch(channel);
    channel.on('error', () => {
      // The channel's end is told by its exit and close events.
    });
    return {
      stdin: channel,
      stdout: channel,
      stderr: channel.stderr,
      exited: waitForExit(channel),
      closed: new Promise((resolve) => channel.once('close', () => resolve())),
      resize: ({ columns, rows }) => {
        if (size !== undefined && !this.link.isClosed) channel.setWindow(rows, columns, 0, 0);
      },
      dispose: () => {
        channel.close();
        // Unread output would hold the close back for ever.
        channel.resume();
        channel.stderr.resume();
      },
    };
  }

  /** An answer to a global request (RFC 4254 §4), refused as it will be, is a sign of life that starts nothing. */
  async ping(timeoutMs: number): Promise<void> {
    const answer = new Promise<void>((resolve, reject) => {
      try {
        this.link.client.unforwardIn('127.0.0.1', 1, () => resolve());
      } catch (error) {
        reject(connectionLost(this.node, error));
      }
    });
    await this.link.answered(answer, timeoutMs, this.node);
  }

  dispose(): void {
    this.link.close();
  }

  /** Opens a channel under a deadline: on a stopped sshd ssh2's callbacks never come (P-12). */
  private async open(
    request: (done: (error: Error | undefined, channel: ClientChannel) => void) => void,
  ): Promise<ClientChannel> {
    if (this.link.isClosed) throw connectionLost(this.node);
    const opened = new Promise<ClientChannel>((resolve, reject) => {
      try {
        request((error?: Error & { reason?: unknown }, channel?: ClientChannel) => {
          if (channel !== undefined) resolve(channel);
          else reject(openFailure(this.node, error ?? new Error('no channel')));
        });
      } catch (error) {
        // ssh2 throws synchronously when the connection is gone (P-15).
        reject(connectionLost(this.node, error));
      }
    });
    return this.link.answered(opened, channelTimeoutMs, this.node);
  }
}

/** RFC 4254 §5.1: sshd refuses a session beyond MaxSessions with "connect failed" (2), others with their reason. */
function openFailure(node: string, error: Error & { reason?: unknown }): UserError {
  return error.reason === undefined ? channelRefused(node, error) : sessionLimit(node, error);
}

/** `exit` and not `close`: a background child may hold the channel open for long. */
function waitForExit(channel: ClientChannel): Promise<ProcessExit> {
  return new Promise((resolve) => {
    channel.once('exit', (code: number | null, signal?: string) =>
      resolve({
        exitCode: code ?? undefined,
        signal: signal === undefined ? undefined : `SIG${signal.replace(/^SIG/, '')}`,
      }),
    );
    channel.once('close', () => resolve({ exitCode: undefined, signal: undefined }));
  });
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    action();
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
