// A box in words: the same for the tooltip, the bar below the graph and a screen reader.

import { levelOf } from '../../profile/flameGraph.ts';
import { formatDuration, formatShare, formatWeight, shortPath } from './format.ts';
import type { FlameModel } from './model.ts';

export interface BoxText {
  readonly name: string;
  /** `/srv/shop/settle.py:52`; '' for code without a file. */
  readonly place: string;
  readonly shortPlace: string;
  /** `120 samples, 24.5%, 2.4 s`. */
  readonly total: string;
  readonly self: string;
  readonly totalShare: number;
  readonly selfShare: number;
  /** What else is known of its lines; '' for nothing. */
  readonly lines: string;
}

export function describeBox(model: FlameModel, box: number): BoxText {
  const { graph, texts } = model;
  const frame = graph.frames[box]!;
  const file = texts.file(frame);
  const source = model.sourceOf(box);
  const suffix = source === undefined ? '' : `:${source.line}`;
  return {
    name: frame < 0 ? 'All samples' : texts.name(frame),
    place: file === '' ? '' : file + suffix,
    shortPlace: file === '' ? '' : shortPath(file) + suffix,
    total: weightText(model, graph.totals[box]!),
    self: weightText(model, graph.selfs[box]!),
    totalShare: model.share(graph.totals[box]!),
    selfShare: model.share(graph.selfs[box]!),
    lines: linesText(model, box),
  };
}

function weightText(model: FlameModel, weight: number): string {
  const ms = model.durationMs(weight);
  return [
    formatShare(model.share(weight)),
    formatWeight(weight, model.graph.unit),
    ...(ms === undefined || weight === 0 ? [] : [`≈ ${formatDuration(ms)}`]),
  ].join(' · ');
}

function linesText(model: FlameModel, box: number): string {
  const { graph, profile } = model;
  const frame = graph.frames[box]!;
  const { line: hot, weight } = model.hotLine(box);
  if (frame < 0 || hot === 0) return '';
  const share = weight / graph.totals[box]!;
  const first = profile.frames.lines[frame]!;
  return [
    share < 0.9995
      ? `Hottest at line ${hot}: ${formatShare(share)} of its total`
      : `All at line ${hot}`,
    ...(first > 0 && first !== hot ? [`function starts at line ${first}`] : []),
  ].join(' · ');
}

/** One sentence for a screen reader. */
export function speakBox(model: FlameModel, box: number): string {
  const { name, shortPlace, total, self } = describeBox(model, box);
  const place = shortPlace === '' ? '' : `, ${shortPlace}`;
  return `${name}${place}. Total ${total}. Self ${self}. Level ${levelOf(model.graph, box)}.`;
}
