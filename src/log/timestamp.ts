// Text and numbers in log lines → epoch milliseconds.

import { maxEpochMs, type EpochMs, type UtcOffsetMinutes } from '../base/time.ts';

// 2026-11-22T06:17:54.123456Z, 2026-11-22 06:17:54,123, 2026/11/22 06:17:54+0100
const isoLike =
  /^(\d{4})[-/](\d{2})[-/](\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?\s*(Z|z|UTC|[+-]\d{2}(?::?\d{2})?)?$/;

/**
 * ISO 8601 and its looser relatives (a blank instead of T, a comma before the fraction). Text without a
 * zone is the node's local time. Undefined for anything else, also for a 13th month.
 */
export function parseTimestamp(text: string, zone: UtcOffsetMinutes): EpochMs | undefined {
  const match = isoLike.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, zoneText] = match;
  const midnight = startOfDay(+year!, +month!, +day!);
  // Second 60 is a leap second.
  if (midnight === undefined || +hour! > 24 || +minute! > 59 || +second! > 60) return undefined;
  const wholeSeconds = midnight + +hour! * 3_600_000 + +minute! * 60_000 + +second! * 1000;
  const fractionMs = fraction === undefined ? 0 : Number(`0.${fraction}`) * 1000;
  const offsetMinutes = zoneText === undefined ? zone : parseZone(zoneText);
  // Rounded to whole microseconds: finer digits do not survive in a double.
  return wholeSeconds - offsetMinutes * 60_000 + Math.round(fractionMs * 1000) / 1000;
}

/** `Date.UTC` takes the years 0 to 99 for 1900 to 1999. The calendar repeats every 400 years, to the day. */
const calendarMs = 146_097 * 86_400_000;

/** Undefined for a day that no month has. */
function startOfDay(year: number, month: number, day: number): EpochMs | undefined {
  if (month < 1 || month > 12 || day < 1) return undefined;
  const time = Date.UTC(year + 400, month - 1, day);
  return day > 28 && new Date(time).getUTCDate() !== day ? undefined : time - calendarMs;
}

/** `Z`, `+0200`, `+02:00` or `-03` → minutes ahead of UTC. */
export function parseZone(text: string): UtcOffsetMinutes {
  const match = /^([+-])(\d{2}):?(\d{2})?$/.exec(text);
  if (match === null) return 0;
  const minutes = Number(match[2]) * 60 + Number(match[3] ?? 0);
  return match[1] === '-' ? -minutes : minutes;
}

// Which unit a bare number is in, by its size: 1e8 s is 1973, 1e11 ms is 1973, and so on.
const units: readonly (readonly [least: number, perMs: number])[] = [
  [1e17, 1e6],
  [1e14, 1e3],
  [1e11, 1],
  [1e8, 1e-3],
];

/** Epoch seconds, milliseconds, microseconds or nanoseconds, told apart by size; undefined before 1973. */
export function parseEpoch(value: number): EpochMs | undefined {
  const unit = units.find(([least]) => value >= least);
  if (unit === undefined || !Number.isFinite(value)) return undefined;
  const ms = Math.round((value / unit[1]) * 1000) / 1000;
  return ms <= maxEpochMs ? ms : undefined;
}

const ages: Readonly<Record<string, number>> = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 };

/** What a person writes: an age such as `10m` or `2h`, a date, or a date and time (UTC without a zone). */
export function parseWhen(text: string, now: EpochMs): EpochMs | undefined {
  const age = /^(\d+(?:\.\d+)?)\s*([smhd])$/.exec(text.trim());
  if (age !== null) return now - Number(age[1]) * ages[age[2]!]!;
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text.trim()) ? `${text.trim()}T00:00:00` : text.trim();
  const minutes = /^(.*[T ]\d{2}:\d{2})(Z|[+-]\d{2}:?\d{2})?$/.exec(day);
  return parseTimestamp(minutes === null ? day : `${minutes[1]!}:00${minutes[2] ?? ''}`, 0);
}
