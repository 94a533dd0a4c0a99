// Messages between the preflight page and the extension.

export interface PreflightRow {
  readonly fact: string;
  readonly status: 'same' | 'differs' | 'unchecked';
  readonly recorded: string | null;
  readonly current: string | null;
  readonly severity: string;
  readonly note: string | null;
}

export interface PreflightView {
  readonly run: string;
  /** The command as one line, already made safe to show. */
  readonly command: string;
  readonly cwd: string;
  /** How the recorded run ended. */
  readonly end: string;
  readonly startedAt: string;
  readonly recordedOn: string;
  readonly target: string;
  /** Names of the nodes it can be reopened on. */
  readonly nodes: readonly string[];
  readonly isProduction: boolean;
  readonly summary: string;
  readonly rows: readonly PreflightRow[];
}

/** What happened after the user started the run again. */
export type RerunView =
  | { readonly state: 'running'; readonly output: string }
  | {
      readonly state: 'ended';
      readonly output: string;
      readonly sameFailure: boolean;
      readonly text: string;
    };

export type ToPreflight =
  | { readonly type: 'checking'; readonly target: string }
  | { readonly type: 'show'; readonly view: PreflightView }
  | { readonly type: 'error'; readonly text: string }
  | { readonly type: 'rerun'; readonly rerun: RerunView };

export type FromPreflight =
  | { readonly type: 'ready' }
  | { readonly type: 'refresh' }
  | { readonly type: 'target'; readonly node: string }
  | { readonly type: 'debug' }
  | { readonly type: 'run' }
  | { readonly type: 'terminal' }
  | { readonly type: 'record' };

const plain = new Set(['ready', 'refresh', 'debug', 'run', 'terminal', 'record']);

/** Undefined for anything a page of ours does not send. */
export function parseFromPreflight(message: unknown): FromPreflight | undefined {
  if (typeof message !== 'object' || message === null || !('type' in message)) return undefined;
  const { type } = message;
  if (type === 'target') {
    return 'node' in message && typeof message.node === 'string'
      ? { type, node: message.node }
      : undefined;
  }
  return typeof type === 'string' && plain.has(type)
    ? ({ type } as Exclude<FromPreflight, { type: 'target' }>)
    : undefined;
}
