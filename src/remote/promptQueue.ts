// One question at a time: many nodes may want a password at once, and a person has one head. Declining one declines
// those that wait behind it.

import type { LoginPrompts } from './loginPrompts.ts';

/** The same prompts, asked one after another. Host keys have a queue of their own (hostKeyQuestions.ts). */
export function oneAtATime(prompts: LoginPrompts): LoginPrompts {
  const queue = new PromptQueue();
  const { passphrase, password } = prompts;
  return {
    ...prompts,
    ...(passphrase && { passphrase: (question) => queue.ask(() => passphrase(question)) }),
    ...(password && { password: (question) => queue.ask(() => password(question)) }),
  };
}

class PromptQueue {
  private last: Promise<unknown> = Promise.resolve();
  /** Counts declined questions: whoever began to wait before one is declined with it. */
  private declined = 0;

  async ask(question: () => Promise<string | undefined>): Promise<string | undefined> {
    const { declined } = this;
    const asked = this.last.then(async () => {
      if (this.declined !== declined) return undefined;
      const answer = await question();
      if (answer === undefined) this.declined++;
      return answer;
    });
    this.last = asked.catch(() => undefined);
    return asked;
  }
}
