// Profile → boxes in 0..1. No pixels and no colours: those belong to whoever draws.
//
//   samples      main main main main        boxes   level 0  |-------- all ---------|
//   (columns)    run  run  run  poll                level 1  |-------- main --------|
//                sum  parse sum                     level 2  |----- run -----| poll |
//                                                   level 3  | sum    |parse |
//
// Stacks are merged by (parent box, frame), so calls of one function from different lines are one box. Each
// level is sorted from left to right, the heaviest child of a box first ("left heavy").

import type { Profile, WeightKind, WeightUnit } from './profile.ts';

/** Columns over all boxes. Box 0 is the root; a level's boxes are neighbours, from left to right. */
export interface FlameGraph {
  readonly kind: WeightKind;
  readonly unit: WeightUnit;
  /** Level l holds the boxes `levelStarts[l] … levelStarts[l + 1] - 1`. */
  readonly levelStarts: Uint32Array;
  /** Left and right edge, as shares of the root's width. */
  readonly lefts: Float64Array;
  readonly rights: Float64Array;
  /** Weight of the samples that end in this box, and of all samples that pass through it. */
  readonly selfs: Float64Array;
  readonly totals: Float64Array;
  /** -1 for the root. */
  readonly parents: Int32Array;
  /** Row of the profile's frame table; -1 for the root. */
  readonly frames: Int32Array;
  /** The line of the box's function with the most weight, and that weight; 0 when lines are unknown. */
  readonly hotLines: Uint32Array;
  readonly hotWeights: Float64Array;
  /** Box of each row of the profile's stack table; -1 where this graph gives it no weight. */
  readonly boxOfStack: Int32Array;
}

export interface FlameGraphOptions {
  readonly kind: WeightKind;
  /** Index in `Profile.threads`. Default: all threads together. */
  readonly thread?: number;
}

export function buildFlameGraph(profile: Profile, options: FlameGraphOptions): FlameGraph {
  const { selfs: stackSelfs, rootSelf } = weighStacks(profile, options);
  const tree = mergeStacks(profile, stackSelfs, rootSelf);
  return layOut(profile, options.kind, tree);
}

/** Self weight of each row of the stack table. */
function weighStacks(
  profile: Profile,
  { kind, thread }: FlameGraphOptions,
): { selfs: Float64Array; rootSelf: number } {
  const { stacks, threads, weights } = profile.samples;
  const column = weights[kind];
  const selfs = new Float64Array(profile.stacks.parents.length);
  let rootSelf = 0;
  if (column === undefined) return { selfs, rootSelf };
  for (let row = 0; row < column.length; row++) {
    if (thread !== undefined && threads[row] !== thread) continue;
    const stack = stacks[row]!;
    if (stack < 0) rootSelf += column[row]!;
    else selfs[stack]! += column[row]!;
  }
  return { selfs, rootSelf };
}

/** Boxes in order of appearance, before they are laid out. Box 0 is the root. */
interface MergedTree {
  readonly parents: number[];
  readonly frames: number[];
  readonly selfs: number[];
  readonly totals: number[];
  readonly hotLines: number[];
  readonly hotWeights: number[];
  readonly boxOfStack: Int32Array;
}

function mergeStacks(profile: Profile, stackSelfs: Float64Array, rootSelf: number): MergedTree {
  const { parents, frames, lines } = profile.stacks;
  const stackTotals = sumUpwards(parents, stackSelfs);
  const frameCount = profile.frames.names.length;
  const boxOfStack = new Int32Array(parents.length).fill(-1);
  const boxIds = new Map<number, number>();
  const lineWeights = new Map<number, number>();
  const tree: MergedTree = {
    parents: [-1],
    frames: [-1],
    selfs: [rootSelf],
    totals: [rootSelf],
    hotLines: [0],
    hotWeights: [0],
    boxOfStack,
  };
  for (let stack = 0; stack < parents.length; stack++) {
    const weight = stackTotals[stack]!;
    if (weight === 0) continue;
    const parentBox = parents[stack]! < 0 ? 0 : boxOfStack[parents[stack]!]!;
    const key = parentBox * frameCount + frames[stack]!;
    let box = boxIds.get(key);
    if (box === undefined) {
      box = tree.parents.push(parentBox) - 1;
      tree.frames.push(frames[stack]!);
      tree.selfs.push(0);
      tree.totals.push(0);
      tree.hotLines.push(0);
      tree.hotWeights.push(0);
      boxIds.set(key, box);
    }
    boxOfStack[stack] = box;
    tree.selfs[box]! += stackSelfs[stack]!;
    tree.totals[box]! += weight;
    if (parentBox === 0) tree.totals[0]! += weight;
    addLine(tree, lineWeights, box, lines[stack]!, weight);
  }
  return tree;
}

/** Each row's own weight plus that of all rows below it; a parent comes before its child. */
function sumUpwards(parents: Int32Array, selfs: Float64Array): Float64Array {
  const totals = Float64Array.from(selfs);
  for (let row = parents.length - 1; row >= 0; row--) {
    const parent = parents[row]!;
    if (parent >= 0) totals[parent]! += totals[row]!;
  }
  return totals;
}

function addLine(
  tree: MergedTree,
  weights: Map<number, number>,
  box: number,
  line: number,
  weight: number,
): void {
  if (line === 0) return;
  const key = box * 2 ** 31 + line;
  const sum = (weights.get(key) ?? 0) + weight;
  weights.set(key, sum);
  if (sum > tree.hotWeights[box]!) {
    tree.hotWeights[box] = sum;
    tree.hotLines[box] = line;
  }
}

/** Gives every box its place: level by level, heaviest child first, ties in the order of the names. */
function layOut(profile: Profile, kind: WeightKind, tree: MergedTree): FlameGraph {
  const count = tree.parents.length;
  const order = orderBoxes(profile, tree);
  const placeOf = new Int32Array(count);
  order.boxes.forEach((box, place) => (placeOf[box] = place));
  const rootTotal = tree.totals[0]!;
  const graph = {
    kind,
    unit: profile.meta.unit,
    levelStarts: Uint32Array.from(order.levelStarts),
    lefts: new Float64Array(count),
    rights: new Float64Array(count),
    selfs: new Float64Array(count),
    totals: new Float64Array(count),
    parents: new Int32Array(count),
    frames: new Int32Array(count),
    hotLines: new Uint32Array(count),
    hotWeights: new Float64Array(count),
    boxOfStack: tree.boxOfStack.map((box) => (box < 0 ? -1 : placeOf[box]!)),
  };
  // Where the next child of a box goes: children follow each other from their parent's left edge.
  const nextLeft = new Float64Array(count);
  for (let place = 0; place < count; place++) {
    const box = order.boxes[place]!;
    const parent = tree.parents[box]! < 0 ? -1 : placeOf[tree.parents[box]!]!;
    const left = parent < 0 ? 0 : nextLeft[parent]!;
    const share = rootTotal > 0 ? tree.totals[box]! / rootTotal : 1;
    // Rounding must never push a child over its parent's edge.
    const right = parent < 0 ? 1 : Math.min(left + share, graph.rights[parent]!);
    graph.lefts[place] = left;
    graph.rights[place] = right;
    nextLeft[place] = left;
    if (parent >= 0) nextLeft[parent] = right;
    graph.selfs[place] = tree.selfs[box]!;
    graph.totals[place] = tree.totals[box]!;
    graph.parents[place] = parent;
    graph.frames[place] = tree.frames[box]!;
    graph.hotLines[place] = tree.hotLines[box]!;
    graph.hotWeights[place] = tree.hotWeights[box]!;
  }
  return graph;
}

function orderBoxes(
  profile: Profile,
  tree: MergedTree,
): { boxes: readonly number[]; levelStarts: readonly number[] } {
  const children = childrenOf(tree);
  const names = profile.frames.names;
  const heavierFirst = (a: number, b: number): number =>
    tree.totals[b]! - tree.totals[a]! ||
    compareText(names[tree.frames[a]!]!, names[tree.frames[b]!]!) ||
    tree.frames[a]! - tree.frames[b]!;
  const boxes: number[] = [0];
  const levelStarts = [0];
  for (let start = 0; start < boxes.length;) {
    const end = boxes.length;
    levelStarts.push(end);
    for (let place = start; place < end; place++) {
      for (const child of children(boxes[place]!).sort(heavierFirst)) boxes.push(child);
    }
    start = end;
  }
  return { boxes, levelStarts };
}

/** Children by counting sort: two passes over the boxes instead of a list for each. */
function childrenOf(tree: MergedTree): (box: number) => Uint32Array {
  const count = tree.parents.length;
  const starts = new Uint32Array(count + 1);
  for (let box = 1; box < count; box++) starts[tree.parents[box]! + 1]!++;
  for (let box = 0; box < count; box++) starts[box + 1]! += starts[box]!;
  const next = starts.slice();
  const sorted = new Uint32Array(Math.max(0, count - 1));
  for (let box = 1; box < count; box++) sorted[next[tree.parents[box]!]!++] = box;
  return (box) => sorted.subarray(starts[box], starts[box + 1]);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function boxCount(graph: FlameGraph): number {
  return graph.parents.length;
}

export function levelCount(graph: FlameGraph): number {
  return graph.levelStarts.length - 1;
}

/** The level a box is on; the root is on level 0. */
export function levelOf(graph: FlameGraph, box: number): number {
  let low = 0;
  let high = levelCount(graph) - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (graph.levelStarts[middle]! <= box) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The boxes from the root down to this one. */
export function pathTo(graph: FlameGraph, box: number): readonly number[] {
  const path: number[] = [];
  for (let at = box; at >= 0; at = graph.parents[at]!) path.push(at);
  return path.reverse();
}

/** The first (heaviest) child of a box, or undefined. Its siblings follow it while their parent is the same. */
export function firstChild(graph: FlameGraph, box: number): number | undefined {
  const level = levelOf(graph, box);
  if (level + 1 >= levelCount(graph)) return undefined;
  // Parents of a level are in ascending order, so the children of one box are found by bisection.
  let low = graph.levelStarts[level + 1]!;
  let high = graph.levelStarts[level + 2]!;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (graph.parents[middle]! < box) low = middle + 1;
    else high = middle;
  }
  return graph.parents[low] === box ? low : undefined;
}
