// The whole graph in a strip, and the window on it: where one is after zooming in. Dragging moves
// the window.

import { levelCount } from '../../profile/flameGraph.ts';
import { h } from './dom.ts';
import { rowStyle } from './flameCanvas.ts';
import type { FlameModel } from './model.ts';
import { toPixel } from './palette.ts';
import { paintLevel } from './raster.ts';
import type { SearchResult } from './search.ts';
import type { Theme } from './theme.ts';
import { isWhole, wholeGraph, type Viewport } from './viewport.ts';

/** In CSS pixels: a shallow graph gets a lower strip. */
const maxHeight = 44;
const maxLevelHeight = 5;

export interface MinimapEvents {
  /** The window is wanted around this place: x as a share of the width, level as a number. */
  onGo(x: number, level: number): void;
}

export class Minimap {
  readonly element: HTMLElement;
  private readonly canvas = h('canvas');
  private readonly lens = h('div', { className: 'minimap-lens' });
  private model: FlameModel | undefined;
  private found: SearchResult | undefined;
  private theme: Theme;
  private isAsked = false;

  constructor(theme: Theme, events: MinimapEvents) {
    this.theme = theme;
    this.element = h('div', { className: 'minimap', ariaHidden: 'true' }, this.canvas, this.lens);
    const go = (event: PointerEvent): void => {
      if (this.model === undefined) return;
      const bounds = this.element.getBoundingClientRect();
      const y = Math.min(1, Math.max(0, (event.clientY - bounds.top) / bounds.height));
      const levels = levelCount(this.model.graph);
      events.onGo((event.clientX - bounds.left) / bounds.width, Math.floor(y * levels));
    };
    this.element.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      this.element.setPointerCapture(event.pointerId);
      go(event);
    });
    this.element.addEventListener('pointermove', (event) => {
      if (this.element.hasPointerCapture(event.pointerId)) go(event);
    });
    new ResizeObserver(() => this.redraw()).observe(this.element);
  }

  show(model: FlameModel, found: SearchResult | undefined, theme: Theme): void {
    this.model = model;
    this.found = found;
    this.theme = theme;
    const height = Math.min(maxHeight, levelCount(model.graph) * maxLevelHeight);
    this.element.style.height = `${height}px`;
    this.redraw();
  }

  /** Marks what is in sight. */
  mark(view: Viewport, levels: { readonly first: number; readonly count: number }): void {
    if (this.model === undefined) return;
    const all = Math.max(1, levelCount(this.model.graph));
    const isAll = isWhole(view) && levels.count >= all;
    this.lens.hidden = isAll;
    const style = this.lens.style;
    style.left = `${view.left * 100}%`;
    style.width = `max(4px, ${(view.right - view.left) * 100}%)`;
    style.top = `${(Math.min(all, levels.first) / all) * 100}%`;
    style.height = `${(Math.min(all, levels.count) / all) * 100}%`;
  }

  private redraw(): void {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.draw();
    });
  }

  private draw(): void {
    const width = Math.max(1, Math.round(this.element.clientWidth * devicePixelRatio));
    const height = Math.max(1, Math.round(this.element.clientHeight * devicePixelRatio));
    if (this.model === undefined) return;
    this.canvas.width = width;
    this.canvas.height = height;
    const { graph, texts } = this.model;
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const background = toPixel(this.theme.palette.background);
    pixels.fill(background);
    const style = { ...rowStyle(this.theme, this.found, graph.frames, texts.colours), gap: 0 };
    const levels = levelCount(graph);
    const row = new Uint32Array(width);
    let painted = -1;
    for (let y = 0; y < height; y++) {
      const level = Math.floor((y / height) * levels);
      if (level !== painted) {
        row.fill(background);
        paintLevel(row, graph, level, wholeGraph, { ...style, edge: undefined }, () => undefined);
        painted = level;
      }
      pixels.set(row, y * width);
    }
    this.canvas.getContext('2d')?.putImageData(image, 0, 0);
  }
}
