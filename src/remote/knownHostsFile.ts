// Reads known_hosts files as a stream, and adds lines to one, with everything else in it left as it is.
// Fails closed: a file that is there and cannot be read is an error.

import { constants } from 'node:fs';
import { mkdir, open, realpath, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { delay } from '../base/async.ts';
import { UserError } from '../base/errors.ts';
import {
  isHashedLine,
  judgeHostKey,
  knownHostsLine,
  otherHost,
  readKnownHostsLine,
  unreadable,
  type HostEntries,
  type HostNames,
  type KnownHostsEntry,
} from './knownHosts.ts';

export interface KnownHostsContent extends HostEntries {
  /** Whether there are hashed names, as HashKnownHosts writes them. */
  readonly hasHashedNames: boolean;
  /** The first few lines that could not be read and were passed over, as `path:line`. */
  readonly unreadableLines: readonly string[];
}

const chunkBytes = 256 << 10;
/** A longer line is passed over: it would be held in memory as a whole. */
const maxLineLength = 1 << 20;
/** A thousand times the known_hosts of a large site. */
const maxFileBytes = 1 << 30;
const maxUnreadableLines = 20;

/** What the files say about a host, in their order. A missing file says nothing. */
export async function readHostEntries(
  paths: readonly string[],
  names: HostNames,
): Promise<KnownHostsContent> {
  const contents = await Promise.all(paths.map((path) => readFileEntries(path, names)));
  return {
    exact: contents.flatMap(({ exact }) => exact),
    withoutPort: contents.flatMap(({ withoutPort }) => withoutPort),
    hasHashedNames: contents.some(({ hasHashedNames }) => hasHashedNames),
    unreadableLines: contents
      .flatMap(({ unreadableLines }) => unreadableLines)
      .slice(0, maxUnreadableLines),
  };
}

/** Errors: `node.knownHostsUnreadable`, `node.knownHostsTooLarge`. */
async function readFileEntries(path: string, names: HostNames): Promise<KnownHostsContent> {
  const collector = new EntryCollector(path, names);
  try {
    const info = await stat(path);
    if (info.isCharacterDevice() && (await realpath(path)) === '/dev/null') return collector;
    if (!info.isFile()) throw cannotRead(path, new Error('not a regular file'));
    if (info.size > maxFileBytes) throw tooLarge(path, info.size);
    for await (const line of linesOf(path)) collector.add(line);
    return collector;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return collector;
    throw error instanceof UserError ? error : cannotRead(path, error);
  }
}

class EntryCollector implements KnownHostsContent {
  readonly exact: KnownHostsEntry[] = [];
  readonly withoutPort: KnownHostsEntry[] = [];
  readonly unreadableLines: string[] = [];
  hasHashedNames = false;
  private readonly path: string;
  private readonly names: HostNames;
  private lineNumber = 0;

  constructor(path: string, names: HostNames) {
    this.path = path;
    this.names = names;
  }

  /** `line` is undefined for one that is too long. */
  add(line: string | undefined): void {
    const where = `${this.path}:${++this.lineNumber}`;
    if (line === undefined) return this.noteUnreadable(where);
    this.hasHashedNames ||= isHashedLine(line);
    const { name, withoutPort } = this.names;
    const found = readKnownHostsLine(line, name, where);
    if (found === unreadable) return this.noteUnreadable(where);
    if (found !== otherHost) this.exact.push(found);
    if (withoutPort === undefined) return;
    const foundWithoutPort = readKnownHostsLine(line, withoutPort, where);
    if (foundWithoutPort === unreadable) return this.noteUnreadable(where);
    if (foundWithoutPort !== otherHost) this.withoutPort.push(foundWithoutPort);
  }

  private noteUnreadable(where: string): void {
    if (this.unreadableLines.length < maxUnreadableLines) this.unreadableLines.push(where);
  }
}

/** The file's lines as latin1, without their line feeds; undefined stands for a line that is too long. */
async function* linesOf(path: string): AsyncGenerator<string | undefined> {
  // Non-blocking: what was a file a moment ago could be a FIFO by now.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const stream = file.createReadStream({ highWaterMark: chunkBytes, encoding: 'latin1' });
  let begun = '';
  let isTooLong = false;
  for await (const chunk of stream as AsyncIterable<string>) {
    const lines = chunk.split('\n');
    begun += lines[0]!;
    for (const next of lines.slice(1)) {
      yield isTooLong ? undefined : begun;
      isTooLong = false;
      begun = next;
    }
    if (begun.length <= maxLineLength) continue;
    isTooLong = true;
    begun = '';
  }
  if (isTooLong) yield undefined;
  else if (begun !== '') yield begun;
}

function cannotRead(path: string, cause: unknown): UserError {
  return new UserError('node.knownHostsUnreadable', `The file ${path} cannot be read.`, {
    hint: 'Host keys cannot be checked without it: make it readable.',
    cause,
  });
}

function tooLarge(path: string, bytes: number): UserError {
  return new UserError(
    'node.knownHostsTooLarge',
    `The file ${path} has ${Math.round(bytes / (1 << 20))} MiB, which is no list of host keys.`,
    { hint: 'Name another UserKnownHostsFile, or make this one smaller.' },
  );
}

export interface AddKnownHostOptions {
  readonly names: HostNames;
  readonly key: Buffer;
  /** HashKnownHosts. A file that has hashed names gets hashed ones in any case. */
  readonly hashed: boolean;
}

/** Additions of this process to one file go one after the other, so that none is made twice. */
const additions = new Map<string, Promise<void>>();

/** Adds a line unless the key is on file by now. Links are followed, as ssh does. */
export async function addKnownHost(path: string, options: AddKnownHostOptions): Promise<void> {
  const before = additions.get(path) ?? Promise.resolve();
  const mine = before.catch(() => undefined).then(() => addNow(path, options));
  additions.set(path, mine);
  try {
    await mine;
  } finally {
    if (additions.get(path) === mine) additions.delete(path);
  }
}

async function addNow(path: string, { names, key, hashed }: AddKnownHostOptions): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const content = await readHostEntries([path], names);
  if (judgeHostKey(content, key).verdict === 'known') return;
  const line = knownHostsLine(names.name, key, hashed || content.hasHashedNames);
  const file = await open(path, 'a+', 0o600);
  try {
    if (await endsWithLineFeed(file)) await appendAtOnce(file, line);
    else await withLock(path, () => completeAndAppend(file, line));
  } finally {
    await file.close();
  }
}

/** Several processes may find the last line unfinished; one of them finishes it. */
async function completeAndAppend(file: FileHandle, line: string): Promise<void> {
  await appendAtOnce(file, (await endsWithLineFeed(file)) ? line : `\n${line}`);
}

/** One write to a file opened for appending lands as a whole behind whatever others have written. */
async function appendAtOnce(file: FileHandle, text: string): Promise<void> {
  const bytes = Buffer.from(text, 'latin1');
  const { bytesWritten } = await file.write(bytes);
  if (bytesWritten !== bytes.length) throw new Error('The line was written in part only.');
}

/** True for an empty file, and for /dev/null. */
async function endsWithLineFeed(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat();
  if (size === 0) return true;
  const last = Buffer.alloc(1);
  await file.read(last, 0, 1, size - 1);
  return last[0] === 0x0a;
}

const lockWaitMs = 20;
/** A lock this old was left behind. */
const staleLockMs = 10_000;

/** Only held while an unfinished last line is completed. */
async function withLock(path: string, work: () => Promise<void>): Promise<void> {
  const lock = `${path}.faultline-lock`;
  while (!(await takeLock(lock))) await delay(lockWaitMs);
  try {
    await work();
  } finally {
    await rm(lock, { force: true });
  }
}

/** True also where no lock can be made, as the directory is not ours: a blank line is then the worst. */
async function takeLock(lock: string): Promise<boolean> {
  try {
    await (await open(lock, 'wx', 0o600)).close();
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) return true;
    const info = await stat(lock).catch(() => undefined);
    const isStale = info !== undefined && Date.now() - info.mtimeMs > staleLockMs;
    if (isStale) await rm(lock, { force: true });
    return false;
  }
}
