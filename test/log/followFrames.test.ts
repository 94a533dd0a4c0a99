import assert from 'node:assert/strict';
import test from 'node:test';
import { FollowFrameReader, type FollowFrame } from '../../src/log/followFrames.ts';

const mark = '"path": "/a\\udcff", "id": "5:7", "o": 7, "head": "YWI=", "tail": "YmM="';

const stream = Buffer.concat([
  Buffer.from(`{"f": "zone", "offset": -60, "since": 1.5}\n{"f": "open", "g": 1, ${mark}}\n`),
  Buffer.from(`{"f": "known", "g": 2, ${mark}, "copy": true}\n`),
  Buffer.from('{"f": "data", "g": 1, "o": 7, "n": 9}\n{"f":\n\0\xff\n', 'latin1'),
  Buffer.from('{"f": "data", "g": 1, "o": 15, "n": 0}\n'),
  Buffer.from('{"f": "cut", "g": 1, "o": 15, "whole": true}\n{"f": "close", "g": 1}\n'),
  Buffer.from('{"f": "later version"}\n{"f": "warn", "kind": "missing", "path": "/x"}\n'),
  Buffer.from('{"f": "gap", "g": 3, "path": "/b", "reason": "gone"}\n{"f": "forget", "g": 2}\n'),
  Buffer.from(
    '{"f": "gap", "g": 4, "path": "/b", "reason": "compressed", "at": "/c", "bytes": 9}\n',
  ),
  Buffer.from('{"f": "resumed"}\n{"f": "ready"}\n{"f": "beat"}\n'),
]);

const expectedMark = {
  path: '/a\udcff',
  id: '5:7',
  offset: 7,
  head: Buffer.from('ab'),
  tail: Buffer.from('bc'),
};

const expected: readonly FollowFrame[] = [
  { kind: 'zone', offset: -60, since: 1.5 },
  { kind: 'open', mark: { generation: 1, ...expectedMark } },
  { kind: 'known', mark: { generation: 2, ...expectedMark }, isCopy: true },
  { kind: 'data', generation: 1, offset: 7, bytes: Buffer.from('{"f":\n\0\xff\n', 'latin1') },
  { kind: 'data', generation: 1, offset: 15, bytes: Buffer.alloc(0) },
  { kind: 'cut', generation: 1, isWhole: true },
  { kind: 'close', generation: 1 },
  { kind: 'warn', warning: 'missing', path: '/x' },
  { kind: 'gap', generation: 3, path: '/b', reason: 'gone', at: undefined, bytes: undefined },
  { kind: 'forget', generation: 2 },
  { kind: 'gap', generation: 4, path: '/b', reason: 'compressed', at: '/c', bytes: 9 },
  { kind: 'resumed' },
  { kind: 'ready' },
  { kind: 'beat' },
];

test('frames are read alike in chunks of every size', () => {
  for (let size = 1; size <= stream.length; size++) {
    const reader = new FollowFrameReader();
    const frames: FollowFrame[] = [];
    for (let at = 0; at < stream.length; at += size) {
      frames.push(...reader.push(stream.subarray(at, at + size)));
    }
    assert.deepEqual(frames, expected, `chunks of ${size}`);
  }
});

const refused: readonly string[] = [
  'Welcome to this node!\n',
  '[]x\n',
  'null\n',
  '{"f": "data", "g": 1, "o": 1, "n": -1}\n',
  '{"f": "data", "g": 1, "o": 1, "n": 1e12}\n',
  `{"f": "open", "g": 1, ${mark.replace('"path": "/a\\udcff"', '"path": 5')}}\n`,
  `{"f": "open", "g": "1", ${mark}}\n`,
  `{"f": "known", "g": 1, ${mark.replace('"id": "5:7", ', '')}}\n`,
  '{"f": "zone", "offset": 0}\n',
  '{"f": "gap", "g": 1, "path": "/b", "reason": "gone", "bytes": -1}\n',
  'x'.repeat(100_000),
];

test('what is no frame is refused', () => {
  for (const text of refused) {
    assert.throws(() => [...new FollowFrameReader().push(Buffer.from(text))], {
      code: 'log.badFollow',
    });
  }
});
