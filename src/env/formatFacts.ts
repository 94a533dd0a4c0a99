// Facts as people read them: clock offsets, zones, limits. The same text in differences and in documents.

/** `+3500.0 ms ± 0.2 ms`: the node is ahead. */
export function formatOffset(clock: {
  readonly offsetMs: number;
  readonly errorMs: number;
}): string {
  const sign = clock.offsetMs < 0 ? '−' : '+';
  return `${sign}${Math.abs(clock.offsetMs).toFixed(1)} ms ± ${clock.errorMs.toFixed(1)} ms`;
}

/** Minutes east of UTC as `+01:00`. */
export function formatZoneOffset(minutes: number): string {
  const size = Math.abs(minutes);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${minutes < 0 ? '−' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** -1 is `unlimited`. */
export function formatLimit(value: number): string {
  return value === -1 ? 'unlimited' : String(value);
}
