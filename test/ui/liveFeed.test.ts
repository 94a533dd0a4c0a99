import assert from 'node:assert/strict';
import test from 'node:test';
import type { LiveItem, LiveMark } from '../../src/log/liveLog.ts';
import { LiveFeed, nodeRows } from '../../src/ui/liveFeed.ts';
import { readToLogs, type LogRow } from '../../src/webview/logs/protocol.ts';

function entry(
  message: string,
  change: { isLate?: boolean; raw?: string; fields?: Readonly<Record<string, unknown>> } = {},
): LiveItem {
  return {
    kind: 'entry',
    entry: {
      node: 'web-1',
      source: '/srv/shop/log/gate.log',
      line: undefined,
      offset: 1,
      format: 'text',
      nodeTime: 5,
      time: 5,
      errorMs: 0,
      zone: 120,
      level: 'error',
      contextId: 'req-\u202e1',
      runId: undefined,
      message,
      fields: {},
      raw: message,
      isLate: false,
      ...change,
    },
  };
}

const gap: LiveMark = {
  kind: 'gap',
  node: 'web-1',
  source: '/f',
  time: 9,
  reason: 'was truncated',
};

function rowsOf(feed: LiveFeed): readonly LogRow[] {
  const message = feed.next();
  assert.deepEqual(readToLogs(message), message, 'the page accepts it');
  return message?.type === 'rows' ? message.rows : [];
}

test('rows are safe to show, with what the page needs', () => {
  const feed = new LiveFeed({ rows: 10, characters: 1000 });
  feed.add([entry('a\u001b[2J\nb', { isLate: true, raw: 'a\nb\nc' }), gap]);
  assert.deepEqual(rowsOf(feed), [
    {
      id: 1,
      kind: 'entry',
      time: 5,
      zone: 120,
      node: 'web-1',
      writer: 'gate',
      level: 'error',
      contextId: 'req-‹U+202E›1',
      message: 'a‹ESC›[2J',
      moreLines: 2,
      isLate: true,
    },
    {
      id: 2,
      kind: 'gap',
      time: 9,
      zone: null,
      node: 'web-1',
      writer: '',
      level: '',
      contextId: '',
      message: 'was truncated',
      moreLines: 0,
      isLate: false,
    },
  ]);
  assert.deepEqual(feed.counters, { received: 2, late: 1, gaps: 1 });
  assert.equal(feed.next(), undefined);
});

test('a connection that came back is a row of its own kind, and no gap', () => {
  const feed = new LiveFeed({ rows: 10, characters: 1000 });
  feed.add([{ ...gap, kind: 'resumed', source: '', reason: 'Reconnected after 12 s\u202e.' }]);
  const [row] = rowsOf(feed);
  assert.deepEqual([row?.kind, row?.message], ['resumed', 'Reconnected after 12 s‹U+202E›.']);
  assert.deepEqual(feed.counters, { received: 1, late: 0, gaps: 0 });
});

test('each row is sent once; a new page gets all that is kept', () => {
  const feed = new LiveFeed({ rows: 3, characters: 1000 });
  feed.add([entry('1'), entry('2')]);
  assert.equal(rowsOf(feed).length, 2);
  feed.add(['3', '4', '5', '6'].map((message) => entry(message)));
  assert.deepEqual(
    rowsOf(feed).map(({ id }) => id),
    [4, 5, 6],
  );
  feed.restart();
  assert.deepEqual(
    rowsOf(feed).map(({ message }) => message),
    ['4', '5', '6'],
  );
  assert.equal(feed.counters.received, 6);
  assert.equal(feed.find(3), undefined);
  assert.equal(feed.find(4)?.kind, 'entry');
  assert.equal(feed.find(7), undefined);
});

test('many rows come in batches, and few huge entries do not fill the memory', () => {
  const feed = new LiveFeed({ rows: 50_000, characters: 10_000 });
  feed.add(Array.from({ length: 4500 }, (_, n) => entry(String(n), { raw: '' })));
  assert.deepEqual(
    [rowsOf(feed).length, rowsOf(feed).length, rowsOf(feed).length],
    [2000, 2000, 500],
  );
  feed.add(Array.from({ length: 10 }, () => entry('x', { raw: 'x'.repeat(4000) })));
  feed.restart();
  assert.equal(rowsOf(feed).length, 2);
});

test('clearing takes away what there is, and the numbers go on', () => {
  const feed = new LiveFeed({ rows: 10, characters: 1000 });
  feed.add([entry('1'), entry('2')]);
  assert.deepEqual(feed.clear(), {
    type: 'cleared',
    upTo: 2,
    counters: { received: 0, late: 0, gaps: 0 },
  });
  feed.add([entry('3')]);
  assert.deepEqual(
    rowsOf(feed).map(({ id }) => id),
    [3],
  );
});

test('nodes with log files are listed, with their state and why', () => {
  const node = (name: string, logs: readonly string[]) =>
    ({ name, host: name, labels: [], logs, origin: 'settings' }) as const;
  const failure = { code: 'x', message: 'refused it.', hint: 'Start sshd.' };
  assert.deepEqual(
    nodeRows(
      [node('a', ['/x']), node('b', []), node('c', []), node('d', ['/x']), node('e', ['/x'])],
      [
        { node: 'c', state: 'failed', failure, warnings: [] },
        { node: 'd', state: 'following', failure: undefined, warnings: ['one', 'two'] },
        { node: 'e', state: 'waiting', failure: { ...failure, hint: undefined }, warnings: [] },
      ],
    ),
    [
      { node: 'a', state: 'off', note: '' },
      { node: 'c', state: 'failed', note: 'refused it. Start sshd.' },
      { node: 'd', state: 'following', note: 'one\ntwo' },
      { node: 'e', state: 'waiting', note: 'refused it.' },
    ],
  );
});
