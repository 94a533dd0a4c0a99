// The calls that lead to the selected box, from the root: each goes back to its box.

import { pathTo } from '../../profile/flameGraph.ts';
import { fill, h } from './dom.ts';
import type { FlameModel } from './model.ts';

/** Calls shown at each end of a longer path. */
const shownFirst = 2;
const shownLast = 6;
/** Paths up to this length are shown whole. */
const wholeLength = 12;

export class PathBar {
  readonly element = h('nav', { className: 'path', ariaLabel: 'Calls to the selected function' });
  private readonly onGo: (box: number) => void;

  constructor(onGo: (box: number) => void) {
    this.onGo = onGo;
  }

  show(model: FlameModel, selected: number | undefined): void {
    const path = pathTo(model.graph, selected ?? 0);
    const isLong = path.length > wholeLength;
    const hidden = isLong ? path.slice(shownFirst, -shownLast) : [];
    const list = h('ol');
    path.forEach((box, depth) => {
      if (isLong && depth === shownFirst) list.append(this.gap(model, hidden));
      if (!hidden.includes(box)) list.append(this.step(model, box, box === path.at(-1)));
    });
    fill(this.element, list);
  }

  private step(model: FlameModel, box: number, isLast: boolean): HTMLElement {
    const name = model.texts.name(model.graph.frames[box]!);
    const button = h('button', { type: 'button', title: name }, name);
    if (isLast) button.ariaCurrent = 'true';
    button.addEventListener('click', () => this.onGo(box));
    return h('li', {}, button);
  }

  /** Stands for the calls in the middle of a long path; goes to the last of them. */
  private gap(model: FlameModel, hidden: readonly number[]): HTMLElement {
    const names = hidden.map((box) => model.texts.name(model.graph.frames[box]!));
    const button = h(
      'button',
      {
        type: 'button',
        title: names.slice(-30).join(' › '),
        ariaLabel: `${hidden.length} more calls`,
      },
      `… ${hidden.length}`,
    );
    button.addEventListener('click', () => this.onGo(hidden.at(-1)!));
    return h('li', {}, button);
  }
}
