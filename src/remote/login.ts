// The ways to log in, one at a time, in OpenSSH's order: keys of the agent, key files, questions to the user.
// Knows nothing of a transport's library: keys are opaque, and the transport says what the node answered.

import { readFile } from 'node:fs/promises';
import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import type { LoginPrompts } from './loginPrompts.ts';
import type { SshTarget } from './sshConfig.ts';

/** A key that can sign, perhaps after a question or a touch. */
export interface LoginKey {
  /** The public key as on the wire (RFC 4253 §6.6). */
  readonly publicBlob: Buffer;
  /** For people, e.g. `key ~/.ssh/id_ed25519` or `agent key me@laptop`. */
  readonly title: string;
  /** The signature over `data`; `hash` is what the node wants of an RSA key. Rejects when it cannot sign. */
  sign(data: Buffer, hash: string | undefined): Promise<Buffer>;
}

/** What a key file holds, as the transport's library reads it. */
export type ParsedKeyFile =
  | { readonly kind: 'key'; readonly key: SigningKey }
  | { readonly kind: 'locked' }
  | { readonly kind: 'unusable'; readonly reason: string };

export interface SigningKey {
  readonly publicBlob: Buffer;
  sign(data: Buffer, hash: string | undefined): Buffer;
}

/** What the transport's library can do with keys. */
export interface KeyTools {
  parse(text: Buffer, passphrase?: string): ParsedKeyFile;
  /** The blob of a `.pub` file; undefined when it is none. */
  parsePublic(text: Buffer): Buffer | undefined;
  /** The agent's keys. Rejects when the agent is gone, locked or stuck. */
  agentKeys(socket: string): Promise<readonly LoginKey[]>;
}

export type LoginMethod =
  | { readonly type: 'none' }
  | { readonly type: 'publickey'; readonly key: LoginKey }
  | {
      readonly type: 'keyboard-interactive';
      answer(round: KeyboardRound): Promise<readonly string[]>;
    }
  | { readonly type: 'password'; readonly password: string };

/** One round of questions of RFC 4256; all words are the node's. */
export interface KeyboardRound {
  readonly instructions: string;
  readonly questions: readonly { readonly prompt: string; readonly echo: boolean }[];
}

/** Asked times for a password or a round of questions: one, and two more after a wrong answer. */
const maxAsked = 3;
const maxRounds = 10;
const maxQuestionsPerRound = 10;
const maxPromptLength = 256;

export interface LoginAttemptsOptions {
  readonly where: string;
  readonly target: SshTarget;
  readonly prompts: LoginPrompts;
  readonly tools: KeyTools;
  readonly keyRing: KeyRing;
  /** The public key that worked here before: it is offered first. */
  readonly lastKey: Buffer | undefined;
  /** The deadlines of the login stand still while a person (or an agent that wants a touch) is asked (P-17). */
  readonly whilePaused: <T>(question: () => Promise<T>) => Promise<T>;
}

export class LoginAttempts {
  /** For people: what was offered to the node, in order. */
  readonly tried: string[] = [];
  /** Set when the user declined a question: the login then ends as cancelled, not as refused. */
  wasDeclined = false;
  /** The method that is being tried, or that let us in. */
  current: LoginMethod | undefined;
  private readonly options: LoginAttemptsOptions;
  private readonly plan: AsyncGenerator<LoginMethod, undefined>;
  private methodsLeft: readonly string[] = [];
  private partialSuccesses = 0;
  private asked = 0;
  private readonly offered = new Set<string>();

  constructor(options: LoginAttemptsOptions) {
    this.options = options;
    this.plan = this.run();
  }

  /** The next thing to try; undefined when nothing is left. */
  async next(): Promise<LoginMethod | undefined> {
    this.current = (await this.plan.next()).value;
    return this.current;
  }

  /** The node refused the current method (RFC 4252 §5.1); with a partial success it wants a further one. */
  onRefused(methodsLeft: readonly string[], isPartialSuccess: boolean): void {
    this.methodsLeft = methodsLeft;
    if (!isPartialSuccess) return;
    this.partialSuccesses++;
    this.tried.push('accepted, and then');
  }

  private async *run(): AsyncGenerator<LoginMethod, undefined> {
    // The answer to "none" names the methods that the node accepts.
    yield { type: 'none' };
    for (;;) {
      const before = this.partialSuccesses;
      yield* this.round(() => this.partialSuccesses > before);
      if (this.partialSuccesses === before) return undefined;
    }
  }

  private async *round(hasMoved: () => boolean): AsyncGenerator<LoginMethod, void> {
    if (this.accepts('publickey')) {
      for await (const key of this.keys()) {
        const id = key.publicBlob.toString('base64');
        if (this.offered.has(id)) continue;
        this.offered.add(id);
        this.tried.push(key.title);
        yield { type: 'publickey', key };
        if (hasMoved()) return;
      }
    }
    const { password } = this.options.prompts;
    if (password === undefined) return;
    for (; this.accepts('keyboard-interactive') && this.mayAsk();) {
      this.tried.push('keyboard-interactive');
      let rounds = 0;
      this.asked++;
      yield {
        type: 'keyboard-interactive',
        answer: (round) => (++rounds > maxRounds ? Promise.resolve([]) : this.answer(round)),
      };
      if (hasMoved()) return;
    }
    for (; this.accepts('password') && this.mayAsk();) {
      const text = `Password of ${this.options.target.user} on ${this.options.where}`;
      const answer = await this.ask(text, false, false);
      if (answer === undefined) return;
      this.asked++;
      this.tried.push('password');
      yield { type: 'password', password: answer };
      if (hasMoved()) return;
    }
  }

  private accepts(method: string): boolean {
    const wanted = this.options.target.loginMethods;
    return this.methodsLeft.includes(method) && (wanted === undefined || wanted.includes(method));
  }

  private mayAsk(): boolean {
    return this.asked < maxAsked && !this.wasDeclined;
  }

  private async answer(round: KeyboardRound): Promise<readonly string[]> {
    const answers: string[] = [];
    for (const question of round.questions.slice(0, maxQuestionsPerRound)) {
      const words = [round.instructions.trim(), question.prompt].filter((text) => text !== '');
      const answer = await this.ask(words.join('\n'), question.echo, true);
      if (answer === undefined) return [];
      answers.push(answer);
    }
    return answers;
  }

  private async ask(text: string, echo: boolean, isFromNode: boolean): Promise<string | undefined> {
    const { prompts, whilePaused, where } = this.options;
    if (prompts.password === undefined) return undefined;
    const question = { where, text: toDisplay(text, maxPromptLength), echo, isFromNode };
    const answer = await whilePaused(() => prompts.password!(question));
    this.wasDeclined ||= answer === undefined;
    return answer;
  }

  /** The key that worked before, then the configured ones, then (without IdentitiesOnly) the agent's others. */
  private async *keys(): AsyncGenerator<LoginKey> {
    const { target, tools, lastKey } = this.options;
    const files = await readKeyFiles(target.identityFiles, tools);
    const fromAgent = await this.agentKeys();
    const inAgent = (blob: Buffer | undefined): LoginKey | undefined =>
      blob === undefined ? undefined : fromAgent.find((key) => key.publicBlob.equals(blob));
    const wanted = files.flatMap((file) => inAgent(file.publicBlob) ?? []);
    const others = target.identitiesOnly ? [] : fromAgent.filter((key) => !wanted.includes(key));
    const agentFirst = [...wanted, ...others];
    if (lastKey !== undefined) {
      yield* agentFirst.filter((key) => key.publicBlob.equals(lastKey));
    }
    yield* wanted;
    for (const file of files) {
      if (inAgent(file.publicBlob) !== undefined) continue;
      const key = await this.keyOfFile(file);
      if (key !== undefined) yield key;
    }
    yield* others;
  }

  private async agentKeys(): Promise<readonly LoginKey[]> {
    const { target, tools } = this.options;
    if (target.agentSocket === undefined) return [];
    try {
      return await tools.agentKeys(target.agentSocket);
    } catch (error) {
      // Other ways to log in go on; a failed login names this one among what was tried.
      const why = error instanceof Error ? error.message : String(error);
      this.tried.push(`the agent (${toDisplay(why, 100)})`);
      return [];
    }
  }

  /** A locked key whose public part is known is unlocked only when the node wants it (P-18). */
  private async keyOfFile(file: KeyFile): Promise<LoginKey | undefined> {
    const title = `key ${file.path}`;
    if (file.parsed.kind === 'unusable') {
      this.tried.push(`${title} (${file.parsed.reason})`);
      return undefined;
    }
    if (file.parsed.kind === 'key') {
      const { key } = file.parsed;
      const sign = (data: Buffer, hash: string | undefined): Promise<Buffer> =>
        Promise.resolve(key.sign(data, hash));
      return { publicBlob: key.publicBlob, title, sign };
    }
    if (file.publicBlob !== undefined) {
      return {
        publicBlob: file.publicBlob,
        title,
        sign: async (data, hash) => (await this.unlock(file)).sign(data, hash),
      };
    }
    try {
      const key = await this.unlock(file);
      const sign = (data: Buffer, hash: string | undefined): Promise<Buffer> =>
        Promise.resolve(key.sign(data, hash));
      return { publicBlob: key.publicBlob, title, sign };
    } catch (error) {
      this.tried.push(`${title} (${error instanceof Error ? error.message : 'locked'})`);
      return undefined;
    }
  }

  private async unlock(file: KeyFile): Promise<SigningKey> {
    const { keyRing, prompts, tools, whilePaused } = this.options;
    const key = await keyRing.unlock(file, tools, prompts, whilePaused);
    if (key !== undefined) return key;
    this.tried.push(`key ${file.path} (locked)`);
    this.wasDeclined ||= prompts.passphrase !== undefined;
    throw new UserError('node.keyLocked', 'locked');
  }
}

/** Keys that were unlocked, for as long as this lives: one question a key, however many nodes want it. */
export class KeyRing {
  private readonly keys = new Map<string, SigningKey>();
  private readonly questions = new Map<string, Promise<SigningKey | undefined>>();

  /** Undefined when nobody can be asked, or the user declines or is wrong three times. */
  async unlock(
    file: KeyFile,
    tools: KeyTools,
    prompts: LoginPrompts,
    whilePaused: <T>(question: () => Promise<T>) => Promise<T>,
  ): Promise<SigningKey | undefined> {
    const id = `${file.path}\0${file.text.toString('latin1')}`;
    const known = this.keys.get(id);
    const { passphrase, onDidUnlock } = prompts;
    if (known !== undefined || passphrase === undefined) return known;
    const question = this.questions.get(id) ?? this.askFor(file, tools, passphrase, onDidUnlock);
    this.questions.set(id, question);
    try {
      const key = await whilePaused(() => question);
      if (key !== undefined) this.keys.set(id, key);
      return key;
    } finally {
      this.questions.delete(id);
    }
  }

  private async askFor(
    file: KeyFile,
    tools: KeyTools,
    ask: NonNullable<LoginPrompts['passphrase']>,
    onDidUnlock: LoginPrompts['onDidUnlock'],
  ): Promise<SigningKey | undefined> {
    for (let attempt = 0; attempt < maxAsked; attempt++) {
      const passphrase = await ask({ keyFile: file.path, wasWrong: attempt > 0 });
      if (passphrase === undefined) return undefined;
      const parsed = tools.parse(file.text, passphrase);
      if (parsed.kind !== 'key') continue;
      onDidUnlock?.(file.path, passphrase);
      return parsed.key;
    }
    return undefined;
  }
}

export interface KeyFile {
  readonly path: string;
  readonly text: Buffer;
  readonly parsed: ParsedKeyFile;
  /** Known for a locked key, too, when the file or a `.pub` beside it tells. */
  readonly publicBlob: Buffer | undefined;
}

const maxKeyFileBytes = 1 << 20;

/** Files that are missing are passed over, as ssh does. A `.pub` alone names a key of the agent. */
async function readKeyFiles(paths: readonly string[], tools: KeyTools): Promise<KeyFile[]> {
  const files = await Promise.all(paths.map((path) => readKeyFile(path, tools)));
  return files.filter((file) => file !== undefined);
}

async function readKeyFile(path: string, tools: KeyTools): Promise<KeyFile | undefined> {
  const readPublic = async (file: string): Promise<Buffer | undefined> => {
    const text = await readFile(file).catch(() => undefined);
    return text === undefined ? undefined : tools.parsePublic(text);
  };
  const text = await readFile(path).catch(() => undefined);
  if (text === undefined) {
    const publicBlob = await readPublic(`${path}.pub`);
    const parsed: ParsedKeyFile = { kind: 'unusable', reason: 'its private part is missing' };
    return publicBlob === undefined ? undefined : { path, text: Buffer.of(), parsed, publicBlob };
  }
  if (text.length > maxKeyFileBytes) {
    const parsed: ParsedKeyFile = { kind: 'unusable', reason: 'larger than 1 MiB' };
    return { path, text: Buffer.of(), parsed, publicBlob: undefined };
  }
  const publicOnly = tools.parsePublic(text);
  if (publicOnly !== undefined) {
    const parsed: ParsedKeyFile = { kind: 'unusable', reason: 'a public key' };
    return { path, text, parsed, publicBlob: publicOnly };
  }
  const parsed = tools.parse(text);
  const publicBlob =
    parsed.kind === 'key'
      ? parsed.key.publicBlob
      : (publicPartOf(text) ?? (await readPublic(`${path}.pub`)));
  return { path, text, parsed, publicBlob };
}

/**
 * The public key that stands unencrypted in a private key file of OpenSSH's own format (PROTOCOL.key):
 * magic, cipher, kdf, kdf options, number of keys, public key.
 */
export function publicPartOf(text: Buffer): Buffer | undefined {
  const match = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]*?)-----END/.exec(
    text.toString('latin1'),
  );
  if (match === null) return undefined;
  const bytes = Buffer.from(match[1]!, 'base64');
  const magic = 'openssh-key-v1\0';
  if (bytes.toString('latin1', 0, magic.length) !== magic) return undefined;
  let at = magic.length;
  const readString = (): Buffer | undefined => {
    if (at + 4 > bytes.length) return undefined;
    const length = bytes.readUInt32BE(at);
    if (at + 4 + length > bytes.length) return undefined;
    at += 4 + length;
    return bytes.subarray(at - length, at);
  };
  for (let skipped = 0; skipped < 3; skipped++) if (readString() === undefined) return undefined;
  at += 4;
  return readString();
}
