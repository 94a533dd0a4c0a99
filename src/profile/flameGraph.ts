// Profile → boxes in 0..1. No pixels and no colours: those belong to whoever draws.
//
//   samples      main main main main        boxes   level 0  |-------- all ---------|
//   (columns)    run  run  run  poll                level 1  |-------- main --------|
//                sum  parse sum                     level 2  |----- run -----| poll |
//                                                   level 3  | sum    |parse |
//
// Stacks are merged by (parent box, frame), so calls of one function from different lines are one
// box. Each level is sorted from left to right, the heaviest child of a box first ("left heavy").

import type { Profile, WeightKind, WeightUnit } from './profile.ts';

/**
 * Columns over all boxes. Box 0 is the root; a level's boxes are neighbours, from left to right.
 */
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
  /** Box of each row of the profile's stack table; -1 where this graph gives it no weight. */
  readonly boxOfStack: Int32Array;
  /** Weight of each row of the profile's stack table, that of the rows below it included. */
  readonly stackTotals: Float64Array;
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
  readonly count: number;
  readonly parents: Int32Array;
  readonly frames: Int32Array;
  readonly selfs: Float64Array;
  readonly totals: Float64Array;
  readonly boxOfStack: Int32Array;
  readonly stackTotals: Float64Array;
}

function mergeStacks(profile: Profile, stackSelfs: Float64Array, rootSelf: number): MergedTree {
  const { parents: stackParents, frames: stackFrames } = profile.stacks;
  const stackTotals = sumUpwards(stackParents, stackSelfs);
  const most = stackParents.length + 1;
  const parents = new Int32Array(most).fill(-1, 0, 1);
  const frames = new Int32Array(most).fill(-1, 0, 1);
  const selfs = new Float64Array(most).fill(rootSelf, 0, 1);
  const totals = new Float64Array(most).fill(rootSelf, 0, 1);
  const boxOfStack = new Int32Array(most - 1).fill(-1);
  // Open addressing over (parent box, frame), at most half full: a Map is five times slower here,
  // and this is what a change of thread or kind waits for. A slot holds a box; 0, the root, is
  // nobody's child.
  const slots = new Int32Array(2 ** Math.ceil(Math.log2(most * 2)));
  let count = 1;
  for (let stack = 0; stack < stackParents.length; stack++) {
    const weight = stackTotals[stack]!;
    if (weight === 0) continue;
    const parent = stackParents[stack]! < 0 ? 0 : boxOfStack[stackParents[stack]!]!;
    const frame = stackFrames[stack]!;
    let slot = slotOf(parent, frame, slots.length);
    let box = slots[slot]!;
    while (box !== 0 && (parents[box] !== parent || frames[box] !== frame)) {
      slot = (slot + 1) & (slots.length - 1);
      box = slots[slot]!;
    }
    if (box === 0) {
      box = count++;
      slots[slot] = box;
      parents[box] = parent;
      frames[box] = frame;
    }
    boxOfStack[stack] = box;
    selfs[box]! += stackSelfs[stack]!;
    totals[box]! += weight;
    if (parent === 0) totals[0]! += weight;
  }
  return { count, parents, frames, selfs, totals, boxOfStack, stackTotals };
}

function slotOf(parent: number, frame: number, slotCount: number): number {
  const mixed = Math.imul(parent, 0x9e3779b1) ^ Math.imul(frame, 0x85ebca6b);
  return (mixed ^ (mixed >>> 15)) & (slotCount - 1);
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

/**
 * Gives every box its place: level by level, heaviest child first, ties in the order of the names.
 */
function layOut(profile: Profile, kind: WeightKind, tree: MergedTree): FlameGraph {
  const { count } = tree;
  const order = orderBoxes(profile, tree);
  const placeOf = new Int32Array(count);
  for (let place = 0; place < count; place++) placeOf[order.boxes[place]!] = place;
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
    boxOfStack: tree.boxOfStack.map((box) => (box < 0 ? -1 : placeOf[box]!)),
    stackTotals: tree.stackTotals,
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
  }
  return graph;
}

function orderBoxes(
  profile: Profile,
  tree: MergedTree,
): { boxes: Uint32Array; levelStarts: readonly number[] } {
  const { starts, sorted } = sortByParent(tree);
  const names = profile.frames.names;
  const heavierFirst = (a: number, b: number): number =>
    tree.totals[b]! - tree.totals[a]! ||
    compareText(names[tree.frames[a]!]!, names[tree.frames[b]!]!) ||
    tree.frames[a]! - tree.frames[b]!;
  const boxes = new Uint32Array(tree.count);
  const levelStarts = [0];
  let end = 1;
  for (let start = 0; start < end;) {
    const levelEnd = end;
    levelStarts.push(levelEnd);
    for (let place = start; place < levelEnd; place++) {
      const from = starts[boxes[place]!]!;
      const to = starts[boxes[place]! + 1]!;
      if (to - from > 1) sorted.subarray(from, to).sort(heavierFirst);
      for (let at = from; at < to; at++) boxes[end++] = sorted[at]!;
    }
    start = levelEnd;
  }
  return { boxes, levelStarts };
}

/**
 * Counting sort by parent: the children of box b are `sorted[starts[b]] … sorted[starts[b + 1] -
 * 1]`.
 */
function sortByParent({ count, parents }: MergedTree): {
  starts: Uint32Array;
  sorted: Uint32Array;
} {
  const starts = new Uint32Array(count + 1);
  for (let box = 1; box < count; box++) starts[parents[box]! + 1]!++;
  for (let box = 0; box < count; box++) starts[box + 1]! += starts[box]!;
  const next = starts.slice();
  const sorted = new Uint32Array(Math.max(0, count - 1));
  for (let box = 1; box < count; box++) sorted[next[parents[box]!]!++] = box;
  return { starts, sorted };
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

/**
 * The first (heaviest) child of a box, or undefined. Its siblings follow it while their parent is
 * the same.
 */
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

/** The line with the most weight in a box. */
export interface HotLine {
  /** 0 when no line is known. */
  readonly line: number;
  readonly weight: number;
}

/** Where in its function a box spends its time. Looks at every stack: for a box at a time. */
export function hotLine(profile: Profile, graph: FlameGraph, box: number): HotLine {
  const weights = new Map<number, number>();
  let hottest: HotLine = { line: 0, weight: 0 };
  for (let stack = 0; stack < graph.boxOfStack.length; stack++) {
    if (graph.boxOfStack[stack] !== box) continue;
    const line = profile.stacks.lines[stack]!;
    if (line === 0) continue;
    const weight = (weights.get(line) ?? 0) + graph.stackTotals[stack]!;
    weights.set(line, weight);
    if (weight > hottest.weight) hottest = { line, weight };
  }
  return hottest;
}
