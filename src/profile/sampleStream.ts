// The sampler's lines → rows of a profile. Everything comes from a node, so everything is checked:
// a line that makes no sense is counted and skipped, and never stops the rest.
//
//   {"type":"meta", …}                                            first
//   {"type":"frame","id":0,"name":"settle","file":"/srv/…","line":12}
//   {"type":"stack","id":0,"frames":[[0,14]],"thread":"MainThread"} outermost call first
//   {"type":"counts","t":1000,"stacks":[[0,49,31]]}           stack, samples, of these on a processor
//   {"type":"end","samples":490,"missed":0,"torn":2,"seconds":10,"samplerCpuSeconds":0.3,
//    "rateGot":49,"reason":"done"}

import { skippedNote } from './notes.ts';
import type { Call, ProfileBuilder } from './profile.ts';

/** The sampler's own account of its work. */
export interface SamplerEnd {
  readonly missed: number;
  readonly torn: number;
  readonly seconds: number;
  readonly samplerCpuSeconds: number | undefined;
  readonly rateGot: number | undefined;
  /** True when the process ended before its time was over. */
  readonly hasTargetEnded: boolean;
}

interface KnownStack {
  readonly stack: number;
  readonly thread: number;
}

type Message = Readonly<Record<string, unknown>>;

export class SampleStream {
  private readonly builder: ProfileBuilder;
  private readonly cwd: string | undefined;
  private readonly frames = new Map<number, number>();
  private readonly stacks = new Map<number, KnownStack>();
  private readonly ownNotes: string[] = [];
  private badLines = 0;

  /** Samples taken so far, over all threads. */
  samples = 0;
  /** Time of the last counts, since the start. */
  elapsedMs = 0;
  end: SamplerEnd | undefined;

  /**
   * `cwd` is the process's directory: what a relative path of a source file most likely starts
   * from.
   */
  constructor(builder: ProfileBuilder, cwd?: string) {
    this.builder = builder;
    this.cwd = cwd;
  }

  get notes(): readonly string[] {
    return [...this.ownNotes, ...skippedNote(this.badLines, 'line of the sampler')];
  }

  note(sentence: string): void {
    this.ownNotes.push(sentence);
  }

  read(line: string): void {
    const message = parseObject(line);
    if (message === undefined || !this.take(message)) this.badLines++;
  }

  private take(message: Message): boolean {
    switch (message['type']) {
      case 'meta':
        return this.readMeta(message);
      case 'frame':
        return this.readFrame(message);
      case 'stack':
        return this.readStack(message);
      case 'counts':
        return this.readCounts(message);
      case 'end':
        return this.readEnd(message);
      default:
        return false;
    }
  }

  private readFrame(message: Message): boolean {
    const { id, name, file, line } = message;
    if (!isIndex(id) || typeof name !== 'string') return false;
    this.frames.set(
      id,
      this.builder.frame({
        name,
        file: typeof file === 'string' ? this.absolute(file) : '',
        line: typeof line === 'number' ? line : 0,
      }),
    );
    return true;
  }

  private absolute(file: string): string {
    const isRelative = /^[^/<]/.test(file);
    return isRelative && this.cwd !== undefined ? `${this.cwd}/${file}` : file;
  }

  private readStack(message: Message): boolean {
    const { id, frames, thread } = message;
    if (!isIndex(id) || !Array.isArray(frames)) return false;
    const calls: Call[] = [];
    for (const call of frames as readonly unknown[]) {
      const [frameId, line] = Array.isArray(call) ? (call as readonly unknown[]) : [];
      const frame = typeof frameId === 'number' ? this.frames.get(frameId) : undefined;
      if (frame === undefined) return false;
      calls.push([frame, typeof line === 'number' ? line : 0]);
    }
    this.stacks.set(id, {
      stack: this.builder.stack(calls),
      thread: this.builder.thread(typeof thread === 'string' ? thread : ''),
    });
    return true;
  }

  private readCounts(message: Message): boolean {
    const { t, stacks } = message;
    if (!isAmount(t) || !Array.isArray(stacks)) return false;
    let isSound = true;
    for (const row of stacks as readonly unknown[]) {
      const [id, samples, onCpu] = Array.isArray(row) ? (row as readonly unknown[]) : [];
      const known = typeof id === 'number' ? this.stacks.get(id) : undefined;
      if (known === undefined || !isIndex(samples) || !isIndex(onCpu) || onCpu > samples) {
        isSound = false;
        continue;
      }
      this.builder.sample({ timeMs: t, ...known, wall: samples, cpu: onCpu });
      this.samples += samples;
    }
    this.elapsedMs = t;
    return isSound;
  }

  private readEnd(message: Message): boolean {
    const { missed, torn, seconds, samplerCpuSeconds, rateGot, reason } = message;
    if (!isAmount(seconds)) return false;
    this.end = {
      missed: isIndex(missed) ? missed : 0,
      torn: isIndex(torn) ? torn : 0,
      seconds,
      samplerCpuSeconds: isAmount(samplerCpuSeconds) ? samplerCpuSeconds : undefined,
      rateGot: isAmount(rateGot) ? rateGot : undefined,
      hasTargetEnded: reason === 'target exited',
    };
    return true;
  }

  /** The head says what the sampler found; its notes are passed on to the reader of the profile. */
  private readMeta(message: Message): boolean {
    const notes = Array.isArray(message['notes']) ? (message['notes'] as readonly unknown[]) : [];
    for (const note of notes.slice(0, 20)) {
      if (typeof note === 'string') this.note(note.slice(0, 500));
    }
    return true;
  }
}

function parseObject(line: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Message) : undefined;
  } catch {
    return undefined; // Counted by the caller as a line that makes no sense.
  }
}

/** A whole number a counter or an id can be. */
function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** A finite number from 0 on. */
function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}
