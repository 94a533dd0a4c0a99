import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { HintIndex } from '../../src/env/hintIndex.ts';
import { decodeText, pairUp, readSections, splitNul } from '../../src/env/sections.ts';
import { encodeText } from '../../src/remote/command.ts';

const word = 'abcdef12';
const section = (name: string, content: string | Buffer, exitCode = 0): Buffer =>
  Buffer.concat([
    Buffer.from(`\n\u001e${word} ${name}\n`),
    Buffer.from(content as string),
    Buffer.from(`\n\u001e${word} =${exitCode}\n`),
  ]);

test('sections keep their content byte for byte, whatever lies around them', () => {
  const content = Buffer.from([0, 10, 30, 255, 10, 10]);
  const output = Buffer.concat([
    Buffer.from('noise\n'),
    section('first', content),
    section('second', '', 127),
    section('forged', '\n\u001e00000000 =3\n'),
  ]);
  assert.deepEqual(
    [...readSections(output, word)],
    [
      ['first', { content, exitCode: 0 }],
      ['second', { content: Buffer.alloc(0), exitCode: 127 }],
      ['forged', { content: Buffer.from('\n\u001e00000000 =3\n'), exitCode: 0 }],
    ],
  );
});

test('an answer that breaks off keeps what was whole; the cut section has no exit code', () => {
  const output = Buffer.concat([section('first', 'a'), section('second', 'b')]);
  for (let length = 0; length <= output.length; length++) {
    const sections = readSections(output.subarray(0, length), word);
    for (const [name, { exitCode }] of sections) {
      const isWhole = length >= (name === 'first' ? section('first', 'a').length : output.length);
      assert.equal(exitCode, isWhole ? 0 : undefined, `${name} at ${length}`);
    }
  }
});

test('any bytes become text and the same bytes again', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      assert.deepEqual(encodeText(decodeText(Buffer.from(bytes))), Buffer.from(bytes));
    }),
  );
  assert.equal(
    decodeText(Buffer.from([0x61, 0xff, 0xc3, 0xa9, 0xf0, 0x9f])),
    'a\udcffé\udcf0\udc9f',
  );
});

test('a last text without its NUL, and a key without its value, are left out', () => {
  assert.deepEqual(splitNul(Buffer.from('a\0\0b')), ['a', '']);
  assert.deepEqual(pairUp(['a', '1', 'b']), [['a', '1']]);
});

test('an index of hints finds the entries that a search for each of them finds', () => {
  const hints = fc.string({
    unit: fc.constantFrom('a', 'b', 'c', '.'),
    minLength: 1,
    maxLength: 5,
  });
  fc.assert(
    fc.property(
      fc.array(fc.array(hints, { minLength: 1, maxLength: 3 }), { maxLength: 8 }),
      fc.string({ unit: fc.constantFrom('a', 'b', 'c', '.', 'é'), maxLength: 30 }),
      (entries, text) => {
        const index = new HintIndex(entries, (entry) => entry);
        assert.deepEqual(
          index.find(text),
          entries.filter((entry) => entry.some((hint) => text.includes(hint))),
        );
      },
    ),
  );
});
