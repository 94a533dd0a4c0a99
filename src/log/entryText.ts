// Small texts about an entry that every view shows alike.

import { toDisplay } from '../base/displayText.ts';
import { formatTime, noDate, zoneMark, type TimeDisplay } from '../base/time.ts';
import type { LogEntry } from './logEntry.ts';

/** Marks an entry whose order among its neighbours is not known. */
export const orderUnknownMark = '≈';

/** Marks a live entry that came after later ones had been shown. */
export const lateMark = '↓';

/** `2026-11-22 06:17:54.123Z`, by our clock; dashes as wide for an entry without a time. */
export function timeText(entry: LogEntry, display: TimeDisplay): string {
  if (entry.time === undefined) return noTime[display];
  // Digits that only the correction brought are noise.
  const time = Number.isInteger(entry.nodeTime) ? Math.round(entry.time) : entry.time;
  return formatTime(time, display, { offsetMinutes: entry.zone });
}

const unknownTime = '-'.repeat(noDate.length + zoneMark(undefined).length);
const unknownLocalTime = '-'.repeat(noDate.length + zoneMark(0).length);
const noTime: Readonly<Record<TimeDisplay, string>> = {
  utc: unknownTime,
  local: unknownLocalTime,
  node: unknownLocalTime,
};

/** Of a document's or a list's times: `UTC`, `this computer's zone (Europe/Berlin)`, `each node's own zone`. */
export function zoneText(display: TimeDisplay): string {
  switch (display) {
    case 'utc':
      return 'UTC';
    case 'local':
      return `this computer's zone (${new Intl.DateTimeFormat().resolvedOptions().timeZone})`;
    case 'node':
      return "each node's own zone";
  }
}

/** The logger or service that wrote it, else the file's name without its ending. */
export function writerOf(entry: LogEntry): string {
  for (const name of ['name', 'logger', 'service', 'app', 'component']) {
    const value = Object.hasOwn(entry.fields, name) ? entry.fields[name] : undefined;
    if (typeof value === 'string' && value !== '') return toDisplay(value, 60);
  }
  const file = entry.source.slice(entry.source.lastIndexOf('/') + 1);
  return toDisplay(file.replace(/\.log\b.*$/, ''), 60);
}
