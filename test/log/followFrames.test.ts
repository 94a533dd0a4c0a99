import assert from 'node:assert/strict';
import test from 'node:test';
import { FollowFrameReader, type FollowFrame } from '../../src/log/followFrames.ts';

const stream = Buffer.concat([
  Buffer.from('{"f": "zone", "offset": -60}\n{"f": "open", "g": 1, "path": "/a\\udcff", "o": 7}\n'),
  Buffer.from('{"f": "data", "g": 1, "o": 7, "n": 9}\n{"f":\n\0\xff\n', 'latin1'),
  Buffer.from('{"f": "data", "g": 1, "o": 15, "n": 0}\n'),
  Buffer.from('{"f": "cut", "g": 1, "o": 15, "whole": true}\n{"f": "close", "g": 1}\n'),
  Buffer.from('{"f": "later version"}\n{"f": "warn", "kind": "missing", "path": "/x"}\n'),
  Buffer.from('{"f": "ready"}\n{"f": "beat"}\n'),
]);

const expected: readonly FollowFrame[] = [
  { kind: 'zone', offset: -60 },
  { kind: 'open', generation: 1, path: '/a\udcff', offset: 7 },
  { kind: 'data', generation: 1, offset: 7, bytes: Buffer.from('{"f":\n\0\xff\n', 'latin1') },
  { kind: 'data', generation: 1, offset: 15, bytes: Buffer.alloc(0) },
  { kind: 'cut', generation: 1, isWhole: true },
  { kind: 'close', generation: 1 },
  { kind: 'warn', warning: 'missing', path: '/x' },
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
  '{"f": "open", "g": 1, "path": 5, "o": 1}\n',
  '{"f": "open", "g": "1", "path": "x", "o": 1}\n',
  'x'.repeat(100_000),
];

test('what is no frame is refused', () => {
  for (const text of refused) {
    assert.throws(() => [...new FollowFrameReader().push(Buffer.from(text))], {
      code: 'log.badFollow',
    });
  }
});
