import assert from 'node:assert/strict';
import test from 'node:test';
import { TerminalTextFilter, type TerminalTextKind } from '../../src/debug/terminalText.ts';

function filtered(text: string, kind: TerminalTextKind = 'terminal'): string {
  return new TerminalTextFilter(kind).push(text);
}

/** Whatever the chunks' borders, the result is the same. */
function filteredByCharacter(text: string, kind: TerminalTextKind): string {
  const filter = new TerminalTextFilter(kind);
  return [...text].map((char) => filter.push(char)).join('');
}

const passedInTerminal = [
  'plain text\r\n\twith é漢\u{1f40d}',
  '\u001b[1;31mred\u001b[0m',
  '\u001b[2J\u001b[H\u001b[?2004h\u001b[6n',
  '\u001b7\u001b8\u001b=\u001b(B\u001bc\u001bM',
  'bell\u0007 and back\b',
];

const droppedInTerminal: Readonly<Record<string, string>> = {
  clipboard: '\u001b]52;c;ZXZpbA==\u0007',
  title: '\u001b]0;root@trusted\u0007\u001b]2;x\u001b\\',
  link: '\u001b]8;;command:evil\u001b\\\u001b]8;;\u001b\\',
  'shell integration':
    '\u001b]633;C\u0007\u001b]633;E;rm -rf /\u0007\u001b]1337;CurrentDir=/\u0007',
  'C1 clipboard': '\u009d52;c;ZXZpbA==\u009c',
  'device control': '\u001bP$q"p\u001b\\\u001bPtmux;\u001b\u001b]52;c;x\u0007\u001b\\',
  'application command': '\u001b_Gpicture\u001b\\\u001b^private\u001b\\\u001bXstring\u001b\\',
  'window operations': '\u001b[21t\u001b[22;0;0t\u001b[3;0;0t',
  'an endless sequence': `\u001b[${'1;'.repeat(1000)}m`,
  'a lone C1 control': '\u0085\u008d',
};

for (const text of passedInTerminal) {
  test(`a terminal shows ${JSON.stringify(text)}`, () => {
    assert.equal(filtered(text), text);
    assert.equal(filteredByCharacter(text, 'terminal'), text);
  });
}

for (const [name, text] of Object.entries(droppedInTerminal)) {
  test(`a terminal is not handed: ${name}`, () => {
    for (const kind of ['terminal', 'console'] as const) {
      assert.equal(filtered(`a${text}b`, kind), 'ab');
      assert.equal(filteredByCharacter(`a${text}b`, kind), 'ab');
    }
  });
}

/** As given → as handed to a terminal. */
const strings: readonly (readonly [name: string, given: string, passed: string])[] = [
  [
    'a web link, its end with it',
    '\u001b]8;id=1;https://example.org/a?b\u0007text\u001b]8;;\u0007',
    '\u001b]8;id=1;https://example.org/a?b\u001b\\text\u001b]8;;\u001b\\',
  ],
  ['a link to a file here', 'a\u001b]8;;file:///etc/passwd\u001b\\b\u001b]8;;\u001b\\', 'ab'],
  ['a link to a command', '\u001b]8;;vscode://x/y\u0007a\u001b]8;;\u0007', 'a'],
  ['a link with a line feed in it', '\u001b]8;;https://a\n\u0007b', '\n\u0007b'],
  ['an endless link', `\u001b]8;;https://${'a'.repeat(2500)}\u0007b`, 'b'],
  ['the question for the background', '\u001b]11;?\u001b\\', '\u001b]11;?\u001b\\'],
  ['another background', '\u001b]11;#000000\u0007a', 'a'],
  ['a palette', '\u001b]4;1;?\u0007\u001b]104\u0007a', 'a'],
  ['a link that is broken off', '\u001b]8;;https://a\u0018b', 'b'],
  [
    'a link inside a device control string',
    '\u001bP\u001b]8;;https://a\u0007b',
    '\u001b]8;;https://a\u001b\\b',
  ],
  ['a notification', '\u001b]9;hello\u0007\u001b]777;notify;a;b\u0007c', 'c'],
  ['a directory', '\u001b]7;file://trusted/srv\u0007c', 'c'],
];

for (const [name, given, passed] of strings) {
  test(`of OSC strings in a terminal: ${name}`, () => {
    assert.equal(filtered(given), passed);
    assert.equal(filteredByCharacter(given, 'terminal'), passed);
    for (let cut = 0; cut <= Math.min(100, given.length); cut++) {
      const filter = new TerminalTextFilter('terminal');
      assert.equal(filter.push(given.slice(0, cut)) + filter.push(given.slice(cut)), passed);
    }
    assert.doesNotMatch(filtered(given, 'console'), /\u001b/);
  });
}

test('a C1 control sequence is passed in its 7-bit form', () => {
  assert.equal(filtered('\u009b31mred'), '\u001b[31mred');
});

test('a console shows colours, and nothing that moves', () => {
  const text = 'a\u001b[31mred\u001b[0m\u001b[2J\u001b[H\u001b7\u001b(B\u0007\b\r\n\tb';
  assert.equal(filtered(text, 'console'), 'a\u001b[31mred\u001b[0m\r\n\tb');
});

test('a string that is never closed ends with its line', () => {
  assert.equal(filtered('a\u001b]0;title\nb'), 'a\nb');
  assert.equal(filtered('a\u009d no title\nb', 'console'), 'a\nb');
  assert.equal(filtered('a\u001bPq#0\n#1\u001b\\b'), 'ab');
  assert.equal(filtered('a\u001bPq#0\nb', 'console'), 'a\nb');
});

test('an escape sequence inside another ends it', () => {
  assert.equal(filtered('\u001b[3\u001b[31mx'), '\u001b[31mx');
  assert.equal(filtered('\u001b]0;x\u001b[31my'), '\u001b[31my');
  assert.equal(filtered('\u001b\u001b]52;c;x\u0007y'), 'y');
  assert.equal(filtered('\u001b]52\u001b\u001b]52;c;x\u0007y'), 'y');
});

test('no mixture lets a string begin', () => {
  const parts = ['\u001b', ']', 'P', '[', '\u009d', '\u0007', '\\', '3', 'm', ' ', '\n', 't', 'x'];
  let seed = 7;
  const random = (limit: number): number => (seed = (seed * 48271) % 2147483647) % limit;
  for (let round = 0; round < 5000; round++) {
    const text = Array.from({ length: 12 }, () => parts[random(parts.length)]).join('');
    const result = filtered(text);
    assert.doesNotMatch(
      result,
      /\u001b[\]P^_X]|[\u0080-\u009f]|\u001b\[[ -?]*t/,
      JSON.stringify(text),
    );
    // What has been filtered is stable: a second filter finds nothing more to drop at its end.
    assert.equal(filtered(result), result, JSON.stringify(text));
  }
});
