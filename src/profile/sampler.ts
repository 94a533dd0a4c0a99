// Shell + pid → Profile. The probe's sampler reads the process's memory from outside, at a fixed
// rate, for a fixed time; where it cannot, py-spy does, if the node has it. Everything a node
// answers is checked here.

import { abortable, withDeadline } from '../base/async.ts';
import { toDisplay } from '../base/displayText.ts';
import { UserError } from '../base/errors.ts';
import { splitLines, type Line } from '../base/lines.ts';
import { pythonProgram } from '../probe/python.ts';
import type { RemoteProcess, Shell } from '../remote/shell.ts';
import { readSpeedscope } from './formats/speedscope.ts';
import { kindOf, readProcessFacts, shortCommand, type ProcessFacts } from './processes.ts';
import { ProfileBuilder, type Profile, type ProfileMeta } from './profile.ts';
import { SampleStream, type SamplerEnd } from './sampleStream.ts';

export interface SampleTarget {
  /** Name of the node, for the profile's head and for errors. */
  readonly node: string;
  readonly pid: number;
  /** How long, in seconds: above 0, at most `maxSeconds`. */
  readonly seconds: number;
  /** Samples a second asked for: above 0, at most `maxRateHz`. */
  readonly rateHz: number;
}

export interface SampleProgress {
  readonly elapsedMs: number;
  readonly samples: number;
}

export interface SampleOptions {
  readonly onProgress?: (progress: SampleProgress) => void;
}

export const maxSeconds = 3600;
export const maxRateHz = 1000;
export const defaultSeconds = 10;
/**
 * Not a divisor of anything that runs at round rates, so periodic work is not always hit or always
 * missed.
 */
export const defaultRateHz = 49;

/** More output than this from a sampler is a node that misbehaves. */
const maxOutputBytes = 256 << 20;
/** How long beyond the asked time a sampler may take, to start and to end. */
const graceMs = 30_000;
const maxErrorBytes = 16 << 10;

/**
 * Samples a process for some seconds. UserErrors: `profile.noProcess`, `profile.notPython`,
 * `profile.otherUser`, `profile.cannotSample` (with what to do), `profile.badTarget`.
 */
export async function sampleProcess(
  shell: Shell,
  target: SampleTarget,
  options: SampleOptions = {},
  signal?: AbortSignal,
): Promise<Profile> {
  checkTarget(target);
  const facts = await readProcessFacts(shell, target.pid, signal);
  checkFacts(target, facts);
  const attempt: Attempt = { shell, target, facts, options, signal };
  if (kindOf(facts.exe ?? '') !== 'python') {
    return sampleWithPySpy(attempt, 'the program carries Python in a library');
  }
  try {
    return await sampleWithProbe(attempt);
  } catch (error) {
    if (!(error instanceof CannotSample)) throw error;
    return sampleWithPySpy(attempt, error.message);
  }
}

interface Attempt {
  readonly shell: Shell;
  readonly target: SampleTarget;
  readonly facts: ProcessFacts;
  readonly options: SampleOptions;
  readonly signal: AbortSignal | undefined;
}

/** A sampler that said it cannot; the message is its sentence. The next sampler is tried. */
class CannotSample extends Error {}

function checkTarget({ pid, seconds, rateHz }: SampleTarget): void {
  const problem = !(Number.isInteger(pid) && pid > 0 && pid < 2 ** 31)
    ? 'A process id is a whole number above 0.'
    : !(seconds > 0 && seconds <= maxSeconds)
      ? `Seconds must be above 0 and at most ${maxSeconds}.`
      : !(rateHz > 0 && rateHz <= maxRateHz)
        ? `The rate must be above 0 and at most ${maxRateHz} samples a second.`
        : undefined;
  if (problem !== undefined) throw new UserError('profile.badTarget', problem);
}

function checkFacts({ node, pid }: SampleTarget, facts: ProcessFacts): void {
  if (!facts.exists) {
    throw new UserError('profile.noProcess', `There is no process ${pid} on ${node}.`, {
      hint: 'It may have ended, or started again under another number.',
    });
  }
  const isOtherUser = facts.uid !== undefined && facts.ownUid !== 0 && facts.uid !== facts.ownUid;
  if (facts.exe === undefined && isOtherUser) {
    throw new UserError(
      'profile.otherUser',
      `Process ${pid} on ${node} belongs to another user (uid ${facts.uid}), so it cannot be read.`,
      { hint: 'Connect to the node as that user or as root.' },
    );
  }
  if (facts.exe !== undefined && kindOf(facts.exe) !== 'python' && !facts.embedsPython) {
    throw new UserError(
      'profile.notPython',
      `Process ${pid} on ${node} is not a Python process: it runs ${toDisplay(facts.exe, 200)}.`,
      { hint: 'Faultline samples Python programs for now.' },
    );
  }
}

async function sampleWithProbe(attempt: Attempt): Promise<Profile> {
  const { shell, target, signal } = attempt;
  const { pid, seconds, rateHz } = target;
  const startedAt = Date.now();
  const program = pythonProgram('python/sampler.py', {
    python: `/proc/${pid}/exe`,
    title: 'Sample a process',
  });
  const sampler = await shell.start(program.command, {}, signal);
  try {
    const stderr = readTail(sampler.stderr, maxErrorBytes);
    ignoreBrokenPipe(sampler);
    sampler.stdin.write(program.input);
    // Stdin stays open: for the sampler its end means that nobody waits for the answer any more.
    sampler.stdin.write(`${JSON.stringify({ pid, rateHz, seconds })}\n`);
    const builder = new ProfileBuilder();
    const stream = new SampleStream(builder, attempt.facts.cwd);
    await withDeadline(
      readSamples(sampler, stream, attempt.options),
      seconds * 1000 + graceMs,
      () => samplerTimedOut(target),
      () => sampler.dispose(),
    );
    signal?.throwIfAborted();
    sampler.stdin.end();
    const exit = await withDeadline(sampler.exited, graceMs, () => samplerTimedOut(target));
    if (stream.end === undefined && stream.samples === 0) {
      throw new CannotSample(explainEnd(await stderr, exit.exitCode, exit.signal));
    }
    return builder.build(probeMeta(attempt, stream, startedAt));
  } finally {
    sampler.dispose();
  }
}

async function readSamples(
  sampler: RemoteProcess,
  stream: SampleStream,
  options: SampleOptions,
): Promise<void> {
  let bytes = 0;
  for await (const line of splitLines(sampler.stdout as AsyncIterable<Buffer>)) {
    bytes += line.text.length + line.droppedBytes;
    if (bytes > maxOutputBytes) {
      stream.note('The sampler sent more than 256 MiB and was stopped.');
      return;
    }
    const wasCounts = readLine(stream, line);
    if (wasCounts) {
      options.onProgress?.({ elapsedMs: stream.elapsedMs, samples: stream.samples });
    }
    if (stream.end !== undefined) return;
  }
}

/** True when the line brought new samples. */
function readLine(stream: SampleStream, line: Line): boolean {
  const before = stream.elapsedMs;
  stream.read(line.text);
  return stream.elapsedMs !== before;
}

function probeMeta(
  { target, facts }: Attempt,
  stream: SampleStream,
  startedAt: number,
): ProfileMeta {
  const end = stream.end;
  const durationMs = end === undefined ? stream.elapsedMs : end.seconds * 1000;
  return {
    node: target.node,
    pid: target.pid,
    command: shortCommand(facts.argv),
    startedAt,
    durationMs,
    unit: 'samples',
    rateAskedHz: target.rateHz,
    rateGotHz: end?.rateGot ?? undefined,
    sampler: {
      name: 'faultline-probe',
      reason: "Reads the process's memory from outside; the process is never stopped.",
      cpuSeconds: end?.samplerCpuSeconds,
    },
    missed: end?.missed ?? 0,
    torn: end?.torn ?? 0,
    notes: [...stream.notes, ...endNotes(target, end, durationMs)],
  };
}

function endNotes(
  { seconds }: SampleTarget,
  end: SamplerEnd | undefined,
  durationMs: number,
): string[] {
  const got = (durationMs / 1000).toFixed(1);
  if (end === undefined) {
    return [`The connection or the sampler ended early: this is only the first ${got} s.`];
  }
  return end.hasTargetEnded
    ? [`The process ended early: ${got} s of ${seconds} s were sampled.`]
    : [];
}

function explainEnd(
  stderr: string,
  exitCode: number | undefined,
  signal: string | undefined,
): string {
  const sentence = stderr.trim().split('\n').at(-1)?.trim() ?? '';
  if (sentence !== '') return toDisplay(sentence, 300);
  if (exitCode === 126 || exitCode === 127) return "the process's interpreter could not be started";
  const how = signal ?? `exit code ${exitCode ?? 'unknown'}`;
  return `the probe's sampler ended without an answer (${how})`;
}

function samplerTimedOut({ node, seconds }: SampleTarget): UserError {
  return new UserError(
    'node.timeout',
    `The sampler on ${node} gave no answer within ${Math.round(seconds + graceMs / 1000)} s.`,
    { hint: 'The node may be overloaded: look at its load, then try again.' },
  );
}

/**
 * `--nonblocking`: the process is never stopped. The output goes to a private directory, as py-spy
 * talks on stdout, and is removed again also when we hang up.
 */
const pySpyScript = `
d=$(mktemp -d) || exit 1
trap 'rm -rf "$d"' EXIT
trap 'exit 143' HUP INT TERM
py-spy record --nonblocking --full-filenames --format speedscope \\
  --pid "$1" --duration "$2" --rate "$3" --output "$d/profile" >"$d/log" 2>&1 </dev/null &
wait $!; r=$?
[ $r -eq 0 ] || { head -c 4000 "$d/log" >&2; exit 3; }
cat "$d/profile"
`;

async function sampleWithPySpy(attempt: Attempt, reason: string): Promise<Profile> {
  const { shell, target, facts, signal } = attempt;
  if (!facts.hasPySpy) throw cannotSample(target, reason);
  const seconds = Math.max(1, Math.round(target.seconds));
  const rateHz = Math.max(1, Math.round(target.rateHz));
  const startedAt = Date.now();
  const stopTicking = tick(seconds * 1000, attempt.options, startedAt);
  try {
    const args = [String(target.pid), String(seconds), String(rateHz)];
    const pySpy = await shell.start(
      { title: 'Sample with py-spy', script: pySpyScript, args },
      { guard: true },
      signal,
    );
    const output = await finish(pySpy, target, signal);
    if (output.exitCode !== 0) {
      const said = toDisplay(output.stderr.trim().split('\n', 1)[0] ?? '', 300);
      throw cannotSample(target, `${reason}; py-spy says: ${said}`);
    }
    const read = readSpeedscope(output.stdout, {
      unitPerSecond: rateHz,
      frameLines: 'position',
      kind: 'cpu',
    });
    return {
      ...read,
      meta: {
        ...read.meta,
        node: target.node,
        pid: target.pid,
        command: shortCommand(facts.argv),
        startedAt,
        durationMs: seconds * 1000,
        rateAskedHz: target.rateHz,
        rateGotHz: undefined,
        sampler: {
          name: 'py-spy',
          reason: `Used in place of Faultline's sampler: ${reason}.`.replace('..', '.'),
          cpuSeconds: undefined,
        },
        notes: [...read.meta.notes, 'py-spy leaves out threads that wait: this is CPU time only.'],
      },
    };
  } finally {
    stopTicking();
  }
}

/**
 * Runs a guarded program to its end. Its stdin stays open: closing it is what ends a guarded
 * program.
 */
async function finish(
  program: RemoteProcess,
  target: SampleTarget,
  signal: AbortSignal | undefined,
): Promise<{ stdout: string; stderr: string; exitCode: number | undefined }> {
  ignoreBrokenPipe(program);
  const work = Promise.all([
    readHead(program.stdout, maxOutputBytes),
    readTail(program.stderr, maxErrorBytes),
    program.exited,
  ]);
  try {
    const [stdout, stderr, { exitCode }] = await withDeadline(
      abortable(work, signal),
      target.seconds * 1000 + graceMs,
      () => samplerTimedOut(target),
    );
    return { stdout, stderr, exitCode };
  } finally {
    program.dispose();
  }
}

/** py-spy says nothing while it works: progress is the time that has passed. */
function tick(totalMs: number, { onProgress }: SampleOptions, startedAt: number): () => void {
  if (onProgress === undefined) return () => undefined;
  const timer = setInterval(() => {
    onProgress({ elapsedMs: Math.min(totalMs, Date.now() - startedAt), samples: 0 });
  }, 500);
  return () => clearInterval(timer);
}

function cannotSample({ node, pid }: SampleTarget, reason: string): UserError {
  const sentence = reason.replace(/[.\s]+$/, '');
  return new UserError(
    'profile.cannotSample',
    `Process ${pid} on ${node} cannot be sampled: ${sentence}.`,
    { hint: 'Connect as the user that owns the process (or as root), or install py-spy there.' },
  );
}

function ignoreBrokenPipe(sampler: RemoteProcess): void {
  sampler.stdin.on('error', () => {
    // The sampler may end without reading its input; its exit and its stderr say what happened.
  });
}

/** The first bytes as text; what comes after them is read and dropped. */
async function readHead(stream: AsyncIterable<Uint8Array>, limit: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    if (length < limit) chunks.push(chunk.subarray(0, limit - length));
    length += chunk.length;
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The last bytes as text; everything is read, since an unread stderr stalls the program. */
async function readTail(stream: AsyncIterable<Uint8Array>, limit: number): Promise<string> {
  let tail = Buffer.alloc(0);
  try {
    for await (const chunk of stream) tail = Buffer.concat([tail, chunk]).subarray(-limit);
  } catch {
    // The channel was closed while it was read: what was read until then is what there is.
  }
  return tail.toString('utf8');
}
