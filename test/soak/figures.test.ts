import assert from 'node:assert/strict';
import test from 'node:test';
import { formatFigures, mergeRows, parseReport, type FigureRow } from './figures.ts';

const row = (goal: string, tier: 'P' | 'N', figure = 'fine', how = 'npm run soak'): FigureRow => ({
  goal,
  tier,
  figure,
  how,
});

test('what is written is read again', () => {
  const rows = [row('R-04', 'N', '500/500, a|b'), row('R-06', 'P', 'x', '`test/a.test.ts`')];
  const text = formatFigures('2 cores', rows);
  assert.match(text, /^# Measured reliability\n/);
  assert.match(text, /ran on 2 cores\./);
  assert.deepEqual(parseReport(text), rows);
  assert.equal(formatFigures('2 cores', parseReport(text)), text);
});

test('new rows take the place of old ones; the others stay', () => {
  const before = [row('R-14', 'N', 'old'), row('R-06', 'P'), row('R-06', 'N', 'old')];
  const now = [row('R-06', 'N', 'new'), row('R-04', 'N', 'new')];
  assert.deepEqual(mergeRows(before, now), [
    row('R-04', 'N', 'new'),
    row('R-06', 'N', 'new'),
    row('R-06', 'P'),
    row('R-14', 'N', 'old'),
  ]);
});

test('text that is no row is passed over', () => {
  assert.deepEqual(
    parseReport('# Title\n| goal | tier | figure | how |\n|---|---|---|---|\nx'),
    [],
  );
  assert.deepEqual(parseReport(''), []);
  assert.deepEqual(parseReport('| R-01 | X | a | b |\n| R-01 | P | a |'), []);
});

test('a figure stays in its cell', () => {
  const text = formatFigures('m', [row('R-01', 'N', 'two\nlines')]);
  assert.match(text, /\| two lines \|/);
});
