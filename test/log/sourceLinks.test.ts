import assert from 'node:assert/strict';
import test from 'node:test';
import { findSourceLinks } from '../../src/log/sourceLinks.ts';

const cases: readonly (readonly [text: string, found: readonly (readonly [string, number])[]])[] = [
  ['      File "/srv/shop/settle.py", line 7, in settle', [['/srv/shop/settle.py', 7]]],
  ['      File "/srv/with blank/x.py", line 12', [['/srv/with blank/x.py', 12]]],
  ['File "<string>", line 1', []],
  ['File "relative.py", line 1', []],
  ['    at f (/srv/a.js:10:5)', [['/srv/a.js', 10]]],
  ['    at async Object.<anonymous> (file:///srv/a.mjs:1:2)', [['/srv/a.mjs', 1]]],
  ['    at /srv/a.js:3:4', [['/srv/a.js', 3]]],
  ['    at node:internal/main:1:2', []],
  ['\t/srv/main.go:42 +0x1d', [['/srv/main.go', 42]]],
  ['GET /orders/7:1:2', []],
  [
    'two File "/a.py", line 1 File "/b.py", line 2',
    [
      ['/a.py', 1],
      ['/b.py', 2],
    ],
  ],
];

test('places in source files are found in what programs print', () => {
  for (const [text, expected] of cases) {
    const links = findSourceLinks(text);
    assert.deepEqual(
      links.map(({ path, line }) => [path, line]),
      expected,
      text,
    );
    for (const { start, end, line } of links)
      assert.ok(text.slice(start, end).includes(String(line)));
  }
});

test('no text takes long', { timeout: 1000 }, () => {
  for (const part of ['File "/', 'at (', 'at /a', '/x.go', ' ']) {
    findSourceLinks(part.repeat(4000 / part.length));
    findSourceLinks(part.repeat(1_000_000));
  }
});
