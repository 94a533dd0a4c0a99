import assert from 'node:assert/strict';
import test from 'node:test';
import { readFolded, writeFolded } from '../../../src/profile/formats/folded.ts';
import { ProfileBuilder } from '../../../src/profile/profile.ts';
import { drawProfile, plainMeta, stackWeights } from '../columns.ts';

const shop = drawProfile(`
  main main main main
  run  run  run  poll
  sum  tax  sum  .
  cpu  1 1 1 0
  thread A B A A
`);

test('one line a stack, sorted, with the frames as py-spy writes them', () => {
  const main = 'main (/srv/main.py:10)';
  const run = 'run (/srv/run.py:10)';
  assert.equal(
    writeFolded(shop, 'wall'),
    [
      `${main};poll (/srv/poll.py:10) 1`,
      `${main};${run};sum (/srv/sum.py:10) 2`,
      `${main};${run};tax (/srv/tax.py:10) 1`,
      '',
    ].join('\n'),
  );
  assert.equal(writeFolded(shop, 'cpu').includes('poll'), false);
});

test('what was written is read as the same stacks, files and lines', () => {
  const read = readFolded(writeFolded(shop, 'wall'));
  assert.deepEqual(stackWeights(read, 'wall'), stackWeights(shop, 'wall'));
  assert.deepEqual(new Set(read.frames.files), new Set(shop.frames.files));
  assert.ok(read.frames.lines.every((line) => line === 10));
});

test('names that would break a line apart cannot', () => {
  const builder = new ProfileBuilder();
  const frame = builder.frame({ name: 'a;b\nc 7', file: '', line: 0 });
  builder.sample({ timeMs: 0, stack: builder.stack([[frame, 0]]), thread: 0, wall: 3 });
  const text = writeFolded(builder.build(plainMeta), 'wall');
  assert.equal(text, 'a:b\ufffdc 7 3\n');
  assert.deepEqual(stackWeights(readFolded(text), 'wall'), { 'a:b\ufffdc 7': 3 });
});

test("heads of nylas' stacksampler, comments and blank lines are no stacks", () => {
  const read = readFolded('elapsed 12.5\ngranularity 0.005\n# comment\n\nmain;run 4\r\nmain 2\n');
  assert.deepEqual(stackWeights(read, 'wall'), { 'main;run': 4, main: 2 });
  assert.deepEqual(read.meta.notes, []);
});

test('frames are read in the shapes that other tools write', () => {
  const read = readFolded('f (/a (b)/c.py:7);<module> (app.py);operator()(int) 1');
  assert.deepEqual(read.frames.names, ['f (/a', '<module>', 'operator()(int)']);
  assert.deepEqual(read.frames.files, ['b)/c.py', 'app.py', '']);
});

for (const [what, line] of [
  ['no count', 'main;run'],
  ['a negative count', 'main -3'],
  ['an endless count', 'main 1e308'],
  ['NaN', 'main NaN'],
  ['only separators', ';;;; 5'],
  ['only a count', ' 5'],
  ['a huge count', `main ${'9'.repeat(400)}`],
] as const) {
  test(`a line with ${what} is skipped and counted`, () => {
    const read = readFolded(`good 1\n${line}\n`);
    assert.deepEqual(stackWeights(read, 'wall'), { good: 1 });
    assert.deepEqual(read.meta.notes, ['1 line made no sense and was skipped.']);
  });
}

test('a frame of 1 MB and a stack of 100,000 calls are read in bounded size', () => {
  const deep = Array.from({ length: 100_000 }, () => 'f').join(';');
  const read = readFolded(`${'x'.repeat(1 << 20)} 1\n${deep} 1\n`);
  assert.ok(read.frames.names.every((name) => name.length <= 4096));
  assert.ok(read.stacks.parents.length <= 2001);
  assert.match(read.meta.notes.join(), /Stacks deeper than 2000 calls/);
});

test('names of object properties are ordinary frames', () => {
  const read = readFolded('__proto__;constructor 2\ntoString 1\n');
  assert.equal(read.frames.names.length, 3);
  assert.equal(Object.getPrototypeOf({}), Object.prototype);
});
