// Ways of doing the same thing, measured in turn.

import { performance } from 'node:perf_hooks';

export interface Contender {
  readonly name: string;
  /** Does the work once; its answer is compared with the others' before anything is measured. */
  readonly run: () => Promise<unknown>;
  /** Rounds in which it takes part, for one that is much slower than the others. Default: all. */
  readonly rounds?: number;
}

/** An answer that knows what it cost. */
export interface Costed {
  /** Processor time of the client side, user and system, with its children. */
  readonly cpuMs: number;
}

export interface Measurement {
  readonly name: string;
  readonly medianMs: number;
  readonly bestMs: number;
  readonly worstMs: number;
  /** Median processor time of the client, where it was measured. */
  readonly cpuMs?: number;
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
  const costs = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const contender of contenders) {
      if (round > (contender.rounds ?? rounds)) continue;
      const startedAt = performance.now();
      const answer = await contender.run();
      if (round === 0) continue;
      times.get(contender.name)!.push(performance.now() - startedAt);
      if (isCosted(answer)) costs.get(contender.name)!.push(answer.cpuMs);
    }
  }
  return [...times].map(([name, list]) => {
    const sorted = list.sort((a, b) => a - b);
    return {
      name,
      medianMs: median(sorted),
      bestMs: sorted[0]!,
      worstMs: sorted.at(-1)!,
      ...(costs.get(name)!.length === 0
        ? {}
        : { cpuMs: median(costs.get(name)!.sort((a, b) => a - b)) }),
    };
  });
}

function isCosted(answer: unknown): answer is Costed {
  return typeof answer === 'object' && answer !== null && 'cpuMs' in answer;
}

function median(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A section of RESULTS.md. */
export function formatReport({ title, description, measurements, peer }: BenchReport): string {
  const base = measurements.find(({ name }) => name === peer)!.medianMs;
  const hasCosts = measurements.some(({ cpuMs }) => cpuMs !== undefined);
  const row = ({ name, medianMs, bestMs, worstMs, cpuMs }: Measurement): string => {
    const cost = hasCosts ? ` ${cpuMs === undefined ? '–' : ms(cpuMs)} |` : '';
    return `| ${name} | ${ms(medianMs)} | ${ms(bestMs)} – ${ms(worstMs)} |${cost} ${(medianMs / base).toFixed(2)} |`;
  };
  const costHead = hasCosts ? ' client’s processor ms |' : '';
  return [
    `## ${title}`,
    '',
    ...description,
    '',
    `| | median ms | best – worst |${costHead} against "${peer}" |`,
    `|---|--:|--:|--:|${hasCosts ? '--:|' : ''}`,
    ...measurements.map(row),
    '',
  ].join('\n');
}

function ms(value: number): string {
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}
