// Messages between the page of the live logs and the extension. What arrives is checked on both sides.

import { isTimeDisplay, type TimeDisplay } from '../../base/time.ts';

/** As `Level` of src/log, or '' for an entry without one. */
export type RowLevel = '' | 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** An entry, or a mark between entries. All texts are safe to show. */
export interface LogRow {
  /** Counts up by one from the first row of a session. */
  readonly id: number;
  /** `gap`: lines may be missing here. `resumed`: the connection was lost here, and came back. */
  readonly kind: 'entry' | 'gap' | 'resumed';
  /** Corrected, in epoch milliseconds; null when the entry carries no time. */
  readonly time: number | null;
  /** Minutes that the node's own zone is ahead of UTC; null where it is not known. */
  readonly zone: number | null;
  readonly node: string;
  /** Logger, service or file. */
  readonly writer: string;
  readonly level: RowLevel;
  readonly contextId: string;
  /** The first line; what a mark says. */
  readonly message: string;
  /** Further lines that the entry has. */
  readonly moreLines: number;
  /** Later entries had been shown before it came. */
  readonly isLate: boolean;
}

export interface NodeRow {
  readonly node: string;
  readonly state: 'off' | 'starting' | 'following' | 'waiting' | 'stopped' | 'failed';
  /** Why it failed or waits, or what is not followed; '' when there is nothing to say. */
  readonly note: string;
}

/** Over the whole session, also of what the page never got. */
export interface Counters {
  readonly received: number;
  readonly late: number;
  readonly gaps: number;
}

export type ToLogs =
  | { readonly type: 'rows'; readonly rows: readonly LogRow[]; readonly counters: Counters }
  /** All rows up to and with this one are gone, on both sides. */
  | { readonly type: 'cleared'; readonly upTo: number; readonly counters: Counters }
  | { readonly type: 'nodes'; readonly nodes: readonly NodeRow[] }
  /** In whose zone times are shown; `localZone` is the name of the one that `local` means. */
  | { readonly type: 'times'; readonly display: TimeDisplay; readonly localZone: string }
  /** The whole entry as text, as asked for. */
  | { readonly type: 'detail'; readonly id: number; readonly text: string };

export type FromLogs =
  | { readonly type: 'ready' }
  | { readonly type: 'start' | 'stop'; readonly node: string }
  | { readonly type: 'pause'; readonly isPaused: boolean }
  | { readonly type: 'clear' }
  | { readonly type: 'detail' | 'searchContext'; readonly id: number }
  | { readonly type: 'copy'; readonly ids: readonly number[] };

/** Most rows that the page and the extension keep; older ones are dropped and counted. */
export const maxRows = 50_000;

/** Most rows that are copied at once. */
export const maxCopiedRows = 10_000;

const rowLevels: ReadonlySet<unknown> = new Set<RowLevel>([
  '',
  'trace',
  'debug',
  'info',
  'warn',
  'error',
  'fatal',
]);
const rowKinds: ReadonlySet<unknown> = new Set<LogRow['kind']>(['entry', 'gap', 'resumed']);
const nodeStates: ReadonlySet<unknown> = new Set<NodeRow['state']>([
  'off',
  'starting',
  'following',
  'waiting',
  'stopped',
  'failed',
]);

/** Undefined for anything the extension does not send. */
export function readToLogs(message: unknown): ToLogs | undefined {
  if (!isRecord(message)) return undefined;
  const { type, rows, nodes, counters, id, upTo, text, display, localZone } = message;
  switch (type) {
    case 'rows':
      return isListOf(rows, isLogRow) && isCounters(counters)
        ? { type, rows, counters }
        : undefined;
    case 'cleared':
      return isCount(upTo) && isCounters(counters) ? { type, upTo, counters } : undefined;
    case 'nodes':
      return isListOf(nodes, isNodeRow) ? { type, nodes } : undefined;
    case 'times':
      return isTimeDisplay(display) && isShortText(localZone)
        ? { type, display, localZone }
        : undefined;
    case 'detail':
      return isCount(id) && typeof text === 'string' ? { type, id, text } : undefined;
    default:
      return undefined;
  }
}

/** Undefined for anything a page of ours does not send. */
export function readFromLogs(message: unknown): FromLogs | undefined {
  if (!isRecord(message)) return undefined;
  const { type, node, isPaused, id, ids } = message;
  switch (type) {
    case 'ready':
    case 'clear':
      return { type };
    case 'start':
    case 'stop':
      return isShortText(node) ? { type, node } : undefined;
    case 'pause':
      return typeof isPaused === 'boolean' ? { type, isPaused } : undefined;
    case 'detail':
    case 'searchContext':
      return isCount(id) ? { type, id } : undefined;
    case 'copy':
      return isListOf(ids, isCount) && ids.length <= maxCopiedRows ? { type, ids } : undefined;
    default:
      return undefined;
  }
}

function isLogRow(value: unknown): value is LogRow {
  return (
    isRecord(value) &&
    isCount(value['id']) &&
    rowKinds.has(value['kind']) &&
    isNumberOrNull(value['time']) &&
    isNumberOrNull(value['zone']) &&
    rowLevels.has(value['level']) &&
    isCount(value['moreLines']) &&
    typeof value['isLate'] === 'boolean' &&
    ['node', 'writer', 'contextId', 'message'].every((name) => typeof value[name] === 'string')
  );
}

function isNumberOrNull(value: unknown): value is number | null {
  return value === null || Number.isFinite(value);
}

function isNodeRow(value: unknown): value is NodeRow {
  return (
    isRecord(value) &&
    typeof value['node'] === 'string' &&
    nodeStates.has(value['state']) &&
    typeof value['note'] === 'string'
  );
}

function isCounters(value: unknown): value is Counters {
  return isRecord(value) && ['received', 'late', 'gaps'].every((name) => isCount(value[name]));
}

function isListOf<T>(value: unknown, isItem: (item: unknown) => item is T): value is readonly T[] {
  return Array.isArray(value) && value.every(isItem);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isShortText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 4096;
}
