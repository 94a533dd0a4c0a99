import assert from 'node:assert/strict';
import test from 'node:test';
import { toDisplay, toDisplayLines, toNotice } from '../../src/base/displayText.ts';

const cases: readonly [string, string][] = [
  ['plain é 漢\ttab', 'plain é 漢\ttab'],
  ['\u001b]52;c;cm0gLXJm\u0007', '‹ESC›]52;c;cm0gLXJm‹BEL›'],
  ['\u001b[2J\u001b[31mred', '‹ESC›[2J‹ESC›[31mred'],
  ['a\u202egnp.exe', 'a‹U+202E›gnp.exe'],
  ['zero\u200bwidth\ufeff', 'zero‹U+200B›width‹U+FEFF›'],
  ['forged\r\n2026 line', 'forged‹CR›‹LF›2026 line'],
  ['\u0085\u2028\u009b31m', '‹U+0085›‹U+2028›‹U+009B›31m'],
  ['NUL\u0000', 'NUL‹NUL›'],
];

for (const [input, expected] of cases) {
  test(`shown as ${expected}`, () => assert.equal(toDisplay(input), expected));
}

test('a notice holds no link that could run a command', () => {
  const text = toNotice('Log in: [New code](command:workbench.action.quit) [b](http://x)\u001b');
  assert.equal(text, 'Log in: [New code] (command:workbench.action.quit) [b] (http://x)‹ESC›');
  assert.doesNotMatch(text, /\]\(/);
});

test('long text is cut with a mark', () => assert.equal(toDisplay('abcdef', 3), 'abc…'));

test('lines stay lines', () => {
  assert.equal(toDisplayLines('a\u001b\nb\r\nc'), 'a‹ESC›\nb‹CR›\nc');
});
