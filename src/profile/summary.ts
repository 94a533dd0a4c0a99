// Profile → what fits on a screen: how it was taken, and the functions that used the most.

import { buildFlameGraph, hotLine, type FlameGraph } from './flameGraph.ts';
import { weighFunctions } from './functions.ts';
import { measuredKinds, type Profile, type WeightKind } from './profile.ts';

export interface FunctionSummary {
  readonly name: string;
  /** '' when unknown. */
  readonly file: string;
  /** The line with the most weight, else the function's first line; 0 when unknown. */
  readonly line: number;
  readonly self: number;
  readonly total: number;
  /** Of all weight of this kind, 0 to 1. */
  readonly selfShare: number;
  readonly totalShare: number;
}

export interface ProfileSummary {
  readonly kind: WeightKind;
  /** Weight by kind, over all threads. */
  readonly weights: Readonly<Partial<Record<WeightKind, number>>>;
  /** The sampler's processor time as a share of the time sampled: 0.03 is 3 % of one processor. */
  readonly samplerShare: number | undefined;
  /** Heaviest self weight first. */
  readonly top: readonly FunctionSummary[];
}

export function summarize(profile: Profile, kind: WeightKind, topCount: number): ProfileSummary {
  const graph = buildFlameGraph(profile, { kind });
  const all = graph.totals[0]!;
  const top = weighFunctions(graph)
    .filter(({ self }) => self > 0)
    .slice(0, topCount);
  return {
    kind,
    weights: Object.fromEntries(
      measuredKinds(profile).map((each) => [
        each,
        profile.samples.weights[each]!.reduce((sum, weight) => sum + weight, 0),
      ]),
    ),
    samplerShare: samplerShare(profile),
    top: top.map(({ frame, self, total }) => ({
      name: profile.frames.names[frame]!,
      file: profile.frames.files[frame]!,
      line: lineOf(profile, graph, frame),
      self,
      total,
      selfShare: self / all,
      totalShare: total / all,
    })),
  };
}

/** The sampler's processor time as a share of the time sampled. */
export function samplerShare({ meta }: Profile): number | undefined {
  const { cpuSeconds } = meta.sampler;
  return cpuSeconds === undefined || meta.durationMs <= 0
    ? undefined
    : (cpuSeconds * 1000) / meta.durationMs;
}

/**
 * Where a function spends its time: the hottest line of its heaviest box, else the function's first
 * line.
 */
function lineOf(profile: Profile, graph: FlameGraph, frame: number): number {
  let heaviest = 0;
  graph.frames.forEach((each, box) => {
    const isHeavier = heaviest === 0 || graph.totals[box]! > graph.totals[heaviest]!;
    if (each === frame && isHeavier) heaviest = box;
  });
  return hotLine(profile, graph, heaviest).line || profile.frames.lines[frame]!;
}
