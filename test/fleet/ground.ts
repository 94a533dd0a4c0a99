// What differs between the two modes: where nodes get their addresses and how one is started.

import type { Addresses } from './plan.ts';
import type { Supervisor } from './supervisor.ts';

export interface Ground {
  readonly addresses: Addresses;
  /** The user that logs in. */
  readonly user: string;
  /** Goes before the interpreter that runs a node's supervisor. */
  readonly launcher: readonly string[];
  /** The host's network link into the fleet; undefined in loopback mode. */
  readonly link?: string;
  /** Gives each node its network interface. */
  connect(nodes: readonly Supervisor[]): Promise<void>;
  /** Frees what was only held while the fleet started. */
  settle(): void;
}

/**
 * Called for each supervisor right after it was started, so that a crash leaves nothing unrecorded.
 */
export type OnStarted = (supervisor: Supervisor) => void;
