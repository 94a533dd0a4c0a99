// A profile as the page looks at it: one kind of weight, one thread or all, and what a search
// found.

import { toDisplay } from '../../base/displayText.ts';
import {
  buildFlameGraph,
  hotLine,
  type FlameGraph,
  type HotLine,
} from '../../profile/flameGraph.ts';
import { weighFunctions, type FunctionWeight } from '../../profile/functions.ts';
import type { Profile, WeightKind } from '../../profile/profile.ts';
import { baseName } from './format.ts';
import { colourIndex } from './palette.ts';

/** Longest name that is written anywhere on the page. */
const maxShownName = 500;

/** Texts and colours of frames, made when they are first asked for. */
export class FrameTexts {
  private readonly profile: Profile;
  private readonly names: (string | undefined)[] = [];
  private readonly files: (string | undefined)[] = [];
  private readonly bases: (string | undefined)[] = [];
  /** Palette index by frame. */
  readonly colours: Uint16Array;

  constructor(profile: Profile) {
    this.profile = profile;
    const { names, files } = profile.frames;
    this.colours = Uint16Array.from(names, (name, frame) => colourIndex(name, files[frame]!));
  }

  /** The function's name, made safe to show. */
  name(frame: number): string {
    if (frame < 0) return 'all';
    return (this.names[frame] ??= toDisplay(this.profile.frames.names[frame]!, maxShownName));
  }

  /** The file's path, made safe to show; '' when unknown. */
  file(frame: number): string {
    if (frame < 0) return '';
    return (this.files[frame] ??= toDisplay(this.profile.frames.files[frame]!, maxShownName));
  }

  /** The file's name without its folders. */
  base(frame: number): string {
    if (frame < 0) return '';
    return (this.bases[frame] ??= baseName(this.file(frame)));
  }
}

/** Everything the page derives from (profile, kind, thread). */
export class FlameModel {
  readonly profile: Profile;
  readonly texts: FrameTexts;
  readonly kind: WeightKind;
  /** Index of the thread, or undefined for all. */
  readonly thread: number | undefined;
  readonly graph: FlameGraph;
  private functionWeights: readonly FunctionWeight[] | undefined;
  private readonly hotLines = new Map<number, HotLine>();

  constructor(profile: Profile, texts: FrameTexts, kind: WeightKind, thread: number | undefined) {
    this.profile = profile;
    this.texts = texts;
    this.kind = kind;
    this.thread = thread;
    this.graph = buildFlameGraph(profile, thread === undefined ? { kind } : { kind, thread });
  }

  get total(): number {
    return this.graph.totals[0]!;
  }

  get functions(): readonly FunctionWeight[] {
    return (this.functionWeights ??= weighFunctions(this.graph));
  }

  hotLine(box: number): HotLine {
    let line = this.hotLines.get(box);
    if (line === undefined) {
      line = hotLine(this.profile, this.graph, box);
      this.hotLines.set(box, line);
    }
    return line;
  }

  share(weight: number): number {
    return this.total > 0 ? weight / this.total : 0;
  }

  /**
   * Where a box's source is: its hottest line, else the function's first. Undefined for code
   * without a file.
   */
  sourceOf(box: number): { readonly file: string; readonly line: number } | undefined {
    const frame = this.graph.frames[box]!;
    const file = frame < 0 ? '' : this.profile.frames.files[frame]!;
    if (file === '' || file.startsWith('<')) return undefined;
    const line = this.hotLine(box).line || this.profile.frames.lines[frame]!;
    return { file, line: Math.max(1, line) };
  }

  /**
   * How long this weight lasted, in ms, as far as the rate tells; undefined for weights that are no
   * counts.
   */
  durationMs(weight: number): number | undefined {
    const { unit, rateGotHz } = this.profile.meta;
    return unit === 'samples' && rateGotHz !== undefined && rateGotHz > 0
      ? (weight / rateGotHz) * 1000
      : undefined;
  }
}

/** Threads with their weight in one kind, heaviest first. */
export function weighThreads(
  profile: Profile,
  kind: WeightKind,
): readonly { readonly thread: number; readonly weight: number }[] {
  const sums = new Float64Array(profile.threads.length);
  (profile.samples.weights[kind] ?? new Float64Array()).forEach((weight, row) => {
    sums[profile.samples.threads[row]!]! += weight;
  });
  return [...sums]
    .map((weight, thread) => ({ thread, weight }))
    .sort((a, b) => b.weight - a.weight || a.thread - b.thread);
}
