// Text → the frames it is found in, and what share of the graph that is.

import type { FlameGraph } from '../../profile/flameGraph.ts';
import type { FrameTable } from '../../profile/profile.ts';

export interface SearchResult {
  readonly text: string;
  /** By frame: 1 when it was found. */
  readonly frames: Uint8Array;
  /** Functions that were found and have weight in the graph. */
  readonly functionCount: number;
  /** Found boxes, the heaviest first. */
  readonly boxes: readonly number[];
  /** Weight under found boxes, each sample counted once, as a share of the graph's weight. */
  readonly share: number;
  /** foundBefore[b]: found boxes before box b. A run of boxes holds one when the ends differ. */
  readonly foundBefore: Uint32Array;
}

/** Frames whose name or file holds the text, whatever the case. Undefined for an empty text. */
export function search(
  frames: FrameTable,
  graph: FlameGraph,
  text: string,
): SearchResult | undefined {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return undefined;
  const found = new Uint8Array(frames.names.length);
  frames.names.forEach((name, frame) => {
    const isFound =
      name.toLowerCase().includes(wanted) || frames.files[frame]!.toLowerCase().includes(wanted);
    if (isFound) found[frame] = 1;
  });
  return { text: wanted, frames: found, ...weighFound(graph, found) };
}

function weighFound(
  graph: FlameGraph,
  found: Uint8Array,
): Pick<SearchResult, 'functionCount' | 'boxes' | 'share' | 'foundBefore'> {
  const count = graph.parents.length;
  const isCovered = new Uint8Array(count);
  const foundBefore = new Uint32Array(count + 1);
  const boxes: number[] = [];
  const functions = new Set<number>();
  let weight = 0;
  // Parents come before their children, so whether an ancestor was found is known in time.
  for (let box = 0; box < count; box++) {
    const frame = graph.frames[box]!;
    const isFound = frame >= 0 && found[frame] === 1;
    const isBelowFound = box > 0 && isCovered[graph.parents[box]!] === 1;
    if (isFound || isBelowFound) isCovered[box] = 1;
    foundBefore[box + 1] = foundBefore[box]! + (isFound ? 1 : 0);
    if (!isFound) continue;
    boxes.push(box);
    functions.add(frame);
    if (!isBelowFound) weight += graph.totals[box]!;
  }
  boxes.sort((a, b) => graph.totals[b]! - graph.totals[a]! || a - b);
  const all = graph.totals[0]!;
  return { functionCount: functions.size, boxes, share: all > 0 ? weight / all : 0, foundBefore };
}
