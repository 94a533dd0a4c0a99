// Which boxes get their name written, and how much of a name fits.

import type { Span } from './raster.ts';

/** Text is the dearest part of a frame: about 10 µs each. */
export const maxLabels = 300;

/** Longest text that is measured at all. */
const maxMeasured = 300;

/** The widest spans, at most `maxLabels`. */
export function pickLabels(spans: readonly Span[]): readonly Span[] {
  if (spans.length <= maxLabels) return spans;
  return [...spans].sort((a, b) => b.to - b.from - (a.to - a.from)).slice(0, maxLabels);
}

/** Cuts text to a width; remembers what it measured. */
export class TextFitter {
  private readonly measure: (text: string) => number;
  private readonly widths = new Map<string, number>();

  constructor(measure: (text: string) => number) {
    this.measure = measure;
  }

  width(text: string): number {
    const key = text.length > maxMeasured ? text.slice(0, maxMeasured) : text;
    let width = this.widths.get(key);
    if (width === undefined) {
      width = this.measure(key);
      // A session shows a bounded number of names; their cut forms are not kept.
      if (this.widths.size < 20_000) this.widths.set(key, width);
    }
    return width;
  }

  /** The text, or its beginning and an ellipsis; '' when not even two characters fit. */
  fit(text: string, room: number): string {
    if (text.length <= maxMeasured && this.width(text) <= room) return text;
    const whole = [...text.slice(0, maxMeasured)];
    let count = Math.min(
      whole.length,
      Math.floor((whole.length * room) / Math.max(1, this.width(text))),
    );
    for (; count >= 2; count--) {
      const cut = `${whole.slice(0, count).join('')}…`;
      if (this.measure(cut) <= room) return cut;
    }
    return '';
  }
}
