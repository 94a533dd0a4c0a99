// The functions as a table: the text form of the graph, sortable, for everybody and for screen
// readers.

import type { FunctionWeight } from '../../profile/functions.ts';
import { fill, h } from './dom.ts';
import { formatShare, formatWeight, shortPath } from './format.ts';
import type { FlameModel } from './model.ts';
import type { SearchResult } from './search.ts';

type Column = 'self' | 'total' | 'name' | 'file';

export interface TableEvents {
  /** Show where this function is in the graph. */
  onFind(frame: number): void;
  onOpen(frame: number): void;
}

/** Rows made at a time: a browser draws a few hundred at once without a pause. */
const pageSize = 200;

const columns: readonly { readonly key: Column; readonly label: string }[] = [
  { key: 'self', label: 'Self' },
  { key: 'total', label: 'Total' },
  { key: 'name', label: 'Function' },
  { key: 'file', label: 'Source' },
];

export class FunctionTable {
  readonly element = h('div', { className: 'table', tabIndex: 0 });
  private readonly events: TableEvents;
  private model: FlameModel | undefined;
  private found: SearchResult | undefined;
  private sortedBy: Column = 'self';
  private isAscending = false;
  private shown = pageSize;

  constructor(events: TableEvents) {
    this.events = events;
  }

  show(model: FlameModel, found: SearchResult | undefined): void {
    this.model = model;
    this.found = found;
    this.shown = pageSize;
    this.draw();
  }

  private draw(): void {
    const { model } = this;
    if (model === undefined) return;
    const rows = this.rows(model);
    const body = h('tbody', {}, ...rows.slice(0, this.shown).map((row) => this.row(model, row)));
    const table = h(
      'table',
      {},
      h('caption', { className: 'visually-hidden' }, 'Functions with their self and total weight'),
      h('thead', {}, h('tr', {}, ...columns.map(({ key, label }) => this.head(key, label)))),
      body,
    );
    fill(this.element, table, ...this.rest(rows.length));
  }

  private rest(count: number): HTMLElement[] {
    if (count === 0) {
      const text = this.found === undefined ? 'No samples were taken.' : 'No function matches.';
      return [h('p', { className: 'table-rest' }, text)];
    }
    if (count <= this.shown) return [];
    const more = h('button', { type: 'button', className: 'plain' }, `Show ${pageSize} more`);
    more.addEventListener('click', () => {
      this.shown += pageSize;
      this.draw();
    });
    return [h('p', { className: 'table-rest' }, `${this.shown} of ${count} functions. `, more)];
  }

  private rows(model: FlameModel): readonly FunctionWeight[] {
    const { texts, functions } = model;
    const { found } = this;
    const rows = functions.filter(({ frame }) => found === undefined || found.frames[frame] === 1);
    const direction = this.isAscending ? 1 : -1;
    const compare: Readonly<Record<Column, (a: FunctionWeight, b: FunctionWeight) => number>> = {
      self: (a, b) => a.self - b.self || a.total - b.total,
      total: (a, b) => a.total - b.total || a.self - b.self,
      name: (a, b) => texts.name(a.frame).localeCompare(texts.name(b.frame)),
      file: (a, b) => texts.file(a.frame).localeCompare(texts.file(b.frame)),
    };
    const by = compare[this.sortedBy];
    return [...rows].sort((a, b) => direction * by(a, b) || b.self - a.self || b.total - a.total);
  }

  private head(key: Column, label: string): HTMLElement {
    const isSorted = key === this.sortedBy;
    const arrow = isSorted ? (this.isAscending ? ' ↑' : ' ↓') : '';
    const button = h('button', { type: 'button' }, label, h('span', { ariaHidden: 'true' }, arrow));
    button.addEventListener('click', () => {
      // Figures are wanted largest first, names from A on.
      this.isAscending = isSorted ? !this.isAscending : key === 'name' || key === 'file';
      this.sortedBy = key;
      this.draw();
      this.element.querySelector<HTMLElement>(`th[data-column="${key}"] button`)?.focus();
    });
    const cell = h('th', { scope: 'col', className: key }, button);
    cell.dataset['column'] = key;
    cell.ariaSort = isSorted ? (this.isAscending ? 'ascending' : 'descending') : 'none';
    return cell;
  }

  private row(model: FlameModel, { frame, self, total }: FunctionWeight): HTMLElement {
    const name = model.texts.name(frame);
    const find = h(
      'button',
      { type: 'button', className: 'link', title: 'Show in the flame graph' },
      name,
    );
    find.addEventListener('click', () => this.events.onFind(frame));
    return h(
      'tr',
      {},
      weightCell('self', model, self),
      weightCell('total', model, total),
      h('td', { className: 'name', title: name }, find),
      h('td', { className: 'file' }, this.place(model, frame)),
    );
  }

  private place(model: FlameModel, frame: number): HTMLElement {
    const file = model.texts.file(frame);
    if (file === '' || file.startsWith('<')) return h('span', { className: 'muted' }, file || '–');
    const line = model.profile.frames.lines[frame]!;
    const suffix = line > 0 ? `:${line}` : '';
    const open = h(
      'button',
      { type: 'button', className: 'link', title: `Open ${file}${suffix}` },
      shortPath(file) + suffix,
    );
    open.addEventListener('click', () => this.events.onOpen(frame));
    return open;
  }
}

/** Share, drawn as a bar beside it too, and the weight itself. */
function weightCell(column: Column, model: FlameModel, weight: number): HTMLElement {
  const share = model.share(weight);
  const bar = h('span', { className: 'bar' });
  bar.style.width = `${Math.min(100, share * 100)}%`;
  return h(
    'td',
    { className: `weight ${column}`, title: formatWeight(weight, model.graph.unit) },
    h('span', { className: 'share' }, formatShare(share)),
    h('span', { className: 'track', ariaHidden: 'true' }, bar),
  );
}
