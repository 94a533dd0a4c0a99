import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { ProfileBuilder } from '../../src/profile/profile.ts';
import { SampleStream } from '../../src/profile/sampleStream.ts';
import { plainMeta, stackWeights } from './columns.ts';

const good = [
  '{"type":"meta","version":1}',
  '{"type":"frame","id":0,"name":"main","file":"/srv/a.py","line":3}',
  '{"type":"frame","id":7,"name":"sum","file":"/srv/a.py","line":20}',
  '{"type":"stack","id":0,"frames":[[0,5],[7,21]],"thread":"MainThread"}',
  '{"type":"stack","id":1,"frames":[[0,6]],"thread":"pool-1"}',
  '{"type":"counts","t":500,"stacks":[[0,20,18],[1,25,0]]}',
  '{"type":"counts","t":1000,"stacks":[[0,5,5]]}',
  '{"type":"end","samples":50,"missed":1,"torn":2,"seconds":1.02,"samplerCpuSeconds":0.04,"rateGot":48.9}',
];

function read(lines: readonly string[]): { stream: SampleStream; builder: ProfileBuilder } {
  const builder = new ProfileBuilder();
  const stream = new SampleStream(builder);
  for (const line of lines) stream.read(line);
  return { stream, builder };
}

test("the sampler's lines become samples in two weights, with times, threads and lines", () => {
  const { stream, builder } = read(good);
  const profile = builder.build(plainMeta);
  assert.deepEqual(stackWeights(profile, 'wall'), { 'main;sum': 25, main: 25 });
  assert.deepEqual(stackWeights(profile, 'cpu'), { 'main;sum': 23 });
  assert.deepEqual(profile.threads, ['MainThread', 'pool-1']);
  assert.deepEqual([...profile.samples.times], [500, 500, 1000]);
  assert.deepEqual([...profile.stacks.lines], [5, 21, 6]);
  assert.deepEqual([stream.samples, stream.elapsedMs], [50, 1000]);
  assert.deepEqual(stream.end, {
    missed: 1,
    torn: 2,
    seconds: 1.02,
    samplerCpuSeconds: 0.04,
    rateGot: 48.9,
    hasTargetEnded: false,
  });
  assert.deepEqual(stream.notes, []);
});

for (const [what, line] of [
  ['no JSON', 'Traceback (most recent call last):'],
  ['an unknown type', '{"type":"constructor"}'],
  ['no object', '[1,2]'],
  ['a frame without a name', '{"type":"frame","id":9}'],
  ['a frame with a wild id', '{"type":"frame","id":1e99,"name":"x"}'],
  ['a stack of unknown frames', '{"type":"stack","id":5,"frames":[[99,1]],"thread":"T"}'],
  ['a stack that is no list', '{"type":"stack","id":5,"frames":"x","thread":"T"}'],
  ['counts of an unknown stack', '{"type":"counts","t":1,"stacks":[[44,1,1]]}'],
  ['negative counts', '{"type":"counts","t":1,"stacks":[[0,-1,0]]}'],
  ['counts of fractions', '{"type":"counts","t":1,"stacks":[[0,1.5,0]]}'],
  ['more on a processor than at all', '{"type":"counts","t":1,"stacks":[[0,1,2]]}'],
  ['counts at no time', '{"type":"counts","t":null,"stacks":[]}'],
  ['an end without its length', '{"type":"end"}'],
] as const) {
  test(`${what}: skipped and counted, the rest stays`, () => {
    const { stream, builder } = read([...good.slice(0, 4), line, ...good.slice(4)]);
    assert.deepEqual(stream.notes, ['1 line of the sampler made no sense and was skipped.']);
    assert.deepEqual(stackWeights(builder.build(plainMeta), 'wall'), { 'main;sum': 25, main: 25 });
  });
}

test('a relative file starts from the directory of the process', () => {
  const builder = new ProfileBuilder();
  const stream = new SampleStream(builder, '/srv/shop');
  for (const [id, file] of ['app.py', '/srv/a.py', '<string>', ''].entries()) {
    stream.read(JSON.stringify({ type: 'frame', id, name: `f${id}`, file, line: 1 }));
  }
  assert.deepEqual(builder.build(plainMeta).frames.files, [
    '/srv/shop/app.py',
    '/srv/a.py',
    '<string>',
    '',
  ]);
});

test("the sampler's notes are kept, in bounds", () => {
  const notes = ['one thread has no name', 7, 'x'.repeat(9999)];
  const { stream } = read([JSON.stringify({ type: 'meta', notes })]);
  assert.deepEqual(stream.notes, ['one thread has no name', 'x'.repeat(500)]);
});

test('property: any JSON at all is read without an error', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          type: fc.constantFrom('meta', 'frame', 'stack', 'counts', 'end', '__proto__', 4),
          id: fc.jsonValue(),
          name: fc.jsonValue(),
          frames: fc.jsonValue(),
          stacks: fc.jsonValue(),
          t: fc.jsonValue(),
          notes: fc.jsonValue(),
          seconds: fc.jsonValue(),
        }),
        { maxLength: 10 },
      ),
      (messages) => {
        const { builder } = read(messages.map((message) => JSON.stringify(message)));
        builder.build(plainMeta);
      },
    ),
    { numRuns: 200 },
  );
});
