// A small menu at a box. Keyboard: arrows, Enter, Escape; focus goes back to where it was.

import { fill, h } from './dom.ts';

export interface MenuItem {
  readonly label: string;
  /** Shown at the right. */
  readonly keys?: string;
  readonly isEnabled?: boolean;
  readonly run: () => void;
}

export class ContextMenu {
  readonly element = h('div', { className: 'menu', role: 'menu', hidden: true });
  private restoreFocus: () => void = () => undefined;

  constructor() {
    this.element.addEventListener('keydown', (event) => this.onKey(event));
    document.addEventListener('pointerdown', (event) => {
      if (!this.element.contains(event.target as Node)) this.close();
    });
    window.addEventListener('blur', () => this.close());
    window.addEventListener('resize', () => this.close());
  }

  open(items: readonly MenuItem[], x: number, y: number): void {
    const focused = document.activeElement;
    this.restoreFocus = () => {
      if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
    };
    fill(this.element, ...items.map((item) => this.item(item)));
    this.element.hidden = false;
    const { offsetWidth, offsetHeight } = this.element;
    this.element.style.left = `${Math.max(4, Math.min(x, window.innerWidth - offsetWidth - 4))}px`;
    this.element.style.top = `${Math.max(4, Math.min(y, window.innerHeight - offsetHeight - 4))}px`;
    this.buttons[0]?.focus();
  }

  close(): void {
    if (this.element.hidden) return;
    const hadFocus = this.element.contains(document.activeElement);
    this.element.hidden = true;
    if (hadFocus) this.restoreFocus();
  }

  private get buttons(): HTMLButtonElement[] {
    return [...this.element.querySelectorAll('button')].filter((button) => !button.disabled);
  }

  private item({ label, keys, isEnabled = true, run }: MenuItem): HTMLElement {
    const button = h(
      'button',
      { type: 'button', role: 'menuitem', disabled: !isEnabled },
      h('span', {}, label),
      h('span', { className: 'menu-keys' }, keys ?? ''),
    );
    button.addEventListener('click', () => {
      this.close();
      run();
    });
    button.addEventListener('pointerenter', () => button.focus());
    return button;
  }

  private onKey(event: KeyboardEvent): void {
    const { buttons } = this;
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const steps: Readonly<Record<string, number | undefined>> = { ArrowDown: 1, ArrowUp: -1 };
    const step = steps[event.key];
    if (step !== undefined) buttons.at((at + step) % buttons.length)?.focus();
    else if (event.key === 'Escape' || event.key === 'Tab') this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
