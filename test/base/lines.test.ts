import assert from 'node:assert/strict';
import test from 'node:test';
import { LineSplitter, splitLines, type Line } from '../../src/base/lines.ts';

const bytes = Buffer.from('plain\n\ncr lf\r\nlone\rcr\né漢😀\nlast');

function split(chunkSize: number, input = bytes, limit?: number): Line[] {
  const splitter = new LineSplitter(limit);
  const lines: Line[] = [];
  for (let at = 0; at < input.length; at += chunkSize) {
    lines.push(...splitter.push(input.subarray(at, at + chunkSize)));
  }
  const last = splitter.end();
  return last === undefined ? lines : [...lines, last];
}

test('lines are the same for every size of chunk', () => {
  for (let size = 1; size <= bytes.length; size++) {
    const lines = split(size);
    assert.deepEqual(
      lines.map((line) => line.text),
      ['plain', '', 'cr lf', 'lone\rcr', 'é漢😀', 'last'],
    );
    assert.deepEqual(
      lines.map((line) => line.isComplete),
      [true, true, true, true, true, false],
    );
  }
});

test('a line beyond the limit is cut, and what was dropped is counted', () => {
  for (const size of [1, 3, 100]) {
    const [long, next] = split(size, Buffer.from('0123456789\nab\n'), 4);
    assert.deepEqual(long, { text: '0123', droppedBytes: 6, isComplete: true });
    assert.equal(next?.text, 'ab');
  }
});

test('chunks may be reused by their sender', async () => {
  async function* reused(): AsyncGenerator<Uint8Array> {
    const chunk = Buffer.from('abc');
    yield chunk;
    chunk.fill('x');
    yield await Promise.resolve(Buffer.from('d\n'));
  }
  const lines: string[] = [];
  for await (const line of splitLines(reused())) lines.push(line.text);
  assert.deepEqual(lines, ['abcd']);
});
