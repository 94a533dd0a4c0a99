// The page of the live logs: nodes to start and stop, a filter, the rows, and the chosen entry in full.

import { fill, h } from '../flame/dom.ts';
import {
  maxCopiedRows,
  maxRows,
  type Counters,
  type FromLogs,
  type LogRow,
  type NodeRow,
  type RowLevel,
  type ToLogs,
} from './protocol.ts';
import { Rate } from './rate.ts';
import { timeTitle, timeWidth, utcTimes, type RowTimes } from './rowTime.ts';
import { noFilter, RowStore, type RowFilter } from './rowStore.ts';
import { VirtualRows } from './virtualRows.ts';

/** A screen reader is told of new entries at most this often. */
const announceMs = 5000;

export class LogsPage {
  private readonly send: (message: FromLogs) => void;
  private readonly store = new RowStore(maxRows);
  private readonly rate = new Rate();
  private readonly list: VirtualRows;
  private counters: Counters = { received: 0, late: 0, gaps: 0 };
  private filter: RowFilter = noFilter;
  private isPaused = false;
  private selected: LogRow | undefined;
  private unannounced = { entries: 0, errors: 0 };

  private readonly nodes = h('ul', { className: 'nodes', ariaLabel: 'Nodes' });
  private readonly nodeFilter = h('select', { ariaLabel: 'Node', title: 'Node' });
  private readonly pauseButton = h('button', { type: 'button', id: 'pause' });
  private readonly endButton = h('button', {
    type: 'button',
    className: 'toEnd',
    textContent: 'To the end ↓',
    hidden: true,
  });
  private readonly status = h('span', { className: 'status', id: 'status' });
  private readonly live = h('div', { className: 'announcer', role: 'status', ariaLive: 'polite' });
  private readonly detail = h('pre', { className: 'detail', tabIndex: 0, hidden: true });
  private readonly timeHead = h('span', { className: 'time' });
  private readonly empty = h('p', { className: 'empty' });

  constructor(root: HTMLElement, send: (message: FromLogs) => void) {
    this.send = send;
    this.list = new VirtualRows({
      select: (row) => this.select(row),
      searchContext: ({ id }) => this.send({ type: 'searchContext', id }),
    });
    this.list.onDidScroll = () => this.updateEndButton();
    this.list.element.addEventListener('keydown', (event) => this.pressed(event));
    this.endButton.addEventListener('click', () => this.list.scrollToEnd());
    this.pauseButton.addEventListener('click', () => this.setPaused(!this.isPaused));
    fill(root, this.nodes, this.toolbar(), this.body(), this.detail, this.live);
    this.setPaused(false);
    this.setTimes(utcTimes);
    this.showNodes([]);
    setInterval(() => this.updateStatus(), 1000);
    setInterval(() => this.announce(), announceMs);
  }

  show(message: ToLogs): void {
    switch (message.type) {
      case 'rows':
        this.addRows(message.rows, message.counters);
        break;
      case 'cleared':
        this.counters = message.counters;
        this.store.clear(message.upTo);
        this.select(undefined);
        this.refresh();
        break;
      case 'nodes':
        this.showNodes(message.nodes);
        break;
      case 'times':
        this.setTimes(message);
        break;
      case 'detail':
        if (message.id === this.selected?.id) this.showDetail(message.text);
        break;
    }
  }

  // --- parts ------------------------------------------------------------------------------------------

  private toolbar(): HTMLElement {
    const text = h('input', {
      type: 'search',
      placeholder: 'Filter',
      ariaLabel: 'Filter by text',
      spellcheck: false,
    });
    text.addEventListener('input', () => this.setFilter({ text: text.value }));
    const level = h(
      'select',
      { ariaLabel: 'Least severe level', title: 'Least severe level' },
      option('', 'All levels'),
      ...(['debug', 'info', 'warn', 'error'] as const).map((name) => option(name, `${name} +`)),
    );
    level.addEventListener('change', () => this.setFilter({ level: level.value as RowLevel }));
    this.nodeFilter.addEventListener('change', () =>
      this.setFilter({ node: this.nodeFilter.value }),
    );
    const clear = h('button', { type: 'button', textContent: 'Clear' });
    clear.addEventListener('click', () => this.send({ type: 'clear' }));
    return h(
      'div',
      { className: 'toolbar', role: 'toolbar', ariaLabel: 'Live logs' },
      text,
      level,
      this.nodeFilter,
      this.pauseButton,
      clear,
      this.status,
    );
  }

  private body(): HTMLElement {
    const heads = ['Node', 'Level', 'Message'].map((title) =>
      h('span', { className: title.toLowerCase(), textContent: title }),
    );
    return h(
      'div',
      { className: 'body' },
      h('div', { className: 'row head', ariaHidden: 'true' }, this.timeHead, ...heads),
      this.list.element,
      this.empty,
      this.endButton,
    );
  }

  private setTimes(times: RowTimes): void {
    this.timeHead.textContent = timeTitle(times);
    document.body.style.setProperty('--time-width', `${timeWidth(times) + 0.5}ch`);
    this.list.setTimes(times);
  }

  private showNodes(nodes: readonly NodeRow[]): void {
    fill(this.nodes, ...nodes.map((node) => this.nodeItem(node)));
    const chosen = this.nodeFilter.value;
    const names = nodes.map(({ node }) => node);
    fill(this.nodeFilter, option('', 'All nodes'), ...names.map((name) => option(name, name)));
    this.nodeFilter.value = names.includes(chosen) ? chosen : '';
    this.empty.textContent =
      nodes.length === 0
        ? 'No node has log files: name them under "logs" in the setting faultline.nodes.'
        : nodes.every(({ state }) => state === 'off')
          ? 'Start a node above to follow its logs.'
          : 'Nothing was written yet.';
  }

  private nodeItem({ node, state, note }: NodeRow): HTMLElement {
    const isOn = state === 'starting' || state === 'following' || state === 'waiting';
    const main = isOn
      ? this.nodeButton('■', `Stop following ${node}`, { type: 'stop', node })
      : this.nodeButton('▶', `Start following ${node}`, { type: 'start', node });
    const word = h('span', { className: 'state', textContent: state === 'off' ? '' : state });
    const item = h('li', { className: `nodeItem ${state}`, title: note }, main, node, word);
    if (state === 'waiting') {
      item.append(this.nodeButton('↻', `Connect to ${node} now`, { type: 'start', node }));
    }
    if (note !== '') item.append(h('span', { className: 'note', textContent: note }));
    return item;
  }

  private nodeButton(text: string, title: string, message: FromLogs): HTMLElement {
    const button = h('button', { type: 'button', textContent: text, title, ariaLabel: title });
    button.addEventListener('click', () => this.send(message));
    return button;
  }

  // --- rows -------------------------------------------------------------------------------------------

  private addRows(rows: readonly LogRow[], counters: Counters): void {
    this.counters = counters;
    this.rate.add(counters.received, performance.now());
    const removed = this.store.add(rows);
    this.unannounced.entries += rows.length;
    this.unannounced.errors += rows.filter(
      ({ level }) => level === 'error' || level === 'fatal',
    ).length;
    this.refresh(removed);
  }

  private setFilter(change: Partial<RowFilter>): void {
    this.filter = { ...this.filter, ...change };
    this.store.setFilter(this.filter);
    this.refresh();
  }

  private refresh(removed = 0): void {
    this.list.setRows(this.store.visible, removed);
    this.empty.hidden = this.store.size > 0;
    this.updateEndButton();
    this.updateStatus();
  }

  private updateEndButton(): void {
    this.endButton.hidden = this.list.isAtEnd || this.store.visible.length === 0;
  }

  private updateStatus(): void {
    const { late, gaps } = this.counters;
    const [size, shown] = [this.store.size, this.store.visible.length];
    const dropped = this.counters.received - size;
    this.status.textContent = [
      shown === size ? `${number(size)} entries` : `${number(shown)} of ${number(size)} entries`,
      `${number(Math.round(this.rate.perSecond(performance.now())))}/s`,
      ...(late > 0 ? [`${number(late)} late`] : []),
      ...(gaps > 0 ? [gaps === 1 ? '1 gap' : `${number(gaps)} gaps`] : []),
      ...(dropped > 0 && !this.isPaused ? [`${number(dropped)} older dropped`] : []),
      ...(this.isPaused ? ['paused'] : []),
    ].join(' · ');
  }

  private announce(): void {
    const { entries, errors } = this.unannounced;
    this.unannounced = { entries: 0, errors: 0 };
    if (entries === 0) return;
    this.live.textContent = `${number(entries)} new entries${errors > 0 ? `, ${number(errors)} errors` : ''}`;
  }

  private setPaused(isPaused: boolean): void {
    if (isPaused !== this.isPaused) this.send({ type: 'pause', isPaused });
    this.isPaused = isPaused;
    this.pauseButton.textContent = isPaused ? 'Resume' : 'Pause';
    this.pauseButton.ariaPressed = String(isPaused);
    this.updateStatus();
  }

  // --- one row ----------------------------------------------------------------------------------------

  private select(row: LogRow | undefined): void {
    this.selected = row;
    this.list.select(row);
    this.detail.hidden = true;
    if (row?.kind === 'entry') this.send({ type: 'detail', id: row.id });
    else if (row !== undefined) this.showDetail(row.message);
  }

  private showDetail(text: string): void {
    this.detail.textContent = text;
    this.detail.hidden = false;
    this.detail.scrollTop = 0;
  }

  private pressed(event: KeyboardEvent): void {
    const { visible } = this.store;
    const at = this.selected === undefined ? -1 : this.store.indexOf(this.selected.id);
    const moves: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at < 0 ? visible.length - 1 : at - 1,
      PageDown: at + this.list.pageSize,
      PageUp: at - this.list.pageSize,
      Home: 0,
      End: visible.length - 1,
    };
    const target = Object.hasOwn(moves, event.key) ? moves[event.key] : undefined;
    if (target !== undefined && visible.length > 0) {
      const index = Math.min(visible.length - 1, Math.max(0, target));
      this.select(visible[index]);
      this.list.reveal(index);
    } else if (event.key === 'Escape') {
      this.select(undefined);
    } else if (
      event.key === 'Enter' &&
      this.selected !== undefined &&
      this.selected.contextId !== ''
    ) {
      this.send({ type: 'searchContext', id: this.selected.id });
    } else if (event.key === 'c' && (event.ctrlKey || event.metaKey)) {
      this.copy();
    } else {
      return;
    }
    event.preventDefault();
  }

  /** The chosen row, or all that the filter shows. */
  private copy(): void {
    const rows =
      this.selected === undefined ? this.store.visible.slice(-maxCopiedRows) : [this.selected];
    this.send({ type: 'copy', ids: rows.map(({ id }) => id) });
  }
}

function option(value: string, text: string): HTMLOptionElement {
  return h('option', { value, textContent: text });
}

function number(value: number): string {
  return value.toLocaleString('en');
}
