// The page's parts and what happens between them. State is here; the parts show it.

import { defaultKind, measuredKinds, totalWeight, type WeightKind } from '../../profile/profile.ts';
import { childrenOf } from '../../profile/functions.ts';
import { boxCount, firstChild, levelOf } from '../../profile/flameGraph.ts';
import { ContextMenu, type MenuItem } from './contextMenu.ts';
import { speakBox } from './describe.ts';
import { DetailsBar } from './detailsBar.ts';
import { fill, h } from './dom.ts';
import { FlameCanvas, rowHeight } from './flameCanvas.ts';
import { FunctionTable } from './functionTable.ts';
import { Header, type Mode } from './header.ts';
import { Minimap } from './minimap.ts';
import { FlameModel, FrameTexts } from './model.ts';
import { PathBar } from './pathBar.ts';
import { toCss } from './palette.ts';
import type { FromFlame, ToFlame } from './protocol.ts';
import { search, type SearchResult } from './search.ts';
import { SearchBox } from './searchBox.ts';
import { onThemeChange, readTheme } from './theme.ts';
import { Tooltip } from './tooltip.ts';
import { isWhole, panBy, wholeGraph, zoomAt, type Viewport } from './viewport.ts';

/** What is remembered of a profile that is looked at. */
export interface SavedState {
  readonly id: string;
  readonly kind: WeightKind;
  readonly thread: number | undefined;
  readonly mode: Mode;
  readonly search: string;
  readonly selected: number | undefined;
  readonly view: Viewport;
}

export interface PageHost {
  readonly send: (message: FromFlame) => void;
  readonly savedState: () => unknown;
  readonly saveState: (state: SavedState) => void;
}

/** A drag shorter than this many pixels is a click. */
const dragThreshold = 4;
/** One notch of a mouse wheel is about 100 and zooms by a quarter. */
const wheelZoom = 0.0022;

export class FlamePage {
  private readonly host: PageHost;
  private readonly header: Header;
  private readonly searchBox: SearchBox;
  private readonly pathBar: PathBar;
  private readonly minimap: Minimap;
  private readonly canvas: FlameCanvas;
  private readonly details: DetailsBar;
  private readonly table: FunctionTable;
  private readonly tooltip = new Tooltip();
  private readonly menu = new ContextMenu();
  private readonly empty = h('div', { className: 'empty', hidden: true });
  private readonly voice = h('div', { className: 'visually-hidden', role: 'status' });
  private readonly reset = h(
    'button',
    { type: 'button', className: 'plain', title: 'Show the whole graph (Escape)' },
    'Reset zoom',
  );
  private readonly legend = h('ul', { className: 'legend', ariaHidden: 'true' });
  private readonly graphParts: readonly HTMLElement[];

  private theme = readTheme();
  private message: ToFlame | undefined;
  private texts: FrameTexts | undefined;
  private model: FlameModel | undefined;
  private mode: Mode = 'graph';
  private found: SearchResult | undefined;
  private selected: number | undefined;
  private saveTimer = 0;

  constructor(root: HTMLElement, host: PageHost) {
    this.host = host;
    this.header = new Header({
      onKind: (kind) => this.showModel(kind, this.model?.thread),
      onThread: (thread) => this.showModel(this.model?.kind ?? 'wall', thread),
      onMode: (mode) => this.setMode(mode),
      onSave: () => this.host.send({ type: 'save' }),
    });
    this.searchBox = new SearchBox({
      onSearch: (text) => this.search(text),
      onStep: (step) => this.stepToFound(step),
      onLeave: () => this.canvas.element.focus(),
    });
    this.pathBar = new PathBar((box) => this.choose(box, 'zoom'));
    this.minimap = new Minimap(this.theme, { onGo: (x, level) => this.goTo(x, level) });
    this.canvas = new FlameCanvas(this.theme, { onMove: () => this.onMove() });
    this.details = new DetailsBar((box) => this.openSource(box));
    this.table = new FunctionTable({
      onFind: (frame) => this.findFunction(frame),
      onOpen: (frame) => this.openFunction(frame),
    });
    this.graphParts = [
      this.legend,
      this.pathBar.element,
      this.minimap.element,
      this.canvas.element,
      this.details.element,
    ];
    this.reset.addEventListener('click', () => this.resetZoom());
    fill(
      root,
      this.header.element,
      h('div', { className: 'tools' }, this.searchBox.element, this.legend, this.reset),
      this.pathBar.element,
      this.minimap.element,
      this.canvas.element,
      this.details.element,
      this.empty,
      this.table.element,
      this.tooltip.element,
      this.menu.element,
      this.voice,
    );
    root.classList.add('waiting');
    this.showLegend();
    this.listenToCanvas();
    document.addEventListener('keydown', (event) => this.onPageKey(event));
    onThemeChange(() => this.setTheme());
  }

  show(message: ToFlame): void {
    if (this.message?.id === message.id) return;
    document.getElementById('root')?.classList.remove('waiting');
    this.message = message;
    this.texts = new FrameTexts(message.profile);
    const saved = readSaved(this.host.savedState(), message);
    this.mode = saved?.mode ?? 'graph';
    this.searchBox.text = saved?.search ?? '';
    this.showModel(saved?.kind ?? defaultKind(message.profile), saved?.thread);
    if (saved === undefined || this.model === undefined) return;
    if (saved.selected !== undefined && saved.selected < boxCount(this.model.graph)) {
      this.choose(saved.selected, 'keep');
    }
    this.canvas.setViewport(saved.view);
  }

  /**
   * Another kind of weight or thread: the same function stays selected where it still has weight.
   */
  private showModel(kind: WeightKind, thread: number | undefined): void {
    if (this.message === undefined || this.texts === undefined) return;
    this.model = new FlameModel(this.message.profile, this.texts, kind, thread);
    this.selected = undefined;
    this.canvas.setModel(this.model);
    this.found = search(this.message.profile.frames, this.model.graph, this.searchBox.text);
    this.canvas.element.setAttribute('role', 'application');
    this.canvas.element.setAttribute('aria-roledescription', 'flame graph');
    this.canvas.element.ariaLabel =
      'Flame graph. Arrow keys walk the stacks, Space zooms, Enter opens the source, ' +
      'Escape resets. The table view holds the same as text.';
    this.showAll();
  }

  private showAll(): void {
    if (this.model === undefined || this.message === undefined) return;
    this.header.show(this.message.title, this.model, this.mode);
    this.canvas.setFound(this.found);
    this.minimap.show(this.model, this.found, this.theme);
    this.showMode();
    this.showFound();
    this.showSelected();
    this.onMove();
  }

  private setMode(mode: Mode): void {
    this.mode = mode;
    this.showAll();
    (mode === 'graph' ? this.canvas : this.table).element.focus({ preventScroll: true });
  }

  private showMode(): void {
    if (this.model === undefined) return;
    const isEmpty = this.model.total === 0;
    for (const part of this.graphParts) part.hidden = this.mode !== 'graph' || isEmpty;
    this.empty.hidden = !isEmpty;
    this.table.element.hidden = this.mode !== 'table' || isEmpty;
    if (isEmpty) this.showEmpty(this.model);
    else if (this.mode === 'table') this.table.show(this.model, this.found);
  }

  /** Why there is nothing to see, and what there is instead. */
  private showEmpty({ profile, kind, thread }: FlameModel): void {
    const other = measuredKinds(profile).find(
      (each) => each !== kind && totalWeight(profile, each) > 0,
    );
    const children: (HTMLElement | string)[] = [];
    if (other === undefined) {
      children.push(
        h('h2', {}, 'No samples'),
        h('p', {}, 'The process may have ended, or no thread ran Python code in this time.'),
      );
    } else if (kind === 'cpu') {
      const show = h('button', { type: 'button', className: 'primary' }, 'Show where it waited');
      show.addEventListener('click', () => this.showModel('wall', thread));
      children.push(
        h('h2', {}, 'Nothing ran'),
        h('p', {}, 'No thread was on a processor in any sample: the program was waiting.'),
        show,
      );
    } else {
      children.push(h('h2', {}, 'No samples'), h('p', {}, 'This thread has no samples.'));
    }
    fill(this.empty, ...children);
  }

  private setTheme(): void {
    this.theme = readTheme();
    this.canvas.setTheme(this.theme);
    this.showLegend();
    if (this.model !== undefined) this.minimap.show(this.model, this.found, this.theme);
  }

  private showLegend(): void {
    const entries = this.theme.palette.legend.map(({ label, colour }) => {
      const swatch = h('span', { className: 'swatch' });
      swatch.style.background = toCss(colour);
      return h('li', {}, swatch, label);
    });
    fill(this.legend, ...entries);
  }

  private onMove(): void {
    this.minimap.mark(this.canvas.viewport, this.canvas.levels);
    this.reset.hidden = this.mode !== 'graph' || isWhole(this.canvas.viewport);
    window.clearTimeout(this.saveTimer);
    this.saveTimer = window.setTimeout(() => this.save(), 300);
  }

  private save(): void {
    if (this.message === undefined || this.model === undefined) return;
    this.host.saveState({
      id: this.message.id,
      kind: this.model.kind,
      thread: this.model.thread,
      mode: this.mode,
      search: this.searchBox.text,
      selected: this.selected,
      view: this.canvas.viewport,
    });
  }

  // Search

  private search(text: string): void {
    if (this.model === undefined) return;
    this.found = search(this.model.profile.frames, this.model.graph, text);
    this.canvas.setFound(this.found);
    this.minimap.show(this.model, this.found, this.theme);
    if (this.mode === 'table') this.table.show(this.model, this.found);
    this.showFound();
    this.onMove();
  }

  private showFound(): void {
    const at = this.selected === undefined ? -1 : (this.found?.boxes.indexOf(this.selected) ?? -1);
    this.searchBox.show(this.found, at + 1);
  }

  private stepToFound(step: 1 | -1): void {
    const boxes = this.found?.boxes ?? [];
    if (boxes.length === 0 || this.mode !== 'graph') return;
    const at = this.selected === undefined ? -1 : boxes.indexOf(this.selected);
    const next = at < 0 ? (step > 0 ? 0 : boxes.length - 1) : at + step;
    this.choose(boxes[(next + boxes.length) % boxes.length]!, 'reveal');
  }

  /** From the table: the function is searched for, and its heaviest box shown. */
  private findFunction(frame: number): void {
    if (this.model === undefined) return;
    const { graph, profile } = this.model;
    this.searchBox.text = profile.frames.names[frame]!;
    this.mode = 'graph';
    this.search(this.searchBox.text);
    this.showAll();
    const boxes = this.found?.boxes ?? [];
    const box = boxes.find((each) => graph.frames[each] === frame) ?? graph.frames.indexOf(frame);
    if (box >= 0) this.choose(box, 'reveal');
    this.canvas.element.focus({ preventScroll: true });
  }

  // Selection and zoom

  private choose(box: number, then: 'zoom' | 'reveal' | 'keep'): void {
    if (this.model === undefined) return;
    this.selected = box;
    this.canvas.select(box);
    if (then === 'zoom') this.canvas.zoomTo(box);
    else if (then === 'reveal') this.canvas.reveal(box);
    this.showSelected();
    this.showFound();
    this.voice.textContent = speakBox(this.model, box);
    this.onMove();
  }

  private showSelected(): void {
    if (this.model === undefined) return;
    this.pathBar.show(this.model, this.selected);
    this.details.show(this.model, this.selected);
  }

  private resetZoom(): void {
    this.selected = undefined;
    this.canvas.select(undefined);
    this.canvas.moveTo(wholeGraph);
    this.canvas.scrollToLevel(0);
    this.showSelected();
    this.showFound();
  }

  private goTo(x: number, level: number): void {
    const { left, right } = this.canvas.viewport;
    const half = (right - left) / 2;
    this.canvas.setViewport({ left: x - half, right: x + half });
    this.canvas.scrollToLevel(level - this.canvas.levels.count / 2);
  }

  private openSource(box: number): void {
    const source = this.model?.sourceOf(box);
    if (source !== undefined) this.host.send({ type: 'openSource', ...source });
  }

  private openFunction(frame: number): void {
    if (this.model === undefined) return;
    const { files, lines } = this.model.profile.frames;
    this.host.send({
      type: 'openSource',
      file: files[frame]!,
      line: Math.max(1, lines[frame]!),
    });
  }

  // Pointer

  private listenToCanvas(): void {
    const { element } = this.canvas;
    let press: { x: number; y: number; view: Viewport; top: number; isDrag: boolean } | undefined;
    /** Of the click before: a double click's second click falls on what the first one zoomed to. */
    let clicked: number | undefined;
    element.addEventListener('pointerdown', (event) => {
      if (event.button !== 0 || event.offsetX > this.canvas.width) return;
      press = {
        x: event.clientX,
        y: event.clientY,
        view: this.canvas.viewport,
        top: element.scrollTop,
        isDrag: false,
      };
    });
    element.addEventListener('pointermove', (event) => {
      if (press === undefined) return this.hover(event);
      const dx = event.clientX - press.x;
      const dy = event.clientY - press.y;
      if (!press.isDrag && Math.hypot(dx, dy) < dragThreshold) return;
      if (!press.isDrag) element.setPointerCapture(event.pointerId);
      press.isDrag = true;
      element.classList.add('dragging');
      this.tooltip.hide();
      this.canvas.setViewport(panBy(press.view, -dx / Math.max(1, this.canvas.width)));
      element.scrollTop = press.top - dy;
    });
    const release = (): boolean => {
      const wasDrag = press?.isDrag ?? false;
      press = undefined;
      element.classList.remove('dragging');
      return wasDrag;
    };
    element.addEventListener('pointercancel', release);
    element.addEventListener('click', (event) => {
      if (release()) return;
      if (event.detail >= 2) {
        if (clicked !== undefined) this.openSource(clicked);
        return;
      }
      clicked = this.canvas.boxAtPoint(event.clientX, event.clientY);
      if (clicked === undefined) return;
      this.tooltip.hide();
      if (event.ctrlKey || event.metaKey) {
        this.choose(clicked, 'keep');
        this.openSource(clicked);
      } else this.choose(clicked, 'zoom');
    });
    element.addEventListener('pointerleave', () => this.leave());
    element.addEventListener('wheel', (event) => this.onWheel(event), { passive: false });
    element.addEventListener('contextmenu', (event) => this.onContextMenu(event));
    element.addEventListener('keydown', (event) => this.onKey(event));
  }

  private hover(event: PointerEvent): void {
    const box = this.canvas.boxAtPoint(event.clientX, event.clientY);
    this.canvas.hover(box);
    this.canvas.element.classList.toggle('over-box', box !== undefined);
    if (box === undefined || this.model === undefined || !this.menu.element.hidden) {
      this.tooltip.hide();
    } else this.tooltip.show(this.model, box, event.clientX, event.clientY);
  }

  private leave(): void {
    this.canvas.hover(undefined);
    this.tooltip.hide();
  }

  private onWheel(event: WheelEvent): void {
    event.preventDefault();
    this.tooltip.hide();
    const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const isSideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (isSideways) {
      const delta = (event.deltaX || event.deltaY) * pixels;
      this.canvas.setViewport(panBy(this.canvas.viewport, delta / Math.max(1, this.canvas.width)));
    } else if (event.altKey) {
      this.canvas.element.scrollTop += event.deltaY * pixels;
    } else {
      const factor = Math.exp(-event.deltaY * pixels * wheelZoom * (event.ctrlKey ? 3 : 1));
      const at = this.canvas.shareAt(event.clientX);
      this.canvas.setViewport(zoomAt(this.canvas.viewport, factor, at));
    }
  }

  private onContextMenu(event: MouseEvent): void {
    event.preventDefault();
    event.stopPropagation();
    // The keyboard's menu key gives no place: the selected box is meant.
    const isKeyboard = event.clientX === 0 && event.clientY === 0;
    const box = isKeyboard ? this.selected : this.canvas.boxAtPoint(event.clientX, event.clientY);
    if (box === undefined) return;
    this.choose(box, 'keep');
    this.tooltip.hide();
    const place = this.canvas.placeOf(box);
    const x = isKeyboard ? (place?.left ?? 0) : event.clientX;
    const y = isKeyboard ? (place?.bottom ?? 0) : event.clientY;
    this.menu.open(this.menuItems(box), x, y);
  }

  private menuItems(box: number): readonly MenuItem[] {
    const model = this.model!;
    const frame = model.graph.frames[box]!;
    const name = model.texts.name(frame);
    const source = model.sourceOf(box);
    return [
      {
        label: 'Open Source',
        keys: 'Enter',
        isEnabled: source !== undefined,
        run: () => this.openSource(box),
      },
      { label: 'Zoom to This Frame', keys: 'Space', run: () => this.choose(box, 'zoom') },
      {
        label: 'Find This Function',
        isEnabled: frame >= 0,
        run: () => this.findFunction(frame),
      },
      {
        label: 'Copy Function Name',
        isEnabled: frame >= 0,
        run: () => this.host.send({ type: 'copy', text: name }),
      },
      { label: 'Reset Zoom', keys: 'Esc', run: () => this.resetZoom() },
    ];
  }

  // Keyboard

  private onPageKey(event: KeyboardEvent): void {
    const isFind = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'f';
    const isTyping = event.target instanceof HTMLInputElement;
    if (!isFind && (event.key !== '/' || isTyping)) return;
    event.preventDefault();
    this.searchBox.focus();
  }

  private onKey(event: KeyboardEvent): void {
    if (event.altKey || this.model === undefined) return;
    if ((event.ctrlKey || event.metaKey) && event.key !== 'Enter') return;
    const run = this.keys[event.key];
    if (run === undefined) return;
    event.preventDefault();
    run();
  }

  private readonly keys: Readonly<Record<string, (() => void) | undefined>> = {
    ArrowUp: () => this.walk((box) => this.model!.graph.parents[box]!),
    ArrowDown: () => this.walk((box) => firstChild(this.model!.graph, box)),
    ArrowLeft: () => this.walk((box) => this.neighbour(box, -1)),
    ArrowRight: () => this.walk((box) => this.neighbour(box, 1)),
    Enter: () => {
      if (this.selected !== undefined) this.openSource(this.selected);
    },
    ' ': () => {
      if (this.selected !== undefined) this.choose(this.selected, 'zoom');
    },
    '+': () => this.zoomBy(1.6),
    '=': () => this.zoomBy(1.6),
    '-': () => this.zoomBy(1 / 1.6),
    '0': () => this.resetZoom(),
    Escape: () => this.resetZoom(),
    Home: () => {
      this.resetZoom();
      this.choose(0, 'keep');
    },
    End: () => this.choose(this.leafBelow(this.selected ?? 0), 'reveal'),
    PageUp: () => this.scrollBy(-1),
    PageDown: () => this.scrollBy(1),
  };

  /** Selects what `next` leads to; the root when nothing is selected yet. */
  private walk(next: (box: number) => number | undefined): void {
    const box = this.selected === undefined ? 0 : next(this.selected);
    if (box !== undefined && box >= 0) this.choose(box, 'reveal');
  }

  /** The box beside this one on its level. */
  private neighbour(box: number, step: 1 | -1): number | undefined {
    const { graph } = this.model!;
    const level = levelOf(graph, box);
    const next = box + step;
    const isOnLevel = next >= graph.levelStarts[level]! && next < graph.levelStarts[level + 1]!;
    return isOnLevel ? next : undefined;
  }

  /** Down the heaviest calls to the last one. */
  private leafBelow(box: number): number {
    for (let at = box; ;) {
      const [child] = childrenOf(this.model!.graph, at);
      if (child === undefined) return at;
      at = child;
    }
  }

  private zoomBy(factor: number): void {
    const { left, right } = this.canvas.viewport;
    const place = this.selected === undefined ? undefined : this.canvas.placeOf(this.selected);
    const centre = place === undefined ? undefined : place.left + place.width / 2;
    const at = centre === undefined ? 0.5 : this.canvas.shareAt(centre);
    this.canvas.moveTo(zoomAt({ left, right }, factor, at));
  }

  private scrollBy(pages: number): void {
    const { element } = this.canvas;
    element.scrollTop += pages * (element.clientHeight - 2 * rowHeight);
  }
}

/** The state, when it is one and belongs to this profile. */
function readSaved(value: unknown, { id, profile }: ToFlame): SavedState | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const state = value as Partial<Record<keyof SavedState, unknown>>;
  if (state.id !== id) return undefined;
  const { thread, selected, view } = state;
  const { left, right } = (view ?? {}) as Partial<Record<keyof Viewport, unknown>>;
  const isView = typeof left === 'number' && typeof right === 'number' && left < right;
  return {
    id,
    kind: measuredKinds(profile).find((kind) => kind === state.kind) ?? defaultKind(profile),
    thread: isIndex(thread) && thread < profile.threads.length ? thread : undefined,
    mode: state.mode === 'table' ? 'table' : 'graph',
    search: typeof state.search === 'string' ? state.search : '',
    selected: isIndex(selected) ? selected : undefined,
    view: isView ? { left, right } : wholeGraph,
  };
}

function isIndex(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0;
}
