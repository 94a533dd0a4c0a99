import assert from 'node:assert/strict';
import test from 'node:test';
import {
  parseSnapshot,
  readSnapshot,
  unavailableChapters,
  writeSnapshot,
} from '../../src/env/envSnapshot.ts';
import { readVersioned } from '../../src/env/versioned.ts';
import { sampleSnapshot } from './samples.ts';

test('a snapshot is the same after being written and read', () => {
  const snapshot = sampleSnapshot({
    env: {
      loginShell: { unavailable: 'it timed out' },
      plainCommand: {
        source: 'ssh',
        variables: {
          ...(JSON.parse('{"__proto__":"a","constructor":"b","toString":"c"}') as Record<
            string,
            string
          >),
          BYTES: 'a\udcffb',
          LINES: 'a\nb\u001b[31m',
          DB_PASSWORD: { redacted: true, reason: 'name', length: 14, hash: '1a2b3c4d' },
        },
      },
    },
  });
  const read = readSnapshot(writeSnapshot(snapshot));
  assert.deepEqual(read, snapshot);
  assert.deepEqual(
    Object.keys((read.env.plainCommand as { variables: object }).variables).slice(0, 3),
    ['__proto__', 'constructor', 'toString'],
  );
  assert.deepEqual(unavailableChapters(read), [{ chapter: 'env.loginShell', why: 'it timed out' }]);
});

test('a newer snapshot is refused by name', () => {
  assert.throws(() => parseSnapshot({ ...sampleSnapshot(), version: 7 }), {
    code: 'env.tooNew',
    message:
      'This is an environment snapshot of version 7 (faultline.env); this Faultline reads up to version 1.',
  });
});

test('what is no snapshot, or a damaged one, is told in a sentence', () => {
  assert.throws(() => readSnapshot('not json'), { code: 'env.notSnapshot' });
  for (const value of [
    null,
    [],
    {},
    { format: 'faultline.run', version: 1 },
    { format: 'faultline.env' },
  ]) {
    assert.throws(() => parseSnapshot(value), { code: 'env.notSnapshot' }, JSON.stringify(value));
  }
  const damaged = { ...sampleSnapshot(), takenAt: 7 };
  assert.throws(() => parseSnapshot(damaged), { code: 'env.invalid', message: /damaged: takenAt/ });
  const variables = { source: 'ssh', variables: { A: 1 } };
  assert.throws(
    () =>
      parseSnapshot({
        ...sampleSnapshot(),
        env: { loginShell: variables, plainCommand: variables },
      }),
    { code: 'env.invalid' },
  );
});

test('an older document is upgraded step by step', () => {
  const read = (version: number): unknown =>
    readVersioned(
      { format: 'demo', version, names: ['a'] },
      {
        format: 'demo',
        version: 3,
        upgrades: [
          ({ names, ...rest }) => ({ ...rest, words: names }),
          (document) => ({ ...document, count: (document.words as string[]).length }),
        ],
        what: 'a demo',
        area: 'demo',
      },
    );
  assert.deepEqual(read(1), { format: 'demo', version: 3, words: ['a'], count: 1 });
  assert.deepEqual(read(3), { format: 'demo', version: 3, names: ['a'] });
  assert.throws(() => read(0), { code: 'demo.notSnapshot' });
});
