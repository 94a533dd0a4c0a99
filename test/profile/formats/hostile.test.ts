// Files from anywhere: whatever they hold, a reader gives a sound profile or one sentence.

import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { UserError } from '../../../src/base/errors.ts';
import { writeCpuprofile } from '../../../src/profile/formats/cpuprofile.ts';
import { profileFormat, profileFormats } from '../../../src/profile/profileFile.ts';
import { defaultKind } from '../../../src/profile/profile.ts';
import { isProfile } from '../../../src/webview/flame/protocol.ts';
import { drawProfile } from '../columns.ts';

const shop = drawProfile(`
  main main main
  run:3 run:4 poll
  sum  .    .
  cpu  1 1 0
`);

function assertSound(read: () => unknown): void {
  try {
    assert.ok(isProfile(read()));
  } catch (error) {
    assert.ok(error instanceof UserError, String(error));
  }
}

/** A key or a value that means something to a reader, or anything at all. */
const part = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: -3, max: 6 }) },
  { weight: 1, arbitrary: fc.constantFrom(null, NaN, 1e308, '', 'none', 'seconds', '__proto__') },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
);
const list = fc.array(part, { maxLength: 6 });

const speedscope = fc.record(
  {
    shared: fc.record({ frames: fc.array(fc.record({ name: part, file: part, line: part })) }),
    activeProfileIndex: part,
    profiles: fc.array(
      fc.record({
        type: fc.constantFrom('sampled', 'evented', 'x'),
        name: part,
        unit: part,
        startValue: part,
        samples: fc.array(fc.oneof(list, part)),
        weights: list,
        events: fc.array(fc.record({ type: fc.constantFrom('O', 'C', 4), at: part, frame: part })),
      }),
      { maxLength: 3 },
    ),
  },
  { requiredKeys: [] },
);

const cpuprofile = fc.record(
  {
    nodes: fc.array(
      fc.record({
        id: part,
        parent: part,
        children: fc.oneof(list, part),
        callFrame: fc.record({ functionName: part, url: part, lineNumber: part }),
      }),
    ),
    head: fc.oneof(part, fc.record({ id: part, children: fc.array(fc.record({ id: part })) })),
    startTime: part,
    endTime: part,
    samples: list,
    timeDeltas: list,
    timestamps: list,
  },
  { requiredKeys: [] },
);

test('any JSON in the shape of a speedscope file', () => {
  const { read } = profileFormat('x.speedscope.json');
  fc.assert(
    fc.property(speedscope, (file) => assertSound(() => read(JSON.stringify(file)))),
    { numRuns: 300 },
  );
});

test('any JSON in the shape of a cpuprofile', () => {
  const { read } = profileFormat('x.cpuprofile');
  fc.assert(
    fc.property(cpuprofile, (file) => assertSound(() => read(JSON.stringify(file)))),
    { numRuns: 300 },
  );
});

test('any text as folded stacks', () => {
  const { read } = profileFormat('x.folded');
  const line = fc
    .array(fc.constantFrom('a', ';', ' ', '(', ')', ':', '1', '-', '.', 'é', '\r', '\u0000'))
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.array(line), (lines) => assertSound(() => read(lines.join('\n')))),
    { numRuns: 300 },
  );
});

for (const format of profileFormats) {
  test(`a ${format.ending} file cut anywhere`, () => {
    const text = format.write(shop, defaultKind(shop));
    for (let end = 0; end < text.length; end += 7)
      assertSound(() => format.read(text.slice(0, end)));
  });
}

test('an ending we do not know is refused, and the known ones are named', () => {
  assert.throws(() => profileFormat('profile.svg'), {
    code: 'profile.unknownFormat',
    hint: 'Use one of .folded, .cpuprofile, .speedscope.json.',
  });
  assert.equal(profileFormat('/tmp/A.CPUPROFILE').write, writeCpuprofile);
});
