// The questions of a login on a terminal. Without a terminal nobody is asked, and what needs an answer is refused.

import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { toDisplay } from '../base/displayText.ts';
import { HostKeyQuestions } from '../remote/hostKeyQuestions.ts';
import type { HostKeyQuestion, LoginPrompts } from '../remote/loginPrompts.ts';
import { oneAtATime } from '../remote/promptQueue.ts';

export interface Terminal {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
}

/** Questions go to `output` (stderr, so that stdout stays clean); Ctrl-C and Ctrl-D decline. */
export function terminalPrompts({ input, output }: Terminal): LoginPrompts {
  if (!input.isTTY || !output.isTTY) return {};
  // One reader at a time, of whatever kind its question is: two would both get what is typed, and one would show it.
  let last: Promise<unknown> = Promise.resolve();
  const ask = (text: string, echo: boolean): Promise<string | undefined> => {
    const asked = last.then(() => question({ input, output }, text, echo));
    last = asked;
    return asked;
  };
  const hostKeys = new HostKeyQuestions((questions) => askHostKeys(ask, questions));
  return oneAtATime({
    hostKey: (asked) => hostKeys.ask(asked),
    passphrase: ({ keyFile, wasWrong }) =>
      ask(`${wasWrong ? 'Wrong. ' : ''}Passphrase of ${toDisplay(keyFile, 200)}: `, false),
    password: ({ where, text, echo, isFromNode }) => {
      const words = toDisplay(text, 256);
      const place = toDisplay(where, 100);
      return ask(isFromNode ? `${place} says: “${words}” ` : `${words}: `, echo);
    },
  });
}

type Ask = (text: string, echo: boolean) => Promise<string | undefined>;

async function askHostKeys(ask: Ask, questions: readonly HostKeyQuestion[]): Promise<boolean> {
  const listed = questions.map(
    ({ name, keyType, fingerprint }) =>
      `  ${toDisplay(name, 200)} (${toDisplay(keyType, 60)})\n    ${fingerprint}\n`,
  );
  const files = [...new Set(questions.map((one) => one.knownHostsFile))].join(', ');
  const text =
    `These host keys are not known:\n${listed.join('')}` +
    `Compare them with fingerprints you got another way. Add them to ${toDisplay(files, 500)}? (yes/no) `;
  return (await ask(text, true))?.trim().toLowerCase() === 'yes';
}

/** Undefined when it is declined. What is typed is not shown without `echo`. */
async function question(
  { input, output }: Terminal,
  text: string,
  echo: boolean,
): Promise<string | undefined> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: echo ? output : silent, terminal: true });
  const declined = new AbortController();
  lines.once('SIGINT', () => declined.abort());
  lines.once('close', () => declined.abort());
  try {
    if (!echo) output.write(text);
    return await lines.question(echo ? text : '', { signal: declined.signal });
  } catch {
    return undefined;
  } finally {
    lines.close();
    if (!echo) output.write('\n');
  }
}
