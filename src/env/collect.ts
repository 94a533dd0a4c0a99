// Takes a snapshot of a node: one script over one channel, whatever arrives in time.

import { randomBytes } from 'node:crypto';
import { isAbort, UserError } from '../base/errors.ts';
import { formatIso } from '../base/time.ts';
import { probeSource } from '../probe/sources.ts';
import type { ClockOffset, Node, NodeAccess } from '../remote/node.ts';
import type { RemoteProcess, Shell } from '../remote/shell.ts';
import {
  snapshotFormat,
  snapshotVersion,
  unavailableChapters,
  type EnvSnapshot,
} from './envSnapshot.ts';
import { nodeTimeOf, readChapters } from './facts.ts';
import { redactEnv } from './redact.ts';
import type { RedactionKey } from './redactionKey.ts';
import { endOfSection, readSections } from './sections.ts';

export interface SnapshotOptions {
  /** The node's name. */
  readonly node: string;
  /** Its clock as measured over its connection; undefined when that failed. */
  readonly clock: ClockOffset | undefined;
  /** Makes the hashes of masked values. */
  readonly key: RedactionKey;
  /** False never starts Python on the node; its interpreters and packages are then unavailable. */
  readonly usePython?: boolean;
  /** What the start-up files of the login shell may take, in whole seconds. Default 5. */
  readonly loginLimitSeconds?: number;
  /** After this time the snapshot is what has arrived. Default 20,000 ms. */
  readonly timeoutMs?: number;
  /** Our clock in epoch milliseconds. Default: `Date.now`. */
  readonly now?: () => number;
}

/** Connects when needed. Errors: what the connection throws, and those of `takeSnapshot`. */
export async function snapshotNode(
  access: NodeAccess,
  node: Node,
  key: RedactionKey,
  signal?: AbortSignal,
): Promise<EnvSnapshot> {
  const shell = await access.shell(node, signal);
  const clock = await access.clock(node, signal).catch((error: unknown) => {
    if (isAbort(error)) throw error;
    // A clock that cannot be measured is a missing fact of the snapshot, not the end of it.
    return undefined;
  });
  return takeSnapshot(shell, { node: node.name, clock, key }, signal);
}

const defaultTimeoutMs = 20_000;
const defaultLoginLimitSeconds = 5;

/** More than 100,000 packages and the largest environment a kernel allows. */
const maxOutputBytes = 32 << 20;

/** The section that is printed last. */
const lastSection = 'networkDisks';

/**
 * Errors: what the shell throws; `env.noAnswer` when nothing could be read at all. A snapshot that lacks
 * some chapters is a result, marked `partial`.
 */
export async function takeSnapshot(
  shell: Shell,
  options: SnapshotOptions,
  signal?: AbortSignal,
): Promise<EnvSnapshot> {
  const now = options.now ?? Date.now;
  const takenAt = now();
  const word = randomBytes(8).toString('hex');
  const program = await shell.start(
    {
      title: 'Take a snapshot of the environment',
      script: probeSource('sh/facts.sh'),
      args: [
        word,
        options.usePython === false ? 'no' : 'yes',
        String(options.loginLimitSeconds ?? defaultLoginLimitSeconds),
      ],
    },
    {},
    signal,
  );
  const output = await readAnswer(program, word, options.timeoutMs ?? defaultTimeoutMs, signal);
  const sections = readSections(output, word);
  if (sections.size === 0) {
    throw new UserError('env.noAnswer', `${options.node} said nothing about its environment.`, {
      hint: 'A node needs a POSIX sh as /bin/sh: try a command on it by hand.',
    });
  }
  const snapshot: EnvSnapshot = {
    format: snapshotFormat,
    version: snapshotVersion,
    node: options.node,
    takenAt: formatIso(takenAt),
    durationMs: Math.round(now() - takenAt),
    partial: false,
    redaction: { keyId: options.key.id },
    clock: describeClock(nodeTimeOf(sections), options.clock),
    ...readChapters(sections, word, (variables) => redactEnv(variables, options.key)),
  };
  return { ...snapshot, partial: unavailableChapters(snapshot).length > 0 };
}

function describeClock(
  nodeSeconds: number | undefined,
  clock: ClockOffset | undefined,
): EnvSnapshot['clock'] {
  if (nodeSeconds === undefined && clock === undefined) {
    return { unavailable: 'the clock could not be measured' };
  }
  return {
    source: clock === undefined ? 'date' : 'date, measured over the connection',
    nodeTime: nodeSeconds === undefined ? null : formatIso(nodeSeconds * 1000),
    offsetMs: clock?.offsetMs ?? null,
    errorMs: clock?.errorMs ?? null,
  };
}

/**
 * Everything up to the end of the last section, the end of the output, or the deadline, whichever is first.
 * Not to the end of the program: something that a start-up file left running may hold the channel open.
 */
async function readAnswer(
  program: RemoteProcess,
  word: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Closing the channel ends the loop below; what has arrived is the answer.
  const timer = setTimeout(() => program.dispose(), timeoutMs);
  program.stderr.resume();
  program.stdin.on('error', () => {
    // A node without Python does not read its program.
  });
  program.stdin.end(probeSource('python/facts.py'));
  try {
    for await (const chunk of program.stdout as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > maxOutputBytes || hasEnded(chunks, word)) break;
    }
  } catch (error) {
    // A channel that breaks off leaves a partial answer; an abort leaves none.
    signal?.throwIfAborted();
    if (length === 0) throw error;
  } finally {
    clearTimeout(timer);
    program.dispose();
  }
  signal?.throwIfAborted();
  return Buffer.concat(chunks);
}

/** The last section's head and its end lie in the output's last few hundred bytes, or in its last two chunks. */
function hasEnded(chunks: readonly Buffer[], word: string): boolean {
  const tail = Buffer.concat(chunks.slice(-8)).toString('latin1');
  const start = tail.lastIndexOf(`\u001e${word} ${lastSection}\n`);
  return start >= 0 && tail.indexOf(endOfSection(word), start) >= 0;
}
