// V8's `.cpuprofile`, which Chrome's DevTools and VS Code open: type Profiler.Profile of
// https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile
//
// It has one time line: threads are merged. A sample lasts until the next one, so what we count in
// samples is written as time at the measured rate. Both shapes are read: the flat one (`nodes`) and
// the old one (`head`, with nested children), which py2devtools writes.

import { UserError } from '../../base/errors.ts';
import { boxCount, buildFlameGraph, type FlameGraph } from '../flameGraph.ts';
import { ProfileBuilder, type Profile, type WeightKind } from '../profile.ts';
import { skippedNote } from '../notes.ts';
import {
  asArray,
  asNumber,
  asText,
  badProfile,
  importedMeta,
  isObject,
  parseJsonObject,
  type JsonObject,
} from './imported.ts';

const format = 'cpuprofile';

export function writeCpuprofile(profile: Profile, kind: WeightKind): string {
  const graph = buildFlameGraph(profile, { kind });
  const microsecondsEach = microsecondsPerUnit(profile);
  const { samples, timeDeltas } = timeLine(profile, kind, graph, microsecondsEach);
  const startTime = Math.round((profile.meta.startedAt ?? 0) * 1000);
  return JSON.stringify({
    nodes: writeNodes(profile, kind, graph),
    startTime,
    endTime: startTime + timeDeltas.reduce((sum, delta) => sum + delta, 0),
    samples,
    timeDeltas,
  });
}

function microsecondsPerUnit({ meta }: Profile): number {
  if (meta.unit === 'milliseconds') return 1000;
  const rateHz = meta.rateGotHz ?? meta.rateAskedHz;
  if (meta.unit === 'bytes') {
    throw new UserError(
      'profile.notTime',
      'A .cpuprofile holds time, and this profile counts bytes.',
      {
        hint: 'Write .folded or .speedscope.json.',
      },
    );
  }
  // Without a rate a sample has no length: a millisecond keeps the proportions, which is all there
  // is.
  return rateHz === undefined || rateHz <= 0 ? 1000 : 1e6 / rateHz;
}

/** Node ids are box numbers plus one. */
function writeNodes(profile: Profile, kind: WeightKind, graph: FlameGraph): unknown[] {
  const hits = countHits(profile, kind, graph);
  const children: number[][] = Array.from({ length: boxCount(graph) }, () => []);
  for (let box = 1; box < boxCount(graph); box++) children[graph.parents[box]!]!.push(box + 1);
  return children.map((ids, box) => {
    const ticks = [...(hits.get(box) ?? [])].map(([line, count]) => ({ line, ticks: count }));
    const lines = ticks.filter(({ line }) => line > 0);
    return {
      id: box + 1,
      callFrame: callFrame(profile, graph.frames[box]!),
      hitCount: ticks.reduce((sum, tick) => sum + tick.ticks, 0),
      ...(ids.length > 0 ? { children: ids } : {}),
      ...(lines.length > 0 ? { positionTicks: lines } : {}),
    };
  });
}

/** Lines count from 0 in a call frame, and from 1 in position ticks. */
function callFrame({ frames }: Profile, row: number): object {
  if (row < 0) {
    return { functionName: '(root)', scriptId: '0', url: '', lineNumber: -1, columnNumber: -1 };
  }
  return {
    functionName: frames.names[row],
    scriptId: '0',
    url: frames.files[row],
    lineNumber: frames.lines[row]! - 1,
    columnNumber: -1,
  };
}

/** For each box the number of samples that ended in it, by the line being executed (0: unknown). */
function countHits(
  profile: Profile,
  kind: WeightKind,
  graph: FlameGraph,
): ReadonlyMap<number, ReadonlyMap<number, number>> {
  const hits = new Map<number, Map<number, number>>();
  (profile.samples.weights[kind] ?? new Float64Array()).forEach((weight, row) => {
    if (weight <= 0) return;
    const stack = profile.samples.stacks[row]!;
    const box = stack < 0 ? 0 : graph.boxOfStack[stack]!;
    const line = stack < 0 ? 0 : profile.stacks.lines[stack]!;
    const count = profile.meta.unit === 'samples' ? Math.round(weight) : 1;
    const lines = hits.get(box) ?? new Map<number, number>();
    hits.set(box, lines.set(line, (lines.get(line) ?? 0) + count));
  });
  return hits;
}

/**
 * A sample lasts until the next one begins, so its weight is the delta after it; a closing sample
 * of the root ends the last one.
 */
function timeLine(
  profile: Profile,
  kind: WeightKind,
  graph: FlameGraph,
  microsecondsEach: number,
): { samples: number[]; timeDeltas: number[] } {
  const samples: number[] = [];
  const timeDeltas = [0];
  // Deltas are whole microseconds: the rounding error is carried on, so that sums stay true.
  let exact = 0;
  let written = 0;
  (profile.samples.weights[kind] ?? new Float64Array()).forEach((weight, row) => {
    if (weight <= 0) return;
    const stack = profile.samples.stacks[row]!;
    samples.push((stack < 0 ? 0 : graph.boxOfStack[stack]!) + 1);
    exact += weight * microsecondsEach;
    const delta = Math.round(exact) - written;
    written += delta;
    timeDeltas.push(delta);
  });
  samples.push(1);
  return { samples, timeDeltas };
}

export function readCpuprofile(text: string): Profile {
  const file = parseJsonObject(format, text);
  const nodes = isObject(file['head']) ? flattenHead(file['head']) : readNodes(file['nodes']);
  if (nodes === undefined) throw badProfile(format, 'it has no nodes');
  const builder = new ProfileBuilder();
  const stackOf = new StackFinder(builder, nodes);
  const thread = builder.thread('all threads');
  const scale = isObject(file['head']) ? 1e6 : 1;
  const startTime = asNumber(file['startTime'], 0) * scale;
  const deltas = readDeltas(file, startTime, asNumber(file['endTime'], 0) * scale);
  const samples = asArray(file['samples']) ?? [];
  let skipped = 0;
  let timeMs = 0;
  samples.forEach((id, row) => {
    const stack = stackOf.find(id);
    const weight = (deltas[row] ?? 0) / 1000;
    if (stack === undefined || weight < 0) skipped++;
    else if (weight > 0) builder.sample({ timeMs, stack, thread, wall: weight });
    timeMs += Math.max(0, weight);
  });
  return builder.build(
    importedMeta({
      format,
      unit: 'milliseconds',
      durationMs: timeMs,
      notes: [...skippedNote(skipped, 'sample'), ...stackOf.notes],
    }),
  );
}

/** How long each sample lasts, in microseconds. Without times in the file all last equally long. */
function readDeltas(file: JsonObject, startTime: number, endTime: number): readonly number[] {
  const samples = asArray(file['samples']) ?? [];
  const times = asArray(file['timestamps'])?.map((time) => asNumber(time, 0));
  const deltas = asArray(file['timeDeltas']);
  if (times === undefined && deltas === undefined) {
    return samples.map(() => Math.max(0, endTime - startTime) / samples.length);
  }
  const starts = times ?? accumulate(deltas ?? [], startTime);
  return starts.map((start, row) => (starts[row + 1] ?? Math.max(start, endTime)) - start);
}

/** When each sample was taken; the first delta is relative to the start. */
function accumulate(deltas: readonly unknown[], startTime: number): readonly number[] {
  let time = startTime;
  return deltas.map((delta) => (time += asNumber(delta, 0)));
}

interface FlatNode {
  readonly callFrame: JsonObject;
  readonly parent: number | undefined;
}

type FlatNodes = ReadonlyMap<number, FlatNode>;

function readNodes(value: unknown): FlatNodes | undefined {
  const nodes = asArray(value)?.filter(isObject);
  if (nodes === undefined) return undefined;
  const parents = new Map<number, number>();
  for (const node of nodes) {
    const id = asNumber(node['id'], undefined);
    for (const child of asArray(node['children']) ?? []) {
      if (typeof child === 'number' && id !== undefined) parents.set(child, id);
    }
  }
  const flat = new Map<number, FlatNode>();
  for (const node of nodes) {
    const id = asNumber(node['id'], undefined);
    if (id === undefined) continue;
    flat.set(id, {
      callFrame: isObject(node['callFrame']) ? node['callFrame'] : {},
      // Some writers give each node its parent instead of its children.
      parent: parents.get(id) ?? asNumber(node['parent'], undefined),
    });
  }
  return flat;
}

/** The old shape: nodes nest, and carry their call frame's fields themselves. */
function flattenHead(head: JsonObject): FlatNodes {
  const flat = new Map<number, FlatNode>();
  const work: { node: JsonObject; parent: number | undefined }[] = [
    { node: head, parent: undefined },
  ];
  for (let at = work.pop(); at !== undefined; at = work.pop()) {
    const id = asNumber(at.node['id'], flat.size + 1);
    if (flat.has(id)) continue;
    flat.set(id, { callFrame: at.node, parent: at.parent });
    for (const child of asArray(at.node['children']) ?? []) {
      if (isObject(child)) work.push({ node: child, parent: id });
    }
  }
  return flat;
}

/** Node id → row of the stack table, following parents; cycles and unknown ids give undefined. */
class StackFinder {
  private readonly builder: ProfileBuilder;
  private readonly nodes: FlatNodes;
  private readonly found = new Map<number, number>();
  private hasCycle = false;

  constructor(builder: ProfileBuilder, nodes: FlatNodes) {
    this.builder = builder;
    this.nodes = nodes;
  }

  get notes(): readonly string[] {
    return this.hasCycle ? ['Some of its nodes are their own parents; they were left out.'] : [];
  }

  find(id: unknown): number | undefined {
    if (typeof id !== 'number' || !this.nodes.has(id)) return undefined;
    const path: number[] = [];
    const seen = new Set<number>();
    let at: number | undefined = id;
    for (; at !== undefined && !this.found.has(at); at = this.nodes.get(at)?.parent) {
      if (seen.has(at)) {
        this.hasCycle = true;
        return undefined;
      }
      seen.add(at);
      path.push(at);
    }
    let stack = at === undefined ? -1 : this.found.get(at)!;
    for (const nodeId of path.reverse()) {
      stack = this.push(stack, this.nodes.get(nodeId));
      this.found.set(nodeId, stack);
    }
    return stack;
  }

  /** The root is a node in the file and none in a stack. */
  private push(stack: number, node: FlatNode | undefined): number {
    const frame = node?.callFrame ?? {};
    const name = asText(frame['functionName']);
    if (name === '(root)' && node?.parent === undefined) return stack;
    const line = asNumber(frame['lineNumber'], -1) + 1;
    return this.builder.push(stack, [
      this.builder.frame({ name, file: pathOf(asText(frame['url'])), line }),
      0,
    ]);
  }
}

/** `file:///srv/app.py` → `/srv/app.py`; anything else stays as it is. */
function pathOf(url: string): string {
  if (!url.startsWith('file:///')) return url;
  try {
    return decodeURIComponent(url.slice('file://'.length));
  } catch {
    return url; // A stray % in a path: the text itself is the best name there is.
  }
}
