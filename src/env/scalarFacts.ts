// The facts of an environment that are one value each (not its variables and packages), with how a difference
// of each is judged. Comparing two environments and comparing fifty read the same table.

import { formatBytes } from '../base/figures.ts';
import type { Comparable } from './comparable.ts';
import type { ChapterId } from './difference.ts';
import { formatLimit, formatOffset, formatZoneOffset } from './formatFacts.ts';
import { nodeSeverity, type Severity } from './severity.ts';

export interface Judgement {
  /** `info` when two values are as good as the same. */
  readonly severity: Severity;
  /** Its place among those of the same severity: higher comes first. */
  readonly weight: number;
  readonly note?: string | undefined;
}

export interface ScalarFact {
  readonly path: string;
  readonly chapters: readonly ChapterId[];
  readonly text: string;
  /** Equal keys are the same value. */
  readonly key: string;
  /** Against the same fact of another environment, with another key. */
  readonly judge: (other: ScalarFact) => Judgement;
  /** When the other environment was asked for `of` and does not have this: without it that is no difference. */
  readonly missing?: { readonly of: 'disks' | 'nodejs'; readonly judgement: Judgement };
  /** Of the type that the judge of this path knows. */
  readonly value: unknown;
}

/** Why a fact that changes by the minute is folded. */
export const changesByItself = 'changes by itself';

export function scalarFacts(of: Comparable): readonly ScalarFact[] {
  return [
    ...osFacts(of),
    ...machineFacts(of),
    ...nodejsFacts(of),
    ...userFacts(of),
    ...limitFacts(of),
    ...timezoneFacts(of),
    ...diskFacts(of),
    ...clockFacts(of),
  ];
}

/** None where the environment does not tell. */
function fact<T>(
  path: string,
  chapters: readonly ChapterId[],
  value: T | null | undefined,
  show: (value: T) => string,
  judge: (a: T, b: T) => Judgement,
): ScalarFact[] {
  if (value == null) return [];
  const text = show(value);
  // Facts of one path hold values of one type.
  return [
    {
      path,
      chapters,
      text,
      key: text,
      value,
      judge: (other) => judge(value, other.value as T),
    },
  ];
}

function always(severity: Severity, weight: number, note?: string): () => Judgement {
  return () => ({ severity, weight, note });
}

const asText = (value: string): string => value;

// --- System -------------------------------------------------------------------------------------------------

function osFacts({ os }: Comparable): ScalarFact[] {
  const system = ['system'] as const;
  const release = (text: string): string => text.split('.').slice(0, 2).join('.');
  return [
    ...fact('os.machine', system, os?.machine, asText, always('high', 90)),
    ...fact('os.kernelName', system, os?.kernelName, asText, always('high', 89)),
    ...fact('os.id', system, os?.id, asText, always('medium', 80)),
    ...fact('os.versionId', system, os?.versionId, asText, always('medium', 79)),
    ...fact('os.prettyName', system, os?.prettyName, asText, always('low', 40)),
    ...fact('os.kernel', system, os?.kernel, asText, (left, right) =>
      release(left) === release(right)
        ? { severity: 'info', weight: 0, note: 'another build of the same kernel release' }
        : { severity: 'low', weight: 30 },
    ),
    ...fact('os.hostname', system, os?.hostname, asText, always('info', 0, "the node's own name")),
  ];
}

/** Sizes this much apart are the same size: firmware and kernels keep some for themselves. */
const nearlyTheSame = 0.03;

function isNearlyTheSame(a: number, b: number): boolean {
  return Math.abs(a - b) <= nearlyTheSame * Math.max(a, b);
}

function machineFacts({ cpu, memory, charmap }: Comparable): ScalarFact[] {
  const system = ['system'] as const;
  const size = (left: number, right: number): Judgement =>
    isNearlyTheSame(left, right)
      ? { severity: 'info', weight: 0, note: 'nearly the same size' }
      : { severity: 'low', weight: 35 };
  return [
    ...fact('cpu.count', system, cpu?.count, String, always('low', 36)),
    ...fact('cpu.usable', system, cpu?.usable, String, always('low', 36)),
    ...fact('cpu.model', system, cpu?.model, asText, always('low', 20)),
    ...fact('memory.total', system, memory?.totalBytes, formatBytes, size),
    ...fact('memory.swap', system, memory?.swapBytes, formatBytes, size),
    ...fact(
      'memory.available',
      system,
      memory?.availableBytes,
      formatBytes,
      always('info', 0, changesByItself),
    ),
    ...fact('locale.charmap', system, charmap, asText, (left, right) =>
      left.toLowerCase() === right.toLowerCase()
        ? { severity: 'info', weight: 0, note: 'the same encoding' }
        : { severity: 'medium', weight: 70, note: 'text is read and written in another encoding' },
    ),
  ];
}

function nodejsFacts({ nodejs }: Comparable): ScalarFact[] {
  const judge = (left: string, right: string): Judgement => ({
    severity: nodeSeverity(left, right),
    weight: 75,
  });
  return fact('nodejs.version', ['system'], nodejs?.[0]?.version, asText, judge).map((found) => ({
    ...found,
    missing: { of: 'nodejs', judgement: { severity: 'medium', weight: 75 } },
  }));
}

// --- User ---------------------------------------------------------------------------------------------------

function userFacts({ user, umask, cwd }: Comparable): ScalarFact[] {
  const chapters = ['user'] as const;
  const groups = (values: readonly string[]): string => [...new Set(values)].sort().join(', ');
  return [
    ...fact('user.name', chapters, user?.name, asText, always('medium', 72)),
    ...fact('user.uid', chapters, user?.uid, String, (x, y) =>
      (x === 0) === (y === 0)
        ? { severity: 'low', weight: 45 }
        : { severity: 'high', weight: 60, note: 'one of them is root' },
    ),
    ...fact('user.gid', chapters, user?.gid, String, always('low', 44)),
    ...fact('user.groups', chapters, user?.groups, groups, always('low', 43)),
    ...fact('user.home', chapters, user?.home, asText, always('low', 28)),
    ...fact('user.shell', chapters, user?.shell, asText, always('low', 29)),
    ...fact(
      'umask',
      chapters,
      umask,
      asText,
      always('medium', 65, 'new files get other permissions'),
    ),
    ...fact('cwd', chapters, cwd, asText, always('low', 25)),
  ];
}

/** Limits that end programs when they are reached. */
const hardLimits = new Set(['nofile', 'nproc', 'as', 'memlock', 'stack', 'cpu', 'fsize', 'data']);

function limitFacts({ limits }: Comparable): ScalarFact[] {
  return Object.entries(limits ?? {}).flatMap(([name, [soft, hard]]) => {
    const isHard = hardLimits.has(name);
    const weight = isHard ? 55 : 20;
    return [
      ...fact(`limits.${name}.soft`, ['user'], soft, formatLimit, (x, y) => ({
        severity: isHard && isFarApart(x, y) ? 'medium' : 'low',
        weight,
      })),
      ...fact(`limits.${name}.hard`, ['user'], hard, formatLimit, always('low', weight - 10)),
    ];
  });
}

/** Twice as much, or no limit at all. */
function isFarApart(a: number, b: number): boolean {
  if (a === -1 || b === -1) return true;
  return Math.max(a, b) >= 2 * Math.min(a, b);
}

function timezoneFacts({ timezone }: Comparable): ScalarFact[] {
  return [
    ...fact('timezone.zone', ['user'], timezone?.zone, asText, (x, y) =>
      sameZone(x, y)
        ? { severity: 'info', weight: 0, note: 'two names of one zone' }
        : { severity: 'medium', weight: 50 },
    ),
    ...fact('timezone.offset', ['user'], timezone?.offsetMinutes, formatZoneOffset, () => ({
      severity: 'medium',
      weight: 51,
      note: 'the same moment has another local time',
    })),
  ];
}

function sameZone(a: string, b: string): boolean {
  const plain = (name: string): string =>
    /^(Etc\/)?(UTC|UCT|Zulu|Universal|GMT)$/.test(name) ? 'UTC' : name;
  return plain(a) === plain(b);
}

// --- Disks and clock ----------------------------------------------------------------------------------------

/** A file system this full fails its writers soon. */
export const nearlyFull = 0.9;

function diskFacts({ disks }: Comparable): ScalarFact[] {
  const chapters = ['disks'] as const;
  const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
  return (disks ?? []).flatMap((disk) => {
    const path = `disks.${disk.mount}`;
    const isThere: ScalarFact = {
      path,
      chapters,
      text: `${disk.fileSystem ?? disk.device}, ${formatBytes(disk.sizeBytes)}`,
      // What is mounted there is told by the facts below.
      key: 'there',
      value: true,
      judge: always('info', 0),
      missing: { of: 'disks', judgement: { severity: 'low', weight: 38 } },
    };
    return [
      isThere,
      ...fact(`${path}.fileSystem`, chapters, disk.fileSystem, asText, always('low', 33)),
      ...fact(`${path}.size`, chapters, disk.sizeBytes, formatBytes, (p, q) =>
        isNearlyTheSame(p, q)
          ? { severity: 'info', weight: 0, note: 'nearly the same size' }
          : { severity: 'low', weight: 22 },
      ),
      ...useFact(`${path}.used`, share(disk.usedBytes, disk.usedBytes + disk.availableBytes)),
      ...useFact(
        `${path}.inodesUsed`,
        disk.inodes === null ? 0 : share(disk.inodes.used, disk.inodes.total),
      ),
    ];
  });
}

function useFact(path: string, used: number): ScalarFact[] {
  const percent = (value: number): string => `${Math.round(value * 100)} %`;
  return fact(path, ['disks'], used, percent, (x, y) =>
    x >= nearlyFull || y >= nearlyFull
      ? { severity: 'medium', weight: 62, note: 'nearly full' }
      : { severity: 'info', weight: 0, note: changesByItself },
  );
}

/** Apart by more than both measurements may be wrong, in milliseconds; and when that begins to hurt. */
function clockFacts({ clock }: Comparable): ScalarFact[] {
  return fact('clock.offset', ['clock'], clock, formatOffset, (x, y) => {
    const apart = Math.abs(x.offsetMs - y.offsetMs);
    const note = `${(apart / 1000).toFixed(1)} s apart`;
    if (apart >= 30_000) return { severity: 'high', weight: 58, note };
    if (apart >= 1000) return { severity: 'medium', weight: 57, note };
    if (apart > x.errorMs + y.errorMs + 50) return { severity: 'low', weight: 27, note };
    return { severity: 'info', weight: 0, note: 'the same within the error of the measurement' };
  });
}
