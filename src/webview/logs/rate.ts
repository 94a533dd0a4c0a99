// How fast entries come: the mean over the last seconds.

const windowMs = 5000;

export class Rate {
  private readonly samples: { readonly at: number; readonly total: number }[] = [];

  /** `total` is what came until now; `now` in milliseconds of any clock that only goes forward. */
  add(total: number, now: number): void {
    this.samples.push({ at: now, total });
    while (this.samples.length > 2 && this.samples[1]!.at <= now - windowMs) this.samples.shift();
  }

  /** Entries a second. */
  perSecond(now: number): number {
    const [first] = this.samples;
    const last = this.samples.at(-1);
    if (first === undefined || last === undefined || last.at < now - windowMs) return 0;
    const elapsedMs = Math.max(1000, now - first.at);
    return ((last.total - first.total) * 1000) / elapsedMs;
  }
}
