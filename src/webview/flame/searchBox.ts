// The search field: what is found is counted, weighed and walked through.

import { fill, h } from './dom.ts';
import { formatShare } from './format.ts';
import type { SearchResult } from './search.ts';

export interface SearchEvents {
  onSearch(text: string): void;
  /** To the next (1) or the previous (-1) found box. */
  onStep(step: 1 | -1): void;
  /** The user is done with the field. */
  onLeave(): void;
}

const waitMs = 120;

export class SearchBox {
  readonly element: HTMLElement;
  private readonly input = h('input', {
    type: 'search',
    placeholder: 'Find function or file',
    ariaLabel: 'Find function or file',
    spellcheck: false,
  });
  private readonly result = h('span', { className: 'search-result', role: 'status' });
  private readonly steps = h('span', { className: 'search-steps', hidden: true });

  constructor(events: SearchEvents) {
    let timer: number | undefined;
    const now = (): void => {
      window.clearTimeout(timer);
      timer = undefined;
      events.onSearch(this.input.value);
    };
    this.input.addEventListener('input', () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(now, waitMs);
    });
    this.input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') {
        if (timer !== undefined) now();
        events.onStep(event.shiftKey ? -1 : 1);
      } else if (event.key === 'Escape') {
        this.input.value = '';
        now();
        events.onLeave();
      } else return;
      event.preventDefault();
    });
    this.steps.append(
      stepButton('Previous match', '↑', () => events.onStep(-1)),
      stepButton('Next match', '↓', () => events.onStep(1)),
    );
    this.element = h('div', { className: 'search' }, this.input, this.result, this.steps);
  }

  get text(): string {
    return this.input.value;
  }

  set text(text: string) {
    this.input.value = text;
  }

  focus(): void {
    this.input.focus();
    this.input.select();
  }

  /** `at` is the number of the found box that is selected, from 1; 0 for none of them. */
  show(found: SearchResult | undefined, at: number): void {
    this.steps.hidden = found === undefined || found.boxes.length === 0;
    if (found === undefined) {
      fill(this.result);
      return;
    }
    const { functionCount, boxes, share } = found;
    const functions = `${functionCount} ${functionCount === 1 ? 'function' : 'functions'}`;
    const place = at > 0 ? `${at} of ${boxes.length} · ` : '';
    const isNone = functionCount === 0;
    this.result.classList.toggle('none', isNone);
    fill(
      this.result,
      isNone ? 'No matches' : `${place}${functions} · ${formatShare(share)} of all samples`,
    );
  }
}

function stepButton(name: string, label: string, run: () => void): HTMLElement {
  const button = h('button', { type: 'button', ariaLabel: name, title: name }, label);
  button.addEventListener('click', run);
  return button;
}
