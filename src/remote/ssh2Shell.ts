// Shell over one ssh2 connection. The only file that knows ssh2, and where its traps are closed
// (reliability.md §5, named P-nn here).

import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { Duplex, type Readable } from 'node:stream';
import ssh2, {
  type AnyAuthMethod,
  type AuthenticationType,
  type Client,
  type ClientChannel,
  type IdentityCallback,
  type OpenSSHAgent,
  type ParsedKey,
} from 'ssh2';
import { Semaphore, withDeadline } from '../base/async.ts';
import { toDisplay } from '../base/displayText.ts';
import { Emitter } from '../base/emitter.ts';
import { collect, skipToMarker } from './channel.ts';
import { bootstrapCommand, encodeCommand } from './command.ts';
import { HostKeyTrust, UnknownHostKey } from './hostKeyTrust.ts';
import type { AskHostKey } from './loginPrompts.ts';
import type {
  ExecOptions,
  ExecResult,
  ProcessExit,
  RemoteCommand,
  RemoteProcess,
  RemoteTerminal,
  Shell,
  StartOptions,
  TerminalOptions,
} from './shell.ts';
import type { SshTarget } from './sshConfig.ts';
import {
  channelRefused,
  closedEarly,
  connectionLost,
  handshakeTooSlow,
  jumpRefused,
  loginFailure,
  noAnswer,
  socketFailure,
} from './sshFailures.ts';

/** Questions that only a person can answer. A connection made in the background has none of them. */
export interface LoginPrompts {
  readonly hostKey?: AskHostKey;
  /** The passphrase of a key file, or undefined when the user declines. */
  readonly passphrase?: (keyFile: string) => Promise<string | undefined>;
  /** `text` comes from the node when `isFromNode`: show it as the node's words. */
  readonly password?: (question: {
    readonly text: string;
    readonly echo: boolean;
    readonly isFromNode: boolean;
  }) => Promise<string | undefined>;
}

export interface ConnectOptions {
  /** The node's name, for error sentences. */
  readonly node: string;
  readonly target: SshTarget;
  /** Resolves the alias of a jump host. */
  readonly resolve: (alias: string) => Promise<SshTarget>;
  readonly prompts: LoginPrompts;
  /** Fingerprints of unknown host keys that the user has accepted. */
  readonly acceptedHostKeys?: ReadonlySet<string>;
}

const connectTimeoutMs = 10_000;
const handshakeTimeoutMs = 20_000;
const channelTimeoutMs = 10_000;
const keepaliveIntervalMs = 15_000;
const keepaliveCountMax = 3;
/** sshd allows ten sessions on a connection (MaxSessions); two are left to others. */
const maxChannels = 8;

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

/** Connects, through the jump hosts if there are any. Errors are UserErrors that say why and what next. */
export async function connectSsh(options: ConnectOptions, signal?: AbortSignal): Promise<Shell> {
  signal?.throwIfAborted();
  try {
    const { client, hops } = await connectThroughJumps(options, signal);
    return new Ssh2Shell(options.node, client, hops);
  } catch (error) {
    if (!(error instanceof UnknownHostKey)) throw error;
    if ((await options.prompts.hostKey?.(error.question)) !== true) throw error;
    const acceptedHostKeys = new Set(options.acceptedHostKeys).add(error.question.fingerprint);
    return connectSsh({ ...options, acceptedHostKeys }, signal);
  }
}

async function connectThroughJumps(
  options: ConnectOptions,
  signal: AbortSignal | undefined,
): Promise<{ client: Client; hops: readonly Client[] }> {
  const hops: Client[] = [];
  try {
    let through: Client | undefined;
    for (const alias of options.target.proxyJump) {
      const target = await options.resolve(alias);
      through = await connectOne(options, target, through, signal);
      hops.unshift(through);
    }
    return { client: await connectOne(options, options.target, through, signal), hops };
  } catch (error) {
    for (const hop of hops) hop.destroy();
    throw error;
  }
}

async function connectOne(
  options: ConnectOptions,
  target: SshTarget,
  through: Client | undefined,
  signal: AbortSignal | undefined,
): Promise<Client> {
  const where = target === options.target ? options.node : `${options.node} (jump ${target.alias})`;
  const trust = await HostKeyTrust.load(target, {
    accepted: options.acceptedHostKeys ?? new Set(),
    canAsk: options.prompts.hostKey !== undefined,
  });
  const socket = await openSocket(where, target, through);
  const abort = (): void => {
    socket.destroy();
  };
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await login(where, target, socket, trust, options.prompts);
  } catch (error) {
    socket.destroy();
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** We make the socket, since ssh2 leaves Nagle's algorithm on and cannot always destroy its own (P-10). */
function openSocket(
  where: string,
  target: SshTarget,
  through: Client | undefined,
): Promise<Duplex> {
  if (target.proxyCommand !== undefined) return Promise.resolve(runProxy(target.proxyCommand));
  if (through !== undefined) {
    const opened = new Promise<Duplex>((resolve, reject) => {
      through.forwardOut('127.0.0.1', 0, target.host, target.port, (error, channel) => {
        if (error === undefined) resolve(channel);
        else reject(jumpRefused(where, target, error));
      });
    });
    return withDeadline(opened, connectTimeoutMs, () => noAnswer(where, target));
  }
  const socket = connectSocket({ host: target.host, port: target.port, noDelay: true });
  const connected = new Promise<Duplex>((resolve, reject) => {
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error) => reject(socketFailure(where, target, error)));
  });
  return withDeadline(
    connected,
    target.connectTimeoutMs ?? connectTimeoutMs,
    () => noAnswer(where, target),
    () => socket.destroy(),
  );
}

/** ProxyCommand comes from the user's own ssh configuration only, and is run by a shell as ssh does. */
function runProxy(command: string): Duplex {
  const child = spawn('/bin/sh', ['-c', `exec ${command}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  const duplex = Duplex.from({ readable: child.stdout, writable: child.stdin });
  duplex.once('close', () => child.kill());
  return duplex;
}

function login(
  where: string,
  target: SshTarget,
  socket: Duplex,
  trust: HostKeyTrust,
  prompts: LoginPrompts,
): Promise<Client> {
  const client = new ssh2.Client();
  const attempts = new LoginAttempts(where, target, prompts);
  let pinnedKey: Buffer | undefined;
  let keyError: unknown;
  let clock: NodeJS.Timeout | undefined;
  const startClock = (onLate: () => void): void => {
    clearTimeout(clock);
    clock = setTimeout(onLate, handshakeTimeoutMs);
  };
  return new Promise<Client>((resolve, reject) => {
    const fail = (error: unknown): void => {
      clearTimeout(clock);
      reject(error instanceof Error ? error : new Error(String(error)));
      socket.destroy();
    };
    const late = (): void => fail(handshakeTooSlow(where));
    startClock(late);
    attempts.onDidPause = () => clearTimeout(clock);
    attempts.onDidResume = () => startClock(late);
    client.on('error', (error: Error & { level?: string }) => {
      // Levels `agent` and `client-authentication` only mean that one method failed (P-16), but for the last.
      if (error.level === 'agent') return;
      fail(keyError ?? loginFailure(where, target, error, attempts.tried));
    });
    client.on('close', () => fail(keyError ?? closedEarly(where)));
    client.on('ready', () => {
      clearTimeout(clock);
      client.removeAllListeners('error');
      client.removeAllListeners('close');
      resolve(client);
    });
    client.connect({
      sock: socket,
      username: target.user,
      readyTimeout: 0,
      keepaliveInterval: keepaliveIntervalMs,
      keepaliveCountMax,
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
        if (pinnedKey !== undefined) return pinnedKey.equals(key);
        clearTimeout(clock);
        trust.check(Buffer.from(key)).then(
          () => {
            if (socket.destroyed) return;
            pinnedKey = Buffer.from(key);
            startClock(late);
            answer(true);
          },
          (error: unknown) => {
            keyError = error;
            fail(error);
          },
        );
        return undefined;
      },
      authHandler: (methodsLeft, _partialSuccess, next) => {
        attempts.next(methodsLeft as AuthenticationType[] | null).then(
          // The types know `false` only as a return value; ssh2 takes it here as "nothing left".
          (method) => next((method ?? false) as AnyAuthMethod),
          (error: unknown) => fail(error),
        );
      },
    });
  });
}

function orderHostKeys(known: readonly string[]): (typeof hostKeyAlgorithms)[number][] {
  const isKnown = (algorithm: string): boolean =>
    known.includes(algorithm) || (algorithm.startsWith('rsa-') && known.includes('ssh-rsa'));
  return [
    ...hostKeyAlgorithms.filter((algorithm) => isKnown(algorithm)),
    ...hostKeyAlgorithms.filter((algorithm) => !isKnown(algorithm)),
  ];
}

/** The ways to log in, one at a time, in OpenSSH's order: agent keys, key files, questions to the user. */
class LoginAttempts {
  readonly tried: string[] = [];
  onDidPause: () => void = () => undefined;
  onDidResume: () => void = () => undefined;
  private readonly where: string;
  private readonly target: SshTarget;
  private readonly prompts: LoginPrompts;
  private readonly plan: AsyncGenerator<AnyAuthMethod, undefined>;
  private methodsLeft: readonly string[] = [];

  constructor(where: string, target: SshTarget, prompts: LoginPrompts) {
    this.where = where;
    this.target = target;
    this.prompts = prompts;
    this.plan = this.run();
  }

  async next(methodsLeft: readonly string[] | null): Promise<AnyAuthMethod | undefined> {
    if (methodsLeft !== null) this.methodsLeft = methodsLeft;
    return (await this.plan.next()).value;
  }

  private async *run(): AsyncGenerator<AnyAuthMethod, undefined> {
    const username = this.target.user;
    // The answer to "none" names the methods the node accepts.
    yield { type: 'none', username };
    const files = await readKeyFiles(this.target.identityFiles);
    if (this.methodsLeft.includes('publickey')) {
      const agent = await this.agentKeys(files);
      if (agent !== undefined) {
        this.tried.push('agent keys');
        yield { type: 'agent', username, agent };
      }
      for (const file of files) {
        const key = await this.unlock(file);
        if (key === undefined) continue;
        this.tried.push(`key ${file.path}`);
        yield { type: 'publickey', username, key };
      }
    }
    if (this.methodsLeft.includes('keyboard-interactive') && this.prompts.password !== undefined) {
      this.tried.push('keyboard-interactive');
      yield {
        type: 'keyboard-interactive',
        username,
        prompt: (_name, _instructions, _language, questions, finish) => {
          void this.answerAll(questions).then(finish, () => finish([]));
        },
      };
    }
    if (this.methodsLeft.includes('password') && this.prompts.password !== undefined) {
      const text = `Password of ${username} on ${this.where}`;
      const password = await this.ask(() =>
        this.prompts.password?.({ text, echo: false, isFromNode: false }),
      );
      if (password !== undefined) {
        this.tried.push('password');
        yield { type: 'password', username, password };
      }
    }
    return undefined;
  }

  private async answerAll(
    questions: readonly { prompt: string; echo?: boolean }[],
  ): Promise<string[]> {
    const answers: string[] = [];
    for (const question of questions.slice(0, 10)) {
      const answer = await this.ask(() =>
        this.prompts.password?.({
          text: toDisplay(question.prompt, 256),
          echo: question.echo === true,
          isFromNode: true,
        }),
      );
      answers.push(answer ?? '');
    }
    return answers;
  }

  /** The clocks stand still while a person thinks (P-17). */
  private async ask<T>(question: () => Promise<T> | undefined): Promise<T | undefined> {
    this.onDidPause();
    try {
      return await question();
    } finally {
      this.onDidResume();
    }
  }

  private async unlock(file: KeyFile): Promise<ParsedKey | undefined> {
    if (file.key !== undefined) return file.key;
    const passphrase = await this.ask(() => this.prompts.passphrase?.(file.path));
    if (passphrase === undefined) {
      this.tried.push(`key ${file.path} (locked)`);
      return undefined;
    }
    const key = ssh2.utils.parseKey(file.text, passphrase);
    if (key instanceof Error) {
      this.tried.push(`key ${file.path} (wrong passphrase)`);
      return undefined;
    }
    return key;
  }

  /** The agent with the configured keys first, and only those with IdentitiesOnly. */
  private async agentKeys(files: readonly KeyFile[]): Promise<OpenSSHAgent | undefined> {
    if (this.target.agentSocket === undefined) return undefined;
    const keys = await identitiesOf(new ssh2.OpenSSHAgent(this.target.agentSocket));
    const wanted = files.flatMap((file) => (file.publicKey === undefined ? [] : [file.publicKey]));
    const isWanted = (key: ParsedKey): boolean =>
      wanted.some((blob) => blob.equals(key.getPublicSSH()));
    const chosen = [
      ...keys.filter((key) => isWanted(key)),
      ...(this.target.identitiesOnly ? [] : keys.filter((key) => !isWanted(key))),
    ];
    return chosen.length === 0 ? undefined : new ChosenKeys(this.target.agentSocket, chosen);
  }
}

/** An agent that offers some of its keys only, in our order (P-20). */
class ChosenKeys extends ssh2.OpenSSHAgent {
  private readonly keys: ParsedKey[];

  constructor(socket: string, keys: ParsedKey[]) {
    super(socket);
    this.keys = keys;
  }

  override getIdentities(done: IdentityCallback<ParsedKey>): void {
    done(undefined, this.keys);
  }
}

const agentTimeoutMs = 5_000;

/** An agent that is gone, locked or stuck has no keys to offer; other ways to log in go on. */
function identitiesOf(agent: OpenSSHAgent): Promise<ParsedKey[]> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve([]), agentTimeoutMs);
    agent.getIdentities((_error, keys) => {
      clearTimeout(timer);
      resolve((keys ?? []).filter((key) => 'getPublicSSH' in key));
    });
  });
}

interface KeyFile {
  readonly path: string;
  readonly text: Buffer;
  /** Undefined while the key is encrypted. */
  readonly key: ParsedKey | undefined;
  readonly publicKey: Buffer | undefined;
}

const maxKeyFileBytes = 1 << 20;

/** Files that are missing or are no keys are passed over, as ssh does. */
async function readKeyFiles(paths: readonly string[]): Promise<KeyFile[]> {
  const files = await Promise.all(paths.map(readKeyFile));
  return files.filter((file) => file !== undefined);
}

async function readKeyFile(path: string): Promise<KeyFile | undefined> {
  const text = await readFile(path).catch(() => undefined);
  if (text === undefined || text.length > maxKeyFileBytes) return undefined;
  const parsed = ssh2.utils.parseKey(text);
  if (!(parsed instanceof Error)) {
    return { path, text, key: parsed, publicKey: parsed.getPublicSSH() };
  }
  if (!/encrypted|passphrase/i.test(parsed.message)) return undefined;
  const publicText = await readFile(`${path}.pub`).catch(() => undefined);
  const publicKey = publicText === undefined ? undefined : ssh2.utils.parseKey(publicText);
  const blob =
    publicKey === undefined || publicKey instanceof Error ? undefined : publicKey.getPublicSSH();
  return { path, text, key: undefined, publicKey: blob };
}

class Ssh2Shell implements Shell {
  private readonly node: string;
  private readonly client: Client;
  private readonly hops: readonly Client[];
  private readonly channels = new Semaphore(maxChannels);
  private readonly closed = new Emitter<Error | undefined>();
  private isClosed = false;

  readonly onDidClose = this.closed.event;

  constructor(node: string, client: Client, hops: readonly Client[]) {
    this.node = node;
    this.client = client;
    this.hops = hops;
    let lastError: Error | undefined;
    client.on('error', (error) => {
      lastError = error;
      // After a protocol error ssh2 only half-closes (P-11).
      client.destroy();
    });
    client.once('close', () => this.onClosed(lastError ?? connectionLost(node)));
    for (const hop of hops) {
      hop.on('error', () => client.destroy());
      hop.once('close', () => client.destroy());
    }
  }

  async exec(
    command: RemoteCommand,
    options: ExecOptions = {},
    signal?: AbortSignal,
  ): Promise<ExecResult> {
    const program = await this.start(command, {}, signal);
    const result = await collect(program, options, this.node, signal);
    if (result.exitCode === undefined && result.signal === undefined) {
      throw connectionLost(this.node);
    }
    return result;
  }

  async start(
    command: RemoteCommand,
    options: StartOptions = {},
    signal?: AbortSignal,
  ): Promise<RemoteProcess> {
    const { header, marker } = encodeCommand(command, options);
    const release = await this.channels.acquire(signal);
    try {
      const channel = await this.open((done) => this.client.exec(bootstrapCommand, done));
      channel.on('error', () => {
        // The channel's end is told by its exit and close events.
      });
      channel.write(header);
      const exited = waitForExit(channel);
      void exited.finally(release);
      const dispose = (): void => {
        channel.close();
        // Unread output would hold the close back for ever.
        channel.resume();
        channel.stderr.resume();
        release();
      };
      signal?.addEventListener('abort', dispose, { once: true });
      return {
        stdin: channel,
        stdout: skipToMarker(channel, marker),
        stderr: channel.stderr,
        exited,
        dispose,
      };
    } catch (error) {
      release();
      throw error;
    }
  }

  async openTerminal(options: TerminalOptions, command?: RemoteCommand): Promise<RemoteTerminal> {
    const release = await this.channels.acquire();
    try {
      const size = { cols: options.columns, rows: options.rows, term: 'xterm-256color' };
      const channel = await this.open((done) =>
        command === undefined
          ? this.client.shell(size, done)
          : this.client.exec(terminalBootstrap, { pty: size }, done),
      );
      const exited = waitForExit(channel);
      void exited.finally(release);
      // What is typed before the command has been sent would be taken for it.
      let typed: string[] | undefined = command === undefined ? undefined : [];
      const onSent = (): void => {
        for (const data of typed ?? []) channel.write(data);
        typed = undefined;
      };
      return {
        output: command === undefined ? channel : sendWhenReady(channel, command, onSent),
        exited,
        write: (data) => {
          if (typed === undefined) channel.write(data);
          else typed.push(data);
        },
        resize: ({ columns, rows }) => channel.setWindow(rows, columns, 0, 0),
        dispose: () => {
          channel.close();
          release();
        },
      };
    } catch (error) {
      release();
      throw error;
    }
  }

  dispose(): void {
    if (this.isClosed) return;
    this.onClosed(undefined);
    this.client.destroy();
    for (const hop of this.hops) hop.destroy();
  }

  private onClosed(reason: Error | undefined): void {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const hop of this.hops) hop.destroy();
    this.closed.fire(reason);
    this.closed.dispose();
  }

  /** Opens a channel under a deadline: on a stopped sshd ssh2's callbacks never come (P-12). */
  private async open(
    request: (done: (error: Error | undefined, channel: ClientChannel) => void) => void,
  ): Promise<ClientChannel> {
    if (this.isClosed) throw connectionLost(this.node);
    const opened = new Promise<ClientChannel>((resolve, reject) => {
      try {
        request((error, channel) => {
          if (error === undefined) resolve(channel);
          else reject(channelRefused(this.node, error));
        });
      } catch (error) {
        // ssh2 throws synchronously when the connection is gone (P-15).
        reject(connectionLost(this.node, error));
      }
    });
    return withDeadline(
      opened,
      channelTimeoutMs,
      () => connectionLost(this.node),
      () => this.client.destroy(),
    );
  }
}

// On a terminal the header is read unechoed and outside canonical mode, whose lines end at 4,096 bytes.
const terminalReady = '\u001efaultline-ready\r\n';
const terminalBootstrap =
  `exec /bin/sh -c 'stty -echo -icanon; printf "\\036faultline-ready\\n"; IFS= read -r l; ` +
  `stty echo icanon; eval "$l"'`;

/** Sends the command once the terminal is ready for it; gives the output after the command's marker. */
function sendWhenReady(
  channel: ClientChannel,
  command: RemoteCommand,
  onSent: () => void,
): Readable {
  const { header, marker } = encodeCommand(command);
  const afterReady = skipToMarker(channel, terminalReady);
  channel.on('data', function onData(chunk: Buffer) {
    if (!chunk.includes('faultline-ready')) return;
    channel.off('data', onData);
    channel.write(header);
    onSent();
  });
  return skipToMarker(afterReady, marker.replace('\n', '\r\n'));
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
