import assert from 'node:assert/strict';
import test from 'node:test';
import { Assembler } from '../../src/log/assemble.ts';
import type { LogEntry } from '../../src/log/logEntry.ts';
import { matches, needles, type LogQuery } from '../../src/log/query.ts';

function read(raw: string): LogEntry {
  const clock = { offsetMs: 0, errorMs: 10, measuredAt: 0 };
  const assembler = new Assembler({ node: 'n', source: '/f', zone: 0, clock });
  assembler.push({ text: raw });
  return assembler.flush()!;
}

const time = 1_795_328_274_000;

const cases: readonly (readonly [raw: string, query: LogQuery, isMatch: boolean])[] = [
  ['{"reqId":"req-1","msg":"x"}', { contextId: 'req-1' }, true],
  ['{"reqId":"req-12","msg":"x"}', { contextId: 'req-1' }, false],
  ['{"reqId":"req-1-retry","msg":"x"}', { contextId: 'req-1' }, false],
  ['{"reqId":"x","msg":"sent req-1 on"}', { contextId: 'req-1' }, true],
  ['a req-12 and a req-1', { contextId: 'req-1' }, true],
  ['GET /req-1/', { contextId: 'req-1' }, true],
  ['req-1', { contextId: 'req-1' }, true],
  ['traceparent: 00-0af7-b7ad-01', { contextId: '0af7' }, true],
  ['0af78', { contextId: '0af7' }, false],
  ['{"msg":"say \\"no\\""}', { text: 'say "no"' }, true],
  ['{"msg":"caf\\u00e9 x"}', { text: 'café' }, true],
  ['{"msg":"a","b":"caf\\u00e9"}', { text: 'café' }, true],
  ['Text', { text: 'text' }, false],
  ['{"level":40,"msg":"x"}', { level: 'warn' }, true],
  ['{"level":30,"msg":"x"}', { level: 'warn' }, false],
  ['no level', { level: 'trace' }, false],
  [`{"time":${time}}`, { since: time, until: time }, true],
  [`{"time":${time}}`, { since: time + 10 }, true],
  [`{"time":${time}}`, { since: time + 11 }, false],
  [`{"time":${time}}`, { until: time - 11 }, false],
  ['no time', { since: time }, true],
  ['{"level":50,"reqId":"a","msg":"b"}', { level: 'error', contextId: 'a', text: 'b' }, true],
  ['{"level":50,"reqId":"a","msg":"b"}', { level: 'error', contextId: 'a', text: 'c' }, false],
];

for (const [raw, query, isMatch] of cases) {
  test(`${JSON.stringify(query)} ${isMatch ? 'finds' : 'leaves out'} ${raw}`, () => {
    assert.equal(matches(read(raw), query), isMatch);
  });
}

test('nodes search for what every matching entry holds', () => {
  assert.deepEqual(needles({}), []);
  assert.deepEqual(needles({ level: 'info', since: 1 }), []);
  assert.deepEqual(needles({ contextId: 'a', text: 'b', level: 'fatal' }), ['a']);
  assert.deepEqual(needles({ text: 'a"é' }), ['a"é', 'a\\"é', 'a\\"\\u00e9']);
  const warn = needles({ level: 'warn' });
  for (const spelling of ['WARNING', 'warn', '"level":40', 'Critical', '"level": 60', 'panic']) {
    assert.ok(warn.includes(spelling), spelling);
  }
  for (const spelling of ['info', '"level":30']) assert.ok(!warn.includes(spelling), spelling);
});
