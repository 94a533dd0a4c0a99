// The questions that ssh asks: a small program in a private directory hands each to us on ssh's stderr, and our
// answer back through a FIFO there. Secrets are in no argument, environment or file.

import { constants } from 'node:fs';
import { chmod, open, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { delay } from '../base/async.ts';

/** One question of ssh, as it came. */
export interface AskpassQuestion {
  /** Names the FIFO that waits for the answer. */
  readonly id: string;
  /** `none`: nothing is to be answered, e.g. "touch the security key". `confirm`: yes or no. */
  readonly kind: 'ask' | 'confirm' | 'none';
  readonly text: string;
}

export interface Askpass {
  /** For the environment of ssh. */
  readonly env: Readonly<Record<string, string>>;
  /** Frames questions on stderr; random, so that no banner of a node can forge one. */
  readonly token: string;
  /** Waits until the question's FIFO is read from. While it is open ssh waits; closing it unanswered declines. */
  openAnswer(question: AskpassQuestion): Promise<FileHandle>;
}

const openTries = 300;

/** Puts the program into `directory`, which only we may enter. */
export async function installAskpass(directory: string): Promise<Askpass> {
  const token = `faultline-${randomBytes(16).toString('hex')}`;
  const program = join(directory, 'askpass');
  await writeFile(program, askpassScript(token), { mode: 0o700, flag: 'wx' });
  // Whatever the umask says.
  await chmod(program, 0o700);
  return {
    token,
    env: {
      SSH_ASKPASS: program,
      SSH_ASKPASS_REQUIRE: 'force',
      // Before OpenSSH 8.4 ssh only looks whether there is a display (and no terminal).
      DISPLAY: process.env.DISPLAY ?? ':0',
    },
    openAnswer: (question) => openForWriting(join(directory, question.id)),
  };
}

/** When we are gone while it waits, its FIFO ends, and with it the question. */
function askpassScript(token: string): string {
  return `#!/bin/sh
umask 077
kind=\${SSH_ASKPASS_PROMPT:-ask}
fifo="\${0%/*}/$$"
[ "$kind" = none ] || mkfifo "$fifo" || exit 1
printf '\\n%s %s %s\\n%s\\n%s\\n' '${token}' "$$" "$kind" "$1" '${token}' >&2
[ "$kind" = none ] && exit 0
exec 3<"$fifo"
rm -f "$fifo"
IFS= read -r answer <&3 || exit 1
printf '%s\\n' "$answer"
`;
}

/** Without blocking: a FIFO that nobody reads from yet says ENXIO. */
async function openForWriting(fifo: string): Promise<FileHandle> {
  for (let tries = 1; ; tries++) {
    try {
      return await open(fifo, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    } catch (error) {
      const isEarly = error instanceof Error && 'code' in error && error.code === 'ENXIO';
      if (!isEarly || tries === openTries) throw error;
      await delay(10);
    }
  }
}

const maxLineLength = 64 << 10;
const maxQuestionLines = 200;

/** ssh's stderr → its lines, and the questions framed by the token. */
export class AskpassReader {
  private readonly token: string;
  private readonly onLine: (line: string) => void;
  private readonly onQuestion: (question: AskpassQuestion) => void;
  private rest = '';
  private question: { readonly id: string; readonly kind: string; lines: string[] } | undefined;

  constructor(
    token: string,
    onLine: (line: string) => void,
    onQuestion: (question: AskpassQuestion) => void,
  ) {
    this.token = token;
    this.onLine = onLine;
    this.onQuestion = onQuestion;
  }

  accept(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop()!.slice(0, maxLineLength);
    for (const line of lines) this.acceptLine(line);
  }

  end(): void {
    if (this.rest !== '') this.acceptLine(this.rest);
    this.rest = '';
  }

  private acceptLine(line: string): void {
    const { question } = this;
    if (question !== undefined) {
      if (line !== this.token) {
        if (question.lines.length < maxQuestionLines) question.lines.push(line);
        return;
      }
      this.question = undefined;
      const kind = question.kind === 'none' || question.kind === 'confirm' ? question.kind : 'ask';
      return this.onQuestion({ id: question.id, kind, text: question.lines.join('\n') });
    }
    const [token, id, kind] = line.split(' ');
    if (token === this.token && id !== undefined && /^\d+$/.test(id)) {
      this.question = { id, kind: kind ?? '', lines: [] };
    } else {
      const words = line.replace(/\r$/, '');
      if (words !== '') this.onLine(words);
    }
  }
}

/** What a question is about. */
export type LoginQuestion =
  | {
      readonly kind: 'hostKey';
      readonly name: string;
      readonly fingerprint: string;
      /** OpenSSH before 8.0 takes only yes or no. */
      readonly takesFingerprint: boolean;
    }
  | { readonly kind: 'passphrase'; readonly keyFile: string }
  | { readonly kind: 'notice'; readonly text: string }
  | { readonly kind: 'confirm'; readonly text: string }
  | { readonly kind: 'passwordChange' }
  /** `isFromNode`: the words are the node's, and may lie. */
  | { readonly kind: 'secret'; readonly text: string; readonly isFromNode: boolean };

/**
 * Reads a question. `method` is the way to log in that ssh is at: with keyboard-interactive the words are always
 * the node's, which could otherwise ask for "the passphrase of your key".
 */
export function readQuestion(question: AskpassQuestion, method: string | undefined): LoginQuestion {
  const { text } = question;
  if (question.kind === 'none') return { kind: 'notice', text };
  if (question.kind === 'confirm') return { kind: 'confirm', text };
  if (method === 'keyboard-interactive') {
    return { kind: 'secret', text: withoutAddress(text), isFromNode: true };
  }
  if (method === 'password') {
    if (/^Enter .*'s old password: $/.test(text)) return { kind: 'passwordChange' };
    const isFromNode = !/^\S+'s password: $/.test(text);
    return { kind: 'secret', text: withoutAddress(text), isFromNode };
  }
  const host =
    /^The authenticity of host '(\S+) \([^\n]*\)' can't be established\b.*?key fingerprint is (\S+?)\.?\n/s;
  const [, name, fingerprint] = host.exec(text) ?? [];
  if (method === undefined && name !== undefined && fingerprint !== undefined) {
    return { kind: 'hostKey', name, fingerprint, takesFingerprint: text.includes('[fingerprint]') };
  }
  const keyFile = /^Enter passphrase for (?:RSA )?key '(.*)': $/s.exec(text)?.[1];
  if (keyFile !== undefined) return { kind: 'passphrase', keyFile };
  return { kind: 'secret', text, isFromNode: !/^Enter PIN for /.test(text) };
}

/** Since OpenSSH 8.5 `(user@host) ` stands before the node's words. */
function withoutAddress(text: string): string {
  return text.replace(/^\(\S+@\S+\) /, '');
}
