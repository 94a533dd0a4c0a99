// A list of any length of rows of one height: only those in sight are in the page. It stays at its end while
// it stands there, and stays where it is otherwise.

import { h } from '../flame/dom.ts';
import type { LogRow } from './protocol.ts';
import { rowTime, utcTimes, type RowTimes } from './rowTime.ts';

/** Rows made beyond the edges, so that a short scroll shows no emptiness. */
const overscan = 10;

/** What a mark has in place of a level. */
const kindWords: Readonly<Partial<Record<LogRow['kind'], string>>> = {
  gap: 'GAP',
  resumed: 'BACK',
};

export interface RowHandlers {
  select(row: LogRow): void;
  searchContext(row: LogRow): void;
}

export class VirtualRows {
  readonly element: HTMLElement;
  private readonly space: HTMLElement;
  private readonly handlers: RowHandlers;
  private rows: readonly LogRow[] = [];
  private times: RowTimes = utcTimes;
  private selectedId = -1;
  private isScheduled = false;
  /** In pixels; follows the size of the editor's font. */
  private rowHeight = 20;
  /** Whether the end is kept in sight as rows are added. */
  isAtEnd = true;
  onDidScroll: (() => void) | undefined;

  constructor(handlers: RowHandlers) {
    this.handlers = handlers;
    this.space = h('div', { className: 'space', role: 'presentation' });
    this.element = h(
      'div',
      { className: 'rows', tabIndex: 0, role: 'grid', ariaLabel: 'Log entries' },
      this.space,
    );
    this.element.setAttribute('aria-readonly', 'true');
    this.element.addEventListener('scroll', () => this.scrolled(), { passive: true });
    this.space.addEventListener('click', (event) => this.clicked(event));
    new ResizeObserver(() => this.measure()).observe(this.element);
  }

  get pageSize(): number {
    return Math.max(1, Math.floor(this.element.clientHeight / this.rowHeight) - 1);
  }

  /** `removed` rows were taken away at the beginning: what is in sight stays in sight. */
  setRows(rows: readonly LogRow[], removed = 0): void {
    this.rows = rows;
    this.space.style.height = `${rows.length * this.rowHeight}px`;
    this.element.ariaRowCount = String(rows.length);
    if (this.isAtEnd) this.element.scrollTop = rows.length * this.rowHeight;
    else if (removed > 0) this.element.scrollTop -= removed * this.rowHeight;
    this.update();
  }

  setTimes(times: RowTimes): void {
    this.times = times;
    this.update();
  }

  select(row: LogRow | undefined): void {
    this.selectedId = row?.id ?? -1;
    this.update();
  }

  /** Scrolls as little as needed. */
  reveal(index: number): void {
    const top = index * this.rowHeight;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.rowHeight > scrollTop + clientHeight) {
      this.element.scrollTop = top + this.rowHeight - clientHeight;
    }
  }

  scrollToEnd(): void {
    this.isAtEnd = true;
    this.element.scrollTop = this.rows.length * this.rowHeight;
    this.onDidScroll?.();
  }

  private measure(): void {
    const fontSize = parseFloat(getComputedStyle(this.element).fontSize) || 13;
    this.rowHeight = Math.round(fontSize * 1.5);
    document.documentElement.style.setProperty('--row-height', `${this.rowHeight}px`);
    this.setRows(this.rows);
  }

  /** Draws at the next frame, once for many changes. */
  private update(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    requestAnimationFrame(() => {
      this.isScheduled = false;
      this.draw();
    });
  }

  private scrolled(): void {
    const { scrollTop, clientHeight, scrollHeight } = this.element;
    this.isAtEnd = scrollTop + clientHeight >= scrollHeight - this.rowHeight / 2;
    this.onDidScroll?.();
    this.update();
  }

  private draw(): void {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / this.rowHeight) - overscan);
    const last = Math.min(
      this.rows.length,
      Math.ceil((scrollTop + clientHeight) / this.rowHeight) + overscan,
    );
    const inSight = this.rows
      .slice(first, last)
      .map((row, index) => this.rowElement(row, first + index));
    this.space.replaceChildren(...inSight);
    const active = inSight.find(({ id }) => id === rowElementId(this.selectedId));
    if (active === undefined) this.element.removeAttribute('aria-activedescendant');
    else this.element.setAttribute('aria-activedescendant', active.id);
  }

  private rowElement(row: LogRow, index: number): HTMLElement {
    const isSelected = row.id === this.selectedId;
    const time = rowTime(row, this.times);
    const element = h(
      'div',
      {
        id: rowElementId(row.id),
        className: ['row', row.kind, row.level, isSelected ? 'selected' : ''].join(' ').trim(),
        role: 'row',
        ariaRowIndex: String(index + 1),
        ariaSelected: String(isSelected),
      },
      cell('time', time.text, time.title),
      cell('node', row.node),
      cell('level', kindWords[row.kind] ?? row.level.toUpperCase()),
      messageCell(row),
    );
    element.style.top = `${index * this.rowHeight}px`;
    element.dataset['index'] = String(index);
    return element;
  }

  private clicked(event: MouseEvent): void {
    const target = event.target instanceof Element ? event.target : undefined;
    const index = Number(target?.closest<HTMLElement>('.row')?.dataset['index']);
    const row = this.rows[index];
    if (row === undefined) return;
    if (target?.closest('.context') !== null) this.handlers.searchContext(row);
    else this.handlers.select(row);
  }
}

function rowElementId(id: number): string {
  return `row-${id}`;
}

function cell(className: string, text: string, title = ''): HTMLElement {
  return h('span', { className, role: 'gridcell', textContent: text, title });
}

function messageCell(row: LogRow): HTMLElement {
  const parts: (Node | string)[] = [];
  if (row.isLate) {
    parts.push(
      h('span', { className: 'late', textContent: 'late', title: 'It came after later entries.' }),
    );
  }
  if (row.contextId !== '') {
    parts.push(
      h('button', {
        type: 'button',
        className: 'context',
        textContent: row.contextId,
        title: 'Search this request on all nodes',
        tabIndex: -1,
      }),
    );
  }
  parts.push(row.message);
  if (row.moreLines > 0) {
    parts.push(h('span', { className: 'more', textContent: `+${row.moreLines}` }));
  }
  return h('span', { className: 'message', role: 'gridcell', title: row.writer }, ...parts);
}
