// The selected box in words, below the graph, with the way to its source.

import { describeBox } from './describe.ts';
import { fill, h } from './dom.ts';
import type { FlameModel } from './model.ts';

const hint =
  'Click a frame to zoom in, double-click to open its source. ' +
  'Scroll to zoom, drag to move, arrow keys to walk.';

export class DetailsBar {
  readonly element = h('section', { className: 'details', ariaLabel: 'Selected function' });
  private readonly onOpen: (box: number) => void;

  constructor(onOpen: (box: number) => void) {
    this.onOpen = onOpen;
  }

  show(model: FlameModel, box: number | undefined): void {
    if (box === undefined || box === 0) {
      fill(this.element, h('p', { className: 'hint' }, hint));
      return;
    }
    const text = describeBox(model, box);
    fill(
      this.element,
      h(
        'div',
        { className: 'details-what' },
        h('strong', { title: text.name }, text.name),
        ...this.place(model, box, text.place, text.shortPlace),
        h('span', { className: 'details-lines' }, text.lines),
      ),
      meter('Total', text.total, text.totalShare),
      meter('Self', text.self, text.selfShare),
    );
  }

  private place(model: FlameModel, box: number, place: string, short: string): HTMLElement[] {
    if (place === '') return [h('span', { className: 'muted' }, 'built in, no source file')];
    if (model.sourceOf(box) === undefined) return [h('span', { className: 'muted' }, short)];
    const link = h('button', { type: 'button', className: 'link', title: `Open ${place}` }, short);
    link.dataset['action'] = 'open-source';
    link.addEventListener('click', () => this.onOpen(box));
    return [link];
  }
}

/** A figure with its share drawn as a bar. */
function meter(label: string, text: string, share: number): HTMLElement {
  const bar = h('span', { className: 'bar' });
  bar.style.width = `${Math.min(100, share * 100)}%`;
  return h(
    'div',
    { className: 'meter' },
    h('span', { className: 'meter-label' }, label),
    h('span', { className: 'meter-value' }, text),
    h('span', { className: 'track', ariaHidden: 'true' }, bar),
  );
}
