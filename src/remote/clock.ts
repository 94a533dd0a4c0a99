// A node's clock against ours: many quick questions over one channel; the fastest answer tells most.

import { splitLines } from '../base/lines.ts';
import { UserError } from '../base/errors.ts';
import { withDeadline } from '../base/async.ts';
import type { ClockOffset } from './node.ts';
import type { Shell } from './shell.ts';

/** One question: our clock before and after, and the node's answer, all in epoch milliseconds. */
export interface ClockSample {
  readonly sentAt: number;
  readonly receivedAt: number;
  readonly nodeTime: number;
}

/**
 * The offset of the sample with the shortest round trip, ± half of that round trip (Cristian's algorithm),
 * plus the resolution of the node's answers.
 */
export function estimateOffset(
  samples: readonly ClockSample[],
  resolutionMs: number,
  measuredAt: number,
): ClockOffset {
  const best = samples.reduce((a, b) => (roundTrip(b) < roundTrip(a) ? b : a));
  const middle = (best.sentAt + best.receivedAt) / 2;
  return {
    offsetMs: best.nodeTime + resolutionMs / 2 - middle,
    errorMs: roundTrip(best) / 2 + resolutionMs / 2,
    measuredAt,
  };
}

function roundTrip(sample: ClockSample): number {
  return sample.receivedAt - sample.sentAt;
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

const probes = 24;
const deadlineMs = 10_000;

/** Measures over a channel of its own. Errors: `node.clockUnreadable`. */
export async function measureClock(shell: Shell, signal?: AbortSignal): Promise<ClockOffset> {
  const program = await shell.start({ script: clockScript }, {}, signal);
  try {
    return await withDeadline(askTimes(program), deadlineMs, unreadable);
  } finally {
    program.dispose();
  }
}

async function askTimes(program: Awaited<ReturnType<Shell['start']>>): Promise<ClockOffset> {
  program.stderr.resume();
  program.stdin.on('error', () => {
    // A program that ended is noticed by its missing answer.
  });
  const lines = splitLines(program.stdout, 256);
  const samples: ClockSample[] = [];
  let resolutionMs = 0;
  for (let count = 0; count < probes; count++) {
    const sentAt = now();
    program.stdin.write('\n');
    const answer = await lines.next();
    const receivedAt = now();
    const match = answer.done === true ? undefined : /^(\d{13,22})( s)?$/.exec(answer.value.text);
    if (match === undefined || match === null) throw unreadable();
    if (match[2] !== undefined) resolutionMs = 1000;
    samples.push({ sentAt, receivedAt, nodeTime: Number(match[1]) / 1e6 });
  }
  program.stdin.end();
  return estimateOffset(samples, resolutionMs, Date.now());
}

/** Epoch milliseconds with microsecond resolution; monotonic, so a step of our clock cannot distort. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

function unreadable(): UserError {
  return new UserError('node.clockUnreadable', 'The node did not tell its time.', {
    hint: 'It needs the program "date" or Python 3.',
  });
}
