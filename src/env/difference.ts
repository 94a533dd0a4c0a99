// One fact that is not the same in two environments.

import type { Severity } from './severity.ts';

/** The parts a person reads an environment in. */
export type ChapterId =
  'system' | 'user' | 'login' | 'command' | 'python' | 'packages' | 'disks' | 'clock';

export interface EnvDifference {
  /** Stable and readable, e.g. `packages./srv/shop/venv.pricelib` or `env.TARIFF_REGION`. */
  readonly path: string;
  readonly chapters: readonly ChapterId[];
  /** Text as it is on either side, masked where it is a secret; null where it is not there. */
  readonly a: string | null;
  readonly b: string | null;
  /** `info` for a folded one. */
  readonly severity: Severity;
  /** Why it matters, or why it was folded; null when the fact says it all. */
  readonly note: string | null;
}

/** A difference with its place among those of the same severity: higher comes first. */
export interface RankedDifference extends EnvDifference {
  readonly weight: number;
}

export interface Uncompared {
  readonly path: string;
  readonly why: string;
}

/** What one part of the comparison found. */
export interface Findings {
  readonly differences: readonly RankedDifference[];
  readonly uncompared?: readonly Uncompared[];
}
