// Ways of doing the same thing, measured in turn.

import { performance } from 'node:perf_hooks';

export interface Contender {
  readonly name: string;
  /** Does the work once; its answer is compared with the others' before anything is measured. */
  readonly run: () => Promise<unknown>;
}

export interface Measurement {
  readonly name: string;
  readonly medianMs: number;
  readonly bestMs: number;
  readonly worstMs: number;
}

export interface BenchReport {
  readonly title: string;
  /** What was measured, and on what: sizes and versions, nothing about the machine. */
  readonly description: readonly string[];
  readonly measurements: readonly Measurement[];
  /** The row that the others are compared with. */
  readonly peer: string;
}

/**
 * One run of each contender in turn, `rounds` times, after one round that is not counted: whatever else the
 * machine does meanwhile happens to all alike.
 */
export async function measureInTurn(
  contenders: readonly Contender[],
  rounds: number,
): Promise<readonly Measurement[]> {
  const times = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const contender of contenders) {
      const startedAt = performance.now();
      await contender.run();
      if (round > 0) times.get(contender.name)!.push(performance.now() - startedAt);
    }
  }
  return [...times].map(([name, list]) => {
    const sorted = list.sort((a, b) => a - b);
    return {
      name,
      medianMs: median(sorted),
      bestMs: sorted[0]!,
      worstMs: sorted.at(-1)!,
    };
  });
}

function median(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A section of RESULTS.md. */
export function formatReport({ title, description, measurements, peer }: BenchReport): string {
  const base = measurements.find(({ name }) => name === peer)!.medianMs;
  const row = ({ name, medianMs, bestMs, worstMs }: Measurement): string =>
    `| ${name} | ${ms(medianMs)} | ${ms(bestMs)} – ${ms(worstMs)} | ${(medianMs / base).toFixed(2)} |`;
  return [
    `## ${title}`,
    '',
    ...description,
    '',
    `| | median ms | best – worst | against "${peer}" |`,
    '|---|--:|--:|--:|',
    ...measurements.map(row),
    '',
  ].join('\n');
}

function ms(value: number): string {
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}
