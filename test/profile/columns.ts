// Profiles drawn as text, so that a test shows what it means.

import type { FlameGraph } from '../../src/profile/flameGraph.ts';
import { levelCount } from '../../src/profile/flameGraph.ts';
import { ProfileBuilder, type Profile, type ProfileMeta } from '../../src/profile/profile.ts';

export const plainMeta: ProfileMeta = {
  node: 'worker-1',
  pid: 4211,
  command: 'python3 -m shop.worker',
  startedAt: Date.UTC(2026, 10, 22, 6, 17, 54),
  durationMs: 10_000,
  unit: 'samples',
  rateAskedHz: 50,
  rateGotHz: 50,
  sampler: { name: 'faultline-probe', reason: 'A test.', cpuSeconds: 0.25 },
  missed: 0,
  torn: 0,
  notes: [],
};

/**
 * Each column is one sample, the outermost call on top; a dot is an empty place below a shorter
 * stack. A call is `name` or `name:line`; its file is `/srv/<name>.py` and its first line 10. A
 * line `cpu 1 0 1` gives the samples' cpu weights (default: all 1), `thread a b a` their threads.
 */
export function drawProfile(text: string, meta: Partial<ProfileMeta> = {}): Profile {
  const rows = text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  const cpu = rows.find((row) => row[0] === 'cpu')?.slice(1);
  const threads = rows.find((row) => row[0] === 'thread')?.slice(1);
  const calls = rows.filter((row) => row[0] !== 'cpu' && row[0] !== 'thread');
  const builder = new ProfileBuilder();
  (calls[0] ?? []).forEach((_, column) => {
    const stack = calls.map((row) => row[column] ?? '.').filter((call) => call !== '.');
    builder.sample({
      timeMs: column * 20,
      stack: builder.stack(
        stack.map((call) => {
          const [name = '', line = '0'] = call.split(':');
          return [builder.frame({ name, file: `/srv/${name}.py`, line: 10 }), Number(line)];
        }),
      ),
      thread: builder.thread(threads?.[column] ?? 'main'),
      wall: 1,
      cpu: Number(cpu?.[column] ?? 1),
    });
  });
  return builder.build({ ...plainMeta, ...meta });
}

/** One line a level: `name total/self`, from left to right, `|` between boxes. */
export function drawGraph(graph: FlameGraph, profile: Profile): string {
  const lines: string[] = [];
  for (let level = 0; level < levelCount(graph); level++) {
    const boxes: string[] = [];
    for (let box = graph.levelStarts[level]!; box < graph.levelStarts[level + 1]!; box++) {
      const frame = graph.frames[box]!;
      const name = frame < 0 ? 'all' : profile.frames.names[frame]!;
      boxes.push(`${name} ${graph.totals[box]}/${graph.selfs[box]}`);
    }
    lines.push(boxes.join(' | '));
  }
  return lines.join('\n');
}

/** Stack → weight, with names joined by `;`: a profile's meaning without its inner numbers. */
export function stackWeights(profile: Profile, kind: 'cpu' | 'wall'): Record<string, number> {
  const sums: Record<string, number> = {};
  (profile.samples.weights[kind] ?? new Float64Array()).forEach((weight, row) => {
    if (weight === 0) return;
    const names: string[] = [];
    for (let at = profile.samples.stacks[row]!; at >= 0; at = profile.stacks.parents[at]!) {
      names.push(profile.frames.names[profile.stacks.frames[at]!]!);
    }
    const key = names.reverse().join(';');
    sums[key] = (sums[key] ?? 0) + weight;
  });
  return sums;
}
