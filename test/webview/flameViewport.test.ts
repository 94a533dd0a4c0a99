import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {
  between,
  clampView,
  isWhole,
  panBy,
  reveal,
  wholeGraph,
  zoomAt,
  type Viewport,
} from '../../src/webview/flame/viewport.ts';

const close = (actual: Viewport, left: number, right: number): void => {
  assert.ok(
    Math.abs(actual.left - left) < 1e-9 && Math.abs(actual.right - right) < 1e-9,
    `${actual.left}…${actual.right}`,
  );
};

test('zooming keeps the point under the pointer in place', () => {
  close(zoomAt(wholeGraph, 2, 0.5), 0.25, 0.75);
  close(zoomAt(wholeGraph, 2, 0), 0, 0.5);
  close(zoomAt({ left: 0.2, right: 0.4 }, 4, 0.5), 0.275, 0.325);
});

test('zooming out ends at the whole graph', () => {
  assert.ok(isWhole(zoomAt({ left: 0.1, right: 0.3 }, 0.01, 0.3)));
});

test('panning stops at the edges', () => {
  close(panBy({ left: 0.2, right: 0.4 }, 0.5), 0.3, 0.5);
  close(panBy({ left: 0.2, right: 0.4 }, 99), 0.8, 1);
  close(panBy({ left: 0.2, right: 0.4 }, -99), 0, 0.2);
});

test('revealing changes as little as possible', () => {
  const view = { left: 0.4, right: 0.6 };
  assert.equal(reveal(view, { left: 0.45, right: 0.5 }, 0.02), view, 'in sight already');
  close(reveal(view, { left: 0.7, right: 0.75 }, 0.02), 0.55, 0.75);
  close(reveal(view, { left: 0.1, right: 0.15 }, 0.02), 0.1, 0.3);
  assert.equal(reveal(view, { left: 0.3, right: 0.7 }, 0.02), view, 'fills the window already');
  close(reveal(view, { left: 0.1, right: 0.45 }, 0.02), 0.1, 0.45);
  close(reveal(view, { left: 0.5, right: 0.501 }, 0.02), 0.4755, 0.5255);
});

test('a motion begins and ends where it should, and never leaves both', () => {
  const from = { left: 0, right: 1 };
  const to = { left: 0.7, right: 0.701 };
  close(between(from, to, 0), 0, 1);
  assert.equal(between(from, to, 1), to);
  const half = between(from, to, 0.5);
  assert.ok(half.left > 0 && half.left < 0.7 && half.right > 0.701 && half.right < 1);
  close(between({ left: 0, right: 0.5 }, { left: 0.5, right: 1 }, 0.5), 0.25, 0.75);
});

const anyView = fc
  .tuple(fc.double({ min: -2, max: 2, noNaN: true }), fc.double({ min: 0, max: 3, noNaN: true }))
  .map(([left, width]) => ({ left, right: left + width }));

test('property: a window is always inside the graph and has a width', () => {
  fc.assert(
    fc.property(
      anyView,
      fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (view, factor, at) => {
        for (const next of [
          clampView(view),
          zoomAt(clampView(view), factor, at),
          panBy(clampView(view), factor),
        ]) {
          assert.ok(next.left >= 0 && next.right <= 1 + 1e-12 && next.right > next.left);
        }
      },
    ),
  );
});
