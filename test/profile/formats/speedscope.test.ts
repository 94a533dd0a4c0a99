import assert from 'node:assert/strict';
import test from 'node:test';
import * as v from 'valibot';
import { readSpeedscope, writeSpeedscope } from '../../../src/profile/formats/speedscope.ts';
import type { Profile } from '../../../src/profile/profile.ts';
import { drawProfile, stackWeights } from '../columns.ts';

/** The documented format: https://www.speedscope.app/file-format-schema.json, sampled profiles. */
const documented = v.object({
  $schema: v.literal('https://www.speedscope.app/file-format-schema.json'),
  name: v.optional(v.string()),
  exporter: v.optional(v.string()),
  activeProfileIndex: v.optional(v.number()),
  shared: v.object({
    frames: v.array(
      v.object({
        name: v.string(),
        file: v.optional(v.string()),
        line: v.optional(v.number()),
        col: v.optional(v.number()),
      }),
    ),
  }),
  profiles: v.array(
    v.object({
      type: v.literal('sampled'),
      name: v.string(),
      unit: v.picklist(['none', 'nanoseconds', 'microseconds', 'milliseconds', 'seconds', 'bytes']),
      startValue: v.number(),
      endValue: v.number(),
      samples: v.array(v.array(v.number())),
      weights: v.array(v.number()),
    }),
  ),
});

const shop = drawProfile(`
  main main main main
  run  run  run  poll
  sum  tax  sum  .
  cpu  1 1 0 0
  thread A B A A
`);

test('a written file has the documented shape', () => {
  const file = v.parse(documented, JSON.parse(writeSpeedscope(shop, 'cpu')));
  assert.deepEqual(
    file.profiles.map(({ name, endValue }) => [name, endValue]),
    [
      ['A (cpu)', 1],
      ['B (cpu)', 1],
      ['A (wall)', 3],
      ['B (wall)', 1],
    ],
  );
  assert.equal(file.name, 'python3 -m shop.worker on worker-1 (pid 4211)');
  assert.equal(file.profiles[file.activeProfileIndex ?? -1]?.name, 'A (cpu)');
  assert.deepEqual(file.shared.frames[0], { name: 'main', file: '/srv/main.py', line: 10 });
  for (const profile of file.profiles) {
    assert.equal(profile.samples.length, profile.weights.length);
    assert.ok(profile.samples.flat().every((frame) => frame < file.shared.frames.length));
  }
});

test('the profile opened first is the heaviest thread of the wanted kind', () => {
  const file = v.parse(documented, JSON.parse(writeSpeedscope(shop, 'wall')));
  assert.equal(file.profiles[file.activeProfileIndex ?? -1]?.name, 'A (wall)');
});

test('what was written is read as the same profile', () => {
  const read = readSpeedscope(writeSpeedscope(shop, 'cpu'));
  for (const kind of ['cpu', 'wall'] as const) {
    assert.deepEqual(stackWeights(read, kind), stackWeights(shop, kind));
  }
  assert.deepEqual(new Set(read.threads), new Set(['A', 'B']));
  assert.deepEqual(read.frames, shop.frames);
  assert.equal(read.meta.unit, 'samples');
});

const pySpy = JSON.stringify({
  $schema: 'https://www.speedscope.app/file-format-schema.json',
  exporter: 'py-spy@0.4.0',
  activeProfileIndex: null,
  shared: {
    frames: [
      { name: 'inner', file: '/srv/busy.py', line: 5, col: null },
      { name: '<module>', file: '/srv/busy.py', line: 13, col: null },
      { name: 'inner', file: '/srv/busy.py', line: 4, col: null },
    ],
  },
  profiles: [
    {
      type: 'sampled',
      name: 'Thread 10839 "MainThread"',
      unit: 'seconds',
      startValue: 0,
      endValue: 0.06,
      samples: [
        [1, 0],
        [1, 2],
        [1, 0],
      ],
      weights: [0.02, 0.02, 0.02],
    },
  ],
});

test("py-spy's seconds become samples of its rate, its lines the lines being executed", () => {
  const read = readSpeedscope(pySpy, { kind: 'cpu', frameLines: 'position', unitPerSecond: 50 });
  assert.deepEqual(stackWeights(read, 'cpu'), { '<module>;inner': 3 });
  assert.deepEqual(read.threads, ['MainThread']);
  assert.equal(read.meta.unit, 'samples');
  assert.equal(read.frames.names.length, 2, 'inner is one function');
  assert.deepEqual([...read.stacks.lines], [13, 5, 4]);
});

test("anybody's seconds are milliseconds", () => {
  const read = readSpeedscope(pySpy);
  assert.equal(read.meta.unit, 'milliseconds');
  assert.equal(stackWeights(read, 'wall')['<module>;inner'], 60);
  assert.equal(read.meta.durationMs, 60);
});

function evented(events: readonly unknown[]): Profile {
  return readSpeedscope(
    JSON.stringify({
      shared: { frames: [{ name: 'a' }, { name: 'b' }] },
      profiles: [
        { type: 'evented', name: 'T', unit: 'milliseconds', startValue: 0, endValue: 10, events },
      ],
    }),
  );
}

test('opens and closes are read as the time between them', () => {
  const read = evented([
    { type: 'O', frame: 0, at: 0 },
    { type: 'O', frame: 1, at: 2 },
    { type: 'C', frame: 1, at: 7 },
    { type: 'C', frame: 0, at: 10 },
  ]);
  assert.deepEqual(stackWeights(read, 'wall'), { a: 5, 'a;b': 5 });
});

test('events out of order are skipped and counted', () => {
  const read = evented([
    { type: 'O', frame: 0, at: 0 },
    { type: 'C', frame: 1, at: 3 },
    { type: 'O', frame: 1, at: -1 },
    { type: 'C', frame: 0, at: 4 },
  ]);
  assert.deepEqual(stackWeights(read, 'wall'), { a: 4 });
  assert.deepEqual(read.meta.notes, ['2 samples made no sense and were skipped.']);
});

test('profiles of another unit are left out, and said', () => {
  const profile = { type: 'sampled', samples: [[0]], weights: [1] };
  const read = readSpeedscope(
    JSON.stringify({
      shared: { frames: [{ name: 'a' }] },
      profiles: [
        { ...profile, name: 'time', unit: 'seconds' },
        { ...profile, name: 'memory', unit: 'bytes' },
      ],
    }),
  );
  assert.deepEqual(read.threads, ['time']);
  assert.match(read.meta.notes.join(), /1 profiles of the file count something else/);
});

for (const [what, text] of [
  ['no JSON', 'hello'],
  ['a list', '[]'],
  ['no frames', '{"profiles": []}'],
  ['no profiles', '{"shared": {"frames": []}}'],
] as const) {
  test(`a file with ${what} is refused in one sentence`, () => {
    assert.throws(() => readSpeedscope(text), { name: 'UserError', code: 'profile.badFile' });
  });
}

test('hostile values are skipped and counted', () => {
  const read = readSpeedscope(
    JSON.stringify({
      shared: { frames: [{ name: '__proto__' }, null, { name: 7, line: 'x' }] },
      profiles: [
        {
          type: 'sampled',
          name: 'T',
          unit: 'none',
          samples: [[0], [99], [-1], ['x'], null, [0, 1, 2], [0]],
          weights: [1, 1, 1, 1, 1, 1, 'NaN'],
        },
        { type: 'weird', name: 'U', unit: 'none' },
      ],
    }),
  );
  assert.deepEqual(Object.entries(stackWeights(read, 'wall')).length, 1, '__proto__ has no key');
  assert.equal(read.samples.times.length, 2);
  assert.deepEqual(read.meta.notes, ['6 samples made no sense and were skipped.']);
});
