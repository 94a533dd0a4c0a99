import assert from 'node:assert/strict';
import test from 'node:test';
import { SearchOutputReader, type SearchOutputPart } from '../../src/log/searchOutput.ts';

/** Notes may stand anywhere, also in the middle of a line. */
const output = Buffer.from(
  '\0Z+0100\0\0F/srv/a b\nc.log\0' +
    '1:é漢 one\n2:two: x\r\n13:th\0Wbinary /srv/x\0ree\n' +
    ':no number\n\0D\0',
);

const expected: readonly SearchOutputPart[] = [
  { kind: 'note', letter: 'Z', text: '+0100' },
  { kind: 'note', letter: 'F', text: '/srv/a b\nc.log' },
  { kind: 'line', line: { text: 'é漢 one', line: 1 } },
  { kind: 'line', line: { text: 'two: x', line: 2 } },
  { kind: 'note', letter: 'W', text: 'binary /srv/x' },
  { kind: 'line', line: { text: 'three', line: 13 } },
  { kind: 'line', line: { text: 'no number', line: undefined } },
  { kind: 'note', letter: 'D', text: '' },
];

function read(bytes: Buffer, chunkSize: number): SearchOutputPart[] {
  const reader = new SearchOutputReader();
  const parts: SearchOutputPart[] = [];
  for (let at = 0; at < bytes.length; at += chunkSize) {
    parts.push(...reader.push(bytes.subarray(at, at + chunkSize)));
  }
  return parts;
}

test('output is read alike in chunks of every size', () => {
  for (let size = 1; size <= output.length; size++) {
    assert.deepEqual(read(output, size), expected, `chunks of ${size}`);
  }
});

test('an endless note takes no memory, and what is no number is no line number', () => {
  const [note] = read(Buffer.from(`\0F${'x'.repeat(1 << 20)}\0`), 1000);
  assert.equal(note?.kind === 'note' && note.text.length, (16 << 10) - 1);
  const [line] = read(Buffer.from('-1:x\n'), 100);
  assert.deepEqual(line, { kind: 'line', line: { text: 'x', line: undefined } });
});
