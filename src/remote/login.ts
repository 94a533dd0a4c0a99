// The ways to log in, one at a time, in OpenSSH's order: keys of the agent, key files, questions to the user.
// Knows nothing of a transport's library: keys are opaque, and the transport says what the node answered.

import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import {
  readKeyFiles,
  unlockKeyFile,
  type KeyFile,
  type KeyReader,
  type SigningKey,
} from './keyFile.ts';
import type { LoginPrompts } from './loginPrompts.ts';
import type { SshTarget } from './sshConfig.ts';
import { loginCancelled, tooManyQuestions } from './sshFailures.ts';

/** A key that can sign, perhaps after a question or a touch. */
export interface LoginKey {
  /** The public key as on the wire (RFC 4253 §6.6). */
  readonly publicBlob: Buffer;
  /** For people, e.g. `key ~/.ssh/id_ed25519` or `agent key me@laptop`. */
  readonly title: string;
  /** The signature over `data`; `hash` is what the node wants of an RSA key. Rejects when it cannot sign. */
  sign(data: Buffer, hash: string | undefined): Promise<Buffer>;
}

/** What the transport's library can do with keys. */
export interface KeyTools extends KeyReader {
  /** The agent's keys; their `sign` may take as long as a touch does. Rejects when the agent is gone or stuck. */
  agentKeys(socket: string): Promise<readonly LoginKey[]>;
}

export type LoginMethod =
  | { readonly type: 'none' }
  | { readonly type: 'publickey'; readonly key: LoginKey }
  | {
      readonly type: 'keyboard-interactive';
      /** Rejects with a UserError that ends the login when the user declines or the node asks without end. */
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
/** Of the instructions and of each prompt. */
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
  /** When the user set it going (`performance.now()`): what was declined since then is not asked again. */
  readonly startedAt: number;
}

export class LoginAttempts {
  /** For people: what was offered to the node, in order, and what could not be. */
  readonly tried: string[] = [];
  /** Set when the user declined a question: the login then ends as cancelled, not as refused. */
  wasDeclined = false;
  /** The method that is being tried, or that let us in. */
  current: LoginMethod | undefined;
  /** A password or an answer went to the node: a login that ends now must not be repeated by itself. */
  hasSentSecret = false;
  /** What got us this far where the node wants more than one proof. */
  private readonly accepted: string[] = [];
  private readonly options: LoginAttemptsOptions;
  private readonly plan: AsyncGenerator<LoginMethod, undefined>;
  private methodsLeft: readonly string[] = [];
  private partialSuccesses = 0;
  private asked = 0;
  private readonly offered = new Set<string>();
  /** A key could not be used for want of its passphrase. */
  private locked = false;

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
    this.accepted.push(titleOf(this.current));
    const last = this.tried.pop();
    if (last !== undefined) this.tried.push(`${last} (accepted, but not enough)`);
  }

  /** How we got in, for people. */
  get way(): string {
    if (this.current === undefined || this.current.type === 'none') {
      return 'the node asked for no authentication';
    }
    return `with ${[...this.accepted, titleOf(this.current)].join(', then ')}`;
  }

  /** The node would have taken an answer of a person, and nobody could be asked. */
  get lacksPerson(): boolean {
    const { prompts } = this.options;
    if (this.locked && prompts.passphrase === undefined) return true;
    return (
      prompts.password === undefined &&
      (this.accepts('password') || this.accepts('keyboard-interactive'))
    );
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
        answer: (round) => this.answer(round, ++rounds),
      };
      if (hasMoved()) return;
    }
    for (; this.accepts('password') && this.mayAsk();) {
      const text = `Password of ${this.options.target.user} on ${this.options.where}`;
      const answer = await this.ask(text, false, false);
      this.asked++;
      this.tried.push('password');
      this.hasSentSecret = true;
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

  private async answer(round: KeyboardRound, number: number): Promise<readonly string[]> {
    const { where } = this.options;
    if (number > maxRounds || round.questions.length > maxQuestionsPerRound) {
      throw tooManyQuestions(where);
    }
    const answers: string[] = [];
    for (const { prompt, echo } of round.questions) {
      const words = [round.instructions.trimEnd(), prompt].map(nodeWords);
      const text = words.filter((part) => part.trim() !== '').join(' ');
      answers.push(await this.ask(text || '(it does not say for what)', echo, true));
    }
    this.hasSentSecret ||= answers.length > 0;
    return answers;
  }

  /** Rejects with `node.loginCancelled` when the user declines. */
  private async ask(text: string, echo: boolean, isFromNode: boolean): Promise<string> {
    const { prompts, whilePaused, where, target } = this.options;
    const question = { where, text: isFromNode ? text : toDisplay(text), echo, isFromNode };
    const answer = await whilePaused(async () => prompts.password?.(question));
    if (answer !== undefined) return answer;
    this.wasDeclined = true;
    throw loginCancelled(where, target);
  }

  /**
   * The key that worked before, then the configured ones, then (without IdentitiesOnly) the agent's others. A locked
   * file that does not tell its public key comes last, as it costs a question before the node says if it wants it.
   */
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
    const alone = files.filter((file) => inAgent(file.publicBlob) === undefined);
    const isSecretive = ({ parsed, publicBlob }: KeyFile): boolean =>
      parsed.kind === 'locked' && publicBlob === undefined;
    yield* this.keysOfFiles(alone.filter((file) => !isSecretive(file)));
    yield* others;
    yield* this.keysOfFiles(alone.filter(isSecretive));
  }

  private async *keysOfFiles(files: readonly KeyFile[]): AsyncGenerator<LoginKey> {
    for (const file of files) {
      const key = await this.keyOfFile(file);
      if (key !== undefined) yield key;
    }
  }

  /** The key may have been offered just now, as one that only then turned out to be of no use. */
  private noteFailed(title: string, reason: string): void {
    if (this.tried.at(-1) === title) this.tried.pop();
    this.tried.push(`${title} (${reason})`);
  }

  private async agentKeys(): Promise<readonly LoginKey[]> {
    const { target, tools, whilePaused } = this.options;
    if (target.agentSocket === undefined) return [];
    try {
      const keys = await tools.agentKeys(target.agentSocket);
      if (keys.length === 0 && !this.tried.includes(emptyAgent)) this.tried.push(emptyAgent);
      return keys.map((key) => ({
        ...key,
        // It may ask its owner for a touch or a yes.
        sign: async (data, hash) => {
          try {
            return await whilePaused(() => key.sign(data, hash));
          } catch (error) {
            this.noteFailed(key.title, reasonOf(error));
            throw error;
          }
        },
      }));
    } catch (error) {
      // Other ways to log in go on; a failed login names this one among what was tried.
      this.tried.push(`the agent (${reasonOf(error)})`);
      return [];
    }
  }

  /** A locked key whose public part is known is unlocked only when the node wants it (P-18). */
  private async keyOfFile(file: KeyFile): Promise<LoginKey | undefined> {
    const title = `key ${file.path}`;
    if (file.parsed.kind === 'unusable') {
      // A public key beside it may be of a key that the agent does not hold (any more).
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
    } catch {
      // What it was is among what was tried.
      return undefined;
    }
  }

  private async unlock(file: KeyFile): Promise<SigningKey> {
    const { keyRing, prompts, tools, whilePaused, startedAt } = this.options;
    const key = await keyRing.unlock(file, tools, prompts, { whilePaused, startedAt });
    if (key !== undefined) return key;
    this.noteFailed(`key ${file.path}`, 'locked');
    this.locked = true;
    this.wasDeclined ||= prompts.passphrase !== undefined;
    throw new UserError('node.keyLocked', 'locked');
  }
}

/** Keys that were unlocked, for as long as this lives: one question a key, however many nodes want it. */
export class KeyRing {
  private readonly keys = new Map<string, SigningKey>();
  /** When a key was last left locked. */
  private readonly declined = new Map<string, number>();
  private readonly questions = new Map<string, Promise<SigningKey | undefined>>();

  /** Undefined when nobody can be asked, or the user declines or is wrong three times. */
  async unlock(
    file: KeyFile,
    tools: KeyTools,
    prompts: LoginPrompts,
    { whilePaused, startedAt }: Pick<LoginAttemptsOptions, 'whilePaused' | 'startedAt'>,
  ): Promise<SigningKey | undefined> {
    const id = `${file.path}\0${file.text.toString('latin1')}`;
    const known = this.keys.get(id);
    const { passphrase, onDidUnlock } = prompts;
    if (known !== undefined || passphrase === undefined) return known;
    // Many nodes that were set going together are one question, also when the answer is no.
    if ((this.declined.get(id) ?? -Infinity) >= startedAt) return undefined;
    const question = this.questions.get(id) ?? this.askFor(file, tools, passphrase, onDidUnlock);
    this.questions.set(id, question);
    try {
      const key = await whilePaused(() => question);
      if (key === undefined) this.declined.set(id, performance.now());
      else this.keys.set(id, key);
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
      const parsed = unlockKeyFile(file.text, tools, passphrase);
      if (parsed.kind !== 'key') continue;
      onDidUnlock?.(file.path, passphrase);
      return parsed.key;
    }
    return undefined;
  }
}

function titleOf(method: LoginMethod | undefined): string {
  return method?.type === 'publickey' ? method.key.title : (method?.type ?? 'nothing');
}

const emptyAgent = 'the agent (it is locked or holds no keys)';

function reasonOf(error: unknown): string {
  return toDisplay(error instanceof Error ? error.message : String(error), 100);
}

/** What the node says, safe to show. Line ends are no attack: menus of two-factor services have several lines. */
function nodeWords(text: string): string {
  return toDisplay(text.trimStart().replace(/\s*[\r\n]+\s*/g, ' '), maxPromptLength);
}
