import assert from 'node:assert/strict';
import test from 'node:test';
import { buildFlameGraph, levelCount, type FlameGraph } from '../../src/profile/flameGraph.ts';
import { maxLabels, pickLabels, TextFitter } from '../../src/webview/flame/labels.ts';
import { boxAt, paintLevel, type RowStyle, type Span } from '../../src/webview/flame/raster.ts';
import { wholeGraph, type Viewport } from '../../src/webview/flame/viewport.ts';
import { drawProfile } from '../profile/columns.ts';
import { largeProfile } from './sampleProfile.ts';

const profile = drawProfile(`
  a a a a a a b b b d
  x x x y y y z z z .
`);
const graph = buildFlameGraph(profile, { kind: 'wall' });
const letters = profile.frames.names;

function styleFor(of: FlameGraph): RowStyle {
  // Colour = frame + 1, so that 0 stays "no box".
  const fill = (box: number): number => of.frames[box]! + 1;
  return { fill, fillRun: fill, edge: undefined, gap: 0, minSpan: 3 };
}

/** A row of pixels as letters, `.` where nothing is. */
function draw(level: number, width: number, view: Viewport = wholeGraph): string {
  const row = new Uint32Array(width);
  paintLevel(row, graph, level, view, styleFor(graph), () => undefined);
  return [...row].map((pixel) => (pixel === 0 ? '.' : letters[pixel - 1])).join('');
}

test('a level is painted in proportion', () => {
  assert.equal(draw(1, 20), 'aaaaaaaaaaaabbbbbbdd');
  assert.equal(draw(2, 20), 'xxxxxxyyyyyyzzzzzz..');
});

test('a window shows its part, boxes cut at its edges', () => {
  assert.equal(draw(1, 10, { left: 0.5, right: 1 }), 'aabbbbbbdd');
  assert.equal(draw(2, 10, { left: 0.25, right: 0.5 }), 'xxyyyyyyyy');
});

test('a gap is kept free after each box that has the room', () => {
  const row = new Uint32Array(20);
  const style = { ...styleFor(graph), gap: 1 };
  paintLevel(row, graph, 1, wholeGraph, style, () => undefined);
  assert.equal(
    [...row].map((p) => (p === 0 ? '.' : letters[p - 1])).join(''),
    'aaaaaaaaaaa.bbbbb.dd',
  );
});

test('an outline marks the first and the last pixel of a box', () => {
  const row = new Uint32Array(20);
  paintLevel(row, graph, 1, wholeGraph, { ...styleFor(graph), edge: 99 }, () => undefined);
  assert.equal(
    [...row].map((p) => (p === 99 ? '|' : letters[p - 1])).join(''),
    '|aaaaaaaaaa||bbbb|||',
  );
});

test('wide boxes are reported with their pixels', () => {
  const spans: Span[] = [];
  paintLevel(new Uint32Array(20), graph, 1, wholeGraph, styleFor(graph), (s) => spans.push(s));
  assert.deepEqual(
    spans.map(({ box, from, to }) => [letters[graph.frames[box]!], from, to]),
    [
      ['a', 0, 12],
      ['b', 12, 18],
    ],
  );
});

test('boxes narrower than a pixel are drawn as one, and a found one among them is not lost', () => {
  const many = drawProfile(Array.from({ length: 1000 }, (_, n) => `f${n}`).join(' '));
  const wide = buildFlameGraph(many, { kind: 'wall' });
  const wanted = 700;
  const asked: [number, number][] = [];
  const row = new Uint32Array(50);
  paintLevel(
    row,
    wide,
    1,
    wholeGraph,
    {
      ...styleFor(wide),
      fill: () => 1,
      fillRun: (from, to) => {
        asked.push([from, to]);
        return from <= wanted && wanted < to ? 9 : 1;
      },
    },
    () => undefined,
  );
  assert.equal(row.filter((pixel) => pixel === 9).length, 1);
  assert.ok(
    row.every((pixel) => pixel > 0),
    'no holes',
  );
  assert.equal(asked[0]?.[0], wide.levelStarts[1]);
  asked
    .slice(1)
    .forEach(([from], index) => assert.equal(from, asked[index]?.[1], 'no box skipped'));
  assert.equal(asked.at(-1)?.[1], wide.levelStarts[2]);
});

test('the box at a place', () => {
  const name = (level: number, at: number): string | undefined => {
    const box = boxAt(graph, level, at);
    return box === undefined ? undefined : letters[graph.frames[box]!];
  };
  assert.equal(name(1, 0), 'a');
  assert.equal(name(1, 0.65), 'b');
  assert.equal(name(2, 0.95), undefined, 'd calls nothing');
  assert.equal(name(7, 0.5), undefined);
  assert.equal(name(-1, 0.5), undefined);
});

test('a row costs what it shows, not what the level holds', () => {
  const large = buildFlameGraph(largeProfile(40_000), { kind: 'wall' });
  const style = styleFor(large);
  const row = new Uint32Array(1600);
  let calls = 0;
  const counting = {
    ...style,
    fill: (box: number) => (calls++, style.fill(box)),
    fillRun: (from: number) => (calls++, style.fill(from)),
  };
  for (let level = 0; level < levelCount(large); level++) {
    calls = 0;
    paintLevel(row, large, level, wholeGraph, counting, () => undefined);
    assert.ok(calls <= row.length, `level ${level} asked for ${calls} colours`);
  }
});

test('at most 300 names are written, those of the widest boxes', () => {
  const spans = Array.from({ length: 1000 }, (_, n) => ({ box: n, level: 0, from: 0, to: n + 1 }));
  const picked = pickLabels(spans);
  assert.equal(picked.length, maxLabels);
  assert.equal(Math.min(...picked.map((span) => span.to)), 701);
});

test('names are cut to fit', () => {
  const fitter = new TextFitter((text) => [...text].length * 7);
  assert.equal(fitter.fit('settle', 42), 'settle');
  assert.equal(fitter.fit('settle', 41), 'sett…');
  assert.equal(fitter.fit('settle', 20), '');
  assert.equal(fitter.fit('😀😀😀😀', 22), '😀😀…', 'no half characters');
  assert.equal(fitter.fit('x'.repeat(1 << 20), 700).length, 100);
});
