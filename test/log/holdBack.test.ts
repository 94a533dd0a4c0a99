import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { HoldBack } from '../../src/log/holdBack.ts';
import type { LogEntry } from '../../src/log/logEntry.ts';

function entry(node: string, time: number | undefined): LogEntry {
  return {
    node,
    source: '/f',
    line: undefined,
    offset: undefined,
    format: 'text',
    nodeTime: time,
    time,
    errorMs: 0,
    zone: 0,
    level: undefined,
    contextId: undefined,
    runId: undefined,
    message: `${node}${time ?? '-'}`,
    fields: {},
    raw: '',
  };
}

const names = (entries: readonly { message: string; isLate: boolean }[]): string =>
  entries.map(({ message, isLate }) => (isLate ? `${message}!` : message)).join(' ');

test('entries wait for earlier ones of other nodes, then come in order', () => {
  const held = new HoldBack(500);
  held.add(entry('a', 1000), 1000);
  held.add(entry('a', 1010), 1010);
  assert.equal(names(held.release(1400)), '');
  held.add(entry('b', 1005), 1400);
  assert.equal(names(held.release(1509)), 'a1000');
  assert.equal(names(held.release(1510)), 'b1005 a1010');
  assert.equal(held.size, 0);
});

test('an entry that comes too late is given and marked', () => {
  const held = new HoldBack(500);
  held.add(entry('a', 1000), 1000);
  assert.equal(names(held.release(1500)), 'a1000');
  held.add(entry('b', 900), 1600);
  held.add(entry('b', 1550), 1600);
  assert.equal(names(held.release(2100)), 'b900! b1550');
});

test('a time in the future holds nothing up and makes nothing late', () => {
  const held = new HoldBack(500);
  held.add(entry('a', 9_000_000), 1000);
  held.add(entry('b', 1100), 1100);
  assert.equal(names(held.release(1600)), 'a9000000 b1100');
});

test('entries without a time stay below the one above them', () => {
  const held = new HoldBack(100);
  held.add(entry('a', 1000), 1000);
  held.add(entry('a', undefined), 1001);
  held.add(entry('b', 1000), 1002);
  assert.equal(names(held.flush()), 'a1000 b1000 a-');
});

test('a mark stands between what came before it and what came after, whatever the times say', () => {
  const held = new HoldBack<{ readonly kind: 'gap' }>(500);
  held.add(entry('a', 1000), 1000);
  held.add(entry('b', 1005), 1010);
  held.mark('a', { kind: 'gap' }, 1300);
  held.add({ ...entry('a', 990), source: '/g' }, 1310);
  held.add(entry('b', 1001), 1320);
  const texts = held.flush().map((item) => ('kind' in item ? item.kind : item.message));
  assert.deepEqual(texts, ['a1000', 'gap', 'a990', 'b1005', 'b1001']);
  held.forget('a');
  held.mark('a', { kind: 'gap' }, 1400);
  held.add(entry('a', 1410), 1410);
  assert.deepEqual(
    held.flush().map((item) => ('kind' in item ? item.kind : item.message)),
    ['gap', 'a1410'],
  );
});

test('whatever comes, each entry is given once, each file in its order, and order is kept but for the late', () => {
  const arrival = fc.record({
    node: fc.constantFrom('a', 'b', 'c'),
    time: fc.option(fc.integer({ min: 0, max: 2000 }), { nil: undefined }),
    waitMs: fc.integer({ min: 0, max: 300 }),
  });
  fc.assert(
    fc.property(fc.array(arrival, { maxLength: 30 }), (arrivals) => {
      const held = new HoldBack(200);
      let now = 1000;
      const entries = arrivals.map(({ node, time }, index) => ({
        ...entry(node, time),
        line: index,
      }));
      const given = arrivals.flatMap(({ waitMs }, index) => {
        held.add(entries[index]!, (now += waitMs));
        return [...held.release(now)];
      });
      given.push(...held.flush());
      for (const node of ['a', 'b', 'c']) {
        const lines = given.filter((one) => one.node === node).map(({ line }) => line);
        assert.deepEqual(
          lines,
          entries.filter((one) => one.node === node).map(({ line }) => line),
        );
      }
    }),
  );
});
