// Samples → Profile. A profile is columns of numbers: frames and stacks are interned, a stack is a
// path in a prefix tree, a sample is a row of (time, stack, thread, weights). Once built it never
// changes.

import type { EpochMs } from '../base/time.ts';
import { clipName, soundFrame, soundLine, type Frame } from './frame.ts';

/**
 * What a weight counts: `wall` every sample of a thread, also a waiting one; `cpu` only those taken
 * while the thread was on a processor.
 */
export type WeightKind = 'cpu' | 'wall';

export const weightKinds: readonly WeightKind[] = ['cpu', 'wall'];

export type WeightUnit = 'samples' | 'milliseconds' | 'bytes';

/** What took the samples, why it was chosen, and what it cost the node. */
export interface SamplerInfo {
  readonly name: string;
  /** One sentence: why this sampler, or where the profile was read from. */
  readonly reason: string;
  /**
   * Processor time the sampler itself used on the node, in seconds; undefined when it was not
   * measured.
   */
  readonly cpuSeconds: number | undefined;
}

export interface ProfileMeta {
  /** Name of the node; '' for a profile read from a file. */
  readonly node: string;
  readonly pid: number | undefined;
  /** The program in short (no arguments that may hold secrets), e.g. `python3 -m shop.worker`. */
  readonly command: string;
  /** By our clock; undefined when a file does not say. */
  readonly startedAt: EpochMs | undefined;
  readonly durationMs: number;
  readonly unit: WeightUnit;
  readonly rateAskedHz: number | undefined;
  readonly rateGotHz: number | undefined;
  readonly sampler: SamplerInfo;
  /** Samples that were due and could not be taken. */
  readonly missed: number;
  /** Samples thrown away because the stack changed while it was read. */
  readonly torn: number;
  /** What the reader of the profile should know, one sentence each. */
  readonly notes: readonly string[];
}

/** Row i is frame i. */
export interface FrameTable {
  readonly names: readonly string[];
  /** '' when unknown. */
  readonly files: readonly string[];
  /** First line of the function, 0 when unknown. */
  readonly lines: Uint32Array;
}

/**
 * A prefix tree: row i is the stack of row `parents[i]` plus one more call. A parent comes before
 * its child.
 */
export interface StackTable {
  /** -1 for an outermost call. */
  readonly parents: Int32Array;
  readonly frames: Uint32Array;
  /** The line that was being executed in that frame, 0 when unknown. */
  readonly lines: Uint32Array;
}

export interface SampleTable {
  /** Milliseconds since the profile's start. */
  readonly times: Float64Array;
  /** Row of the stack table; -1 for a sample without a stack. */
  readonly stacks: Int32Array;
  /** Index in `Profile.threads`. */
  readonly threads: Uint32Array;
  /** One column for each kind of weight that was measured. */
  readonly weights: Readonly<Partial<Record<WeightKind, Float64Array>>>;
}

export interface Profile {
  readonly meta: ProfileMeta;
  readonly frames: FrameTable;
  readonly stacks: StackTable;
  readonly threads: readonly string[];
  readonly samples: SampleTable;
}

/**
 * How large a profile may become: what a node or a file holds beyond this is folded together and
 * said.
 */
export interface ProfileLimits {
  readonly frames: number;
  readonly stacks: number;
  readonly depth: number;
  readonly threads: number;
  readonly samples: number;
}

export const defaultLimits: ProfileLimits = {
  frames: 200_000,
  stacks: 2_000_000,
  depth: 2_000,
  threads: 10_000,
  samples: 5_000_000,
};

/** One call of a stack: the frame's index and the line being executed there (0 when unknown). */
export type Call = readonly [frame: number, line: number];

export interface Sample {
  readonly timeMs: number;
  /** As `ProfileBuilder.stack` gave it; -1 for none. */
  readonly stack: number;
  readonly thread: number;
  readonly wall?: number;
  readonly cpu?: number;
}

/**
 * Collects samples and gives the finished profile. Frames, stacks and threads are interned as they
 * come.
 */
export class ProfileBuilder {
  private readonly limits: ProfileLimits;
  private readonly frameIds = new Map<string, number>();
  private readonly frameRows: Frame[] = [];
  private readonly stackIds = new Map<number, number[]>();
  private readonly parents: number[] = [];
  private readonly stackFrames: number[] = [];
  private readonly stackLines: number[] = [];
  private readonly depths: number[] = [];
  private readonly threadIds = new Map<string, number>();
  private readonly times: number[] = [];
  private readonly sampleStacks: number[] = [];
  private readonly sampleThreads: number[] = [];
  private readonly weights: Record<WeightKind, number[]> = { cpu: [], wall: [] };
  private readonly measured = new Set<WeightKind>();
  private foldedFrames = 0;
  private cutStacks = 0;
  private droppedSamples = 0;

  constructor(limits: ProfileLimits = defaultLimits) {
    this.limits = limits;
  }

  frame(frame: Frame): number {
    const sound = soundFrame(frame);
    const key = `${sound.line}\n${sound.file}\n${sound.name}`;
    const known = this.frameIds.get(key);
    if (known !== undefined) return known;
    if (this.frameRows.length >= this.limits.frames) {
      this.foldedFrames++;
      return this.otherFrames();
    }
    const id = this.frameRows.push(sound) - 1;
    this.frameIds.set(key, id);
    return id;
  }

  /**
   * The stack of these calls, outermost first; -1 for none. Calls deeper than the limit are left
   * out.
   */
  stack(calls: readonly Call[]): number {
    let stack = -1;
    for (const call of calls) stack = this.push(stack, call);
    return stack;
  }

  /** The stack `parent` (-1: none) with one more call. */
  push(parent: number, [frame, line]: Call): number {
    const known = this.findChild(parent, frame, soundLine(line));
    if (known !== undefined) return known;
    const depth = parent < 0 ? 1 : this.depths[parent]! + 1;
    if (depth > this.limits.depth || this.parents.length >= this.limits.stacks) {
      this.cutStacks++;
      return parent;
    }
    const id = this.parents.push(parent) - 1;
    this.stackFrames.push(frame);
    this.stackLines.push(soundLine(line));
    this.depths.push(depth);
    const key = childKey(parent, frame);
    const siblings = this.stackIds.get(key);
    if (siblings === undefined) this.stackIds.set(key, [id]);
    else siblings.push(id);
    return id;
  }

  thread(name: string): number {
    const kept = clipName(name === '' ? '(unnamed)' : name);
    const known = this.threadIds.get(kept);
    if (known !== undefined) return known;
    if (this.threadIds.size >= this.limits.threads) return this.threadIds.size - 1;
    this.threadIds.set(kept, this.threadIds.size);
    return this.threadIds.size - 1;
  }

  sample(sample: Sample): void {
    if (this.times.length >= this.limits.samples) {
      this.droppedSamples++;
      return;
    }
    this.times.push(soundAmount(sample.timeMs));
    this.sampleStacks.push(sample.stack);
    this.sampleThreads.push(sample.thread);
    for (const kind of weightKinds) {
      if (sample[kind] !== undefined) this.measured.add(kind);
      this.weights[kind].push(soundAmount(sample[kind] ?? 0));
    }
  }

  get sampleCount(): number {
    return this.times.length;
  }

  build(meta: ProfileMeta): Profile {
    const weights: Partial<Record<WeightKind, Float64Array>> = {};
    for (const kind of this.measured) weights[kind] = Float64Array.from(this.weights[kind]);
    return Object.freeze({
      meta: Object.freeze({
        ...meta,
        durationMs: soundAmount(meta.durationMs),
        notes: Object.freeze([...meta.notes, ...this.ownNotes()]),
        sampler: Object.freeze({ ...meta.sampler }),
      }),
      frames: Object.freeze({
        names: Object.freeze(this.frameRows.map((frame) => frame.name)),
        files: Object.freeze(this.frameRows.map((frame) => frame.file)),
        lines: Uint32Array.from(this.frameRows, (frame) => frame.line),
      }),
      stacks: Object.freeze({
        parents: Int32Array.from(this.parents),
        frames: Uint32Array.from(this.stackFrames),
        lines: Uint32Array.from(this.stackLines),
      }),
      threads: Object.freeze([...this.threadIds.keys()]),
      samples: Object.freeze({
        times: Float64Array.from(this.times),
        stacks: Int32Array.from(this.sampleStacks),
        threads: Uint32Array.from(this.sampleThreads),
        weights: Object.freeze(weights),
      }),
    });
  }

  private findChild(parent: number, frame: number, line: number): number | undefined {
    return this.stackIds
      .get(childKey(parent, frame))
      ?.find((candidate) => this.stackLines[candidate] === line);
  }

  /** The one frame that stands for all functions beyond the limit. */
  private otherFrames(): number {
    const key = 'other';
    let id = this.frameIds.get(key);
    if (id === undefined) {
      id = this.frameRows.push({ name: '(other functions)', file: '', line: 0 }) - 1;
      this.frameIds.set(key, id);
    }
    return id;
  }

  private ownNotes(): string[] {
    const notes: string[] = [];
    if (this.foldedFrames > 0) {
      notes.push(
        `The profile holds more than ${this.limits.frames} functions: ` +
          'the rest is shown as "(other functions)".',
      );
    }
    if (this.cutStacks > 0) {
      notes.push(
        `Stacks deeper than ${this.limits.depth} calls, ` +
          `or beyond ${this.limits.stacks} in number, were cut short.`,
      );
    }
    if (this.droppedSamples > 0) {
      notes.push(`${this.droppedSamples} samples beyond ${this.limits.samples} were dropped.`);
    }
    return notes;
  }
}

/** An amount whose sums stay finite: what is none counts as 0. */
function soundAmount(value: number): number {
  return value >= 0 ? Math.min(value, Number.MAX_SAFE_INTEGER) : 0;
}

/** One number for (parent, frame): both are below 2^26, so the product stays an exact integer. */
function childKey(parent: number, frame: number): number {
  return (parent + 1) * 2 ** 26 + frame;
}

/** The kinds of weight this profile was measured in. */
export function measuredKinds(profile: Profile): readonly WeightKind[] {
  return weightKinds.filter((kind) => profile.samples.weights[kind] !== undefined);
}

export function totalWeight(profile: Profile, kind: WeightKind): number {
  return (profile.samples.weights[kind] ?? new Float64Array()).reduce((sum, w) => sum + w, 0);
}

/**
 * What a reader wants to see first: where the processor's time went, or, when no sample was taken
 * on a processor, where the program waited.
 */
export function defaultKind(profile: Profile): WeightKind {
  return totalWeight(profile, 'cpu') > 0 || profile.samples.weights.wall === undefined
    ? 'cpu'
    : 'wall';
}
