// What both kinds of shell do with a started program: drop what login start-up files printed, and collect
// a short program's output under a deadline and a size limit.

import { constants } from 'node:os';
import { Transform, Writable, type Readable } from 'node:stream';
import { UserError } from '../base/errors.ts';
import { withDeadline, abortable } from '../base/async.ts';
import type { ExecOptions, ExecResult, ProcessExit, RemoteProcess } from './shell.ts';

/** Noise before the marker beyond this size means that no POSIX sh answers on this node. */
const maxNoiseBytes = 1 << 20;
const keptNoiseBytes = 4 << 10;

export interface ProgramOutput {
  /** What comes after the marker; empty without one. */
  readonly stdout: Readable;
  /** What the login shell printed before the program: the last 4 KiB so far. */
  readonly noise: () => string;
}

/** Drops what login start-up files print. `onBytes` is told of all bytes that arrived. */
export function skipToMarker(
  stream: Readable,
  marker: string,
  onBytes?: (bytes: number) => void,
): ProgramOutput {
  const wanted = Buffer.from(marker, 'latin1');
  let seen: Buffer | undefined = Buffer.alloc(0);
  let noise: Buffer = Buffer.alloc(0);
  const skip = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      onBytes?.(chunk.length);
      if (seen === undefined) return done(null, chunk);
      seen = Buffer.concat([seen, chunk]);
      const at = seen.indexOf(wanted);
      noise = seen.subarray(0, at < 0 ? seen.length : at).subarray(-keptNoiseBytes);
      if (at >= 0) {
        const rest = seen.subarray(at + wanted.length);
        seen = undefined;
        return done(null, rest.length > 0 ? rest : undefined);
      }
      if (seen.length > maxNoiseBytes) seen = seen.subarray(-wanted.length);
      done();
    },
  });
  return { stdout: pipeThrough(stream, skip), noise: () => noise.toString('utf8') };
}

/** A pipe that also ends when the stream is closed before its end (a lost connection), or readers would hang. */
function pipeThrough(stream: Readable, next: Transform): Readable {
  stream.once('error', (error) => next.destroy(error));
  stream.once('close', () => {
    if (!next.writableEnded) next.end();
  });
  return stream.pipe(next);
}

/**
 * Takes the line out of a program's stderr in which its sh tells how it ended (`reportExit` of command.ts).
 * `exit` is undefined until that line was seen, for good when the connection was lost before.
 */
export function readExit(
  stream: Readable,
  marker: string,
  onBytes?: (bytes: number) => void,
): {
  readonly stderr: Readable;
  readonly exit: () => ProcessExit | undefined;
  /** Resolves when all of the stream was seen. */
  readonly seen: Promise<void>;
} {
  const start = Buffer.from(marker.replace('\n', ' '), 'latin1');
  let exit: ProcessExit | undefined;
  let held: Buffer = Buffer.alloc(0);
  const take = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      onBytes?.(chunk.length);
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      const at = exit === undefined ? held.indexOf(start) : -1;
      const end = at < 0 ? -1 : held.indexOf(10, at);
      if (end >= 0) {
        exit = exitOf(Number(held.toString('latin1', at + start.length, end)));
        this.push(held.subarray(0, at));
        held = held.subarray(end + 1);
      }
      // From a record separator on it may become the line; program output hardly ever has one.
      const keepFrom = exit === undefined ? held.lastIndexOf(start[0]!) : -1;
      const isPossible = keepFrom >= 0 && held.length - keepFrom <= start.length + 4;
      const ready = isPossible ? held.subarray(0, keepFrom) : held;
      held = isPossible ? held.subarray(keepFrom) : Buffer.alloc(0);
      done(null, ready.length > 0 ? ready : undefined);
    },
    flush(done) {
      done(null, held.length > 0 ? held : undefined);
    },
  });
  const seen = new Promise<void>((resolve) => take.once('finish', resolve).once('close', resolve));
  return { stderr: pipeThrough(stream, take), exit: () => exit, seen };
}

/** sh's `$?` in words: more than 128 is a signal. */
function exitOf(status: number): ProcessExit {
  const signal = Object.entries(constants.signals).find(([, number]) => number === status - 128);
  return signal === undefined
    ? { exitCode: status, signal: undefined }
    : { exitCode: undefined, signal: signal[0] };
}

/** Passes on what is written and tells how many bytes went. */
export function countWrites(inner: Writable, onBytes: (bytes: number) => void): Writable {
  const counted = new Writable({
    write(chunk: Buffer, encoding, done) {
      onBytes(chunk.length);
      if (inner.destroyed || inner.writableEnded) return done();
      inner.write(chunk, encoding, () => done());
    },
    final(done) {
      inner.end();
      done();
    },
    destroy(error, done) {
      if (!inner.writableEnded) inner.end();
      done(error);
    },
  });
  inner.on('error', (error) => counted.destroy(error));
  return counted;
}

/** The bytes as they come, counted. */
export function countReads(stream: Readable, onBytes: (bytes: number) => void): Readable {
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      onBytes(chunk.length);
      done(null, chunk);
    },
  });
  return pipeThrough(stream, count);
}

const defaultTimeoutMs = 30_000;
const defaultMaxOutputBytes = 64 << 20;
const maxStderrBytes = 64 << 10;

/** Runs a started program to its end. `where` names the node in errors. */
export async function collect(
  program: RemoteProcess,
  options: ExecOptions,
  where: string,
  signal?: AbortSignal,
): Promise<ExecResult> {
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  const maxOutputBytes = options.maxOutputBytes ?? defaultMaxOutputBytes;
  program.stdin.on('error', () => {
    // The program may end without reading its input; its exit says what happened.
  });
  program.stdin.end(options.stdin ?? '');
  const work = async (): Promise<ExecResult> => {
    const [stdout, stderr, exit] = await Promise.all([
      readAll(program.stdout, maxOutputBytes, () => tooMuchOutput(where, maxOutputBytes)),
      readHead(program.stderr, maxStderrBytes),
      program.exited,
    ]);
    return { stdout, stderr: stderr.toString('utf8'), noise: program.noise?.() ?? '', ...exit };
  };
  try {
    return await withDeadline(abortable(work(), signal), timeoutMs, () =>
      timedOut(where, timeoutMs),
    );
  } finally {
    program.dispose();
  }
}

async function readAll(stream: Readable, limit: number, tooMuch: () => Error): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > limit) throw tooMuch();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** The first bytes; the rest is read and dropped, since an unread stderr stalls the program (P-26). */
async function readHead(stream: Readable, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (length < limit) chunks.push(chunk.subarray(0, limit - length));
    length += chunk.length;
  }
  return Buffer.concat(chunks);
}

function tooMuchOutput(where: string, limit: number): UserError {
  return new UserError(
    'node.tooMuchOutput',
    `A command on ${where} printed more than ${Math.round(limit / 2 ** 20)} MiB and was stopped.`,
  );
}

function timedOut(where: string, timeoutMs: number): UserError {
  return new UserError(
    'node.timeout',
    `A command on ${where} did not end within ${timeoutMs / 1000} s and was stopped.`,
    { hint: 'The node may be overloaded: look at its load, then try again.' },
  );
}
