// The part of the graph that is seen: a window on its width. Pure; levels are scrolled by the
// browser.

export interface Viewport {
  /** Edges of the window as shares of the graph's width, 0 ≤ left < right ≤ 1. */
  readonly left: number;
  readonly right: number;
}

export const wholeGraph: Viewport = { left: 0, right: 1 };

/** Narrower windows are below what a double can tell apart on a screen of thousands of pixels. */
const minWidth = 1e-9;

export function isWhole(view: Viewport): boolean {
  return view.left === 0 && view.right === 1;
}

/** The window of this width, moved inside the graph. */
export function clampView(view: Viewport): Viewport {
  const width = Math.min(1, Math.max(minWidth, view.right - view.left));
  if (width === 1) return wholeGraph;
  const left = Math.min(Math.max(0, view.left), 1 - width);
  return { left, right: left + width };
}

/**
 * Narrower by `factor` (above 1 zooms in), keeping the point at `at` (0 left edge, 1 right edge) in
 * place.
 */
export function zoomAt(view: Viewport, factor: number, at: number): Viewport {
  const width = view.right - view.left;
  const point = view.left + width * at;
  const next = Math.min(1, Math.max(minWidth, width / factor));
  return clampView({ left: point - next * at, right: point + next * (1 - at) });
}

/** Moved by a share of the window's own width, positive to the right. */
export function panBy(view: Viewport, share: number): Viewport {
  const shift = (view.right - view.left) * share;
  return clampView({ left: view.left + shift, right: view.right + shift });
}

/**
 * The least change that shows the box `left … right` at no less than `minShare` of the window. A
 * box that is wider than the window is left as it is when it fills the window.
 */
export function reveal(
  view: Viewport,
  box: { readonly left: number; readonly right: number },
  minShare: number,
): Viewport {
  const boxWidth = box.right - box.left;
  const width = view.right - view.left;
  if (boxWidth < width * minShare) {
    const next = boxWidth / minShare;
    const centre = (box.left + box.right) / 2;
    return clampView({ left: centre - next / 2, right: centre + next / 2 });
  }
  if (boxWidth >= width) {
    return box.left <= view.left && box.right >= view.right ? view : clampView(box);
  }
  if (box.left < view.left) return clampView({ left: box.left, right: box.left + width });
  if (box.right > view.right) return clampView({ left: box.right - width, right: box.right });
  return view;
}

/**
 * Between two windows, `progress` from 0 to 1; widths change evenly in zoom steps, not in pixels.
 */
export function between(from: Viewport, to: Viewport, progress: number): Viewport {
  if (progress >= 1) return to;
  const fromWidth = from.right - from.left;
  const toWidth = to.right - to.left;
  if (Math.abs(fromWidth - toWidth) < 1e-12) {
    const shift = (to.left - from.left) * progress;
    return { left: from.left + shift, right: from.right + shift };
  }
  const width = fromWidth * (toWidth / fromWidth) ** progress;
  // The edges move by the share of the width's change that is done, so that both arrive together.
  const done = (width - fromWidth) / (toWidth - fromWidth);
  const left = from.left + (to.left - from.left) * done;
  return { left, right: left + width };
}
