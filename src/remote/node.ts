// What a node is, and what state the way to it is in.

import type { Event } from '../base/emitter.ts';
import type { Shell } from './shell.ts';

/** Where a node's logs are: a glob of files. (Other kinds of source come as objects with a `kind`.) */
export type LogSourceConfig = string;

/** A node as configured, before anything was asked of it. Its `name` is its identity. */
export interface Node {
  readonly name: string;
  /** An alias of the ssh configuration or a host name. */
  readonly host: string;
  /** `production` and `development` have a meaning of their own; others are the user's. */
  readonly labels: readonly string[];
  readonly logs: readonly LogSourceConfig[];
  readonly origin: 'settings' | 'sshConfig';
  /** The group of the settings it stands in. */
  readonly group?: string;
}

/** A node that changes only after its name is typed. */
export function isProduction(node: Pick<Node, 'labels'>): boolean {
  return node.labels.includes('production');
}

/** Why a node cannot be used: `code` as in `UserError`, `message` one sentence, `hint` the next step. */
export interface NodeFailure {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
}

export type NodeState =
  | { readonly kind: 'offline' }
  /** `step` is what is being done at the moment, e.g. `Log in as deploy`. */
  | { readonly kind: 'connecting'; readonly step?: string }
  | { readonly kind: 'ready'; readonly clock: ClockOffset | undefined }
  /** The connection was lost and is made again by itself at `retryAt` (epoch milliseconds). */
  | {
      readonly kind: 'waiting';
      readonly failure: NodeFailure;
      readonly retryAt: number;
      /** Attempts that failed since the connection was lost. */
      readonly attempts: number;
    }
  /** Nothing happens until the user acts. */
  | { readonly kind: 'failed'; readonly failure: NodeFailure };

/** A node's clock against ours, as measured over its connection. */
export interface ClockOffset {
  /** Node's clock minus ours, in milliseconds: positive when the node is ahead. */
  readonly offsetMs: number;
  /** The true offset lies within ± this many milliseconds (half of the best round trip). */
  readonly errorMs: number;
  /** Our time of the measurement, in epoch milliseconds. */
  readonly measuredAt: number;
}

/**
 * What the rest of the core asks of the set of nodes. `shell` connects when needed; one connection a node is
 * shared by everybody. Errors are UserErrors whose code starts with `node.`.
 */
export interface NodeAccess {
  readonly nodes: readonly Node[];
  readonly onDidChange: Event<Node>;
  state(node: Node): NodeState;
  shell(node: Node, signal?: AbortSignal): Promise<Shell>;
  /** The node's clock offset, measured on first use and again when it is older than a few minutes. */
  clock(node: Node, signal?: AbortSignal): Promise<ClockOffset>;
}
