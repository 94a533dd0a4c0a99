// A row's time as the page shows it: in the chosen zone, with the mark that tells which.

import {
  formatTime,
  formatTimeOfDay,
  zoneMark,
  type KnownZone,
  type TimeDisplay,
} from '../../base/time.ts';
import type { LogRow } from './protocol.ts';

/** In whose zone times are shown. */
export interface RowTimes {
  readonly display: TimeDisplay;
  /** The name of the zone that `local` means: the page may be in a browser somewhere else. */
  readonly localZone: string;
}

export const utcTimes: RowTimes = { display: 'utc', localZone: 'UTC' };

/** `07:17:54.123+01:00`, and the whole date for the one who asks; empty for a row without a time. */
export function rowTime(
  { time, zone }: Pick<LogRow, 'time' | 'zone'>,
  times: RowTimes,
): { readonly text: string; readonly title: string } {
  if (time === null) return { text: '', title: '' };
  const shown = zoneOf(zone, times);
  const display = shown === undefined ? 'utc' : 'node';
  return {
    text: formatTimeOfDay(Math.floor(time), display, shown),
    title: formatTime(time, display, shown),
  };
}

function zoneOf(nodeZone: number | null, { display, localZone }: RowTimes): KnownZone | undefined {
  switch (display) {
    case 'utc':
      return undefined;
    case 'local':
      return { offsetMinutes: 0 - new Date().getTimezoneOffset(), name: localZone };
    case 'node':
      return nodeZone === null ? undefined : { offsetMinutes: nodeZone };
  }
}

/** The title of the column. */
export function timeTitle({ display }: RowTimes): string {
  return { utc: 'Time (UTC)', local: 'Time (local)', node: 'Time (node)' }[display];
}

/** Characters that a time takes. */
export function timeWidth({ display }: RowTimes): number {
  return '06:17:54.123'.length + zoneMark(display === 'utc' ? undefined : 0).length;
}
