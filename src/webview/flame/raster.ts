// Boxes of one level → one row of pixels. A level may hold a hundred thousand boxes and a row has a few
// thousand pixels: what is narrower than a pixel is skipped in leaps, so a row costs what it shows.

import type { FlameGraph } from '../../profile/flameGraph.ts';
import type { Viewport } from './viewport.ts';

/** A box that is wide enough to be told apart on a row, in device pixels. */
export interface Span {
  readonly box: number;
  readonly level: number;
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

export interface RowStyle {
  /** Colour of a box, as a pixel of ImageData. */
  readonly fill: (box: number) => number;
  /** Colour of the boxes `from … to - 1`, which share one pixel. */
  readonly fillRun: (from: number, to: number) => number;
  /** Colour of a box's outermost pixels; undefined for no outline. */
  readonly edge: number | undefined;
  /** Empty pixels after a box. */
  readonly gap: number;
  /** Boxes from this width on are reported as spans. */
  readonly minSpan: number;
}

/** The first box of a level whose right edge lies beyond `at`; the level's end when there is none. */
export function firstBeyond(graph: FlameGraph, level: number, at: number): number {
  return bisect(graph.rights, graph.levelStarts[level]!, graph.levelStarts[level + 1]!, at);
}

function bisect(rights: Float64Array, low: number, high: number, at: number): number {
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rights[middle]! > at) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** As `bisect`, for an answer that is likely near: leaps of 1, 2, 4 … boxes first. */
function gallop(rights: Float64Array, start: number, end: number, at: number): number {
  let leap = 1;
  let low = start;
  while (low + leap < end && rights[low + leap]! <= at) {
    low += leap;
    leap *= 2;
  }
  return bisect(rights, low, Math.min(end, low + leap + 1), at);
}

/** Paints the visible boxes of a level into `row`; pixels without a box keep their value. */
export function paintLevel(
  row: Uint32Array,
  graph: FlameGraph,
  level: number,
  view: Viewport,
  style: RowStyle,
  onSpan: (span: Span) => void,
): void {
  const width = row.length;
  const { lefts, rights } = graph;
  const end = graph.levelStarts[level + 1]!;
  const scale = width / (view.right - view.left);
  const minWidth = style.gap + 2;
  let box = firstBeyond(graph, level, view.left);
  while (box < end && lefts[box]! < view.right) {
    const from = Math.max(0, Math.round((lefts[box]! - view.left) * scale));
    const to = Math.min(width, Math.round((rights[box]! - view.left) * scale));
    if (to - from >= minWidth) {
      paintBox(row, from, to - style.gap, style.fill(box), style.edge);
      if (to - from >= style.minSpan) onSpan({ box, level, from, to });
      box++;
      continue;
    }
    // Everything that ends within this pixel is drawn as one.
    const pixelEnd = view.left + (Math.max(to, from + 1) - 0.5) / scale;
    const next = Math.max(box + 1, gallop(rights, box, end, pixelEnd));
    if (from < width) {
      row.fill(style.fillRun(box, next), from, Math.min(width, Math.max(to, from + 1)));
    }
    box = next;
  }
}

function paintBox(
  row: Uint32Array,
  from: number,
  to: number,
  colour: number,
  edge: number | undefined,
): void {
  row.fill(colour, from, to);
  if (edge === undefined) return;
  row[from] = edge;
  row[to - 1] = edge;
}

/** The box at a place of a level, or undefined between boxes. */
export function boxAt(graph: FlameGraph, level: number, at: number): number | undefined {
  if (level < 0 || level >= graph.levelStarts.length - 1) return undefined;
  const box = firstBeyond(graph, level, at);
  return box < graph.levelStarts[level + 1]! && graph.lefts[box]! <= at ? box : undefined;
}
