// What the user can act on is a UserError; anything else that is thrown is a bug and keeps its stack.

export interface UserErrorOptions {
  /** What to do next, one plain sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** An expected failure: `code` is stable (`area.whatHappened`), `message` one plain sentence. */
export class UserError extends Error {
  readonly code: string;
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: UserErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'UserError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** True for the error an `AbortSignal` gives: the user cancelled, nothing failed. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}

/** One sentence for people: a UserError's message and hint, or the plain message of anything else. */
export function describeError(error: unknown): string {
  if (error instanceof UserError) {
    return error.hint === undefined ? error.message : `${error.message} ${error.hint}`;
  }
  return error instanceof Error ? error.message : String(error);
}

/** For the `default` of a switch over a union: a missing case does not compile. */
export function assertNever(value: never): never {
  throw new Error(`Unexpected value: ${JSON.stringify(value)}`);
}
