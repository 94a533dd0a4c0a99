import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { readFromLogs, readToLogs } from '../../src/webview/logs/protocol.ts';

const row = {
  id: 1,
  kind: 'entry',
  time: 1.5,
  zone: 60,
  node: 'n',
  writer: 'w',
  level: 'info',
  contextId: '',
  message: 'm',
  moreLines: 0,
  isLate: false,
};
const counters = { received: 1, late: 0, gaps: 0 };

const toPage: readonly unknown[] = [
  {
    type: 'rows',
    rows: [row, { ...row, kind: 'gap', level: '', time: null }, { ...row, kind: 'resumed' }],
    counters,
  },
  { type: 'cleared', upTo: 7, counters },
  { type: 'nodes', nodes: [{ node: 'n', state: 'failed', note: 'why' }] },
  { type: 'nodes', nodes: [{ node: 'n', state: 'waiting', note: 'why' }] },
  { type: 'times', display: 'local', localZone: 'Europe/Berlin' },
  { type: 'detail', id: 1, text: 'whole' },
];

const fromPage: readonly unknown[] = [
  { type: 'ready' },
  { type: 'clear' },
  { type: 'start', node: 'n' },
  { type: 'stop', node: 'n' },
  { type: 'pause', isPaused: true },
  { type: 'detail', id: 3 },
  { type: 'searchContext', id: 3 },
  { type: 'copy', ids: [1, 2] },
];

test('messages of ours are read as they are', () => {
  for (const message of toPage) assert.deepEqual(readToLogs(message), message);
  for (const message of fromPage) assert.deepEqual(readFromLogs(message), message);
});

const refused: readonly unknown[] = [
  undefined,
  null,
  'ready',
  { type: 'run', command: 'x' },
  { type: 'start' },
  { type: 'start', node: '' },
  { type: 'start', node: 'x'.repeat(5000) },
  { type: 'detail', id: -1 },
  { type: 'detail', id: '1' },
  { type: 'searchContext', id: 0.5 },
  { type: 'copy', ids: [1, null] },
  { type: 'copy', ids: Array.from({ length: 10_001 }, () => 1) },
  { type: 'rows', rows: [{ ...row, level: 'loud' }], counters },
  { type: 'rows', rows: [{ ...row, kind: 'mark' }], counters },
  { type: 'rows', rows: [{ ...row, time: NaN }], counters },
  { type: 'rows', rows: [{ ...row, message: {} }], counters },
  { type: 'rows', rows: [row], counters: { received: 1 } },
  { type: 'nodes', nodes: [{ node: 'n', state: 'on', note: '' }] },
];

test('anything else is refused, and what is added is dropped', () => {
  for (const message of refused) {
    assert.equal(readFromLogs(message), undefined);
    assert.equal(readToLogs(message), undefined);
  }
  assert.deepEqual(readFromLogs({ type: 'start', node: 'n', command: 'x' }), {
    type: 'start',
    node: 'n',
  });
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      readFromLogs(value);
      readToLogs(value);
    }),
  );
});
