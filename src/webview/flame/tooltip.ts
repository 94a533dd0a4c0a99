// What is under the pointer, beside the pointer.

import { describeBox } from './describe.ts';
import { fill, h } from './dom.ts';
import type { FlameModel } from './model.ts';

const distance = 14;

export class Tooltip {
  readonly element = h('div', { className: 'tooltip', hidden: true, ariaHidden: 'true' });
  private box: number | undefined;
  private model: FlameModel | undefined;

  show(model: FlameModel, box: number, clientX: number, clientY: number): void {
    if (this.box !== box || this.model !== model) this.fill(model, box);
    this.element.hidden = false;
    const { offsetWidth, offsetHeight } = this.element;
    const isRightFull = clientX + distance + offsetWidth > window.innerWidth - 4;
    const isBelowFull = clientY + distance + offsetHeight > window.innerHeight - 4;
    const left = isRightFull ? clientX - distance - offsetWidth : clientX + distance;
    const top = isBelowFull ? clientY - distance - offsetHeight : clientY + distance;
    this.element.style.left = `${Math.max(4, left)}px`;
    this.element.style.top = `${Math.max(4, top)}px`;
  }

  hide(): void {
    this.element.hidden = true;
  }

  private fill(model: FlameModel, box: number): void {
    this.box = box;
    this.model = model;
    const text = describeBox(model, box);
    fill(
      this.element,
      h('div', { className: 'tooltip-name' }, text.name),
      ...(text.place === '' ? [] : [h('div', { className: 'tooltip-place' }, text.place)]),
      h(
        'dl',
        { className: 'tooltip-weights' },
        h('dt', {}, 'Total'),
        h('dd', {}, text.total),
        h('dt', {}, 'Self'),
        h('dd', {}, text.self),
      ),
      ...(text.lines === '' ? [] : [h('div', { className: 'tooltip-lines' }, text.lines)]),
    );
  }
}
