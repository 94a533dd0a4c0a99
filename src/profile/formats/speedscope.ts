// speedscope's own file format, `.speedscope.json`:
// https://www.speedscope.app/file-format-schema.json and src/lib/file-format-spec.ts of
// jlfwong/speedscope.
//
// One profile of the file is one thread in one kind of weight. Its name says both: "MainThread
// (cpu)".

import {
  measuredKinds,
  ProfileBuilder,
  type Profile,
  type WeightKind,
  type WeightUnit,
} from '../profile.ts';
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

const schema = 'https://www.speedscope.app/file-format-schema.json';
const exporter = 'faultline';
const format = 'speedscope';

/** `preferred` is the kind of weight that is shown first. */
export function writeSpeedscope(profile: Profile, preferred: WeightKind): string {
  const kinds = [...measuredKinds(profile)].sort((a) => (a === preferred ? -1 : 1));
  const profiles = kinds.flatMap((kind) =>
    profile.threads.flatMap((_, thread) => sampledProfile(profile, kind, thread) ?? []),
  );
  const heaviest = profiles
    .filter((candidate) => candidate.name.endsWith(`(${preferred})`))
    .reduce((best, next) => (next.endValue > (best?.endValue ?? 0) ? next : best), profiles[0]);
  const { node, pid, command } = profile.meta;
  return JSON.stringify({
    $schema: schema,
    name: [command, node === '' ? '' : `on ${node}`, pid === undefined ? '' : `(pid ${pid})`]
      .filter((part) => part !== '')
      .join(' '),
    activeProfileIndex: heaviest === undefined ? 0 : profiles.indexOf(heaviest),
    exporter,
    shared: {
      frames: profile.frames.names.map((name, row) => ({
        name,
        ...(profile.frames.files[row] === '' ? {} : { file: profile.frames.files[row] }),
        ...(profile.frames.lines[row] === 0 ? {} : { line: profile.frames.lines[row] }),
      })),
    },
    profiles,
  });
}

interface SampledProfile {
  readonly type: 'sampled';
  readonly name: string;
  readonly unit: string;
  readonly startValue: number;
  readonly endValue: number;
  readonly samples: readonly (readonly number[])[];
  readonly weights: readonly number[];
}

function sampledProfile(
  profile: Profile,
  kind: WeightKind,
  thread: number,
): SampledProfile | undefined {
  const column = profile.samples.weights[kind] ?? new Float64Array();
  const samples: (readonly number[])[] = [];
  const weights: number[] = [];
  column.forEach((weight, row) => {
    if (weight <= 0 || profile.samples.threads[row] !== thread) return;
    samples.push(framesOf(profile, profile.samples.stacks[row]!));
    weights.push(weight);
  });
  if (samples.length === 0) return undefined;
  return {
    type: 'sampled',
    name: `${profile.threads[thread]} (${kind})`,
    unit: profile.meta.unit === 'samples' ? 'none' : profile.meta.unit,
    startValue: 0,
    endValue: weights.reduce((sum, weight) => sum + weight, 0),
    samples,
    weights,
  };
}

/** Outermost first. */
function framesOf(profile: Profile, stack: number): readonly number[] {
  const frames: number[] = [];
  for (let at = stack; at >= 0; at = profile.stacks.parents[at]!) {
    frames.push(profile.stacks.frames[at]!);
  }
  return frames.reverse();
}

export interface ReadSpeedscopeOptions {
  /** The kind of weight of profiles whose name does not say. Default: `wall`. */
  readonly kind?: WeightKind;
  /**
   * What a frame's `line` is: the function's first line (the format's meaning), or the line being
   * executed (as py-spy writes it). Default: `function`.
   */
  readonly frameLines?: 'function' | 'position';
  /** When given, times become counts of samples taken at this rate. */
  readonly unitPerSecond?: number;
}

/** How many of our units one of theirs is. */
const units: ReadonlyMap<string, readonly [WeightUnit, number]> = new Map([
  ['none', ['samples', 1]],
  ['nanoseconds', ['milliseconds', 1e-6]],
  ['microseconds', ['milliseconds', 1e-3]],
  ['milliseconds', ['milliseconds', 1]],
  ['seconds', ['milliseconds', 1e3]],
  ['bytes', ['bytes', 1]],
]);

export function readSpeedscope(text: string, options: ReadSpeedscopeOptions = {}): Profile {
  const file = parseJsonObject(format, text);
  const shared = isObject(file['shared']) ? file['shared'] : {};
  const frames = asArray(shared['frames']);
  const profiles = asArray(file['profiles'])?.filter(isObject);
  if (frames === undefined || profiles === undefined) {
    throw badProfile(format, 'it has no frames or no profiles');
  }
  const reader = new SpeedscopeReader(frames, asText(file['exporter']) === exporter, options);
  const active = profiles[asNumber(file['activeProfileIndex'], 0)] ?? profiles[0];
  const unit = units.get(asText(active?.['unit']))?.[0] ?? 'samples';
  const ofUnit = profiles.filter((profile) => unitOf(profile)[0] === unit);
  for (const profile of ofUnit) reader.read(profile);
  return reader.build(unit, asText(file['name']), profiles.length - ofUnit.length);
}

function unitOf(profile: JsonObject): readonly [WeightUnit, number] {
  return units.get(asText(profile['unit'])) ?? ['samples', 1];
}

class SpeedscopeReader {
  private readonly builder = new ProfileBuilder();
  private readonly calls: readonly (readonly [number, number])[];
  private readonly isOurs: boolean;
  private readonly options: ReadSpeedscopeOptions;
  private skipped = 0;
  private longestMs = 0;

  constructor(frames: readonly unknown[], isOurs: boolean, options: ReadSpeedscopeOptions) {
    this.isOurs = isOurs;
    this.options = options;
    this.calls = frames.map((frame) => this.readFrame(isObject(frame) ? frame : {}));
  }

  read(profile: JsonObject): void {
    const { thread, kind } = this.identify(asText(profile['name']));
    const [unit, factor] = unitOf(profile);
    const scale = this.scale(unit) * factor;
    const add = (timeMs: number, stack: number, weight: number): void => {
      if (weight > 0) {
        this.builder.sample({ timeMs, stack, thread, [kind]: roundSamples(unit, weight * scale) });
      }
    };
    if (profile['type'] === 'sampled') this.readSampled(profile, factor, add);
    else if (profile['type'] === 'evented') this.readEvented(profile, factor, add);
    else this.skipped++;
  }

  build(unit: WeightUnit, name: string, otherUnits: number): Profile {
    return this.builder.build(
      importedMeta({
        format,
        unit: this.options.unitPerSecond === undefined ? unit : 'samples',
        command: name,
        durationMs: unit === 'milliseconds' ? this.longestMs : 0,
        notes: [
          ...skippedNote(this.skipped, 'sample'),
          ...(otherUnits > 0
            ? [`${otherUnits} profiles of the file count something else and were left out.`]
            : []),
        ],
      }),
    );
  }

  private readFrame(frame: JsonObject): readonly [number, number] {
    const line = asNumber(frame['line'], 0);
    const isPosition = this.options.frameLines === 'position';
    const row = this.builder.frame({
      name: asText(frame['name']),
      file: asText(frame['file']),
      line: isPosition ? 0 : line,
    });
    return [row, isPosition ? line : 0];
  }

  private scale(unit: WeightUnit): number {
    const { unitPerSecond } = this.options;
    return unitPerSecond === undefined || unit !== 'milliseconds' ? 1 : unitPerSecond / 1000;
  }

  /**
   * `MainThread (cpu)` → thread and kind, when we wrote the file; py-spy's `Thread 12 "name"` →
   * name.
   */
  private identify(name: string): { thread: number; kind: WeightKind } {
    const kind = this.isOurs
      ? (['cpu', 'wall'] as const).find((k) => name.endsWith(` (${k})`))
      : undefined;
    const bare = kind === undefined ? name : name.slice(0, -(kind.length + 3));
    const quoted = /^(?:Process \d+ )?Thread [0-9a-fx]+ "(.*)"$/i.exec(bare);
    return {
      thread: this.builder.thread(quoted?.[1] ?? bare),
      kind: kind ?? this.options.kind ?? 'wall',
    };
  }

  private readSampled(
    profile: JsonObject,
    factor: number,
    add: (timeMs: number, stack: number, weight: number) => void,
  ): void {
    const samples = asArray(profile['samples']) ?? [];
    const weights = asArray(profile['weights']) ?? [];
    let time = 0;
    samples.forEach((sample, row) => {
      const stack = this.stackOf(asArray(sample));
      const weight = asNumber(weights[row], -1);
      if (stack === undefined || weight < 0) {
        this.skipped++;
        return;
      }
      add(time * factor, stack, weight);
      time += weight;
    });
    this.longestMs = Math.max(this.longestMs, time * factor);
  }

  private stackOf(frames: readonly unknown[] | undefined): number | undefined {
    if (frames === undefined) return undefined;
    let stack = -1;
    for (const frame of frames) {
      const call = typeof frame === 'number' ? this.calls[frame] : undefined;
      if (call === undefined) return undefined;
      stack = this.builder.push(stack, call);
    }
    return stack;
  }

  /** Opens and closes of frames: between two events the open frames are the stack. */
  private readEvented(
    profile: JsonObject,
    factor: number,
    add: (timeMs: number, stack: number, weight: number) => void,
  ): void {
    const open: { readonly frame: number; readonly stack: number }[] = [];
    const start = asNumber(profile['startValue'], 0);
    let last = start;
    for (const event of asArray(profile['events']) ?? []) {
      const { type, at, frame } = isObject(event) ? event : {};
      const time = asNumber(at, last);
      const call = typeof frame === 'number' ? this.calls[frame] : undefined;
      const top = open.at(-1);
      const isClose = type === 'C' && top !== undefined && top.frame === frame;
      if (call === undefined || time < last || !(type === 'O' || isClose)) {
        this.skipped++;
        continue;
      }
      add((last - start) * factor, top?.stack ?? -1, top === undefined ? 0 : time - last);
      last = time;
      if (isClose) open.pop();
      else {
        open.push({ frame: frame as number, stack: this.builder.push(top?.stack ?? -1, call) });
      }
    }
    this.longestMs = Math.max(this.longestMs, (last - start) * factor);
  }
}

/** Counts are whole: 0.02 s at 50 Hz is 1 sample and not 0.9999. */
function roundSamples(unit: WeightUnit, weight: number): number {
  return unit === 'milliseconds' && Math.abs(weight - Math.round(weight)) < 1e-6
    ? Math.round(weight)
    : weight;
}
