// Small texts about an entry that every view shows alike.

import { toDisplay } from '../base/displayText.ts';
import { formatIso } from '../base/time.ts';
import type { LogEntry } from './logEntry.ts';

/** Marks an entry whose order among its neighbours is not known. */
export const orderUnknownMark = '≈';

/** Marks a live entry that came after later ones had been shown. */
export const lateMark = '↓';

/** `2026-11-22 06:17:54.123`, in UTC by our clock; dashes for an entry without a time. */
export function timeText(entry: LogEntry): string {
  if (entry.time === undefined) return '-'.repeat('2026-11-22 06:17:54.123'.length);
  // Digits that only the correction brought are noise.
  const time = Number.isInteger(entry.nodeTime) ? Math.round(entry.time) : entry.time;
  return formatIso(time).replace('T', ' ').replace('Z', '');
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
