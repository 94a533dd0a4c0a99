// Times are integer or fractional milliseconds since the epoch (UTC), unless a name says otherwise.

/** Milliseconds since 1970-01-01T00:00:00Z. May carry a fraction: microseconds survive in a double. */
export type EpochMs = number;

/** ISO 8601 in UTC with milliseconds, or with microseconds when the value carries them. */
export function formatIso(time: EpochMs): string {
  const wholeMs = Math.floor(time);
  const iso = new Date(wholeMs).toISOString();
  const micros = Math.round((time - wholeMs) * 1000);
  return micros === 0 || micros === 1000
    ? new Date(Math.round(time * 1000) / 1000).toISOString()
    : `${iso.slice(0, -1)}${String(micros).padStart(3, '0')}Z`;
}
