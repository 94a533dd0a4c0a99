// One goal of the reliability list that takes too long for every submission.

export interface GoalContext {
  /** Aborted when the time is up: what was started has to be stopped then. */
  readonly signal: AbortSignal;
  /** Shown while the goal runs. */
  readonly onProgress: (text: string) => void;
  /** For everything that is random; printed, so that a failure can be repeated. */
  readonly seed: number;
}

export interface GoalOutcome {
  readonly ok: boolean;
  /** What was measured, in one line. */
  readonly figure: string;
}

/** Exported as `goal` by each file of goals/. */
export interface Goal {
  /** As in `R-14`. */
  readonly id: string;
  /** How it is shown, for the table of figures. */
  readonly how: string;
  /** A run that takes longer has failed. */
  readonly limitMinutes: number;
  run(context: GoalContext): Promise<GoalOutcome>;
}
