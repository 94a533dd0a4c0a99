// Boxes of one level → one row of pixels. A level may hold a hundred thousand boxes and a row has a
// few thousand pixels: what is narrower than a pixel is skipped in leaps, so a row costs what it
// shows.

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

/**
 * The first box of a level whose right edge lies beyond `at`; the level's end when there is none.
 */
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
  const toPixel = (at: number): number => Math.round((at - view.left) * scale);
  let box = firstBeyond(graph, level, view.left);
  let painted = 0;
  while (box < end && painted < width && lefts[box]! < view.right) {
    const from = Math.max(painted, toPixel(lefts[box]!));
    const to = Math.min(width, toPixel(rights[box]!));
    if (to - from >= minWidth) {
      paintBox(row, from, to - style.gap, style.fill(box), style.edge);
      if (to - from >= style.minSpan) onSpan({ box, level, from, to });
      painted = to;
      box++;
      continue;
    }
    // Too narrow for a gap: one pixel (or two) for everything that is seen there, so that nothing
    // is drawn over and a box that a search found is never hidden by its neighbour.
    painted = Math.max(to, from + 1);
    const edge = painted >= width ? view.right : view.left + (painted - 0.5) / scale;
    const beyond = gallop(rights, box, end, edge);
    const straddles =
      beyond < end && lefts[beyond]! < edge && toPixel(rights[beyond]!) - painted < minWidth;
    const next = Math.max(box + 1, straddles ? beyond + 1 : beyond);
    if (from < width) row.fill(style.fillRun(box, next), from, Math.min(width, painted));
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
