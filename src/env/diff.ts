// (a, b) → what differs, the likeliest trouble first. Pure. Facts that change by themselves are folded away
// with a reason, and what could not be compared is named: silence means "the same".

import { formatBytes } from '../base/figures.ts';
import type { Comparable } from './comparable.ts';
import type {
  ChapterId,
  EnvDifference,
  Findings,
  RankedDifference,
  Uncompared,
} from './difference.ts';
import { compareVariables } from './diffVariables.ts';
import { comparePythons } from './diffPythons.ts';
import { compareSystemPackages } from './diffSystemPackages.ts';
import { formatLimit, formatOffset, formatZoneOffset } from './formatFacts.ts';
import { compareSeverity, nodeSeverity, type Severity } from './severity.ts';

export interface EnvComparison {
  /** Worst first. */
  readonly differences: readonly EnvDifference[];
  /** Harmless ones and those that change by themselves, each with its reason as `note`. */
  readonly folded: readonly EnvDifference[];
  readonly uncompared: readonly Uncompared[];
}

export function diffEnvironments(a: Comparable, b: Comparable): EnvComparison {
  const parts: readonly Findings[] = [
    { differences: [...compareOs(a, b), ...compareMachine(a, b)] },
    { differences: [...compareUser(a, b), ...compareLimits(a, b), ...compareTimezone(a, b)] },
    compareVariables(a, b),
    comparePythons(a, b),
    { differences: compareNodejs(a, b) },
    compareSystemPackages(a, b),
    { differences: [...compareDisks(a, b), ...compareClock(a, b)] },
  ];
  const found = parts
    .flatMap((part) => part.differences)
    .sort(
      (left, right) =>
        compareSeverity(left.severity, right.severity) ||
        right.weight - left.weight ||
        comparePaths(left.path, right.path),
    )
    .map(({ weight: _, ...difference }): EnvDifference => difference);
  return {
    differences: found.filter(({ severity }) => severity !== 'info'),
    folded: found.filter(({ severity }) => severity === 'info'),
    uncompared: [...missingChapters(a, b), ...parts.flatMap((part) => part.uncompared ?? [])],
  };
}

/** By code unit, so that the order is the same in every locale. */
function comparePaths(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function missingChapters(a: Comparable, b: Comparable): Uncompared[] {
  return [a, b].flatMap(({ label, missing }) =>
    missing.map(({ chapter, why }) => ({ path: chapter, why: `${label}: ${why}` })),
  );
}

interface Judgement {
  readonly severity: Severity;
  readonly weight: number;
  readonly note?: string | undefined;
}

/** One fact: nothing when either side does not have it, or both have the same. */
function compareFact<T>(
  path: string,
  chapters: readonly ChapterId[],
  a: T | null | undefined,
  b: T | null | undefined,
  show: (value: T) => string,
  judge: (a: T, b: T) => Judgement,
): RankedDifference[] {
  if (a == null || b == null) return [];
  const [left, right] = [show(a), show(b)];
  if (left === right) return [];
  const { severity, weight, note } = judge(a, b);
  return [{ path, chapters, a: left, b: right, severity, weight, note: note ?? null }];
}

function always(severity: Severity, weight: number, note?: string): () => Judgement {
  return () => ({ severity, weight, note });
}

const asText = (value: string): string => value;

// --- System -------------------------------------------------------------------------------------------------

function compareOs({ os: a }: Comparable, { os: b }: Comparable): RankedDifference[] {
  const system = ['system'] as const;
  const release = (text: string): string => text.split('.').slice(0, 2).join('.');
  return [
    ...compareFact('os.machine', system, a?.machine, b?.machine, asText, always('high', 90)),
    ...compareFact(
      'os.kernelName',
      system,
      a?.kernelName,
      b?.kernelName,
      asText,
      always('high', 89),
    ),
    ...compareFact('os.id', system, a?.id, b?.id, asText, always('medium', 80)),
    ...compareFact(
      'os.versionId',
      system,
      a?.versionId,
      b?.versionId,
      asText,
      always('medium', 79),
    ),
    ...compareFact(
      'os.prettyName',
      system,
      a?.prettyName,
      b?.prettyName,
      asText,
      always('low', 40),
    ),
    ...compareFact('os.kernel', system, a?.kernel, b?.kernel, asText, (left, right) =>
      release(left) === release(right)
        ? { severity: 'info', weight: 0, note: 'another build of the same kernel release' }
        : { severity: 'low', weight: 30 },
    ),
    ...compareFact(
      'os.hostname',
      system,
      a?.hostname,
      b?.hostname,
      asText,
      always('info', 0, "the node's own name"),
    ),
  ];
}

/** Sizes this much apart are the same size: firmware and kernels keep some for themselves. */
const nearlyTheSame = 0.03;

function compareMachine(a: Comparable, b: Comparable): RankedDifference[] {
  const system = ['system'] as const;
  const size = (left: number, right: number): Judgement =>
    Math.abs(left - right) <= nearlyTheSame * Math.max(left, right)
      ? { severity: 'info', weight: 0, note: 'nearly the same size' }
      : { severity: 'low', weight: 35 };
  return [
    ...compareFact('cpu.count', system, a.cpu?.count, b.cpu?.count, String, always('low', 36)),
    ...compareFact('cpu.usable', system, a.cpu?.usable, b.cpu?.usable, String, always('low', 36)),
    ...compareFact('cpu.model', system, a.cpu?.model, b.cpu?.model, asText, always('low', 20)),
    ...compareFact(
      'memory.total',
      system,
      a.memory?.totalBytes,
      b.memory?.totalBytes,
      formatBytes,
      size,
    ),
    ...compareFact(
      'memory.swap',
      system,
      a.memory?.swapBytes,
      b.memory?.swapBytes,
      formatBytes,
      size,
    ),
    ...compareFact(
      'memory.available',
      system,
      a.memory?.availableBytes,
      b.memory?.availableBytes,
      formatBytes,
      always('info', 0, 'changes by itself'),
    ),
    ...compareFact('locale.charmap', system, a.charmap, b.charmap, asText, (left, right) =>
      left.toLowerCase() === right.toLowerCase()
        ? { severity: 'info', weight: 0, note: 'the same encoding' }
        : { severity: 'medium', weight: 70, note: 'text is read and written in another encoding' },
    ),
  ];
}

function compareNodejs({ nodejs: a }: Comparable, { nodejs: b }: Comparable): RankedDifference[] {
  if (a === undefined || b === undefined) return [];
  const [left, right] = [a[0]?.version ?? null, b[0]?.version ?? null];
  if (left === right) return [];
  const severity = left === null || right === null ? 'medium' : nodeSeverity(left, right);
  return [
    {
      path: 'nodejs.version',
      chapters: ['system'],
      a: left,
      b: right,
      severity,
      weight: 75,
      note: null,
    },
  ];
}

// --- User ---------------------------------------------------------------------------------------------------

function compareUser(left: Comparable, right: Comparable): RankedDifference[] {
  const user = ['user'] as const;
  const { user: a, umask: umaskA } = left;
  const { user: b, umask: umaskB } = right;
  return [
    ...compareFact('user.name', user, a?.name, b?.name, asText, always('medium', 72)),
    ...compareFact('user.uid', user, a?.uid, b?.uid, String, (x, y) =>
      (x === 0) === (y === 0)
        ? { severity: 'low', weight: 45 }
        : { severity: 'high', weight: 60, note: 'one of them is root' },
    ),
    ...compareFact('user.gid', user, a?.gid, b?.gid, String, always('low', 44)),
    ...compareSet('user.groups', a?.groups, b?.groups),
    ...compareFact('user.home', user, a?.home, b?.home, asText, always('low', 28)),
    ...compareFact('user.shell', user, a?.shell, b?.shell, asText, always('low', 29)),
    ...compareFact(
      'umask',
      user,
      umaskA,
      umaskB,
      asText,
      always('medium', 65, 'new files get other permissions'),
    ),
    ...compareFact('cwd', user, left.cwd, right.cwd, asText, always('low', 25)),
  ];
}

function compareSet(
  path: string,
  a: readonly string[] | undefined,
  b: readonly string[] | undefined,
): RankedDifference[] {
  const show = (values: readonly string[]): string => [...new Set(values)].sort().join(', ');
  return compareFact(path, ['user'], a, b, show, always('low', 43));
}

/** Limits that end programs when they are reached. */
const hardLimits = new Set(['nofile', 'nproc', 'as', 'memlock', 'stack', 'cpu', 'fsize', 'data']);

function compareLimits({ limits: a }: Comparable, { limits: b }: Comparable): RankedDifference[] {
  if (a === undefined || b === undefined) return [];
  const right = new Map(Object.entries(b));
  return Object.entries(a).flatMap(([name, [softA, hardA]]) => {
    const [softB, hardB] = right.get(name) ?? [softA, hardA];
    const weight = hardLimits.has(name) ? 55 : 20;
    return [
      ...compareFact(`limits.${name}.soft`, ['user'], softA, softB, formatLimit, (x, y) => ({
        severity: hardLimits.has(name) && isFarApart(x, y) ? 'medium' : 'low',
        weight,
      })),
      ...compareFact(
        `limits.${name}.hard`,
        ['user'],
        hardA,
        hardB,
        formatLimit,
        always('low', weight - 10),
      ),
    ];
  });
}

/** Twice as much, or no limit at all. */
function isFarApart(a: number, b: number): boolean {
  if (a === -1 || b === -1) return true;
  return Math.max(a, b) >= 2 * Math.min(a, b);
}

function compareTimezone(
  { timezone: a }: Comparable,
  { timezone: b }: Comparable,
): RankedDifference[] {
  const user = ['user'] as const;
  const zone = compareFact('timezone.zone', user, a?.zone, b?.zone, asText, (x, y) =>
    sameZone(x, y)
      ? { severity: 'info', weight: 0, note: 'two names of one zone' }
      : { severity: 'medium', weight: 50 },
  );
  const offset = compareFact(
    'timezone.offset',
    user,
    a?.offsetMinutes,
    b?.offsetMinutes,
    formatZoneOffset,
    () => ({ severity: 'medium', weight: 51, note: 'the same moment has another local time' }),
  );
  return [...zone, ...offset];
}

function sameZone(a: string, b: string): boolean {
  const plain = (name: string): string =>
    /^(Etc\/)?(UTC|UCT|Zulu|Universal|GMT)$/.test(name) ? 'UTC' : name;
  return plain(a) === plain(b);
}

// --- Disks and clock ----------------------------------------------------------------------------------------

/** A file system this full fails its writers soon. */
const nearlyFull = 0.9;

function compareDisks({ disks: a }: Comparable, { disks: b }: Comparable): RankedDifference[] {
  if (a === undefined || b === undefined) return [];
  const right = new Map(b.map((disk) => [disk.mount, disk]));
  const left = new Map(a.map((disk) => [disk.mount, disk]));
  const mounts = [...new Set([...left.keys(), ...right.keys()])];
  return mounts.flatMap((mount) => {
    const [x, y] = [left.get(mount), right.get(mount)];
    const path = `disks.${mount}`;
    const chapters = ['disks'] as const;
    if (x === undefined || y === undefined) {
      const show = (disk: typeof x): string | null =>
        disk === undefined
          ? null
          : `${disk.fileSystem ?? disk.device}, ${formatBytes(disk.sizeBytes)}`;
      return [{ path, chapters, a: show(x), b: show(y), severity: 'low', weight: 38, note: null }];
    }
    const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
    const bytes = [x, y].map((disk) => share(disk.usedBytes, disk.usedBytes + disk.availableBytes));
    const inodes = [x, y].map((disk) =>
      disk.inodes === null ? 0 : share(disk.inodes.used, disk.inodes.total),
    );
    return [
      ...compareFact(
        `${path}.fileSystem`,
        chapters,
        x.fileSystem,
        y.fileSystem,
        asText,
        always('low', 33),
      ),
      ...compareFact(`${path}.size`, chapters, x.sizeBytes, y.sizeBytes, formatBytes, (p, q) =>
        Math.abs(p - q) <= nearlyTheSame * Math.max(p, q)
          ? { severity: 'info', weight: 0, note: 'nearly the same size' }
          : { severity: 'low', weight: 22 },
      ),
      ...compareUse(`${path}.used`, bytes),
      ...compareUse(`${path}.inodesUsed`, inodes),
    ];
  });
}

function compareUse(path: string, [a, b]: readonly number[]): RankedDifference[] {
  const percent = (value: number): string => `${Math.round(value * 100)} %`;
  return compareFact(path, ['disks'], a, b, percent, (x, y) =>
    x >= nearlyFull || y >= nearlyFull
      ? { severity: 'medium', weight: 62, note: 'nearly full' }
      : { severity: 'info', weight: 0, note: 'changes by itself' },
  );
}

/** Apart by more than both measurements may be wrong, in milliseconds; and when that begins to hurt. */
function compareClock({ clock: a }: Comparable, { clock: b }: Comparable): RankedDifference[] {
  return compareFact('clock.offset', ['clock'], a, b, formatOffset, (x, y) => {
    const apart = Math.abs(x.offsetMs - y.offsetMs);
    const note = `${(apart / 1000).toFixed(1)} s apart`;
    if (apart >= 30_000) return { severity: 'high', weight: 58, note };
    if (apart >= 1000) return { severity: 'medium', weight: 57, note };
    if (apart > x.errorMs + y.errorMs + 50) return { severity: 'low', weight: 27, note };
    return { severity: 'info', weight: 0, note: 'the same within the error of the measurement' };
  });
}
