// A node's clock over time: its drift, its steps, and what its offset is at a given moment, with an uncertainty
// that grows with the distance to what was measured.

import type { EpochMs } from '../base/time.ts';
import type { ClockOffset } from './node.ts';
import type { ClockFacts } from './syncDaemon.ts';

/** A clock was set: it jumped further than drift and the measurements' errors explain. */
export interface ClockStep {
  /** Our time of the measurement that showed it; it happened since the one before. */
  readonly at: EpochMs;
  /** How far the clock jumped: positive is forward. */
  readonly stepMs: number;
  readonly errorMs: number;
  /** `unknown`: this machine slept or was set meanwhile, so it cannot be told. */
  readonly whose: 'node' | 'ours' | 'unknown';
}

export interface ClockDrift {
  /** Parts per million by which the node's clock is faster than ours (1 ppm is 86 ms a day). */
  readonly ppm: number;
  /** Standard error. */
  readonly errorPpm: number;
}

/** Everything that is known of a node's clock. */
export interface NodeClock extends ClockOffset {
  /** Undefined until there are three measurements since the last step. */
  readonly drift: ClockDrift | undefined;
  readonly lastStep: ClockStep | undefined;
  /** What the node says of its clock; undefined until it was asked. */
  readonly facts: ClockFacts | undefined;
}

/** A measurement with whatever else is known of the clock. */
export type ToldClock = ClockOffset & Partial<NodeClock>;

interface Measurement {
  readonly offset: ClockOffset;
  /** Counts the steps before it: only measurements of one stretch lie on a line. */
  readonly stretch: number;
}

/** At ten minutes each: the last ten hours. */
const maxMeasurements = 64;
const maxSteps = 16;

/** Two unsynchronised crystals drift apart by less than this, of which the fit knows nothing yet. */
const unknownDriftPpm = 200;
/** How much a drift itself changes with the temperature and with a daemon's corrections. */
const wanderPpm = 20;
/** A smaller jump matters to nobody. */
const minStepMs = 2;

export class ClockHistory {
  private measurements: readonly Measurement[] = [];
  private knownSteps: readonly ClockStep[] = [];
  private stretch = 0;
  private sinceStep = 0;
  private lastWallMinusMonotonic: number | undefined;
  private knownFacts: ClockFacts | undefined;

  /** The latest ones, oldest first. */
  get steps(): readonly ClockStep[] {
    return this.knownSteps;
  }

  /**
   * Takes a measurement as soon as it was made, and gives the step it shows. `wallMinusMonotonic` are our two
   * clocks' readings at that moment, by which a step of our own clock is known. What is no measurement (NaN, no
   * date) is refused: it changes nothing.
   */
  add(
    offset: ClockOffset,
    wallMinusMonotonic: number = Date.now() - performance.now(),
  ): ClockStep | undefined {
    if (!isPlausible(offset)) return undefined;
    const step = this.findStep(offset, wallMinusMonotonic);
    this.lastWallMinusMonotonic = wallMinusMonotonic;
    if (step !== undefined) {
      this.stretch++;
      this.sinceStep = 0;
      this.knownSteps = [...this.knownSteps, step].slice(-maxSteps);
    }
    this.sinceStep++;
    this.measurements = [...this.measurements, { offset, stretch: this.stretch }].slice(
      -maxMeasurements,
    );
    return step;
  }

  /** What the node says of its clock itself. */
  learn(facts: ClockFacts): void {
    this.knownFacts = facts;
  }

  /** As of the latest measurement; undefined before the first. */
  current(): NodeClock | undefined {
    const latest = this.measurements.at(-1);
    if (latest === undefined) return undefined;
    const { measuredAt } = latest.offset;
    return {
      ...this.estimate(measuredAt, latest),
      measuredAt,
      drift: this.drift(),
      lastStep: this.knownSteps.at(-1),
      facts: this.knownFacts,
    };
  }

  /** The offset at a time of ours, past or future. */
  predict(at: EpochMs): Pick<ClockOffset, 'offsetMs' | 'errorMs'> | undefined {
    // From the end: a clock of ours that was set back shows the same times twice, and the later ones count.
    const index = this.measurements.findLastIndex(({ offset }) => offset.measuredAt <= at);
    const before = index < 0 ? undefined : this.measurements[index];
    const after = this.measurements[index + 1];
    const nearest = before ?? after;
    if (nearest === undefined) return undefined;
    const estimate = this.estimate(at, nearest);
    if (before === undefined || after === undefined || before.stretch === after.stretch) {
      return estimate;
    }
    // The clock was set somewhere between the two: either may be true.
    const other = this.estimate(at, after);
    const lowest = Math.min(estimate.offsetMs - estimate.errorMs, other.offsetMs - other.errorMs);
    const highest = Math.max(estimate.offsetMs + estimate.errorMs, other.offsetMs + other.errorMs);
    return { offsetMs: (lowest + highest) / 2, errorMs: (highest - lowest) / 2 };
  }

  /** Weighted least squares over the measurements since the last step. */
  drift(): ClockDrift | undefined {
    return fitDrift(this.stretchOf(this.stretch));
  }

  /**
   * When to measure again: after 1, 2, 4, 8 and then every 10 minutes, a quarter more or less, so that many nodes
   * do not answer at once; 15 s after a step. `random` gives numbers from 0 to 1.
   */
  nextMeasurementInMs(random: () => number = Math.random): number {
    const hasStepped = this.stretch > 0 && this.sinceStep <= 1;
    const minutes = hasStepped ? 0.25 : Math.min(10, 2 ** Math.max(0, this.sinceStep - 1));
    return minutes * 60_000 * (0.75 + 0.5 * random());
  }

  private stretchOf(stretch: number): readonly ClockOffset[] {
    return this.measurements
      .filter((measurement) => measurement.stretch === stretch)
      .map(({ offset }) => offset);
  }

  /** From the measurement of the same stretch that says most about this time. */
  private estimate(
    at: EpochMs,
    { stretch }: Measurement,
  ): Pick<ClockOffset, 'offsetMs' | 'errorMs'> {
    const offsets = this.stretchOf(stretch);
    const drift = fitDrift(offsets);
    const ratePpm = drift === undefined ? unknownDriftPpm : 3 * drift.errorPpm + wanderPpm;
    const errorAt = ({ errorMs, measuredAt }: ClockOffset): number =>
      errorMs + Math.min(ratePpm, unknownDriftPpm) * 1e-6 * Math.abs(at - measuredAt);
    const best = offsets.reduce((a, b) => (errorAt(b) <= errorAt(a) ? b : a));
    const ppm = drift === undefined || ratePpm > unknownDriftPpm ? 0 : drift.ppm;
    return {
      offsetMs: best.offsetMs + ppm * 1e-6 * (at - best.measuredAt),
      errorMs: errorAt(best),
    };
  }

  private findStep(measured: ClockOffset, wallMinusMonotonic: number): ClockStep | undefined {
    const latest = this.measurements.at(-1);
    const lastWall = this.lastWallMinusMonotonic;
    if (latest === undefined || lastWall === undefined) return undefined;
    const ourJump = wallMinusMonotonic - lastWall;
    const { measuredAt } = measured;
    const expected = this.estimate(measuredAt, latest);
    const jump = measured.offsetMs - expected.offsetMs;
    const errorMs = measured.errorMs + expected.errorMs;
    if (Math.abs(jump) <= errorMs + minStepMs) return undefined;
    // Our wall clock is read in whole milliseconds; our two clocks may also drift against each other.
    const elapsed = Math.abs(measuredAt - latest.offset.measuredAt);
    const ourErrorMs = 2 + 1e-6 * unknownDriftPpm * elapsed;
    if (Math.abs(ourJump) <= ourErrorMs + minStepMs) {
      return { at: measuredAt, stepMs: jump, errorMs, whose: 'node' };
    }
    return Math.abs(jump + ourJump) <= errorMs + ourErrorMs
      ? { at: measuredAt, stepMs: ourJump, errorMs: ourErrorMs, whose: 'ours' }
      : { at: measuredAt, stepMs: jump, errorMs, whose: 'unknown' };
  }
}

/** What a Date can hold; further off it is nonsense, of the node or of ours. */
const maxOffsetMs = 8.64e15;

function isPlausible({ offsetMs, errorMs, measuredAt }: ClockOffset): boolean {
  return (
    Math.abs(offsetMs) <= maxOffsetMs &&
    Math.abs(measuredAt) <= maxOffsetMs &&
    errorMs >= 0 &&
    errorMs <= maxOffsetMs
  );
}

/** Less than this is taken for half a measurement's error: nothing is measured more exactly over a network. */
const leastErrorMs = 0.01;

/** The slope of the offsets over time, with its standard error; undefined for fewer than three measurements. */
export function fitDrift(offsets: readonly ClockOffset[]): ClockDrift | undefined {
  if (offsets.length < 3) return undefined;
  const [origin] = offsets as readonly [ClockOffset];
  const points = offsets.map(({ offsetMs, errorMs, measuredAt }) => ({
    x: measuredAt - origin.measuredAt,
    y: offsetMs - origin.offsetMs,
    weight: 1 / Math.max(leastErrorMs, errorMs) ** 2,
  }));
  const weights = sum(points.map(({ weight }) => weight));
  const meanX = sum(points.map(({ x, weight }) => x * weight)) / weights;
  const meanY = sum(points.map(({ y, weight }) => y * weight)) / weights;
  const spread = sum(points.map(({ x, weight }) => weight * (x - meanX) ** 2));
  if (!(spread > 0)) return undefined;
  const slope = sum(points.map(({ x, y, weight }) => weight * (x - meanX) * (y - meanY))) / spread;
  const misfit = sum(
    points.map(({ x, y, weight }) => weight * (y - meanY - slope * (x - meanX)) ** 2),
  );
  // Where the points lie worse on a line than their errors explain, the error of the slope is larger, too.
  const scale = Math.max(1, misfit / (points.length - 2));
  return { ppm: slope * 1e6, errorPpm: Math.sqrt(scale / spread) * 1e6 };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
