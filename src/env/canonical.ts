// A snapshot as text made for comparing: one fact a line, sorted, in the same words on every node, so that
// a text diff shows differing facts and nothing else. What comes from the node is made visible first.

import { toDisplay } from '../base/displayText.ts';
import { formatBytes } from '../base/figures.ts';
import type { ChapterId } from './difference.ts';
import {
  isAvailable,
  isRedacted,
  type Available,
  type Disk,
  type EnvSnapshot,
  type EnvValue,
  type PythonInterpreter,
  type Variables,
} from './envSnapshot.ts';
import { formatLimit, formatOffset, formatZoneOffset } from './formatFacts.ts';
import { describeRedacted } from './redact.ts';
import { harmlessVariable } from './severity.ts';

export interface ChapterText {
  readonly id: ChapterId;
  readonly title: string;
  /** Lines, each ended. */
  readonly text: string;
}

export const chapterTitles: Readonly<Record<ChapterId, string>> = {
  system: 'System',
  user: 'User and limits',
  login: 'Environment of a login shell',
  command: 'Environment of a plain command',
  python: 'Python interpreters and packages',
  packages: 'System packages',
  disks: 'Disks',
  clock: 'Clock',
};

export const chapterIds = Object.keys(chapterTitles) as readonly ChapterId[];

export interface CanonicalOptions {
  /**
   * True writes why a value changes by itself in its place (`SSH_CLIENT=‹of this connection›`), so that it
   * makes no difference between two texts.
   */
  readonly foldHarmless?: boolean;
}

/** All chapters in their order. */
export function canonicalChapters(
  snapshot: EnvSnapshot,
  options: CanonicalOptions = {},
): readonly ChapterText[] {
  return chapterIds.map((id) => ({
    id,
    title: chapterTitles[id],
    text: writers[id](snapshot, options)
      .map((line) => `${line}\n`)
      .join(''),
  }));
}

/** The whole snapshot in one text, with a head that says what it is. */
export function canonicalText(snapshot: EnvSnapshot): string {
  const head = [
    `Environment of ${showText(snapshot.node)}`,
    `taken ${snapshot.takenAt}${snapshot.partial ? ', incomplete' : ''}`,
  ];
  const chapters = canonicalChapters(snapshot).map(
    ({ title, text }) => `\n${title}\n${'─'.repeat(title.length)}\n${text}`,
  );
  return `${head.join('\n')}\n${chapters.join('')}`;
}

type Writer = (snapshot: EnvSnapshot, options: CanonicalOptions) => string[];

const writers: Readonly<Record<ChapterId, Writer>> = {
  system: (snapshot, { foldHarmless }) => [
    ...writeChapter('os', snapshot.os, (os) => [
      fact('os', os.prettyName),
      fact('os id', [os.id, os.versionId].filter((part) => part !== null).join(' ')),
      fact('kernel', `${os.kernelName} ${os.kernel}`),
      fact('machine', os.machine),
      fact('host name', foldHarmless === true ? "‹the node's own›" : os.hostname),
    ]),
    ...writeChapter('cpu', snapshot.cpu, (cpu) => [
      fact('cpu', cpu.model),
      fact('cpu count', String(cpu.count)),
      ...(cpu.usable === null ? [] : [fact('cpu usable', String(cpu.usable))]),
    ]),
    ...writeChapter('memory', snapshot.memory, (memory) => [
      fact('memory', formatBytes(memory.totalBytes)),
      ...(memory.swapBytes === null ? [] : [fact('swap', formatBytes(memory.swapBytes))]),
    ]),
    ...writeChapter('node.js', snapshot.nodejs, ({ runtimes }) =>
      runtimes.map(({ executable, version }) => fact('node.js', `${version} (${executable})`)),
    ),
  ],
  user: (snapshot) => [
    ...writeChapter('user', snapshot.user, (user) => [
      fact('user', `${user.name} (uid ${user.uid}, gid ${user.gid})`),
      fact('groups', sorted(user.groups).join(', ')),
      fact('home', user.home),
      fact('shell', user.shell),
    ]),
    ...writeChapter('command', snapshot.command, ({ cwd, umask }) => [
      fact('cwd', cwd.logical),
      ...(cwd.logical === cwd.physical ? [] : [fact('cwd (physical)', cwd.physical)]),
      fact('umask', umask),
    ]),
    ...writeChapter('limits', snapshot.limits, ({ limits }) =>
      sortedEntries(limits).map(([name, [soft, hard]]) =>
        fact(`limit ${name}`, `${formatLimit(soft)} (hard ${formatLimit(hard)})`),
      ),
    ),
    ...writeChapter('locale', snapshot.locale, ({ variables, charmap }) => [
      ...sortedEntries(variables).map(([name, value]) => fact(`locale ${name}`, value)),
      fact('encoding', charmap ?? 'unknown'),
    ]),
    ...writeChapter('time zone', snapshot.timezone, writeTimezone),
  ],
  login: ({ env: { loginShell } }, options) =>
    writeChapter('variables', loginShell, ({ variables }) => writeVariables(variables, options)),
  command: ({ env: { plainCommand } }, options) =>
    writeChapter('variables', plainCommand, ({ variables }) => writeVariables(variables, options)),
  python: ({ pythons }) =>
    writeChapter('interpreters', pythons, ({ interpreters, notes }) => [
      ...[...interpreters].sort((a, b) => compareText(a.prefix, b.prefix)).flatMap(writePython),
      ...(interpreters.length === 0 ? ['no Python interpreter was found'] : []),
      ...notes.map((note) => `note: ${showText(note)}`),
    ]),
  packages: ({ systemPackages }) =>
    writeChapter('packages', systemPackages, ({ manager, packages }) => [
      fact('package manager', manager),
      ...sortedEntries(packages).map(([name, version]) => `${showText(name)} ${showText(version)}`),
    ]),
  disks: ({ disks }) =>
    writeChapter('disks', disks, (chapter) => [
      ...[...chapter.disks].sort((a, b) => compareText(a.mount, b.mount)).map(writeDisk),
      ...chapter.notes.map((note) => `note: ${showText(note)}`),
    ]),
  clock: ({ clock }) =>
    writeChapter('clock', clock, ({ offsetMs, errorMs }) => [
      offsetMs === null
        ? 'offset not measured'
        : fact('offset', formatOffset({ offsetMs, errorMs: errorMs ?? 0 })),
    ]),
};

/** A chapter's facts, or one line why there are none. */
function writeChapter<T extends object>(
  name: string,
  chapter: T,
  write: (facts: Available<T>) => string[],
): string[] {
  if (isAvailable(chapter)) return write(chapter);
  const { unavailable } = chapter as unknown as { readonly unavailable: string };
  return [`${name}: not available: ${showText(unavailable)}`];
}

function fact(name: string, value: string): string {
  return `${name}: ${showText(value)}`;
}

function writeTimezone({
  tz,
  zone,
  abbreviation,
  offsetMinutes,
}: Available<EnvSnapshot['timezone']>): string[] {
  const now = [abbreviation, offsetMinutes === null ? null : formatZoneOffset(offsetMinutes)];
  return [
    fact('time zone', zone ?? 'unknown'),
    ...(tz === null ? [] : [fact('TZ', tz)]),
    fact('local time', now.filter((part) => part !== null).join(' ')),
  ];
}

/** One a line; lists of directories one entry a line, as their order is what matters. */
function writeVariables(variables: Variables, { foldHarmless }: CanonicalOptions): string[] {
  return sortedEntries(variables).flatMap(([name, value]) => {
    const harmless = foldHarmless === true ? harmlessVariable(name) : undefined;
    if (harmless !== undefined) return [`${showText(name)}=‹${harmless}›`];
    if (!isPathList(name, value)) return [`${showText(name)}=${showValue(value)}`];
    return [`${showText(name)}=`, ...value.split(':').map((entry) => `    ${showText(entry)}`)];
  });
}

function isPathList(name: string, value: EnvValue): value is string {
  return name.endsWith('PATH') && !isRedacted(value) && value.includes(':');
}

function writePython(python: PythonInterpreter): string[] {
  const kind = python.isVenv
    ? `virtual environment of ${python.basePrefix}`
    : python.implementation;
  return [
    `${showText(python.prefix)}: Python ${showText(python.version)} (${showText(kind)})`,
    `    executable ${showText(python.executable)}`,
    ...sortedEntries(python.packages).map(
      ([name, version]) => `    ${showText(name)} ${showText(version)}`,
    ),
  ];
}

/** Without what is used: it changes by the minute, and is only told when it is nearly full. */
function writeDisk(disk: Disk): string {
  const use = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
  const full = use(disk.usedBytes, disk.usedBytes + disk.availableBytes);
  const inodes = disk.inodes === null ? 0 : use(disk.inodes.used, disk.inodes.total);
  const percent = (value: number): string => `${Math.round(value * 100)} %`;
  const parts = [
    disk.fileSystem ?? 'unknown file system',
    formatBytes(disk.sizeBytes),
    ...(disk.isShared ? [`shared: ${disk.device}`] : []),
    ...(full >= 0.9 ? [`nearly full: ${percent(full)} used`] : []),
    ...(inodes >= 0.9 ? [`nearly out of inodes: ${percent(inodes)} used`] : []),
  ];
  return fact(disk.mount, parts.join(', '));
}

/** A longer value is cut for reading; its hash still tells it from another one. */
const maxShownLength = 2000;

export function showValue(value: EnvValue): string {
  return isRedacted(value) ? describeRedacted(value) : showText(value);
}

/** Text from a node, on one line, nothing hidden: bytes that are not UTF-8 as `‹xFF›`. */
export function showText(text: string): string {
  const visible = toDisplay(showBytes(text.slice(0, maxShownLength)));
  return text.length <= maxShownLength
    ? visible
    : `${visible}… (${text.length} characters, checksum ${checksum(text)})`;
}

/** With the flag `u` the pattern finds lone surrogates alone: they stand for bytes. */
function showBytes(text: string): string {
  return text.replace(/[\udc80-\udcff]/gu, (char) => {
    const byte = char.charCodeAt(0) - 0xdc00;
    return `‹x${byte.toString(16).toUpperCase()}›`;
  });
}

/** FNV-1a, 32 bits: tells long texts apart to the eye; no secret depends on it. */
function checksum(text: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}

function sorted(values: readonly string[]): string[] {
  return [...values].sort(compareText);
}

function sortedEntries<T>(record: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(record).sort(([a], [b]) => compareText(a, b));
}

/** By code unit: the same order everywhere. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
