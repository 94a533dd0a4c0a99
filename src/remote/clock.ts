// A node's clock against ours: many quick questions over one channel, each of which bounds the offset; all
// together bound it best.

import { delay, withDeadline } from '../base/async.ts';
import { UserError } from '../base/errors.ts';
import { splitLines } from '../base/lines.ts';
import type { ClockOffset } from './node.ts';
import type { RemoteProcess, Shell } from './shell.ts';

/** One question: our monotonic clock before and after, and the node's answer in epoch milliseconds. */
export interface ClockSample {
  readonly sentAt: number;
  readonly receivedAt: number;
  readonly nodeTime: number;
  /** The node rounds its answers down to a multiple of this. */
  readonly resolutionMs: number;
}

/** Something lies between the two, in milliseconds. */
export interface Bounds {
  readonly lowest: number;
  readonly highest: number;
}

/** Two crystals of ordinary quality drift apart by less than this while we ask. */
const maxDrift = 200e-6;
/** Bounds that contradict each other by less than this are a matter of rounding. */
const roundingMs = 0.02;

/**
 * The node's clock minus our monotonic one. Each answer was given between its question and its arrival
 * (Cristian's algorithm, ± half of its round trip), so the offset lies in all of their bounds at once. Answers
 * that contradict the later ones are from before a step of the node's clock and are left out.
 */
export function boundOffset(samples: readonly ClockSample[]): Bounds {
  const newest = samples.at(-1);
  if (newest === undefined) throw new Error('There is nothing to estimate from.');
  let bounds: Bounds = { lowest: -Infinity, highest: Infinity };
  for (const sample of samples.toReversed()) {
    const slack = maxDrift * (newest.receivedAt - sample.sentAt);
    const next = intersect(bounds, {
      lowest: sample.nodeTime - sample.receivedAt - slack,
      highest: sample.nodeTime + sample.resolutionMs - sample.sentAt + slack,
    });
    if (next === undefined) break;
    bounds = next;
  }
  return bounds;
}

/** Undefined when they contradict each other. */
function intersect(a: Bounds, b: Bounds): Bounds | undefined {
  const lowest = Math.max(a.lowest, b.lowest);
  const highest = Math.min(a.highest, b.highest);
  if (lowest <= highest) return { lowest, highest };
  const middle = (lowest + highest) / 2;
  return lowest - highest < roundingMs ? { lowest: middle, highest: middle } : undefined;
}

/** Our two clocks, in milliseconds; replaced in tests. */
export interface OurClocks {
  /** Never steps; what it counts from has no meaning. */
  readonly monotonic: () => number;
  /** Epoch milliseconds, in whole ones; steps when somebody sets it. */
  readonly wall: () => number;
}

const ourClocks: OurClocks = { monotonic: () => performance.now(), wall: () => Date.now() };

/**
 * Our wall clock minus our monotonic one, finer than the whole milliseconds in which the wall clock is told:
 * many readings at different phases bound it.
 */
class WallClockAnchor {
  private readonly clocks: OurClocks;
  private bounds: Bounds | undefined;

  constructor(clocks: OurClocks) {
    this.clocks = clocks;
  }

  /** A reading of the monotonic clock that also narrows the bounds. */
  read(): number {
    const before = this.clocks.monotonic();
    const wall = this.clocks.wall();
    const after = this.clocks.monotonic();
    const reading = { lowest: wall - after, highest: wall + 1 - before };
    // Contradictory readings: our wall clock was set meanwhile. What it says now counts.
    this.bounds =
      this.bounds === undefined ? reading : (intersect(this.bounds, reading) ?? reading);
    return after;
  }

  get value(): Bounds {
    this.read();
    return this.bounds!;
  }
}

/** A node's clock minus our wall clock, from bounds of both against our monotonic clock. */
function toClockOffset(node: Bounds, wall: Bounds, measuredAt: number): ClockOffset {
  const lowest = node.lowest - wall.highest;
  const highest = node.highest - wall.lowest;
  return { offsetMs: (lowest + highest) / 2, errorMs: (highest - lowest) / 2, measuredAt };
}

// Answers each line with the time: in nanoseconds with Python or GNU date, in whole seconds otherwise.
const clockScript = `
if command -v python3 >/dev/null 2>&1; then
  exec python3 -I -S -u -c 'import sys,time
for line in iter(sys.stdin.readline, ""): print(int(time.time()*1000000000), flush=True)'
fi
case $(date +%N) in
  *[!0-9]*|"") while read -r _; do echo "$(date +%s)000000000 s"; done ;;
  *) while read -r _; do date +%s%N; done ;;
esac`;

const questions = 24;
const deadlineMs = 15_000;

/**
 * Measures over a channel of its own, 24 round trips; some seconds on a node that tells whole seconds only.
 * Errors: `node.clockUnreadable`.
 */
export async function measureClock(
  shell: Shell,
  signal?: AbortSignal,
  clocks: OurClocks = ourClocks,
): Promise<ClockOffset> {
  const command = { title: 'Measure the clock', script: clockScript };
  const program = await shell.start(command, {}, signal);
  const end = new AbortController();
  try {
    return await withDeadline(askTimes(program, clocks, end.signal), deadlineMs, unreadable);
  } finally {
    end.abort();
    program.dispose();
  }
}

async function askTimes(
  program: RemoteProcess,
  clocks: OurClocks,
  signal: AbortSignal,
): Promise<ClockOffset> {
  program.stderr.resume();
  program.stdin.on('error', () => {
    // A program that ended is noticed by its missing answer.
  });
  const anchor = new WallClockAnchor(clocks);
  const lines = splitLines(program.stdout, 256);
  const samples: ClockSample[] = [];
  for (let waitMs: number | undefined = 0; waitMs !== undefined; waitMs = nextQuestionIn(samples)) {
    if (waitMs > 0) await delay(waitMs, signal);
    const sentAt = anchor.read();
    program.stdin.write('\n');
    const answer = await lines.next();
    const receivedAt = anchor.read();
    const told = answer.done === true ? undefined : parseAnswer(answer.value.text);
    if (told === undefined) throw unreadable();
    samples.push({ sentAt, receivedAt, ...told });
  }
  program.stdin.end();
  return toClockOffset(boundOffset(samples), anchor.value, clocks.wall());
}

/** Nanoseconds since the epoch, ` s` when only the seconds are true. A clock may stand before 1970. */
function parseAnswer(text: string): Pick<ClockSample, 'nodeTime' | 'resolutionMs'> | undefined {
  const match = /^(-?\d{1,22})( s)?$/.exec(text);
  if (match === null) return undefined;
  return { nodeTime: Number(match[1]) / 1e6, resolutionMs: match[2] === undefined ? 0 : 1000 };
}

/** Questions to a node that tells whole seconds, spread over more than one of its seconds. */
const coarseQuestions = 54;
const coarseStepMs = 20;
/** Then each aims at the moment where its second should change, which halves the bounds. */
const aimedQuestions = 3;

/** Milliseconds until the next question; undefined when there were enough. */
export function nextQuestionIn(samples: readonly ClockSample[]): number | undefined {
  const last = samples.at(-1);
  if (last === undefined || last.resolutionMs === 0) {
    return samples.length < questions ? 0 : undefined;
  }
  if (samples.length < coarseQuestions) return coarseStepMs;
  if (samples.length >= coarseQuestions + aimedQuestions) return undefined;
  const { lowest, highest } = boundOffset(samples);
  const nodeNow = last.receivedAt + (lowest + highest) / 2;
  const halfTrip = (last.receivedAt - last.sentAt) / 2;
  const untilSecond = last.resolutionMs - modulo(nodeNow + halfTrip, last.resolutionMs);
  return Math.max(0, untilSecond);
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}

function unreadable(): UserError {
  return new UserError('node.clockUnreadable', 'The node did not tell its time.', {
    hint: 'It needs the program "date" or Python 3.',
  });
}
