import assert from 'node:assert/strict';
import test from 'node:test';
import { frameOrigin, maxNameLength } from '../../src/profile/frame.ts';
import {
  defaultKind,
  measuredKinds,
  ProfileBuilder,
  totalWeight,
} from '../../src/profile/profile.ts';
import { drawProfile, plainMeta } from './columns.ts';

test('frames, stacks and threads are interned', () => {
  const profile = drawProfile(`
    main main main
    run  run  poll
  `);
  assert.deepEqual(profile.frames.names, ['main', 'run', 'poll']);
  assert.deepEqual([...profile.stacks.parents], [-1, 0, 0]);
  assert.deepEqual([...profile.samples.stacks], [1, 1, 2]);
  assert.deepEqual(profile.threads, ['main']);
});

test('names that are properties of every object are ordinary names', () => {
  const profile = drawProfile('__proto__ constructor toString hasOwnProperty __proto__');
  assert.deepEqual(profile.frames.names, [
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
  ]);
});

test('functions of one name in two files are two frames', () => {
  const builder = new ProfileBuilder();
  const a = builder.frame({ name: 'run', file: '/a.py', line: 1 });
  assert.notEqual(builder.frame({ name: 'run', file: '/b.py', line: 1 }), a);
  assert.notEqual(builder.frame({ name: 'run', file: '/a.py', line: 9 }), a);
  assert.equal(builder.frame({ name: 'run', file: '/a.py', line: 1 }), a);
});

test('a finished profile cannot be changed', () => {
  const profile = drawProfile('main');
  assert.throws(() => Object.assign(profile, { threads: [] }), TypeError);
  assert.throws(() => Object.assign(profile.meta, { pid: 1 }), TypeError);
  assert.throws(() => (profile.frames.names as string[]).push('x'), TypeError);
});

test('a name of any length is kept only so far', () => {
  const builder = new ProfileBuilder();
  builder.frame({ name: 'x'.repeat(1 << 20), file: 'y'.repeat(1 << 20), line: -4 });
  const { names, files, lines } = builder.build(plainMeta).frames;
  assert.equal(names[0]!.length, maxNameLength);
  assert.equal(files[0]!.length, maxNameLength);
  assert.equal(lines[0], 0);
});

test('beyond the limits nothing is lost in silence', () => {
  const builder = new ProfileBuilder({ frames: 2, stacks: 3, depth: 2, threads: 1, samples: 2 });
  const frame = (name: string): number => builder.frame({ name, file: '', line: 0 });
  const deep = builder.stack([
    [frame('a'), 0],
    [frame('b'), 0],
    [frame('c'), 0],
  ]);
  const thread = builder.thread('T1');
  assert.equal(builder.thread('T2'), thread);
  for (let n = 0; n < 3; n++) builder.sample({ timeMs: n, stack: deep, thread, wall: 1 });
  const profile = builder.build(plainMeta);
  assert.deepEqual(profile.frames.names, ['a', 'b', '(other functions)']);
  assert.equal(profile.stacks.parents.length, 2, 'the third call is left out');
  assert.equal(profile.samples.times.length, 2);
  assert.deepEqual(profile.meta.notes, [
    'The profile holds more than 2 functions: the rest is shown as "(other functions)".',
    'Stacks deeper than 2 calls, or beyond 3 in number, were cut short.',
    '1 samples beyond 2 were dropped.',
  ]);
});

test('the kind shown first is cpu, unless nothing ran', () => {
  const busy = drawProfile('a a a\ncpu 1 0 0');
  const idle = drawProfile('a a a\ncpu 0 0 0');
  assert.deepEqual(measuredKinds(busy), ['cpu', 'wall']);
  assert.equal(totalWeight(busy, 'cpu'), 1);
  assert.equal(defaultKind(busy), 'cpu');
  assert.equal(defaultKind(idle), 'wall');
});

for (const [file, origin] of [
  ['/srv/shop/settle.py', 'own'],
  ['/usr/lib/python3.11/json/decoder.py', 'library'],
  ['/srv/shop/venv/lib/python3.13/site-packages/flask/app.py', 'library'],
  ['/usr/lib/python3/dist-packages/yaml/__init__.py', 'library'],
  ['/srv/web/node_modules/express/lib/router.js', 'library'],
  ['<frozen importlib._bootstrap>', 'runtime'],
  ['<string>', 'runtime'],
  ['node:internal/timers', 'runtime'],
  ['', 'runtime'],
] as const) {
  test(`origin of "${file}" is ${origin}`, () => assert.equal(frameOrigin(file), origin));
}
