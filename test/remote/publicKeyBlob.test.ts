import assert from 'node:assert/strict';
import test from 'node:test';
import { isPublicKeyBlob, keyTypeOf } from '../../src/remote/publicKeyBlob.ts';
import { blob, madeUpKey, type MadeUpType } from '../fakes/hostKeys.ts';

const types: readonly MadeUpType[] = [
  'ssh-ed25519',
  'ssh-rsa',
  'ssh-dss',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
];

for (const type of types) {
  test(`${type}: a whole key only`, () => {
    const key = madeUpKey(type, 'seed');
    assert.equal(keyTypeOf(key), type);
    assert.ok(isPublicKeyBlob(key));
    for (let length = 0; length < key.length; length++) {
      assert.ok(!isPublicKeyBlob(key.subarray(0, length)), `cut to ${length}`);
    }
    assert.ok(!isPublicKeyBlob(Buffer.concat([key, Buffer.alloc(1)])));
    assert.ok(!isPublicKeyBlob(Buffer.concat([key, Buffer.alloc(4)])));
  });
}

test('what is no key', () => {
  const p256 = madeUpKey('ecdsa-sha2-nistp256', 'x');
  const wrongCurve = Buffer.from(
    p256.toString('latin1').replace('\bnistp256', '\bnistp384'),
    'latin1',
  );
  const bad: readonly [string, Buffer][] = [
    ['nothing', Buffer.alloc(0)],
    ['a length beyond the end', Buffer.from([255, 255, 255, 255, 1])],
    ['a short ed25519 key', blob('ssh-ed25519', Buffer.alloc(31))],
    ['an RSA key of 1,023 bits', blob('ssh-rsa', Buffer.of(3), Buffer.alloc(128, 0x7f))],
    ['a negative modulus', blob('ssh-rsa', Buffer.of(3), Buffer.alloc(256, 0x81))],
    ['a modulus of zero', blob('ssh-rsa', Buffer.of(3), Buffer.alloc(256))],
    ['another curve', wrongCurve],
    ['a type of Object.prototype', blob('constructor', Buffer.alloc(32))],
  ];
  for (const [title, key] of bad) assert.ok(!isPublicKeyBlob(key), title);
});
