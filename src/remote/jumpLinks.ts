// Connections to jump hosts, shared by all nodes behind them: each is made once, kept for as long as somebody uses
// it, and a moment longer for the next.

import { abortable } from '../base/async.ts';
import { toDisposable } from '../base/disposable.ts';
import type { ConnectOptions } from './connection.ts';
import type { LoginPass } from './loginGate.ts';
import type { SshTarget } from './sshConfig.ts';
import { jumpLoop } from './sshFailures.ts';

const maxJumps = 16;

/** A logged in connection to one sshd. */
export interface JumpLink {
  close(): void;
  /** `listener` is called once, also when the link is closed already. */
  onClose(listener: () => void): unknown;
}

/** Makes a link to one sshd, through another link or straight; `pass` is its place among the logins under way. */
export type OpenLink<L> = (
  target: SshTarget,
  through: L | undefined,
  pass: LoginPass,
  signal: AbortSignal | undefined,
) => Promise<L>;

type Context<L> = Pick<ConnectOptions, 'node' | 'resolve' | 'prompts' | 'gate'> & {
  readonly open: OpenLink<L>;
};

/** A link to the last of a chain of jump hosts, and the entry that all behind it pass. */
interface Way<L> {
  readonly link: L;
  /** `host:port` of the first sshd. */
  readonly entry: string;
}

interface Hop<L> {
  readonly opened: Promise<Way<L>>;
  /** Whether a person could be asked while it was made. */
  readonly isInteractive: boolean;
  readonly abort: AbortController;
  users: number;
  linger: NodeJS.Timeout | undefined;
}

/** What was got, and what says that it is no longer needed. */
interface Shared<T> {
  readonly got: T;
  readonly leave: () => void;
}

export class JumpLinks<L extends JumpLink> {
  private readonly hops = new Map<string, Hop<L>>();
  private readonly lingerMs: number;

  constructor(lingerMs: number) {
    this.lingerMs = lingerMs;
  }

  /** A link to the target, through its jump hosts; `leave` says that these are no longer needed for it. */
  async connect(
    options: ConnectOptions,
    open: OpenLink<L>,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly link: L; readonly leave: () => void }> {
    const context: Context<L> = { ...options, open };
    const { target } = options;
    if (target.proxyJump.length === 0) {
      const link = await throughGate(context, entryOf(target), target, undefined, signal);
      return { link, leave: () => undefined };
    }
    const { got, leave } = await this.share(context, target.proxyJump, signal, 0);
    try {
      const link = await throughGate(context, behind(got, target), target, got.link, signal);
      return { link, leave };
    } catch (error) {
      leave();
      throw error;
    }
  }

  private async share(
    context: Context<L>,
    chain: readonly string[],
    signal: AbortSignal | undefined,
    depth: number,
  ): Promise<Shared<Way<L>>> {
    const key = JSON.stringify(chain);
    for (;;) {
      const known = this.hops.get(key);
      const hop = known ?? this.open(key, context, chain, depth);
      clearTimeout(hop.linger);
      hop.users++;
      const left = toDisposable(() => this.leave(key, hop));
      const leave = (): void => left.dispose();
      try {
        return { got: await abortable(hop.opened, signal), leave };
      } catch (error) {
        leave();
        // Nobody waits for it any more, and it may just be asking somebody.
        if (hop.users === 0) {
          // Whoever comes now makes one of their own: this one may take a while to end.
          if (this.hops.get(key) === hop) this.hops.delete(key);
          hop.abort.abort();
        }
        signal?.throwIfAborted();
        // One made in the background could ask nobody; where somebody can be asked, it is made again.
        if (known === undefined || known.isInteractive || !isInteractive(context)) throw error;
      }
    }
  }

  private leave(key: string, hop: Hop<L>): void {
    if (--hop.users > 0) return;
    hop.linger = setTimeout(() => {
      if (this.hops.get(key) === hop) this.hops.delete(key);
      hop.opened.then(
        ({ link }) => link.close(),
        () => {
          // It never came to be; whoever waited has been told.
        },
      );
    }, this.lingerMs);
    hop.linger.unref();
  }

  private open(key: string, context: Context<L>, chain: readonly string[], depth: number): Hop<L> {
    const abort = new AbortController();
    const hop: Hop<L> = {
      opened: this.openWay(context, chain, depth, abort.signal),
      isInteractive: isInteractive(context),
      abort,
      users: 0,
      linger: undefined,
    };
    const forget = (): void => {
      if (this.hops.get(key) === hop) this.hops.delete(key);
    };
    this.hops.set(key, hop);
    hop.opened.then(({ link }) => link.onClose(forget), forget);
    return hop;
  }

  private async openWay(
    context: Context<L>,
    chain: readonly string[],
    depth: number,
    signal: AbortSignal,
  ): Promise<Way<L>> {
    const target = await context.resolve(chain.at(-1)!);
    // As with `ssh -J a,b`: b is reached through a, and a as its own configuration says.
    const before = chain.length > 1 ? chain.slice(0, -1) : target.proxyJump;
    if (before.length === 0) {
      const entry = entryOf(target);
      return { link: await throughGate(context, entry, target, undefined, signal), entry };
    }
    if (depth > maxJumps) throw jumpLoop(context.node);
    const { got, leave } = await this.share(context, before, signal, depth + 1);
    try {
      const link = await throughGate(context, behind(got, target), target, got.link, signal);
      link.onClose(leave);
      return { link, entry: got.entry };
    } catch (error) {
      leave();
      throw error;
    }
  }
}

async function throughGate<L>(
  { gate, open }: Context<L>,
  entry: string,
  target: SshTarget,
  through: L | undefined,
  signal: AbortSignal | undefined,
): Promise<L> {
  const pass = await gate.enter(entry, signal);
  try {
    return await open(target, through, pass, signal);
  } finally {
    pass();
  }
}

function entryOf(target: SshTarget): string {
  return `${target.host}:${target.port}`;
}

/** The gate of a node behind a jump host, which has an sshd of its own; the way there is logged in already. */
function behind(way: { readonly entry: string }, target: SshTarget): string {
  return `${way.entry} > ${entryOf(target)}`;
}

function isInteractive({ prompts }: Pick<ConnectOptions, 'prompts'>): boolean {
  return prompts.hostKey !== undefined || prompts.password !== undefined;
}
