import assert from 'node:assert/strict';
import test from 'node:test';
import {
  buildPalette,
  colourIndex,
  contrast,
  mix,
  oklch,
  parseColour,
  toCss,
  toPixel,
  type Rgb,
  type ThemeKind,
} from '../../src/webview/flame/palette.ts';
import { themes } from './themes.ts';

const colour = (text: string): Rgb => parseColour(text) ?? assert.fail(text);

for (const kind of Object.keys(themes) as ThemeKind[]) {
  const variables: Readonly<Record<string, string>> = themes[kind].variables;
  const border = variables['contrastBorder'];
  const palette = buildPalette({
    kind,
    background: colour(variables['editor-background'] ?? ''),
    foreground: colour(variables['editor-foreground'] ?? ''),
    border: border === undefined ? undefined : colour(border),
  });

  test(`${kind}: names are readable on every box`, () => {
    for (const fill of [...palette.fills, palette.root]) {
      assert.ok(contrast(palette.text, fill) >= 4.5, `${toCss(palette.text)} on ${toCss(fill)}`);
      const soft = mix(fill, palette.text, palette.softAlpha);
      assert.ok(contrast(soft, fill) >= 4.5, `${toCss(soft)} on ${toCss(fill)}`);
    }
    for (const fill of palette.dimmed) {
      assert.ok(contrast(palette.dimmedText, fill) >= 4.5, `dimmed on ${toCss(fill)}`);
    }
    assert.ok(contrast(palette.matchText, palette.match) >= 4.5);
  });

  test(`${kind}: a found box stands out from every dimmed one`, () => {
    for (const fill of palette.dimmed) {
      const isOutlined = palette.edge !== undefined;
      assert.ok(contrast(palette.match, fill) >= (isOutlined ? 1.3 : 1.35), toCss(fill));
    }
  });

  test(`${kind}: boxes can be told from the background`, () => {
    if (palette.edge !== undefined) {
      assert.ok(contrast(palette.edge, palette.background) >= 3);
    } else {
      for (const fill of palette.fills) {
        assert.ok(contrast(fill, palette.background) >= 1.2, toCss(fill));
      }
    }
  });
}

test('one file has one hue, wherever it is installed', () => {
  const hueOf = (file: string): number => Math.floor(colourIndex('f', file) / 3);
  assert.equal(
    hueOf('/srv/shop/releases/7/shop/ledger.py'),
    hueOf('/srv/shop/releases/8/shop/ledger.py'),
  );
  assert.notEqual(hueOf('/srv/shop/ledger.py'), hueOf('/srv/shop/worker.py'));
  assert.equal(
    Math.floor(colourIndex('settle', '/srv/a.py') / 3),
    Math.floor(colourIndex('apply', '/srv/a.py') / 3),
    'only the shade differs by name',
  );
});

test('own code, libraries and built-in code have ranges of their own', () => {
  const { fills } = buildPalette({
    kind: 'dark',
    background: [0, 0, 0],
    foreground: [255, 255, 255],
    border: undefined,
  });
  const third = fills.length / 3;
  assert.equal(Math.floor(colourIndex('f', '/srv/a.py') / third), 0);
  assert.equal(Math.floor(colourIndex('f', '/usr/lib/python3.11/json/decoder.py') / third), 1);
  assert.equal(Math.floor(colourIndex('len', '') / third), 2);
});

test('colours are read as themes write them', () => {
  assert.deepEqual(parseColour('#1f1f1f'), [31, 31, 31]);
  assert.deepEqual(parseColour(' #FFF '), [255, 255, 255]);
  assert.deepEqual(parseColour('#0078d480'), [0, 120, 212]);
  assert.deepEqual(parseColour('rgba(1, 2, 3, 0.5)'), [1, 2, 3]);
  assert.equal(parseColour('red; background: url(x)'), undefined);
  assert.equal(parseColour(''), undefined);
});

test('known values of the colour space', () => {
  assert.deepEqual(oklch(1, 0, 0), [255, 255, 255]);
  assert.deepEqual(oklch(0, 0, 0), [0, 0, 0]);
  // sRGB red is oklch(0.628 0.2577 29.23).
  const [red, green, blue] = oklch(0.62796, 0.25768, 29.2339);
  assert.ok(red >= 253 && green <= 12 && blue <= 12, `${red} ${green} ${blue}`);
  assert.equal(Math.round(contrast([0, 0, 0], [255, 255, 255])), 21);
  assert.equal(toPixel([1, 2, 3]), 0xff030201);
});
