// What both kinds of shell do with a started program: drop what login start-up files printed, and collect
// a short program's output under a deadline and a size limit.

import { Transform, Writable, type Readable } from 'node:stream';
import { UserError } from '../base/errors.ts';
import { withDeadline, abortable } from '../base/async.ts';
import type { ExecOptions, ExecResult, RemoteProcess } from './shell.ts';

/** What a login shell may take until it runs a command. */
export const shellStartTimeoutMs = 15_000;

const keptNoiseBytes = 4 << 10;

export interface MarkedOutput {
  /** What comes after the marker; empty without one. */
  readonly output: Transform;
  /** What the login shell printed before the marker: the last 4 KiB so far. */
  readonly noise: () => string;
  /** False when the output ended without the marker; never rejects. */
  readonly found: Promise<boolean>;
}

/** Drops what login start-up files print. `onBytes` is told of all bytes that arrived. */
export function skipToMarker(
  stream: Readable,
  marker: string,
  onBytes?: (bytes: number) => void,
): MarkedOutput {
  const wanted = Buffer.from(marker, 'latin1');
  let isFound = false;
  let noise: Buffer = Buffer.alloc(0);
  let tell: (isFound: boolean) => void;
  const found = new Promise<boolean>((resolve) => (tell = resolve));
  const skip = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      onBytes?.(chunk.length);
      if (isFound) return done(null, chunk);
      const seen = Buffer.concat([noise, chunk]);
      const at = seen.indexOf(wanted);
      isFound = at >= 0;
      noise = Buffer.from(seen.subarray(0, isFound ? at : seen.length).subarray(-keptNoiseBytes));
      if (!isFound) return done();
      tell(true);
      const rest = seen.subarray(at + wanted.length);
      done(null, rest.length > 0 ? rest : undefined);
    },
  });
  for (const end of ['finish', 'close']) skip.once(end, () => tell(isFound));
  pipeThrough(stream, skip);
  return { output: skip, noise: () => noise.toString('utf8'), found };
}

/**
 * Of a program that has ended, output is waited for this long after the last byte: what its login shell's start-up
 * files left running in the background holds it open.
 */
const heldOpenMs = 1_000;

/** What a program prints after its marker. `close` closes its channel, `onBytes` is told of all that arrived. */
export function programOutput(
  program: Pick<RemoteProcess, 'stdout' | 'stderr' | 'exited'>,
  marker: string,
  close: () => void,
  onBytes?: (bytes: number) => void,
): Required<Pick<RemoteProcess, 'stdout' | 'stderr' | 'noise'>> {
  let lastByteAt = 0;
  const onArrival = (bytes: number): void => {
    lastByteAt = performance.now();
    onBytes?.(bytes);
  };
  const stdout = skipToMarker(program.stdout, marker, onArrival);
  const stderr = skipToMarker(program.stderr, marker, onArrival);
  const closeWhenHeldOpen = (): void => {
    lastByteAt = performance.now();
    const timer = setInterval(() => {
      const open = [stdout, stderr].filter(({ output }) => !output.writableEnded);
      if (open.length === 0) clearInterval(timer);
      // While nobody reads, more may be on its way.
      else if (open.some(({ output }) => output.readableLength > 0)) lastByteAt = performance.now();
      else if (performance.now() - lastByteAt >= heldOpenMs) close();
    }, heldOpenMs / 4);
    timer.unref();
  };
  void program.exited.then(closeWhenHeldOpen);
  const noise = (): string => stdout.noise() + stderr.noise();
  return { stdout: stdout.output, stderr: stderr.output, noise };
}

/** A pipe that also ends when the stream is closed before its end (a lost connection), or readers would hang. */
function pipeThrough(stream: Readable, next: Transform): Readable {
  stream.once('error', (error) => next.destroy(error));
  stream.once('close', () => {
    if (!next.writableEnded) next.end();
  });
  return stream.pipe(next);
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
