import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { LogRow, RowLevel } from '../../src/webview/logs/protocol.ts';
import { Rate } from '../../src/webview/logs/rate.ts';
import { RowStore, type RowFilter } from '../../src/webview/logs/rowStore.ts';

function row(id: number, change: Partial<LogRow> = {}): LogRow {
  return {
    id,
    kind: 'entry',
    time: id,
    zone: 60,
    node: 'web-1',
    writer: 'shop',
    level: 'info',
    contextId: '',
    message: `message ${id}`,
    moreLines: 0,
    isLate: false,
    ...change,
  };
}

const ids = (store: RowStore): number[] => store.visible.map(({ id }) => id);

test('the newest rows are kept, the older ones counted', () => {
  const store = new RowStore(3);
  assert.equal(store.add([1, 2, 3].map((id) => row(id))), 0);
  assert.equal(store.add([4, 5].map((id) => row(id))), 2);
  assert.deepEqual(ids(store), [3, 4, 5]);
  assert.deepEqual([store.size, store.dropped], [3, 2]);
  store.clear(4);
  assert.deepEqual(ids(store), [5]);
  store.clear(99);
  assert.deepEqual([store.size, store.dropped], [0, 2]);
});

const rows = [
  row(1, { level: 'debug', message: 'GET /Orders' }),
  row(2, { level: 'error', contextId: 'req-7' }),
  row(3, { level: '', node: 'db-1' }),
  row(4, { kind: 'gap', level: '', message: 'was truncated' }),
  row(5, { level: 'fatal', writer: 'gate' }),
];

const filters: readonly (readonly [filter: Partial<RowFilter>, shown: readonly number[]])[] = [
  [{}, [1, 2, 3, 4, 5]],
  [{ text: 'orders' }, [1, 4]],
  [{ text: 'REQ-7' }, [2, 4]],
  [{ text: 'gate' }, [4, 5]],
  [{ level: 'error' }, [2, 4, 5]],
  [{ level: 'trace' }, [1, 2, 4, 5]],
  [{ node: 'db-1' }, [3]],
  [{ node: 'web-1', level: 'warn', text: 'message' }, [2, 4, 5]],
  [{ text: '.*' }, [4]],
];

test('a filter shows what it lets through, and every gap of its nodes', () => {
  for (const [change, shown] of filters) {
    const filter = { text: '', level: '' as RowLevel, node: '', ...change };
    const [before, after] = [new RowStore(10), new RowStore(10)];
    before.setFilter(filter);
    before.add(rows);
    after.add(rows);
    after.setFilter(filter);
    assert.deepEqual([ids(before), ids(after)], [shown, shown], JSON.stringify(change));
  }
});

test('rows are found by their id, and what was removed is told', () => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { maxLength: 40 }),
      fc.integer({ min: 1, max: 20 }),
      (isError, capacity) => {
        const store = new RowStore(capacity);
        store.setFilter({ text: '', level: 'error', node: '' });
        for (const [index, each] of isError.entries()) {
          const before = ids(store);
          const removed = store.add([row(index + 1, { level: each ? 'error' : 'info' })]);
          assert.deepEqual(ids(store).slice(0, before.length - removed), before.slice(removed));
        }
        for (let id = 0; id <= isError.length + 1; id++) {
          const index = store.indexOf(id);
          assert.equal(index, ids(store).indexOf(id));
        }
      },
    ),
  );
});

test('a rate is the mean of the last seconds, and falls to nothing', () => {
  const rate = new Rate();
  assert.equal(rate.perSecond(0), 0);
  rate.add(0, 1000);
  rate.add(50, 1500);
  rate.add(100, 3000);
  assert.equal(rate.perSecond(3000), 50);
  assert.equal(rate.perSecond(9000), 0);
});
