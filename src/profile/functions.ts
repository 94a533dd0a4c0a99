// FlameGraph → one row a function: the text form of a flame graph, for tables, summaries and screen
// readers.

import { boxCount, firstChild, type FlameGraph } from './flameGraph.ts';

export interface FunctionWeight {
  /** Row of the profile's frame table. */
  readonly frame: number;
  /** Weight of the samples that ended in this function. */
  readonly self: number;
  /**
   * Weight of the samples with this function anywhere on the stack; a recursive call counts once.
   */
  readonly total: number;
}

/** Every function of the graph, heaviest self weight first. */
export function weighFunctions(graph: FlameGraph): readonly FunctionWeight[] {
  const selfs = new Map<number, number>();
  const totals = new Map<number, number>();
  const onPath = new Map<number, number>();
  const add = (sums: Map<number, number>, frame: number, weight: number): void => {
    sums.set(frame, (sums.get(frame) ?? 0) + weight);
  };
  // Depth first, with an explicit stack (a profile may be thousands of calls deep): ~box leaves the
  // box.
  const work = [0];
  for (let at = work.pop(); at !== undefined; at = work.pop()) {
    const isLeaving = at < 0;
    const box = isLeaving ? ~at : at;
    const frame = graph.frames[box]!;
    if (isLeaving) {
      add(onPath, frame, -1);
      continue;
    }
    if (frame >= 0) {
      add(selfs, frame, graph.selfs[box]!);
      add(totals, frame, (onPath.get(frame) ?? 0) > 0 ? 0 : graph.totals[box]!);
    }
    add(onPath, frame, 1);
    work.push(~box);
    for (const child of childrenOf(graph, box)) work.push(child);
  }
  return [...totals.entries()]
    .map(([frame, total]) => ({ frame, self: selfs.get(frame) ?? 0, total }))
    .sort((a, b) => b.self - a.self || b.total - a.total || a.frame - b.frame);
}

/** The children of a box, heaviest first. */
export function* childrenOf(graph: FlameGraph, box: number): Generator<number> {
  const first = firstChild(graph, box);
  if (first === undefined) return;
  for (let child = first; child < boxCount(graph) && graph.parents[child] === box; child++) {
    yield child;
  }
}
