import assert from 'node:assert/strict';
import test from 'node:test';
import type { Profile } from '../../src/profile/profile.ts';
import { isProfile, readFromFlame, readToFlame } from '../../src/webview/flame/protocol.ts';
import { shopProfile } from './sampleProfile.ts';

const profile = shopProfile();

test('a profile passes the guard, also after it was cloned on its way', () => {
  const message = { type: 'profile', id: 'p1', title: 'T', profile };
  assert.deepEqual(readToFlame(structuredClone(message)), message);
});

type Damage = (profile: Record<string, Record<string, unknown>>) => void;

/** A deep copy that may be changed. */
function damaged(damage: Damage): unknown {
  const copy = structuredClone(profile) as unknown as Record<string, Record<string, unknown>>;
  damage(copy);
  return copy;
}

for (const [what, damage] of [
  ['no samples', (copy) => delete copy['samples']],
  ['a node that is no text', (copy) => (copy['meta']!['node'] = 7)],
  ['an unknown unit', (copy) => (copy['meta']!['unit'] = 'cows')],
  ['an endless duration', (copy) => (copy['meta']!['durationMs'] = Infinity)],
  ['a sampler without a name', (copy) => (copy['meta']!['sampler'] = {})],
  ['notes that are no list', (copy) => (copy['meta']!['notes'] = 'x')],
  ['names that are no text', (copy) => (copy['frames']!['names'] = [1])],
  ['fewer files than names', (copy) => (copy['frames']!['files'] = [])],
  ['lines that are no column', (copy) => (copy['frames']!['lines'] = [1, 2])],
  ['a stack that is its own parent', (copy) => ((copy['stacks']!['parents'] as Int32Array)[3] = 3)],
  ['a parent after its child', (copy) => ((copy['stacks']!['parents'] as Int32Array)[1] = 9)],
  ['a frame beyond the table', (copy) => ((copy['stacks']!['frames'] as Uint32Array)[0] = 1e6)],
  ['a stack beyond the table', (copy) => ((copy['samples']!['stacks'] as Int32Array)[0] = 1e6)],
  ['a thread beyond the table', (copy) => ((copy['samples']!['threads'] as Uint32Array)[0] = 99)],
  ['a short column', (copy) => (copy['samples']!['times'] = new Float64Array(1))],
  [
    'a negative weight',
    (copy) =>
      (copy['samples']!['weights'] = { wall: (profile.samples.weights.wall ?? []).map(() => -1) }),
  ],
] as const satisfies readonly (readonly [string, Damage])[]) {
  test(`a profile with ${what} does not`, () => {
    assert.equal(isProfile(damaged(damage)), false);
  });
}

for (const value of [undefined, null, 7, 'profile', [], {}, { type: 'profile' }, { type: 'x' }]) {
  test(`${JSON.stringify(value)} is no message for the page`, () => {
    assert.equal(readToFlame(value), undefined);
  });
}

test('what the page asks for is read', () => {
  for (const message of [
    { type: 'ready' },
    { type: 'save' },
    { type: 'copy', text: 'main' },
    { type: 'openSource', file: '/srv/a.py', line: 3 },
  ]) {
    assert.deepEqual(readFromFlame(message), message);
  }
});

for (const value of [
  undefined,
  { type: 'run', command: 'rm' },
  { type: 'openSource', file: '', line: 1 },
  { type: 'openSource', file: '/a', line: -1 },
  { type: 'openSource', file: '/a', line: '1' },
  { type: 'openSource', file: { toString: 'x' }, line: 1 },
  { type: 'copy', text: 'x'.repeat(70_000) },
  { type: 'copy' },
]) {
  test(`${JSON.stringify(value)?.slice(0, 60)} is nothing a page may ask for`, () => {
    assert.equal(readFromFlame(value), undefined);
  });
}

test('what else a message carries is left behind', () => {
  assert.deepEqual(readFromFlame({ type: 'ready', command: 'x' }), { type: 'ready' });
});

test('the test profile is one', () => {
  const known: Profile = profile;
  assert.ok(isProfile(known));
});
