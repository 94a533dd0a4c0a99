// Times are integer or fractional milliseconds since the epoch (UTC), unless a name says otherwise.

/** Milliseconds since 1970-01-01T00:00:00Z. May carry a fraction: microseconds survive in a double. */
export type EpochMs = number;

/** Minutes that a zone's clocks are ahead of UTC at some moment: +02:00 is 120. */
export type UtcOffsetMinutes = number;

/** The last time a JavaScript Date can hold, and its negative the first. */
export const maxEpochMs = 8.64e15;

/**
 * ISO 8601 in UTC with milliseconds, or with microseconds when the value carries them. Errors: RangeError for
 * what is no date.
 */
export function formatIso(time: EpochMs): string {
  const wholeMs = Math.floor(time);
  const iso = new Date(wholeMs).toISOString();
  const micros = Math.round((time - wholeMs) * 1000);
  return micros === 0 || micros === 1000
    ? new Date(Math.round(time * 1000) / 1000).toISOString()
    : `${iso.slice(0, -1)}${String(micros).padStart(3, '0')}Z`;
}

/** In whose zone times are shown: this computer's, UTC, or that of the node they belong to. */
export type TimeDisplay = 'local' | 'utc' | 'node';

export const timeDisplays: readonly TimeDisplay[] = ['local', 'utc', 'node'];

export function isTimeDisplay(value: unknown): value is TimeDisplay {
  return timeDisplays.includes(value as TimeDisplay);
}

/** A node's zone, as far as it is known. */
export interface KnownZone {
  /** As of when the node was asked. */
  readonly offsetMinutes: UtcOffsetMinutes;
  /** E.g. `Europe/Berlin`, which knows summer time. */
  readonly name?: string | undefined;
}

/**
 * How far the shown zone is ahead of UTC at this moment, summer time included. Undefined for a node whose zone is
 * not known, whose times are then shown in UTC.
 */
export function shownOffset(
  time: EpochMs,
  display: TimeDisplay,
  nodeZone?: KnownZone,
): UtcOffsetMinutes | undefined {
  switch (display) {
    case 'utc':
      return undefined;
    case 'local':
      return isDate(time) ? 0 - new Date(time).getTimezoneOffset() : undefined;
    case 'node':
      return nodeZone === undefined ? undefined : offsetOfZone(nodeZone, time);
  }
}

/** `Z` for UTC, else `+02:00`: what makes a time unambiguous. */
export function zoneMark(offset: UtcOffsetMinutes | undefined): string {
  if (offset === undefined) return 'Z';
  const size = Math.abs(offset);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${offset < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(Math.floor(size % 60))}`;
}

/** `2026-11-22 06:17:54.123Z`, `2026-11-22 07:17:54.123+01:00`. */
export function formatTime(time: EpochMs, display: TimeDisplay, nodeZone?: KnownZone): string {
  const offset = shownOffset(time, display, nodeZone);
  const shifted = time + (offset ?? 0) * 60_000;
  // A node may claim any time, also one that has no date.
  if (!isDate(shifted)) return `${noDate}Z`;
  return `${formatIso(shifted).slice(0, -1).replace('T', ' ')}${zoneMark(offset)}`;
}

/** `06:17:54.123Z`, `07:17:54.123+01:00`. */
export function formatTimeOfDay(time: EpochMs, display: TimeDisplay, nodeZone?: KnownZone): string {
  const text = formatTime(time, display, nodeZone);
  return text.slice(text.indexOf(' ') + 1);
}

/** Stands for a time that a calendar cannot hold; as wide as one that it can. */
export const noDate = '---------- --:--:--.---';

function isDate(time: number): boolean {
  return Math.abs(time) <= maxEpochMs;
}

/** Making one takes some 50 µs; undefined for a zone that is not known here. */
const zoneFormats = new Map<string, Intl.DateTimeFormat | undefined>();
const maxZoneFormats = 100;

function offsetOfZone({ offsetMinutes, name }: KnownZone, time: EpochMs): UtcOffsetMinutes {
  if (name === undefined || !isDate(time)) return offsetMinutes;
  if (!zoneFormats.has(name)) {
    if (zoneFormats.size >= maxZoneFormats) zoneFormats.clear();
    zoneFormats.set(name, zoneFormat(name));
  }
  const format = zoneFormats.get(name);
  if (format === undefined) return offsetMinutes;
  const told = format.formatToParts(time).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  // `GMT`, `GMT+05:45`; seconds, as before standard time, are left out.
  const match = /^GMT(?:([+-])(\d{2}):(\d{2}))?/.exec(told);
  if (match === null) return offsetMinutes;
  const size = Number(match[2] ?? 0) * 60 + Number(match[3] ?? 0);
  return match[1] === '-' ? 0 - size : size;
}

function zoneFormat(name: string): Intl.DateTimeFormat | undefined {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name, timeZoneName: 'longOffset' });
  } catch {
    // Not a zone that this computer knows: a node may call its zone anything.
    return undefined;
  }
}
