// What the probe's launcher and recorder say themselves on a program's stderr, told apart from what the program says.

import { Transform, type TransformCallback } from 'node:stream';
import { toDisplay } from '../base/displayText.ts';

const linePrefix = Buffer.from('faultline: ', 'latin1');
const maxOwnLineBytes = 8 << 10;
const runLine = /^faultline: run (r-[\w.-]{1,78})\r?\n?$/;

export interface LauncherLinesOptions {
  /** What is not as planned, e.g. a limit that could not be set. Safe to show. */
  readonly onNote: (note: string) => void;
  /** True under the recorder, which names the run it has written; other programs may say the same words. */
  readonly isRecorded?: boolean;
}

/** Passes stderr on as it comes, but for the launcher's and the recorder's own lines. */
export class LauncherLines extends Transform {
  /** Why the program was not started. */
  refusal: string | undefined;
  /** Id of the recorded run: the last one named, as the recorder speaks last. */
  runId: string | undefined;
  private readonly options: LauncherLinesOptions;
  /** The start of a line that may turn out to be the launcher's. */
  private held: Buffer = Buffer.alloc(0);
  private isAtLineStart = true;

  constructor(options: LauncherLinesOptions) {
    super();
    this.options = options;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let rest = this.held.length === 0 ? chunk : Buffer.concat([this.held, chunk]);
    this.held = Buffer.alloc(0);
    while (rest.length > 0) {
      const newline = rest.indexOf(0x0a);
      const line = newline < 0 ? rest : rest.subarray(0, newline + 1);
      if (this.isAtLineStart && newline < 0 && mayBecomeOwn(line)) {
        this.held = Buffer.from(line);
        break;
      }
      const isWhole = this.isAtLineStart && newline >= 0;
      if (!isWhole || !this.isOwn(line)) this.push(line);
      this.isAtLineStart = newline >= 0;
      rest = rest.subarray(line.length);
    }
    done();
  }

  override _flush(done: TransformCallback): void {
    if (this.held.length > 0 && !this.isOwn(this.held)) this.push(this.held);
    done();
  }

  /** Whether the line was one of the launcher's; it is then told. */
  private isOwn(line: Buffer): boolean {
    const words = line.toString('utf8');
    const run = this.options.isRecorded === true ? runLine.exec(words) : null;
    if (run !== null) {
      this.runId = run[1];
      return true;
    }
    const [, kind, text] = /^faultline: (note|cannot start): (.*)/.exec(words) ?? [];
    if (kind === undefined || text === undefined) return false;
    const shown = toDisplay(text.replace(/\.$/, ''), 1000);
    if (kind === 'note') this.options.onNote(shown);
    else this.refusal = shown;
    return true;
  }
}

/** A prompt has no line end and must not wait; only what looks like the launcher's line does. */
function mayBecomeOwn(start: Buffer): boolean {
  const length = Math.min(start.length, linePrefix.length);
  return (
    start.length <= maxOwnLineBytes &&
    start.subarray(0, length).equals(linePrefix.subarray(0, length))
  );
}
