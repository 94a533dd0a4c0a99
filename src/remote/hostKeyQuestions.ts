// Questions about unknown host keys of many nodes → one dialog at a time.
//
// Connecting to 64 new nodes raises 64 questions within a moment: they are gathered and asked at once.

import { delay } from '../base/async.ts';
import type { HostKeyQuestion } from './loginPrompts.ts';

export interface HostKeyQuestionsOptions {
  /** The dialog comes this long after the last question, in milliseconds. */
  readonly quietMs?: number;
  /** And no later than this after the first. */
  readonly longestMs?: number;
  /** How long a yes holds for connections that were on their way when it was given. */
  readonly acceptedMs?: number;
  /** The same for a no: short, since a person may think again. */
  readonly declinedMs?: number;
}

const defaults = { quietMs: 600, longestMs: 3_000, acceptedMs: 60_000, declinedMs: 2_000 };

/** One name with one key, however many connections ask about it. */
interface Incident {
  readonly question: HostKeyQuestion;
  readonly answer: Promise<boolean>;
  readonly settle: (accepted: boolean | PromiseLike<boolean>) => void;
  /** On performance.now()'s clock; undefined until it is answered. */
  forgetAt: number | undefined;
}

export class HostKeyQuestions {
  private readonly askAll: (questions: readonly HostKeyQuestion[]) => Promise<boolean>;
  private readonly options: Required<HostKeyQuestionsOptions>;
  private readonly incidents = new Map<string, Incident>();
  private gathered: Incident[] = [];
  private lastAskedAt = 0;
  private isAsking = false;

  /** `askAll` shows one dialog for all of the questions; what it answers holds for all of them. */
  constructor(
    askAll: (questions: readonly HostKeyQuestion[]) => Promise<boolean>,
    options: HostKeyQuestionsOptions = {},
  ) {
    this.askAll = askAll;
    this.options = { ...defaults, ...options };
  }

  /**
   * Resolves to whether the key was accepted. What is being asked, or was answered a moment ago, is not asked
   * again. Rejects when the dialog fails.
   */
  ask(question: HostKeyQuestion): Promise<boolean> {
    this.forgetOld();
    const key = incidentKey(question);
    const known = this.incidents.get(key);
    if (known !== undefined) return known.answer;
    const incident = newIncident(question);
    this.incidents.set(key, incident);
    this.gathered.push(incident);
    this.lastAskedAt = performance.now();
    if (!this.isAsking) void this.askUntilDone();
    return incident.answer;
  }

  /** Dialog after dialog, until nothing is left to ask. */
  private async askUntilDone(): Promise<void> {
    this.isAsking = true;
    while (this.gathered.length > 0) {
      await this.untilQuiet();
      const batch = this.gathered;
      this.gathered = [];
      await this.askBatch(batch);
    }
    this.isAsking = false;
  }

  private async askBatch(batch: readonly Incident[]): Promise<void> {
    const { acceptedMs, declinedMs } = this.options;
    let holdsMs = 0;
    try {
      const isAccepted = (await this.askAll(batch.map(({ question }) => question))) === true;
      holdsMs = isAccepted ? acceptedMs : declinedMs;
      for (const { settle } of batch) settle(isAccepted);
    } catch (error) {
      // The questions' own promises tell it, to those who asked.
      for (const { settle } of batch) settle(Promise.reject(toError(error)));
    }
    const forgetAt = performance.now() + holdsMs;
    for (const incident of batch) incident.forgetAt = forgetAt;
  }

  private async untilQuiet(): Promise<void> {
    const latest = performance.now() + this.options.longestMs;
    for (;;) {
      const now = performance.now();
      const at = Math.min(this.lastAskedAt + this.options.quietMs, latest);
      if (at <= now) return;
      await delay(at - now);
    }
  }

  private forgetOld(): void {
    const now = performance.now();
    for (const [key, { forgetAt }] of this.incidents) {
      if (forgetAt !== undefined && forgetAt <= now) this.incidents.delete(key);
    }
  }
}

function newIncident(question: HostKeyQuestion): Incident {
  let settle: Incident['settle'] = () => undefined;
  const answer = new Promise<boolean>((resolve) => (settle = resolve));
  return { question, answer, settle, forgetAt: undefined };
}

function incidentKey({ name, keyType, fingerprint, knownHostsFile }: HostKeyQuestion): string {
  return JSON.stringify([name, keyType, fingerprint, knownHostsFile]);
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
