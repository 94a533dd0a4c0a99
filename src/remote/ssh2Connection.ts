// One ssh2 connection to a node, through its jump hosts. The only file that knows ssh2, and where its traps are
// closed (reliability.md §5, named P-nn here).

import type { Duplex } from 'node:stream';
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
import { OnceEmitter } from '../base/emitter.ts';
import { UserError } from '../base/errors.ts';
import type {
  Channel,
  ChannelRequest,
  ConnectOptions,
  Connection,
  Transport,
} from './connection.ts';
import { HostKeyTrust } from './hostKeyTrust.ts';
import { JumpLinks, type OpenLink } from './jumpLinks.ts';
import type { SigningKey } from './keyFile.ts';
import { describeHostKey, preferKnownKeyTypes } from './knownHosts.ts';
import { KeyRing, LoginAttempts, type KeyTools, type LoginKey } from './login.ts';
import type { LoginPass } from './loginGate.ts';
import { defaultKeepalive, Pulse, type Keepalive } from './pulse.ts';
import type { ProcessExit } from './shell.ts';
import { ciphers, hostKeyAlgorithms, keyExchanges, macs } from './sshAlgorithms.ts';
import type { SshTarget } from './sshConfig.ts';
import {
  answeredTooLate,
  channelRefused,
  closedEarly,
  connectionLost,
  garbled,
  handshakeTooSlow,
  hostKeyChangedLater,
  jumpRefused,
  lastLine,
  loginCancelled,
  loginCut,
  loginRefused,
  misbehaving,
  noAnswer,
  noCommonAlgorithm,
  notSsh,
  passwordExpired,
  sessionLimit,
  turnedAway,
} from './sshFailures.ts';
import { openTcp, runProxy } from './sshSocket.ts';

/** How long each wait may take, in milliseconds. */
export interface Ssh2Deadlines {
  /** For a TCP connection, and for a jump host's way to the next; ConnectTimeout of the configuration goes before. */
  readonly connectMs: number;
  /** For the key exchange and the login, without the time that a person or an agent takes. */
  readonly handshakeMs: number;
  readonly channelMs: number;
  /** For the list of an agent's keys. */
  readonly agentMs: number;
  /** For one signature of an agent, which may ask for a touch: a little less than sshd waits for a login. */
  readonly signMs: number;
  /** A jump connection that nobody uses any more is kept this long for the next node behind it. */
  readonly hopLingerMs: number;
}

const defaultDeadlines: Ssh2Deadlines = {
  connectMs: 10_000,
  handshakeMs: 20_000,
  channelMs: 10_000,
  agentMs: 5_000,
  signMs: 90_000,
  hopLingerMs: 5_000,
};

/** What may come beyond the window that we granted: a packet on its way, and some slack. */
const windowSlackBytes = 64 << 10;
/** A peer that lets so much of what we send lie, and goes on to ask more than so often, wants no answers. */
const stuckBytes = 256 << 10;
const maxUnreadAnswers = 2_000;
/** A key exchange and a login take a few KiB; a peer that sends this much before is not an sshd (B-004). */
const maxBytesBeforeLogin = 2 << 20;
/** What is kept of what comes before the version of the node's sshd. */
const keptHeadBytes = 1 << 10;
const maxBanners = 3;
/** Shown of a banner. */
const maxBannerLength = 500;

/** A transport with its unlocked keys and its shared connections to jump hosts. */
export function createSsh2Transport(deadlines: Partial<Ssh2Deadlines> = {}): Transport {
  const limits: Ssh2Deadlines = { ...defaultDeadlines, ...deadlines };
  const keyTools = keyToolsOf(limits);
  const keyRing = new KeyRing();
  const lastKeys = new Map<string, Buffer>();
  const jumps = new JumpLinks<Link>(limits.hopLingerMs);

  return async (options, signal) => {
    signal?.throwIfAborted();
    const context: LoginContext = {
      ...options,
      keyRing,
      keyTools,
      lastKeys,
      deadlines: limits,
      startedAt: performance.now(),
    };
    const open: OpenLink<Link> = (target, through, pass, stop) =>
      openLink(context, pass, target, through, stop);
    const { link, leave } = await jumps.connect(options, open, signal);
    return new Ssh2Connection(options.node, link, limits.channelMs, leave);
  };
}

// --- one link: socket, key exchange, login ---------------------------------------------------------------

interface LoginContext extends ConnectOptions {
  readonly keyRing: KeyRing;
  readonly keyTools: KeyTools;
  readonly deadlines: Ssh2Deadlines;
  /** By `performance.now()`. */
  readonly startedAt: number;
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
  private readonly pulse: Pulse;
  /** Questions since the peer last read what we sent. */
  private unread = 0;

  constructor(where: string, client: Client, socket: Duplex, target: SshTarget) {
    this.where = where;
    this.client = client;
    this.socket = socket;
    client.on('error', (error: Error & { level?: string }) => {
      // An agent that fails is no end of the connection (P-16).
      if (error.level === 'agent') return;
      // After a protocol error ssh2 only half-closes (P-11).
      this.fail(this.reason ?? connectionLost(where, error));
    });
    this.pulse = new Pulse(keepaliveOf(target), {
      ask: () => this.ask(() => undefined),
      onDead: (cause) => this.fail(connectionLost(where, cause)),
    });
    client.once('close', () => this.fail(this.reason ?? connectionLost(where)));
    // A hop that is cut gives the inner client no error (P-24): its socket's end is enough.
    socket.once('close', () => this.fail(this.reason ?? connectionLost(where)));
    socket.on('data', () => {
      this.pulse.hear();
      this.audit();
    });
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

  /** The ledger: what the peer may not make us hold (T-01, P-06). ssh2 looks at its window only when it is 0. */
  private audit(): void {
    for (const channel of this.open) {
      const { incoming } = internalsOf(channel);
      if (incoming.window < -windowSlackBytes) {
        return this.fail(misbehaving(this.where, 'it sends more than it was allowed to'));
      }
    }
  }

  /** Each has an answer; a peer that asks without end and reads none would fill our memory, too (P-35). */
  countQuestion(): void {
    if (this.socket.writableLength < stuckBytes) this.unread = 0;
    else if (++this.unread > maxUnreadAnswers) {
      this.fail(misbehaving(this.where, 'it asks much and reads none of the answers'));
    }
  }

  /** A global request (RFC 4254 §4) that is refused, as it will be, shows that somebody is there, and starts nothing. */
  ask(onAnswer: () => void): void {
    this.client.unforwardIn('127.0.0.1', 1, onAnswer);
  }

  private end(reason: Error | undefined): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.reason = reason;
    this.pulse.dispose();
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
  pass: LoginPass,
  target: SshTarget,
  through: Link | undefined,
  signal: AbortSignal | undefined,
): Promise<Link> {
  const where = target === context.target ? context.node : `${context.node} (jump ${target.alias})`;
  const canAsk = context.prompts.hostKey !== undefined;
  const trust = await HostKeyTrust.load(target, {
    accepted: context.acceptedHostKeys,
    canAsk,
    onDidAdd: ({ name, knownHostsFile }) =>
      context.report.note(`Add the host key of ${name}`, knownHostsFile),
    onDidNotAdd: ({ name }, error) =>
      context.report.begin(`Add the host key of ${name}`)('failed', messageOf(error)),
  });
  if (trust.unreadableLines.length > 0) {
    context.report.note('Skip lines of known_hosts', trust.unreadableLines.join(', '));
  }
  signal?.throwIfAborted();
  const { socket, whyClosed } = await openSocket(where, target, through, context, signal);
  const abort = (): void => {
    socket.destroy();
  };
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await login({ where, target, socket, trust, context, pass });
  } catch (error) {
    socket.destroy();
    signal?.throwIfAborted();
    throw (await whyClosed?.(error)) ?? error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

interface OpenSocket {
  readonly socket: Duplex;
  /** A better reason than the error of a login that ended early, if there is one. */
  readonly whyClosed?: (error: unknown) => Promise<unknown>;
}

async function openSocket(
  where: string,
  target: SshTarget,
  through: Link | undefined,
  { report, deadlines }: LoginContext,
  signal: AbortSignal | undefined,
): Promise<OpenSocket> {
  if (target.proxyCommand !== undefined) return runProxy(where, target.proxyCommand, report);
  const timeoutMs = target.connectTimeoutMs ?? deadlines.connectMs;
  if (through === undefined) {
    return { socket: await openTcp({ where, target, report, timeoutMs }, signal) };
  }
  const socket = await report.step(
    `Ask ${through.where} for a way to ${target.host}:${target.port}`,
    () => abortable(forward(where, target, through, timeoutMs, signal), signal),
  );
  return { socket };
}

function forward(
  where: string,
  target: SshTarget,
  through: Link,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Duplex> {
  let isLate = false;
  const opened = new Promise<Duplex>((resolve, reject) => {
    try {
      through.client.forwardOut('127.0.0.1', 0, target.host, target.port, (error, channel) => {
        if (error !== undefined) return reject(jumpRefused(where, target, error));
        through.watch(channel);
        // Nobody waits for one that comes too late.
        if (isLate || signal?.aborted === true || through.isClosed) channel.destroy();
        resolve(channel);
      });
    } catch (error) {
      // ssh2 throws synchronously when the connection is gone (P-15).
      reject(connectionLost(through.where, error));
    }
  });
  return withDeadline(
    opened,
    timeoutMs,
    () => noAnswer(where, target),
    () => (isLate = true),
  );
}

interface LoginOptions {
  readonly where: string;
  readonly target: SshTarget;
  readonly socket: Duplex;
  readonly trust: HostKeyTrust;
  readonly context: LoginContext;
  readonly pass: LoginPass;
}

function login({ where, target, socket, trust, context, pass }: LoginOptions): Promise<Link> {
  const { report, deadlines } = context;
  const client = new ssh2.Client();
  let link: Link | undefined;
  let pinnedKey: Buffer | undefined;
  let clock: NodeJS.Timeout | undefined;
  let isAsking = false;
  let isOver = false;
  const endHandshake = report.begin('Agree on keys and ciphers');
  let endLogin: ReturnType<typeof report.begin> | undefined;
  const greeting = listenToGreeting(socket);
  return new Promise<Link>((resolve, reject) => {
    const fail = (error: unknown): void => {
      clearTimeout(clock);
      if (isOver) return;
      isOver = true;
      endHandshake('failed', messageOf(error));
      endLogin?.('failed', messageOf(error));
      reject(error instanceof Error ? error : new Error(messageOf(error)));
      socket.destroy();
    };
    const startClock = (): void => {
      clearTimeout(clock);
      clock = setTimeout(
        () =>
          fail(greeting.isSsh === false ? notSsh(where, greeting.head) : handshakeTooSlow(where)),
        deadlines.handshakeMs,
      );
    };
    const attempts = new LoginAttempts({
      where,
      target,
      prompts: context.prompts,
      tools: context.keyTools,
      keyRing: context.keyRing,
      lastKey: context.lastKeys.get(target.alias),
      startedAt: context.startedAt,
      whilePaused: async (question) => {
        clearTimeout(clock);
        isAsking = true;
        try {
          return await pass.whileAsking(question);
        } finally {
          isAsking = false;
          if (!isOver) startClock();
        }
      },
    });
    // Why an account is closed is told so, after the key was taken. A welcome comes before any is tried.
    let lastWords: string | undefined;
    const onEnd = (error?: Error & { level?: string }): void =>
      fail(whyEnded(where, target, attempts, { greeting, isAsking, error, farewell: lastWords }));
    startClock();
    client.on('error', (error: Error & { level?: string }) => {
      // One method failed, and the next is tried (P-16).
      if (error.level !== 'agent') onEnd(error);
    });
    client.on('close', () => onEnd());
    const banners = limitedTo(maxBanners, (text: string) => {
      report.note('The node says', toDisplay(text.trim(), maxBannerLength));
      if (attempts.tried.length > 0) lastWords = lastLine(text);
    });
    client.on('banner', banners);
    client.on('handshake', ({ kex, cs }) => {
      endHandshake('ok', `${kex}, ${cs.cipher}`);
      endLogin ??= report.begin(`Log in as ${target.user}`);
    });
    client.on('change password', () => fail(passwordExpired(where, target)));
    client.on('ready', () => {
      clearTimeout(clock);
      isOver = true;
      greeting.stop();
      const method = attempts.current;
      if (method?.type === 'publickey') context.lastKeys.set(target.alias, method.key.publicBlob);
      endLogin?.('ok', attempts.way);
      for (const event of ['error', 'close', 'handshake', 'banner']) {
        client.removeAllListeners(event);
      }
      link = new Link(where, client, socket, target);
      resolve(link);
    });
    client.connect({
      sock: socket,
      username: target.user,
      readyTimeout: 0,
      keepaliveInterval: 0,
      algorithms: {
        compress: ['none'],
        cipher: [...ciphers],
        hmac: [...macs],
        kex: [...keyExchanges],
        serverHostKey: preferKnownKeyTypes(hostKeyAlgorithms, trust.knownKeyTypes),
      },
      // ssh2 refuses a key for the literal `false` only (P-02), and asks again at each re-key, where an answer
      // that is not given at once breaks the stream (P-03): so decide once, then compare.
      hostVerifier: (key: Buffer, answer: (ok: boolean) => void): boolean | undefined => {
        if (pinnedKey !== undefined) {
          const isSame = pinnedKey.equals(key);
          if (!isSame) (link?.fail.bind(link) ?? fail)(hostKeyChangedLater(where));
          return isSame;
        }
        const offered = Buffer.from(key);
        const endKey = report.begin(`Check the host key of ${trust.name}`);
        // Undefined behind a proxy or a jump host.
        const { remoteAddress } = socket as { readonly remoteAddress?: string };
        trust.check(offered, remoteAddress).then(
          () => {
            endKey('ok', describeHostKey(offered));
            // The connection may be gone by now: ssh2 must not be answered then (P-04).
            if (socket.destroyed) return;
            pinnedKey = offered;
            answer(true);
          },
          (error: unknown) => {
            endKey('failed', messageOf(error));
            endHandshake('failed', 'ended over the host key');
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
            next((method === undefined ? false : toSsh2(method, target, fail)) as AnyAuthMethod);
          },
          (error: unknown) => fail(error),
        );
      },
    });
    watchMessages(client, {
      onRefused: (methods, isPartial) => attempts.onRefused(methods, isPartial),
      // ssh2 only half-closes on a farewell, and with one reason tells nobody.
      onFarewell: (words) => {
        const how = { greeting, isAsking, error: undefined, farewell: words };
        if (link === undefined) fail(whyEnded(where, target, attempts, how));
        else link.fail(connectionLost(where, new Error(words)));
      },
      onQuestion: () => link?.countQuestion(),
    });
    let bytes = 0;
    socket.on('data', function count(chunk: Buffer) {
      bytes += chunk.length;
      if (isOver) socket.off('data', count);
      else if (bytes > maxBytesBeforeLogin) {
        fail(misbehaving(where, 'it sends without end before the login'));
      }
    });
  });
}

/** What comes before the version of an sshd (RFC 4253 §4.2), for the sentence that says what is there instead. */
interface Greeting {
  readonly head: Buffer;
  /** Undefined while nothing has come. */
  readonly isSsh: boolean | undefined;
  stop(): void;
}

function listenToGreeting(socket: Duplex): Greeting {
  let head: Buffer = Buffer.alloc(0);
  const listen = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk.subarray(0, keptHeadBytes - head.length)]);
    if (head.length >= keptHeadBytes) socket.off('data', listen);
  };
  socket.on('data', listen);
  return {
    get head() {
      return head;
    },
    get isSsh() {
      return head.length === 0 ? undefined : /^SSH-(2\.0|1\.99)-/m.test(head.toString('latin1'));
    },
    stop: () => socket.off('data', listen),
  };
}

/** How a login ended, as far as ssh2 tells. All undefined: the connection was closed. */
interface LoginEnd {
  readonly greeting: Greeting;
  /** A person or an agent was being asked. */
  readonly isAsking: boolean;
  readonly error: (Error & { level?: string; code?: unknown }) | undefined;
  /** The node's own words. */
  readonly farewell: string | undefined;
}

function whyEnded(
  where: string,
  target: SshTarget,
  attempts: LoginAttempts,
  { greeting, isAsking, error, farewell }: LoginEnd,
): UserError {
  if (error?.level === 'client-authentication') {
    return attempts.wasDeclined
      ? loginCancelled(where, target)
      : loginRefused(where, target, attempts, error);
  }
  if (greeting.isSsh === false) return notSsh(where, greeting.head);
  if (farewell !== undefined && /too many authentication failures/i.test(farewell)) {
    return loginRefused(where, target, attempts, new Error(farewell));
  }
  const text = error?.message ?? '';
  if (/^Handshake failed: no matching/.test(text)) return noCommonAlgorithm(where, error!);
  // A socket's own errors, and ssh2's word for its end, are no fault of what was sent.
  const isClosed = error === undefined || error.code !== undefined || /^Connection lost/.test(text);
  if (!isClosed) return garbled(where, error);
  if (isAsking) return answeredTooLate(where);
  if (attempts.hasSentSecret) return loginCut(where, target, attempts);
  return farewell === undefined ? closedEarly(where) : turnedAway(where, farewell);
}

function limitedTo<T>(times: number, action: (value: T) => void): (value: T) => void {
  let count = 0;
  return (value) => {
    if (++count <= times) action(value);
  };
}

function keepaliveOf(target: SshTarget): Keepalive {
  if (target.serverAliveIntervalMs === undefined) return defaultKeepalive;
  return {
    intervalMs: target.serverAliveIntervalMs,
    countMax: Math.max(1, target.serverAliveCountMax ?? 3),
  };
}

/** What of ssh2 no event tells; its message handlers are the only place that knows. */
interface MessageListener {
  /**
   * While keys of an agent are tried, ssh2 keeps to itself what the node answers, and so never hears that one was
   * accepted and a second factor is wanted (P-19).
   */
  onRefused(methods: readonly string[], isPartialSuccess: boolean): void;
  onFarewell(words: string): void;
  /** Something that we have to answer. */
  onQuestion(): void;
}

function watchMessages(client: Client, listener: MessageListener): void {
  const { _protocol: protocol } = client as unknown as {
    readonly _protocol: { readonly _handlers: Record<string, (...args: unknown[]) => void> };
  };
  const handlers = protocol._handlers;
  const { USERAUTH_FAILURE: onFailure, GLOBAL_REQUEST: onRequest } = handlers;
  handlers['USERAUTH_FAILURE'] = (...args) => {
    const [, methods, isPartialSuccess] = args as [unknown, readonly string[], boolean];
    listener.onRefused(methods, isPartialSuccess);
    onFailure?.(...args);
  };
  handlers['DISCONNECT'] = (_protocol, reason, words) => {
    listener.onFarewell(
      typeof words === 'string' && words !== '' ? words : `reason ${String(reason)}`,
    );
  };
  let wasAcknowledged = false;
  handlers['GLOBAL_REQUEST'] = (...args) => {
    listener.onQuestion();
    if (args[1] !== 'hostkeys-00@openssh.com') return onRequest?.(...args);
    // Other host keys of the node: we learn none, and ssh2 would have each proved. Something has to go back all the
    // same: sshd holds its next words (Nagle) until these were acknowledged, which our kernel puts off for 40 ms.
    if (wasAcknowledged) return;
    wasAcknowledged = true;
    client.unforwardIn('127.0.0.1', 1, () => undefined);
  };
  for (const question of ['CHANNEL_OPEN', 'CHANNEL_REQUEST']) {
    const inner = handlers[question];
    handlers[question] = (...args) => {
      listener.onQuestion();
      inner?.(...args);
    };
  }
}

function toSsh2(
  method: NonNullable<LoginAttempts['current']>,
  { user: username }: SshTarget,
  fail: (error: unknown) => void,
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
          method.answer(round).then((answers) => finish([...answers]), fail);
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

function keyToolsOf(deadlines: Ssh2Deadlines): KeyTools {
  return {
    parse: (text, passphrase) => {
      const parsed = ssh2.utils.parseKey(text, passphrase);
      if (parsed instanceof Error) {
        if (/encrypted|passphrase|bad decrypt|integrity/i.test(parsed.message)) {
          return { kind: 'locked' };
        }
        return { kind: 'unusable', reason: 'of a kind that cannot be read' };
      }
      return { kind: 'key', key: signingKey(parsed) };
    },
    parsePublic: (text) => {
      const parsed = ssh2.utils.parseKey(text);
      if (parsed instanceof Error || parsed.isPrivateKey()) return undefined;
      return parsed.getPublicSSH();
    },
    agentKeys: async (path) => {
      const keys = await askAgent<ParsedKey[]>(path, deadlines.agentMs, (agent, done) =>
        agent.getIdentities((error, found) => {
          const usable = (found ?? []).filter((key) => 'getPublicSSH' in key);
          done(error ?? undefined, usable);
        }),
      );
      return keys.map((key) => ({
        publicBlob: key.getPublicSSH(),
        title: `agent key ${toDisplay(key.comment, 60)}`,
        sign: (data, hash) =>
          askAgent<Buffer>(path, deadlines.signMs, (agent, done) => {
            const options = (hash === undefined ? {} : { hash }) as SigningRequestOptions;
            agent.sign(key, data, options, (error, signature) =>
              done(error ?? undefined, signature),
            );
          }),
      }));
    },
  };
}

function signingKey(parsed: ParsedKey): SigningKey {
  return {
    publicBlob: parsed.getPublicSSH(),
    sign: (data, hash) => {
      const signature = parsed.sign(data, hash) as Buffer | Error;
      if (signature instanceof Error) throw signature;
      return signature;
    },
  };
}

/** One question to an agent. When it is not answered in time, its socket is closed: nobody waits for it. */
async function askAgent<T>(
  path: string,
  timeoutMs: number,
  question: (
    agent: ssh2.OpenSSHAgent,
    done: (error: Error | undefined, answer: T | undefined) => void,
  ) => void,
): Promise<T> {
  const agent = new ClosableAgent(path);
  const answered = new Promise<T>((resolve, reject) => {
    question(agent, (error, answer) => {
      if (answer !== undefined && error === undefined) resolve(answer);
      else reject(error ?? new Error('it refused'));
    });
  });
  return withDeadline(
    answered,
    timeoutMs,
    () => new UserError('node.agentStuck', `it does not answer within ${timeoutMs / 1000} s`),
    () => agent.close(),
  );
}

class ClosableAgent extends ssh2.OpenSSHAgent {
  private stream: Duplex | undefined;

  override getStream(done: (error?: Error | null, stream?: Duplex) => void): void {
    super.getStream((error?: Error | null, stream?: Duplex) => {
      this.stream = stream;
      done(error, stream);
    });
  }

  close(): void {
    this.stream?.destroy();
  }
}

// --- the connection that is handed out -------------------------------------------------------------------

class Ssh2Connection implements Connection {
  private readonly node: string;
  private readonly link: Link;
  private readonly channelMs: number;
  private readonly closed = new OnceEmitter<Error | undefined>();

  readonly onDidClose = this.closed.event;

  /** `leaveHop` says that the jump hosts are no longer needed. */
  constructor(node: string, link: Link, channelMs: number, leaveHop: () => void) {
    this.node = node;
    this.link = link;
    this.channelMs = channelMs;
    link.onClose((reason) => {
      leaveHop();
      this.closed.fire(reason);
    });
  }

  async openChannel(request: ChannelRequest): Promise<Channel> {
    const { client } = this.link;
    const size = request.terminal;
    const pty =
      size === undefined
        ? undefined
        : { cols: size.columns, rows: size.rows, term: 'xterm-256color' };
    return this.open((done) => {
      if (request.command === undefined) client.shell(pty ?? false, done);
      else if (pty === undefined) client.exec(request.command, done);
      else client.exec(request.command, { pty }, done);
    }, size !== undefined);
  }

  async ping(timeoutMs: number): Promise<void> {
    const answer = new Promise<void>((resolve, reject) => {
      try {
        this.link.ask(() => resolve());
      } catch (error) {
        // ssh2 throws synchronously when the connection is gone (P-15).
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
    hasTerminal: boolean,
  ): Promise<Channel> {
    if (this.link.isClosed) throw connectionLost(this.node);
    const opened = new Promise<Channel>((resolve, reject) => {
      try {
        request((error?: Error & { reason?: unknown }, channel?: ClientChannel) => {
          // Listened to at once: the program's end may stand in the very next bytes.
          if (channel !== undefined) resolve(this.adopt(channel, hasTerminal));
          else reject(openFailure(this.node, error ?? new Error('no channel')));
        });
      } catch (error) {
        // ssh2 throws synchronously when the connection is gone (P-15).
        reject(connectionLost(this.node, error));
      }
    });
    return this.link.answered(opened, this.channelMs, this.node);
  }

  private adopt(channel: ClientChannel, hasTerminal: boolean): Channel {
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
        if (hasTerminal && !this.link.isClosed) channel.setWindow(rows, columns, 0, 0);
      },
      interrupt: () => {
        // ssh2's own `signal` does nothing once stdin has been closed.
        const { outgoing, _client: client } = internalsOf(channel);
        if (this.link.isClosed || !/^(?:open|eof)$/.test(outgoing.state)) return;
        client._protocol.signal(outgoing.id, 'TERM');
      },
      dispose: () => {
        channel.close();
        // Unread output would hold the close back for ever.
        channel.resume();
        channel.stderr.resume();
      },
    };
  }
}

/** What of a channel is not public. */
interface ChannelInternals {
  /** What the peer may still send; below 0 it has sent more than that. */
  readonly incoming: { readonly window: number };
  readonly outgoing: { readonly id: number; readonly state: string };
  readonly _client: { readonly _protocol: { signal(channel: number, name: string): void } };
}

function internalsOf(channel: ClientChannel): ChannelInternals {
  return channel as unknown as ChannelInternals;
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
        // A name of the node's choosing.
        signal:
          signal === undefined ? undefined : `SIG${toDisplay(signal.replace(/^SIG/, ''), 20)}`,
      }),
    );
    channel.once('close', () => resolve({ exitCode: undefined, signal: undefined }));
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
