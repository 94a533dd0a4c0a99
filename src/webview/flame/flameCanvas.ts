// The drawn graph, root at the top. Boxes are painted as pixels (a zoom step of 100,000 frames
// costs a few milliseconds and no graphics card), names and outlines are drawn over them.

import { levelCount, levelOf } from '../../profile/flameGraph.ts';
import { h, prefersReducedMotion } from './dom.ts';
import { formatWeight } from './format.ts';
import { pickLabels, TextFitter } from './labels.ts';
import type { FlameModel } from './model.ts';
import { toCss, toPixel } from './palette.ts';
import { boxAt, paintLevel, type RowStyle, type Span } from './raster.ts';
import type { SearchResult } from './search.ts';
import type { Theme } from './theme.ts';
import { between, clampView, reveal, wholeGraph, type Viewport } from './viewport.ts';

/** Height of a level in CSS pixels, its gap of one included. */
export const rowHeight = 21;

const zoomMs = 180;
const labelFontSize = 12;
const labelPadding = 5;
/** Narrower boxes get no name, in CSS pixels. */
const minLabelWidth = 26;

export interface CanvasEvents {
  /** The window or the scroll position changed. */
  onMove(): void;
}

export class FlameCanvas {
  /** Scrolls the levels; the canvases in it stay in place. */
  readonly element: HTMLElement;
  private readonly frame = h('div', { className: 'flame-frame' });
  private readonly spacer = h('div', { className: 'flame-spacer' });
  private readonly base = h('canvas');
  private readonly overlay = h('canvas', { className: 'flame-overlay' });
  private readonly baseContext = context2d(this.base, false);
  private readonly overlayContext = context2d(this.overlay, true);
  private readonly events: CanvasEvents;
  private image: ImageData | undefined;
  private fitter = new TextFitter((text) => this.baseContext.measureText(text).width);
  private model: FlameModel | undefined;
  private theme: Theme;
  private found: SearchResult | undefined;
  private view: Viewport = wholeGraph;
  private selected: number | undefined;
  private hovered: number | undefined;
  private stopMoving: () => void = () => undefined;
  private isFrameAsked = false;

  constructor(theme: Theme, events: CanvasEvents) {
    this.theme = theme;
    this.events = events;
    this.frame.append(this.base, this.overlay);
    this.element = h('div', { className: 'flame-scroll', tabIndex: 0 }, this.frame, this.spacer);
    this.element.addEventListener('scroll', () => {
      this.redraw();
      this.events.onMove();
    });
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  get viewport(): Viewport {
    return this.view;
  }

  /** Levels in sight, with fractions: for the minimap. */
  get levels(): { readonly first: number; readonly count: number } {
    return {
      first: this.element.scrollTop / rowHeight,
      count: this.element.clientHeight / rowHeight,
    };
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    this.fitter = new TextFitter((text) => this.baseContext.measureText(text).width);
    this.redraw();
  }

  setModel(model: FlameModel): void {
    this.model = model;
    this.stopMoving();
    this.view = wholeGraph;
    this.selected = undefined;
    this.hovered = undefined;
    this.found = undefined;
    this.element.scrollTop = 0;
    this.resize();
  }

  setFound(found: SearchResult | undefined): void {
    this.found = found;
    this.redraw();
  }

  select(box: number | undefined): void {
    this.selected = box;
    this.redraw();
  }

  hover(box: number | undefined): void {
    if (this.hovered === box) return;
    this.hovered = box;
    this.redraw();
  }

  /** Moves the window at once. */
  setViewport(view: Viewport): void {
    this.stopMoving();
    this.view = clampView(view);
    this.redraw();
    this.events.onMove();
  }

  /** Moves the window in a short, even motion, or at once for those who want none. */
  moveTo(view: Viewport): void {
    this.stopMoving();
    const from = this.view;
    const to = clampView(view);
    if (prefersReducedMotion()) return this.setViewport(to);
    const startedAt = performance.now();
    let frame = 0;
    const step = (now: number): void => {
      const time = Math.min(1, Math.max(0, (now - startedAt) / zoomMs));
      this.view = between(from, to, 1 - (1 - time) ** 3);
      this.draw();
      this.events.onMove();
      if (time < 1) frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    this.stopMoving = () => cancelAnimationFrame(frame);
  }

  /** Zooms so that the box fills the width, and scrolls its level into sight. */
  zoomTo(box: number): void {
    if (this.model === undefined) return;
    const { lefts, rights } = this.model.graph;
    this.moveTo({ left: lefts[box]!, right: rights[box]! });
    this.revealLevel(box);
  }

  /** The least change that shows the box large enough to see. */
  reveal(box: number): void {
    if (this.model === undefined) return;
    const { lefts, rights } = this.model.graph;
    const next = reveal(this.view, { left: lefts[box]!, right: rights[box]! }, 0.02);
    if (next !== this.view) this.moveTo(next);
    this.revealLevel(box);
  }

  scrollToLevel(level: number): void {
    this.element.scrollTop = level * rowHeight;
  }

  /** The box under a point of the window's coordinates. */
  boxAtPoint(clientX: number, clientY: number): number | undefined {
    if (this.model === undefined) return undefined;
    const bounds = this.frame.getBoundingClientRect();
    const x = (clientX - bounds.left) / bounds.width;
    const y = clientY - bounds.top;
    if (x < 0 || x >= 1 || y < 0 || y >= bounds.height) return undefined;
    const level = Math.floor((y + this.element.scrollTop) / rowHeight);
    return boxAt(this.model.graph, level, this.view.left + x * (this.view.right - this.view.left));
  }

  /** Where the pointer is on the width, 0 to 1: what a zoom keeps in place. */
  shareAt(clientX: number): number {
    const bounds = this.frame.getBoundingClientRect();
    return Math.min(1, Math.max(0, (clientX - bounds.left) / Math.max(1, bounds.width)));
  }

  get width(): number {
    return this.frame.clientWidth;
  }

  /** Where a box is drawn now, in the window's coordinates; undefined when it is out of sight. */
  placeOf(box: number): DOMRect | undefined {
    if (this.model === undefined) return undefined;
    const bounds = this.frame.getBoundingClientRect();
    const { left, top, width } = this.rectOf(this.model, box);
    if (width <= 0) return undefined;
    return new DOMRect(bounds.left + left, bounds.top + top, width, rowHeight - 1);
  }

  private revealLevel(box: number): void {
    if (this.model === undefined) return;
    const top = levelOf(this.model.graph, box) * rowHeight;
    const { scrollTop, clientHeight } = this.element;
    const isAbove = top < scrollTop;
    const isBelow = top + 2 * rowHeight > scrollTop + clientHeight;
    if (!isAbove && !isBelow) return;
    const room = isAbove ? rowHeight : clientHeight * 0.4;
    this.element.scrollTo({
      top: Math.max(0, top - room),
      behavior: prefersReducedMotion() ? 'auto' : 'smooth',
    });
  }

  private resize(): void {
    const { clientWidth, clientHeight } = this.element;
    const levels = this.model === undefined ? 0 : levelCount(this.model.graph);
    this.frame.style.height = `${clientHeight}px`;
    this.spacer.style.height = `${Math.max(0, levels * rowHeight - clientHeight)}px`;
    for (const canvas of [this.base, this.overlay]) {
      canvas.width = Math.max(1, Math.round(clientWidth * devicePixelRatio));
      canvas.height = Math.max(1, Math.round(clientHeight * devicePixelRatio));
    }
    this.draw();
    this.events.onMove();
  }

  private redraw(): void {
    if (this.isFrameAsked) return;
    this.isFrameAsked = true;
    requestAnimationFrame(() => {
      this.isFrameAsked = false;
      this.draw();
    });
  }

  private draw(): void {
    if (this.model === undefined) return;
    const spans = this.drawBoxes(this.model);
    this.drawLabels(this.model, spans);
    this.drawOutlines(this.model);
  }

  /** Paints every level in sight and gives the boxes wide enough for a name. */
  private drawBoxes({ graph, texts }: FlameModel): readonly Span[] {
    const { width, height } = this.base;
    const { palette } = this.theme;
    if (this.image?.width !== width || this.image.height !== height) {
      this.image = new ImageData(width, height);
    }
    const pixels = new Uint32Array(this.image.data.buffer);
    const background = toPixel(palette.background);
    pixels.fill(background);
    const style = rowStyle(this.theme, this.found, graph.frames, texts.colours);
    const spans: Span[] = [];
    const row = new Uint32Array(width);
    const edgeRow = new Uint32Array(width);
    const { first } = this.levels;
    for (let level = Math.floor(first); level < levelCount(graph); level++) {
      const top = Math.round((level - first) * rowHeight * devicePixelRatio);
      if (top >= height) break;
      const bottom = Math.round(((level - first + 1) * rowHeight - 1) * devicePixelRatio);
      row.fill(background);
      paintLevel(row, graph, level, this.view, style, (span) => spans.push(span));
      const isOutlined = style.edge !== undefined;
      if (isOutlined) outline(row, edgeRow, background, style.edge ?? 0);
      for (let y = Math.max(0, top); y < Math.min(height, bottom); y++) {
        const isEdge = isOutlined && (y === top || y === bottom - 1);
        pixels.set(isEdge ? edgeRow : row, y * width);
      }
    }
    this.baseContext.putImageData(this.image, 0, 0);
    return spans;
  }

  private drawLabels({ graph, texts }: FlameModel, spans: readonly Span[]): void {
    const ratio = devicePixelRatio;
    const { palette, fontFamily } = this.theme;
    const context = this.baseContext;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = `${labelFontSize}px ${fontFamily}`;
    context.textBaseline = 'middle';
    context.direction = 'ltr';
    const { first } = this.levels;
    for (const { box, level, from, to } of pickLabels(spans)) {
      const frame = graph.frames[box]!;
      const isFound = this.found !== undefined && frame >= 0 && this.found.frames[frame] === 1;
      const isDimmed = this.found !== undefined && !isFound;
      const room = (to - from) / ratio - 2 * labelPadding;
      const name = this.fitter.fit(texts.name(frame), room);
      if (name === '') continue;
      const x = from / ratio + labelPadding;
      const y = (level - first) * rowHeight + (rowHeight - 1) / 2 + 0.5;
      context.fillStyle = toCss(
        isFound ? palette.matchText : isDimmed ? palette.dimmedText : palette.text,
      );
      context.fillText(name, x, y);
      const place = frame < 0 ? formatWeight(graph.totals[0]!, graph.unit) : texts.base(frame);
      this.drawPlace(place, x + this.fitter.width(name) + 8, y, x + room);
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
  }

  /** The file's name in a softer tone, where the whole of it fits beside the function's. */
  private drawPlace(text: string, x: number, y: number, end: number): void {
    if (text === '' || x + this.fitter.width(text) > end) return;
    this.baseContext.globalAlpha = this.theme.palette.softAlpha;
    this.baseContext.fillText(text, x, y);
    this.baseContext.globalAlpha = 1;
  }

  private drawOutlines(model: FlameModel): void {
    const context = this.overlayContext;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.overlay.width, this.overlay.height);
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    if (this.hovered !== undefined && this.hovered !== this.selected) {
      this.strokeBox(model, this.hovered, this.theme.hover, 1);
    }
    if (this.selected !== undefined) {
      this.strokeBox(model, this.selected, this.theme.focus, 2);
      // A line of the background's colour inside, so that it is seen on a box of a like colour too.
      this.strokeBox(model, this.selected, toCss(this.theme.palette.background), 1, 2);
    }
  }

  private strokeBox(
    model: FlameModel,
    box: number,
    colour: string,
    lineWidth: number,
    inside = 0,
  ): void {
    const { left, top, width } = this.rectOf(model, box);
    if (width <= 2 * inside) return;
    const context = this.overlayContext;
    context.strokeStyle = colour;
    context.lineWidth = lineWidth;
    const inset = inside + lineWidth / 2;
    context.strokeRect(
      left + inset,
      top + inset,
      Math.max(1, width - 2 * inset),
      rowHeight - 1 - 2 * inset,
    );
  }

  /** In CSS pixels of the frame, cut to the window; a width of 0 is out of sight. */
  private rectOf(
    { graph }: FlameModel,
    box: number,
  ): { readonly left: number; readonly top: number; readonly width: number } {
    const scale = this.width / (this.view.right - this.view.left);
    const left = Math.max(0, (graph.lefts[box]! - this.view.left) * scale);
    const right = Math.min(this.width, (graph.rights[box]! - this.view.left) * scale);
    const top = levelOf(graph, box) * rowHeight - this.element.scrollTop;
    const isInSight = right > left && top > -rowHeight && top < this.element.clientHeight;
    // The last pixel is the gap to the neighbour.
    return { left, top, width: isInSight ? Math.max(2, right - left - 1) : 0 };
  }
}

/** Colours of one drawing: by frame without a search, found or dimmed with one. */
export function rowStyle(
  { palette }: Theme,
  found: SearchResult | undefined,
  frames: Int32Array,
  colours: Uint16Array,
): RowStyle {
  const fills = Uint32Array.from(
    (found === undefined ? palette.fills : palette.dimmed).map(toPixel),
  );
  const root = toPixel(palette.root);
  const match = toPixel(palette.match);
  const plain = (box: number): number => {
    const frame = frames[box]!;
    return frame < 0 ? root : fills[colours[frame]!]!;
  };
  const common = {
    edge: palette.edge === undefined ? undefined : toPixel(palette.edge),
    gap: Math.max(1, Math.round(devicePixelRatio)),
    minSpan: minLabelWidth * devicePixelRatio,
  };
  if (found === undefined) return { ...common, fill: plain, fillRun: (from) => plain(from) };
  const { foundBefore } = found;
  const fillRun = (from: number, to: number): number =>
    foundBefore[to]! > foundBefore[from]! ? match : plain(from);
  return { ...common, fill: (box) => fillRun(box, box + 1), fillRun };
}

/** The outlines' top and bottom: every pixel of a box. */
function outline(row: Uint32Array, edgeRow: Uint32Array, background: number, edge: number): void {
  for (let x = 0; x < row.length; x++) edgeRow[x] = row[x] === background ? background : edge;
}

function context2d(canvas: HTMLCanvasElement, alpha: boolean): CanvasRenderingContext2D {
  const context = canvas.getContext('2d', { alpha });
  if (context === null) throw new Error('This browser draws no 2D canvas.');
  return context;
}
