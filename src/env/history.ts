// Snapshots kept on disk, so that it can be asked since when a value holds. One directory, plain files:
//
//   chunks/ab/abcd….z            a chapter's lasting facts, deflated, called by the hash of its text
//   nodes/NAME-HASH/TIME-ID.json a version: when it was first seen, and which chunks it has
//   nodes/NAME-HASH/TIME-ID.seen when it was last seen
//
// No file is shared by writers and none is written in place, so two processes need no lock, and a torn file
// costs that file: it is set aside as `.corrupt-…` and the rest opens. Times are our clock's.

import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import * as v from 'valibot';
import { UserError, describeError } from '../base/errors.ts';
import { fromSnapshot } from './comparable.ts';
import { diffEnvironments } from './diff.ts';
import type { EnvDifference } from './difference.ts';
import { isAvailable, parseSnapshot, type EnvSnapshot } from './envSnapshot.ts';
import { changesByItself } from './scalarFacts.ts';
import { harmlessVariable } from './severity.ts';
import { canonicalJson, hashOf, putTogether, takeApart, type JsonObject } from './snapshotParts.ts';

export interface HistoryOptions {
  /** Kept for its user alone; made when it is not there. */
  readonly directory: string;
  /** Versions not seen for longer go, but for the newest of each node. Default 180 days. */
  readonly maxAgeMs?: number;
  /** Of all files. The oldest versions go first. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Our clock in epoch milliseconds. Default: `Date.now`. */
  readonly now?: () => number;
}

/** An environment as it was for some time. */
export interface EnvVersion {
  readonly node: string;
  /** ISO 8601 UTC: the first and the last snapshot that showed it. */
  readonly firstSeenAt: string;
  readonly lastSeenAt: string;
}

/** What became different between two versions; when exactly, nobody saw. */
export interface EnvChange {
  /** ISO 8601 UTC: last seen as it was before, first seen as it is since. */
  readonly after: string;
  readonly before: string;
  /** The likeliest trouble first; `a` is before. Harmless ones last, those that change by themselves left out. */
  readonly differences: readonly EnvDifference[];
}

const dayMs = 86_400_000;
const defaultMaxAgeMs = 180 * dayMs;
const defaultMaxBytes = 64 << 20;

/** A chunk that no version has yet may be another process's, about to write its version. */
const unreferencedForMs = 600_000;

/** A clock that moved by less is no other environment. */
const clockStepMs = 1000;

const manifestFormat = 'faultline.env.version';
const manifestSchema = v.object({
  format: v.literal(manifestFormat),
  version: v.literal(1),
  head: v.record(v.string(), v.unknown()),
  chunks: v.record(v.string(), v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
  passing: v.record(v.string(), v.unknown()),
});
type Manifest = v.InferOutput<typeof manifestSchema>;

interface StoredVersion extends EnvVersion {
  readonly file: string;
  readonly manifest: Manifest;
}

export class EnvHistory {
  private readonly directory: string;
  private readonly maxAgeMs: number;
  private readonly maxBytes: number;
  private readonly now: () => number;

  constructor({ directory, maxAgeMs, maxBytes, now }: HistoryOptions) {
    this.directory = directory;
    this.maxAgeMs = maxAgeMs ?? defaultMaxAgeMs;
    this.maxBytes = maxBytes ?? defaultMaxBytes;
    this.now = now ?? Date.now;
  }

  /**
   * Keeps a snapshot: as a new version when something lasting differs from the node's newest one, else that one
   * was seen once more. Errors: `env.historyUnusable`.
   */
  async record(snapshot: EnvSnapshot): Promise<'new' | 'seen'> {
    try {
      return await this.write(snapshot);
    } catch (cause) {
      throw new UserError(
        'env.historyUnusable',
        `The history of environments in ${this.directory} cannot be written: ${describeError(cause)}.`,
        { hint: 'Free some space there, or use --no-history.', cause },
      );
    }
  }

  private async write(snapshot: EnvSnapshot): Promise<'new' | 'seen'> {
    const { head, lasting, passing } = takeApart(snapshot);
    const texts = [...lasting].map(([name, chapter]) => [name, canonicalJson(chapter)] as const);
    const chunks = Object.fromEntries(texts.map(([name, text]) => [name, hashOf(text)]));
    // Also for a version that is known: a chunk of it may have been damaged or removed since.
    for (const [name, text] of texts) await this.writeChunk(chunks[name] as string, text);
    const newest = (await this.stored(snapshot.node)).at(-1);
    if (newest !== undefined && isSameVersion(newest.manifest, { head, chunks })) {
      if (snapshot.takenAt > newest.lastSeenAt) {
        await writeWhole(seenFile(newest.file), `${snapshot.takenAt}\n`);
      }
      return 'seen';
    }
    const manifest: Manifest = { format: manifestFormat, version: 1, head, chunks, passing };
    const directory = this.nodeDirectory(snapshot.node);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const time = String(Date.parse(snapshot.takenAt)).padStart(15, '0');
    const file = path.join(directory, `${time}-${randomBytes(4).toString('hex')}.json`);
    await writeWhole(file, JSON.stringify(manifest));
    return 'new';
  }

  /** Oldest first. Two processes that saw the same at once made one version. */
  async versions(node: string): Promise<readonly EnvVersion[]> {
    return (await this.stored(node)).map(publicVersion);
  }

  /** Names of the nodes of which there is anything, sorted. */
  async nodes(): Promise<readonly string[]> {
    const directories = await list(path.join(this.directory, 'nodes'));
    const names = await Promise.all(
      directories.map(async (name) => {
        const newest = (await this.storedIn(path.join(this.directory, 'nodes', name))).at(-1);
        return newest === undefined ? [] : [newest.node];
      }),
    );
    return names.flat().sort();
  }

  /** The environment as it was at a time, by the last snapshot before it; undefined when there is none. */
  async snapshotAt(node: string, time: string): Promise<EnvSnapshot | undefined> {
    const version = (await this.stored(node)).findLast(({ firstSeenAt }) => firstSeenAt <= time);
    return version === undefined ? undefined : this.load(version);
  }

  /**
   * What changed from one version to the next, oldest first. A chapter that could not be had for a while is compared
   * with what it was before, over the whole time.
   */
  async changes(node: string): Promise<readonly EnvChange[]> {
    const changes: EnvChange[] = [];
    let known: Known | undefined;
    for (const version of await this.stored(node)) {
      const snapshot = await this.load(version);
      if (snapshot === undefined) continue;
      if (known !== undefined) changes.push(...changesBetween(known, snapshot, version));
      known = remember(known, snapshot, version.lastSeenAt);
    }
    return changes;
  }

  /**
   * The changes since a time: those first seen after it, as each may have happened after it. What was changed and
   * changed back is in it.
   */
  async whatChangedSince(node: string, time: string): Promise<readonly EnvChange[]> {
    return (await this.changes(node)).filter(({ before }) => before > time);
  }

  /** Removes what is too old or too much. Errors: those of the file system. */
  async prune(): Promise<void> {
    const versions = await this.allStored();
    const oldest = this.now() - this.maxAgeMs;
    const newest = new Set(new Map(versions.map((version) => [version.node, version])).values());
    const doomed = new Set(
      versions.filter((version) => Date.parse(version.lastSeenAt) < oldest && !newest.has(version)),
    );
    const sizes = await this.chunkSizes();
    const uses = countUses(versions.filter((version) => !doomed.has(version)));
    let total = await this.sizeOf(versions.filter((version) => !doomed.has(version)));
    for (const hash of uses.keys()) total += sizes.get(hash)?.bytes ?? 0;
    const byAge = [...versions].sort((a, b) => (a.lastSeenAt < b.lastSeenAt ? -1 : 1));
    for (const version of byAge) {
      if (total <= this.maxBytes) break;
      if (doomed.has(version)) continue;
      doomed.add(version);
      total -= await this.sizeOf([version]);
      for (const hash of Object.values(version.manifest.chunks)) {
        const left = (uses.get(hash) ?? 0) - 1;
        if (left > 0) uses.set(hash, left);
        else {
          uses.delete(hash);
          total -= sizes.get(hash)?.bytes ?? 0;
        }
      }
    }
    for (const { file } of doomed) {
      await rm(file, { force: true });
      await rm(seenFile(file), { force: true });
    }
    const isFresh = (usedAt: number): boolean => Math.abs(this.now() - usedAt) < unreferencedForMs;
    for (const [hash, { file, usedAt }] of sizes) {
      if (!uses.has(hash) && !isFresh(usedAt)) await rm(file, { force: true });
    }
  }

  // --- Files ------------------------------------------------------------------------------------------------

  /** A name may be anything: it is told by its hash, and readable as far as that is safe. */
  private nodeDirectory(node: string): string {
    const readable = node.replace(/[^A-Za-z0-9_-]+/g, '_').slice(0, 40);
    const hash = createHash('sha256').update(node, 'utf8').digest('hex').slice(0, 16);
    return path.join(this.directory, 'nodes', `${readable}-${hash}`);
  }

  private async stored(node: string): Promise<readonly StoredVersion[]> {
    return this.storedIn(this.nodeDirectory(node));
  }

  private async allStored(): Promise<readonly StoredVersion[]> {
    const root = path.join(this.directory, 'nodes');
    const all: StoredVersion[] = [];
    for (const name of await list(root)) all.push(...(await this.storedIn(path.join(root, name))));
    return all;
  }

  private async storedIn(directory: string): Promise<readonly StoredVersion[]> {
    const names = (await list(directory)).filter((name) => /^\d{15}-[0-9a-f]{8}\.json$/.test(name));
    const versions: StoredVersion[] = [];
    for (const name of names.sort()) {
      const version = await readVersion(path.join(directory, name));
      if (version !== undefined) versions.push(version);
    }
    return versions;
  }

  private chunkFile(hash: string): string {
    return path.join(this.directory, 'chunks', hash.slice(0, 2), `${hash}.z`);
  }

  private async writeChunk(hash: string, text: string): Promise<void> {
    const file = this.chunkFile(hash);
    const seconds = this.now() / 1000;
    try {
      // In use again: `prune` of another process sees it as new.
      await utimes(file, seconds, seconds);
      return;
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await writeWhole(file, deflateRawSync(text));
    await utimes(file, seconds, seconds);
  }

  /** A chapter that cannot be read says so in its place; undefined when the rest is no snapshot. */
  private async load({ file, manifest }: StoredVersion): Promise<EnvSnapshot | undefined> {
    const lasting = new Map<string, JsonObject>();
    for (const [name, hash] of Object.entries(manifest.chunks)) {
      lasting.set(name, await this.readChunk(hash));
    }
    // Checked below, as everything that comes from a file.
    const { head, passing } = manifest as unknown as { head: JsonObject; passing: JsonObject };
    try {
      return parseSnapshot(putTogether({ head, lasting, passing }));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      // Of a newer Faultline: not ours to remove.
      if (error.code !== 'env.tooNew') await setAside(file);
      return undefined;
    }
  }

  private async readChunk(hash: string): Promise<JsonObject> {
    const file = this.chunkFile(hash);
    let bytes: Buffer;
    try {
      bytes = await readFile(file);
    } catch {
      return { unavailable: 'its part of the history is gone' };
    }
    try {
      const text = inflateRawSync(bytes, { maxOutputLength: 256 << 20 }).toString('utf8');
      if (hashOf(text) === hash) return JSON.parse(text) as JsonObject;
    } catch {
      // As one with another hash: it is damaged.
    }
    await setAside(file);
    return { unavailable: 'its part of the history is damaged' };
  }

  private async chunkSizes(): Promise<
    ReadonlyMap<string, { readonly file: string; readonly bytes: number; readonly usedAt: number }>
  > {
    const root = path.join(this.directory, 'chunks');
    const sizes = new Map<string, { file: string; bytes: number; usedAt: number }>();
    for (const name of await list(root)) {
      for (const each of await list(path.join(root, name))) {
        const file = path.join(root, name, each);
        const found = await stat(file).catch(() => undefined);
        if (found === undefined || !each.endsWith('.z')) continue;
        sizes.set(path.basename(each, '.z'), { file, bytes: found.size, usedAt: found.mtimeMs });
      }
    }
    return sizes;
  }

  private async sizeOf(versions: readonly StoredVersion[]): Promise<number> {
    let total = 0;
    for (const { file } of versions) {
      total += (await stat(file).catch(() => undefined))?.size ?? 0;
    }
    return total;
  }
}

function publicVersion({ node, firstSeenAt, lastSeenAt }: StoredVersion): EnvVersion {
  return { node, firstSeenAt, lastSeenAt };
}

function countUses(versions: readonly StoredVersion[]): Map<string, number> {
  const uses = new Map<string, number>();
  for (const { manifest } of versions) {
    for (const hash of Object.values(manifest.chunks)) uses.set(hash, (uses.get(hash) ?? 0) + 1);
  }
  return uses;
}

function isSameVersion(
  known: Pick<Manifest, 'head' | 'chunks'>,
  found: Pick<Manifest, 'head' | 'chunks'>,
): boolean {
  return (
    canonicalJson(known.chunks) === canonicalJson(found.chunks) &&
    keyIdOf(known.head) === keyIdOf(found.head) &&
    !hasClockMoved(offsetOf(known.head), offsetOf(found.head))
  );
}

function keyIdOf(head: Manifest['head']): unknown {
  return (head.redaction as { readonly keyId?: unknown } | undefined)?.keyId;
}

function offsetOf(head: Manifest['head']): number | undefined {
  const offset = (head.clock as { readonly offsetMs?: unknown } | undefined)?.offsetMs;
  return typeof offset === 'number' ? offset : undefined;
}

function hasClockMoved(a: number | undefined, b: number | undefined): boolean {
  return a !== undefined && b !== undefined && Math.abs(a - b) >= clockStepMs;
}

async function readVersion(file: string): Promise<StoredVersion | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    // Removed by another process since the directory was listed.
    return undefined;
  }
  const manifest = v.safeParse(manifestSchema, parseJson(text));
  const { node, takenAt } = (manifest.success ? manifest.output.head : {}) as {
    node?: unknown;
    takenAt?: unknown;
  };
  if (!manifest.success || typeof node !== 'string' || typeof takenAt !== 'string') {
    await setAside(file);
    return undefined;
  }
  const seen = (await readFile(seenFile(file), 'utf8').catch(() => '')).trim();
  const lastSeenAt = isTime(seen) && seen > takenAt ? seen : takenAt;
  return { node, firstSeenAt: takenAt, lastSeenAt, file, manifest: manifest.output };
}

function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text) && !Number.isNaN(Date.parse(text));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is no JSON is no manifest.
    return undefined;
  }
}

function seenFile(file: string): string {
  return file.replace(/\.json$/, '.seen');
}

/** Its user may want to look at it; it is not read again. */
async function setAside(file: string): Promise<void> {
  const name = `.corrupt-${randomBytes(4).toString('hex')}-${path.basename(file)}`;
  await rename(file, path.join(path.dirname(file), name)).catch(() => {
    // Another process was first.
  });
}

/** Never seen half written. Not forced to the disk: a torn file is found by its hash or its form. */
async function writeWhole(file: string, content: string | Buffer): Promise<void> {
  const unfinished = `${file}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await writeFile(unfinished, content, { mode: 0o600, flag: 'wx' });
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

async function list(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

// --- Changes ------------------------------------------------------------------------------------------------

/** The last that is known of each chapter, and when it was last seen. */
interface Known {
  readonly snapshot: EnvSnapshot;
  readonly seenAt: ReadonlyMap<string, string>;
}

type Chapters = Readonly<Record<string, object>>;

function chaptersOf({ env, ...rest }: EnvSnapshot): Chapters {
  const all: readonly (readonly [string, unknown])[] = Object.entries({
    ...rest,
    'env.loginShell': env.loginShell,
    'env.plainCommand': env.plainCommand,
  });
  return Object.fromEntries(
    all.filter(
      (entry): entry is [string, object] =>
        typeof entry[1] === 'object' && entry[1] !== null && entry[0] !== 'redaction',
    ),
  );
}

function withChapters(snapshot: EnvSnapshot, chapters: Chapters): EnvSnapshot {
  const {
    'env.loginShell': loginShell = snapshot.env.loginShell,
    'env.plainCommand': plainCommand = snapshot.env.plainCommand,
    ...rest
  } = chapters;
  // The chapters are those of snapshots, each under its own name.
  return { ...snapshot, ...rest, env: { loginShell, plainCommand } } as EnvSnapshot;
}

function remember(known: Known | undefined, snapshot: EnvSnapshot, at: string): Known {
  const now = Object.entries(chaptersOf(snapshot)).filter(([, chapter]) => isAvailable(chapter));
  const before = known === undefined ? {} : chaptersOf(known.snapshot);
  return {
    snapshot: withChapters(snapshot, {
      ...chaptersOf(snapshot),
      ...before,
      ...Object.fromEntries(now),
    }),
    seenAt: new Map([...(known?.seenAt ?? []), ...now.map(([name]) => [name, at] as const)]),
  };
}

/** One change for the chapters seen last time, and one for each older time at which some were last seen. */
function changesBetween(known: Known, snapshot: EnvSnapshot, version: EnvVersion): EnvChange[] {
  const times = [...new Set(known.seenAt.values())].sort().reverse();
  return times.flatMap((after) => {
    const others = Object.entries(chaptersOf(known.snapshot)).flatMap(([name, chapter]) =>
      known.seenAt.get(name) === after ? [[name, chapter] as const] : [[name, notSeen] as const],
    );
    const before = withChapters(known.snapshot, Object.fromEntries(others));
    const comparison = diffEnvironments(fromSnapshot(before), fromSnapshot(snapshot));
    const differences = [...comparison.differences, ...comparison.folded].filter(isLasting);
    return differences.length === 0 ? [] : [{ after, before: version.firstSeenAt, differences }];
  });
}

const notSeen = { unavailable: 'not seen then' };

/** What changes by itself is no change of an environment. */
function isLasting({ path: fact, severity, note }: EnvDifference): boolean {
  if (fact === 'clock.offset') return severity === 'high' || severity === 'medium';
  const variable = /^env\.(?:(?:loginShell|plainCommand)\.)?(.+)$/s.exec(fact)?.[1];
  if (variable !== undefined && harmlessVariable(variable) !== undefined) return false;
  return note !== changesByItself;
}
