import assert from 'node:assert/strict';
import test from 'node:test';
import * as v from 'valibot';
import { readCpuprofile, writeCpuprofile } from '../../../src/profile/formats/cpuprofile.ts';
import { drawProfile, stackWeights } from '../columns.ts';

/** Profiler.Profile of https://chromedevtools.github.io/devtools-protocol/tot/Profiler/ */
const integer = v.pipe(v.number(), v.integer());
const documented = v.object({
  nodes: v.array(
    v.object({
      id: integer,
      callFrame: v.object({
        functionName: v.string(),
        scriptId: v.string(),
        url: v.string(),
        lineNumber: integer,
        columnNumber: integer,
      }),
      hitCount: v.optional(integer),
      children: v.optional(v.array(integer)),
      positionTicks: v.optional(v.array(v.object({ line: integer, ticks: integer }))),
    }),
  ),
  startTime: v.number(),
  endTime: v.number(),
  samples: v.optional(v.array(integer)),
  timeDeltas: v.optional(v.array(integer)),
});

const shop = drawProfile(`
  main main main main
  run  run  run  poll
  sum:14  tax  sum:15  .
  cpu  1 1 1 0
`);

test('a written file has the documented shape', () => {
  const file = v.parse(documented, JSON.parse(writeCpuprofile(shop, 'cpu')));
  assert.deepEqual(
    file.nodes.map(({ id, callFrame, hitCount, children }) => [
      id,
      callFrame.functionName,
      hitCount,
      children,
    ]),
    [
      [1, '(root)', 0, [2]],
      [2, 'main', 0, [3]],
      [3, 'run', 0, [4, 5]],
      [4, 'sum', 2, undefined],
      [5, 'tax', 1, undefined],
    ],
  );
  assert.deepEqual(file.nodes[3]?.positionTicks, [
    { line: 14, ticks: 1 },
    { line: 15, ticks: 1 },
  ]);
  assert.equal(file.nodes[3]?.callFrame.lineNumber, 9, 'lines count from 0');
  assert.equal(file.samples?.length, file.timeDeltas?.length);
});

test('a sample lasts one interval of the rate we got, and the sum is true', () => {
  const file = v.parse(documented, JSON.parse(writeCpuprofile(shop, 'wall')));
  assert.deepEqual(file.samples, [5, 6, 5, 4, 1]);
  assert.deepEqual(file.timeDeltas, [0, 20_000, 20_000, 20_000, 20_000]);
  assert.equal(file.endTime - file.startTime, 80_000);
  assert.equal(file.startTime, Date.UTC(2026, 10, 22, 6, 17, 54) * 1000);
});

test('rounding to whole microseconds does not add up', () => {
  const many = drawProfile(`${'f '.repeat(300)}`, { rateGotHz: 49.03 });
  const file = v.parse(documented, JSON.parse(writeCpuprofile(many, 'wall')));
  assert.equal(file.endTime - file.startTime, Math.round((300 * 1e6) / 49.03));
});

test('what was written is read as the same stacks, in time', () => {
  const read = readCpuprofile(writeCpuprofile(shop, 'wall'));
  assert.equal(read.meta.unit, 'milliseconds');
  assert.deepEqual(stackWeights(read, 'wall'), {
    'main;run;sum': 40,
    'main;run;tax': 20,
    'main;poll': 20,
  });
  assert.deepEqual(new Set(read.frames.files), new Set(shop.frames.files));
  assert.ok(read.frames.lines.every((line) => line === 10));
});

test('bytes are no time', () => {
  assert.throws(() => writeCpuprofile(drawProfile('a', { unit: 'bytes' }), 'wall'), {
    code: 'profile.notTime',
  });
});

const callFrame = { scriptId: '0', url: 'file:///srv/a%20b.js', lineNumber: 0, columnNumber: 0 };

test("V8's own: the last sample lasts until the end, file URLs become paths", () => {
  const read = readCpuprofile(
    JSON.stringify({
      nodes: [
        { id: 1, callFrame: { ...callFrame, functionName: '(root)', url: '' }, children: [2] },
        { id: 2, callFrame: { ...callFrame, functionName: '' } },
      ],
      startTime: 1000,
      endTime: 11_000,
      samples: [2, 1, 2],
      timeDeltas: [500, 1500, 3000],
    }),
  );
  assert.deepEqual(stackWeights(read, 'wall'), { '(anonymous)': 6.5, '': 3 });
  assert.deepEqual(read.frames.files, ['/srv/a b.js']);
  assert.deepEqual([...read.frames.lines], [1]);
});

test('the old shape, with a head and nested children', () => {
  const read = readCpuprofile(
    JSON.stringify({
      head: {
        functionName: '(root)',
        id: 1,
        children: [
          {
            functionName: 'main',
            url: '/srv/main.py',
            lineNumber: 4,
            id: 2,
            children: [{ functionName: 'run', url: '/srv/main.py', lineNumber: 9, id: 3 }],
          },
        ],
      },
      startTime: 100,
      endTime: 100.004,
      samples: [2, 3, 3, 3],
    }),
  );
  const weights = stackWeights(read, 'wall');
  assert.deepEqual(Object.keys(weights), ['main', 'main;run']);
  assert.ok(Math.abs(weights['main']! - 1) < 1e-6);
  assert.ok(Math.abs(weights['main;run']! - 3) < 1e-6);
});

test('cycles, missing ids and negative deltas are skipped and counted', () => {
  const read = readCpuprofile(
    JSON.stringify({
      nodes: [
        { id: 1, callFrame: { functionName: 'a' }, children: [2] },
        { id: 2, callFrame: { functionName: 'b' }, children: [1] },
        { id: 3, callFrame: { functionName: 'ok' } },
        { callFrame: { functionName: 'no id' } },
        { id: 4 },
        'x',
      ],
      startTime: 0,
      endTime: 6000,
      samples: [1, 2, 99, 'x', 3, 3],
      timeDeltas: [0, 1000, 1000, 1000, 2000, -500],
    }),
  );
  assert.deepEqual(Object.keys(stackWeights(read, 'wall')), ['ok']);
  assert.deepEqual(read.meta.notes, [
    '5 samples made no sense and were skipped.',
    'Some of its nodes are their own parents; they were left out.',
  ]);
});

test('a chain of 200,000 nodes is read without recursion', () => {
  const nodes = Array.from({ length: 200_000 }, (_, index) => ({
    id: index + 1,
    callFrame: { functionName: `f${index % 10}` },
    children: [index + 2],
  }));
  const read = readCpuprofile(
    JSON.stringify({ nodes, startTime: 0, endTime: 10, samples: [200_000], timeDeltas: [0] }),
  );
  assert.equal(read.stacks.parents.length, 2000);
});

for (const [what, text] of [
  ['no JSON', '{'],
  ['a number', '7'],
  ['no nodes', '{"samples": []}'],
] as const) {
  test(`a file with ${what} is refused in one sentence`, () => {
    assert.throws(() => readCpuprofile(text), { name: 'UserError', code: 'profile.badFile' });
  });
}
