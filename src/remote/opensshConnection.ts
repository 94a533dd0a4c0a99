// One connection to a node by the system's ssh, for what ssh2 cannot do: certificates, security keys, GSSAPI, and
// whatever else the user's configuration says. ssh connects, judges host keys and logs in; when it is ready we take
// over its control socket (controlMaster.ts) and open sessions on its connection (sessionChannels.ts).

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withDeadline } from '../base/async.ts';
import { toDisplay } from '../base/displayText.ts';
import { OnceEmitter } from '../base/emitter.ts';
import { UserError } from '../base/errors.ts';
import {
  AskpassReader,
  installAskpass,
  readQuestion,
  type Askpass,
  type AskpassQuestion,
} from './askpass.ts';
import type {
  Channel,
  ChannelRequest,
  ConnectOptions,
  Connection,
  Transport,
} from './connection.ts';
import { takeOverMaster, type ProxiedMessages } from './controlMaster.ts';
import { jumpHostsOf } from './jumpHosts.ts';
import { OpensshLog, type OpensshStage } from './opensshLog.ts';
import { acceptanceOf } from './loginPrompts.ts';
import { opensshFailure, placeOf, unknownHostKey, type OpensshWay } from './opensshFailures.ts';
import { SessionChannels } from './sessionChannels.ts';
import type { SshConfigOptions, SshTarget } from './sshConfig.ts';
import { badName, isSafeHostName, parseDestination, type Destination } from './sshDestination.ts';
import {
  connectionLost,
  handshakeTooSlow,
  loginCancelled,
  noAnswer,
  passwordExpired,
} from './sshFailures.ts';

const connectTimeoutMs = 10_000;
const handshakeTimeoutMs = 20_000;
/** sshd's own LoginGraceTime: somebody may have to touch a key before it signs. */
const touchTimeoutMs = 120_000;
const channelTimeoutMs = 10_000;
/** ssh gives up at the first silence after so many unanswered questions: 45 s. */
const defaultKeepalive = { intervalMs: 15_000, countMax: 2 };
const killAfterMs = 2_000;
/** Of passwords and one-time codes ssh asks three times; with passphrases of several keys it may be more. */
const maxQuestions = 10;
const maxPromptLength = 256;
/** sun_path of macOS and the BSDs. Linux has 108. */
const maxSocketPathBytes = 103;
/** ssh makes its socket under a longer name (`.` and 16 characters) and renames it. */
const socketPathSlack = 17;

/** A transport by the `ssh` program. `configFile` and `sshPath` as in `SshConfigOptions`. */
export function opensshTransport(config: SshConfigOptions = {}): Transport {
  return (options, signal) => connectOpenssh(config, options, signal);
}

async function connectOpenssh(
  config: SshConfigOptions,
  options: ConnectOptions,
  signal: AbortSignal | undefined,
): Promise<Connection> {
  signal?.throwIfAborted();
  if (process.platform === 'win32') throw noControlMaster();
  const destination = parseDestination(options.target.alias);
  if (destination === undefined || !isSafeHostName(destination.host)) {
    throw badName(options.target.alias);
  }
  const hops = await jumpHostsOf(options.target, options.resolve, options.node);
  const entry = hops[0] ?? options.target;
  const leaveGate = await options.gate.enter(`${entry.host}:${entry.port}`, signal);
  try {
    const directory = await makeDirectory();
    try {
      const askpass = await installAskpass(directory);
      const socketPath = join(directory, 'm');
      signal?.throwIfAborted();
      const login = new OpensshLogin({ config, options, destination, hops, askpass, socketPath });
      // Where a person thinks, others may log in.
      login.onAsk = leaveGate;
      return await login.run(signal);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  } finally {
    leaveGate();
  }
}

function noControlMaster(): UserError {
  return new UserError(
    'ssh.noControlMaster',
    'The ssh program of Windows cannot share a connection, which this transport needs.',
    { hint: 'Choose ssh2 as the transport (faultline.ssh.transport), or connect from WSL.' },
  );
}

/** Only we may enter it, and its path leaves room for a socket's name. */
async function makeDirectory(): Promise<string> {
  const candidates = [process.env.XDG_RUNTIME_DIR, tmpdir(), '/tmp'].filter(
    (path) => path !== undefined && path.startsWith('/'),
  );
  const length = (path: string): number =>
    Buffer.byteLength(join(path, 'fl-XXXXXX', 'm')) + socketPathSlack;
  const fitting = candidates.filter((path) => length(path!) <= maxSocketPathBytes);
  const base = fitting.find((path) => statSync(path!, { throwIfNoEntry: false })?.isDirectory());
  return mkdtemp(join(base ?? '/tmp', 'fl-'));
}

interface LoginOptions {
  readonly config: SshConfigOptions;
  readonly options: ConnectOptions;
  readonly destination: Destination;
  readonly hops: readonly SshTarget[];
  readonly askpass: Askpass;
  readonly socketPath: string;
}

function sshArguments(login: LoginOptions): string[] {
  const { config, destination, socketPath } = login;
  const { user, host, port } = destination;
  return [
    // Its notes tell what it does; also those of the ssh that it starts for a jump host.
    ...['-v', '-M', '-N', '-T', '-a', '-x'],
    // In a path of ssh `%` begins a token.
    ...['-S', socketPath.replaceAll('%', '%%')],
    ...(config.configFile === undefined ? [] : ['-F', config.configFile]),
    ...sshOptions(login).flatMap((option) => ['-o', option]),
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
    '--',
    host,
  ];
}

/** What must not be as the configuration says; everything else is as it says. */
function sshOptions({ options: { target, prompts } }: LoginOptions): string[] {
  const seconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1000));
  const isAskedNothing =
    prompts.hostKey === undefined &&
    prompts.passphrase === undefined &&
    prompts.password === undefined;
  return [
    'ControlMaster=yes',
    'ControlPersist=no',
    'ClearAllForwardings=yes',
    'Tunnel=no',
    'PermitLocalCommand=no',
    'RemoteCommand=none',
    // T-01: compressed data could be a thousand times as large here.
    'Compression=no',
    'EscapeChar=none',
    // We add to known_hosts what the user accepted, and nothing else.
    'UpdateHostKeys=no',
    'FingerprintHash=sha256',
    'VisualHostKey=no',
    // With `no` ssh would go on with a changed key; a new one it takes either way.
    ...(target.strictHostKeyChecking === 'no' ? ['StrictHostKeyChecking=accept-new'] : []),
    `ConnectTimeout=${seconds(target.connectTimeoutMs ?? connectTimeoutMs)}`,
    `ServerAliveInterval=${seconds(target.serverAliveIntervalMs ?? defaultKeepalive.intervalMs)}`,
    `ServerAliveCountMax=${target.serverAliveCountMax ?? defaultKeepalive.countMax}`,
    `BatchMode=${isAskedNothing ? 'yes' : 'no'}`,
    'NumberOfPasswordPrompts=3',
    ...(prompts.password === undefined
      ? ['PasswordAuthentication=no', 'KbdInteractiveAuthentication=no']
      : []),
  ];
}

/** One ssh process, from its start until it is logged in or has failed. */
class OpensshLogin {
  /** Called when somebody is asked. */
  onAsk: () => void = () => undefined;
  private readonly login: LoginOptions;
  private readonly options: ConnectOptions;
  private readonly log: OpensshLog;
  private readonly way: OpensshWay;
  private master: Master | undefined;
  private fail: (error: Error) => void = () => undefined;
  private isOver = false;
  private clock: NodeJS.Timeout | undefined;
  private clockStage: OpensshStage | undefined;
  private questions = 0;
  /** ssh has warned of a changed or revoked host key. */
  private isWarned = false;
  /** A way to log in was tried in which the node asks. */
  private mayNodeAsk = false;
  /** The user declined a question: the login then ends as cancelled, not as refused. */
  private wasDeclined = false;
  /** Key file → what was answered, for a second sshd on the way that wants the same key. */
  private readonly passphrases = new Map<string, string>();
  /** Key files that this sshd has asked for. */
  private readonly unlocked = new Set<string>();

  constructor(login: LoginOptions) {
    this.login = login;
    this.options = login.options;
    this.log = new OpensshLog(login.options.report);
    const { node, target, prompts } = login.options;
    this.way = { node, target, hops: login.hops, canAsk: prompts.hostKey !== undefined };
  }

  async run(signal: AbortSignal | undefined): Promise<Connection> {
    const { login, log } = this;
    const failed = new Promise<never>((_, reject) => {
      this.fail = (error) => {
        this.isOver = true;
        reject(error);
      };
    });
    const ready = new Promise<void>((resolve) => {
      const reader = new AskpassReader(
        login.askpass.token,
        (line) => this.onLine(line, resolve),
        (question) => {
          this.answer(question).catch((error: unknown) => this.fail(asError(error)));
        },
      );
      this.master = new Master(login, reader, (error) => this.fail(this.explain(error)));
    });
    const abort = (): void => this.fail(asError(signal?.reason));
    signal?.addEventListener('abort', abort, { once: true });
    this.startClock();
    try {
      await Promise.race([ready, failed]);
      const connection = new OpensshConnection(this.options.node, this.master!, log);
      await Promise.race([connection.takeOver(login.socketPath), failed]);
      return connection;
    } catch (error) {
      this.isOver = true;
      log.done('failed', error instanceof Error ? error.message : undefined);
      await this.master!.end();
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      clearTimeout(this.clock);
      this.passphrases.clear();
    }
  }

  private onLine(line: string, onReady: () => void): void {
    this.log.accept(line);
    const { method } = this.log.hop;
    this.mayNodeAsk ||= method === 'keyboard-interactive' || method === 'password';
    if (this.isOver) return;
    // Its own ssh to a jump host says so, too, but has no control socket.
    if (/Entering interactive session/.test(line) && existsSync(this.login.socketPath)) {
      clearTimeout(this.clock);
      return onReady();
    }
    if (this.log.stage === 'loggedIn') this.unlocked.clear();
    // A jump host's own configuration may let its ssh go on after this warning; we do not.
    if (/IDENTIFICATION HAS CHANGED|REVOKED HOST KEY/.test(line)) {
      // Nor do we listen to a banner that says so.
      this.isWarned ||= this.log.stage === 'handshake';
    } else if (this.isWarned && line.startsWith('debug1: ')) {
      return this.fail(opensshFailure(this.way, this.log));
    }
    if (this.log.stage !== this.clockStage) this.startClock();
  }

  /** Each stage has its time (T-03). It stands still while somebody is asked. */
  private startClock(): void {
    clearTimeout(this.clock);
    const { stage } = this.log;
    this.clockStage = stage;
    const { target } = this.options;
    const isConnecting = stage === 'connect' || stage === 'loggedIn';
    // ssh has its own limit for a connection, and says more when it ends by that.
    const connectMs = (target.connectTimeoutMs ?? connectTimeoutMs) + 2_000;
    const loginMs = stage === 'sign' ? touchTimeoutMs : handshakeTimeoutMs;
    const late = (): void => {
      const place = placeOf(this.way, this.log);
      this.fail(isConnecting ? noAnswer(place.where, place.target) : handshakeTooSlow(place.where));
    };
    this.clock = setTimeout(late, isConnecting ? connectMs : loginMs);
  }

  /** ssh has ended before it was ready. */
  private explain(error: Error | undefined): Error {
    if (error !== undefined) return error;
    const failure = opensshFailure(this.way, this.log);
    const { where, target } = placeOf(this.way, this.log);
    const isCancelled = this.wasDeclined && failure.code === 'node.authRefused';
    return isCancelled ? loginCancelled(where, target) : failure;
  }

  // --- questions -----------------------------------------------------------------------------------------

  private async answer(asked: AskpassQuestion): Promise<void> {
    const question = readQuestion(asked, this.methodNow());
    if (question.kind === 'notice') {
      this.log.note('Waiting for you', toDisplay(question.text, maxPromptLength));
      this.log.stage = 'sign';
      return this.startClock();
    }
    const pipe = await this.login.askpass.openAnswer(asked);
    try {
      clearTimeout(this.clock);
      const answer = ++this.questions > maxQuestions ? undefined : await this.decide(question);
      if (answer !== undefined && !this.isOver) await pipe.write(`${answer}\n`);
    } finally {
      await pipe.close();
      if (!this.isOver) this.startClock();
    }
  }

  /** Undefined declines. What cannot go on without an answer ends the login. */
  private async decide(
    question: Exclude<ReturnType<typeof readQuestion>, { kind: 'notice' }>,
  ): Promise<string | undefined> {
    const place = placeOf(this.way, this.log);
    switch (question.kind) {
      case 'hostKey': {
        const { fingerprint, takesFingerprint } = question;
        if (this.options.acceptedHostKeys.has(acceptanceOf(question))) {
          await endLastLine(place.target.userKnownHostsFiles[0]);
          return takesFingerprint ? fingerprint : 'yes';
        }
        // Nobody is asked while a connection is open: it is made again with the answer.
        this.fail(unknownHostKey(place, this.log, question, this.way.canAsk));
        return 'no';
      }
      case 'passphrase':
        return this.passphrase(question.keyFile);
      case 'confirm':
        return undefined;
      case 'passwordChange':
        this.fail(passwordExpired(place.where, place.target));
        return undefined;
      case 'secret': {
        const { password } = this.options.prompts;
        const user = this.log.hop.user ?? place.target.user;
        const words = question.isFromNode ? this.nodeWords(question.text) : question.text;
        const isPassword = /'s password: $/.test(question.text) && !question.isFromNode;
        const text = isPassword ? `Password of ${user} on ${place.where}` : words;
        const answer = await this.ask(() =>
          password?.({
            where: place.where,
            text: toDisplay(text, maxPromptLength),
            echo: false,
            isFromNode: question.isFromNode,
          }),
        );
        // ssh would send an empty one, which counts as a wrong one.
        if (answer === undefined) {
          this.fail(
            password === undefined
              ? opensshFailure(this.way, this.log)
              : loginCancelled(place.where, place.target),
          );
        }
        return answer;
      }
    }
  }

  /**
   * The way to log in that ssh is at. Before 8.5 nothing marks a node's question as its own, and its banner can forge
   * the line that says what ssh does: once the node may ask, all questions are the node's there.
   */
  private methodNow(): string | undefined {
    if (this.mayNodeAsk && !this.log.marksNodeWords) return 'keyboard-interactive';
    return this.log.hop.method;
  }

  /** With keyboard-interactive the instructions stand in lines of their own before the question. */
  private nodeWords(prompt: string): string {
    const lines = this.log.lines
      .map(({ text }) => text)
      .filter((text) => !text.startsWith('debug1: read_passphrase'));
    const from = lines.findLastIndex((line) => line.startsWith('debug1: '));
    return [...lines.slice(from + 1).map((line) => line.trim()), prompt].join(' ').trimStart();
  }

  private async passphrase(keyFile: string): Promise<string | undefined> {
    const wasAsked = this.unlocked.has(keyFile);
    this.unlocked.add(keyFile);
    const known = this.passphrases.get(keyFile);
    if (known !== undefined && !wasAsked) return known;
    const { passphrase } = this.options.prompts;
    const answer = await this.ask(() => passphrase?.({ keyFile, wasWrong: wasAsked }));
    if (answer !== undefined) this.passphrases.set(keyFile, answer);
    else {
      // ssh goes on with the next key.
      this.log.offered(`key ${keyFile} (locked)`);
      this.wasDeclined ||= passphrase !== undefined;
    }
    return answer;
  }

  private async ask(
    question: () => Promise<string | undefined> | undefined,
  ): Promise<string | undefined> {
    this.onAsk();
    return question();
  }
}

/** The ssh process with all that it starts: a process group of its own, and without our terminal. */
class Master {
  private readonly child: ChildProcess;
  private readonly exited: Promise<void>;
  onExit: () => void = () => undefined;

  /** `onFailed` is told when it could not be started, or has ended, before anything else is set as `onExit`. */
  constructor(login: LoginOptions, reader: AskpassReader, onFailed: (error?: Error) => void) {
    this.onExit = () => onFailed();
    const { SSH_ASKPASS_PROMPT: _, ...env } = process.env;
    this.child = spawn(login.config.sshPath ?? 'ssh', sshArguments(login), {
      detached: true,
      env: { ...env, ...login.askpass.env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const stderr = this.child.stderr!;
    stderr.setEncoding('utf8');
    stderr.on('data', (text: string) => reader.accept(text));
    this.exited = new Promise((resolve) => {
      this.child.once('error', (error: Error & { code?: string }) => {
        onFailed(noClient(login.config.sshPath ?? 'ssh', error));
        resolve();
      });
      this.child.once('exit', () => {
        resolve();
        // The words of a proxy may come after ssh's own; one that outlives it may hold stderr open.
        const tell = (): void => {
          clearTimeout(wait);
          stderr.off('end', tell);
          reader.end();
          this.onExit();
        };
        const wait = setTimeout(tell, lastWordsMs);
        stderr.once('end', tell);
      });
    });
  }

  /** Ends the whole group; resolves when ssh is gone. */
  async end(): Promise<void> {
    this.kill('SIGTERM');
    const cut = setTimeout(() => this.kill('SIGKILL'), killAfterMs);
    cut.unref();
    await this.exited;
    clearTimeout(cut);
    this.child.stderr?.destroy();
    // What it had started is told, too, and then not asked any more.
    for (let waited = 0; waited < killAfterMs && this.kill('SIGTERM'); waited += groupPollMs) {
      await new Promise((resolve) => setTimeout(resolve, groupPollMs));
    }
    this.kill('SIGKILL');
  }

  /** False when nobody is left in the group. */
  private kill(signal: 'SIGTERM' | 'SIGKILL'): boolean {
    if (this.child.pid === undefined) return false;
    try {
      return process.kill(-this.child.pid, signal);
    } catch {
      return false;
    }
  }
}

const groupPollMs = 50;
const lastWordsMs = 250;
const reasonMs = 20;

function noClient(program: string, error: Error & { code?: string }): UserError {
  const isMissing = error.code === 'ENOENT';
  const words = isMissing ? 'was not found on this machine' : `cannot be run (${error.message})`;
  return new UserError('ssh.noClient', `The program "${program}" ${words}.`, {
    hint: 'Install OpenSSH (Debian: apt install openssh-client), then try again.',
    cause: error,
  });
}

class OpensshConnection implements Connection {
  private readonly node: string;
  private readonly master: Master;
  private readonly log: OpensshLog;
  private readonly channels: SessionChannels;
  private readonly closed = new OnceEmitter<Error | undefined>();
  private proxied: ProxiedMessages | undefined;
  private isClosed = false;

  readonly onDidClose = this.closed.event;

  constructor(node: string, master: Master, log: OpensshLog) {
    this.node = node;
    this.master = master;
    this.log = log;
    this.channels = new SessionChannels({
      node,
      send: (packet, done) => this.proxied?.send(packet, done),
      onMisbehaving: (error) => this.close(error),
    });
  }

  /** Before anything else; rejects when ssh cannot do it. */
  async takeOver(socketPath: string): Promise<void> {
    try {
      this.proxied = await takeOverMaster(
        socketPath,
        (message) => this.channels.accept(message),
        // What ssh has to say on its end has been written, and is read in a moment.
        () => setTimeout(() => this.onLost(), reasonMs),
      );
    } catch (error) {
      // ssh is gone, and its socket with it.
      throw error instanceof UserError ? error : connectionLost(this.node, error);
    }
    // Its end is heard of on the socket.
    this.master.onExit = () => undefined;
  }

  async openChannel(request: ChannelRequest): Promise<Channel> {
    return this.answered(this.channels.open(request), channelTimeoutMs);
  }

  async ping(timeoutMs: number): Promise<void> {
    await this.answered(this.channels.ping(), timeoutMs);
  }

  dispose(): void {
    this.close(undefined);
  }

  /** A connection on which nothing is answered is dead. */
  private answered<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
    const late = (): UserError => connectionLost(this.node);
    return withDeadline(answer, timeoutMs, late, () => this.close(late()));
  }

  private onLost(): void {
    const said = this.log.words.findLast((line) => !line.startsWith('Authenticat'));
    const cause = said === undefined ? undefined : new Error(toDisplay(said, 200));
    this.close(connectionLost(this.node, cause));
  }

  private close(reason: Error | undefined): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.channels.close(reason);
    this.proxied?.destroy();
    void this.master.end();
    this.closed.fire(reason);
  }
}

/** Before 9.3 ssh adds to a last line that has no end, which spoils that line and the new one. */
async function endLastLine(file: string | undefined): Promise<void> {
  // Where it cannot be done ssh has its own words for it.
  const text = file === undefined ? '' : await readFile(file, 'latin1').catch(() => '');
  if (text !== '' && !text.endsWith('\n')) await appendFile(file!, '\n').catch(() => undefined);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
