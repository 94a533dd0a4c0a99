import assert from 'node:assert/strict';
import test from 'node:test';
import {
  formatDestination,
  isSafeHostName,
  parseDestination,
} from '../../src/remote/sshDestination.ts';

const read: readonly [string, string | undefined, string, number | undefined][] = [
  ['web', undefined, 'web', undefined],
  ['me@web', 'me', 'web', undefined],
  ['me@web:2222', 'me', 'web', 2222],
  ['a@b@web', 'a@b', 'web', undefined],
  ['[::1]:22', undefined, '::1', 22],
  ['[10.0.0.1]', undefined, '10.0.0.1', undefined],
  ['fe80::1%eth0', undefined, 'fe80::1%eth0', undefined],
  ['me@fe80::1', 'me', 'fe80::1', undefined],
  ['ssh://web', undefined, 'web', undefined],
  ['SSH://me@web:7/', 'me', 'web', 7],
  ['ssh://a%40b@[::1]:7', 'a@b', '::1', 7],
];
for (const [text, user, host, port] of read) {
  test(`destination ${text}`, () => {
    const destination = parseDestination(text);
    assert.deepEqual(destination, { user, host, port });
    assert.deepEqual(parseDestination(formatDestination(destination)), destination);
  });
}

test('names that ssh or a shell could take for something else are no destinations', () => {
  const bad = [
    ...['-oProxyCommand=x', 'a;b', '`id`', '$(id)', 'a b', '', 'a\nb', '../x', 'x'.repeat(300)],
    ...['@web', 'me@', '-l@web', 'me@-web', 'm e@web', '$(x)@web', 'web:', 'web:0', 'web:65536'],
    ...[
      'web:22:22',
      '[::1',
      'ssh://',
      'ssh://web:x',
      'ssh://web/path',
      'ssh://%zz@web',
      'http://web',
    ],
    ...['we\u2024b', 'web\u202e', '[web]x', '[]'],
  ];
  for (const text of bad) assert.equal(parseDestination(text), undefined, text);
});

test('host names', () => {
  for (const name of ['-o', 'a;b', '']) assert.equal(isSafeHostName(name), false, name);
  for (const name of ['web-1', '10.0.0.1', 'fe80::1%eth0', 'me@web', 'web_1.eu.']) {
    assert.equal(isSafeHostName(name), true, name);
  }
});
