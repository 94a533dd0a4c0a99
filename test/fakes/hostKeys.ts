// Public key blobs of every type, made up from a seed: valid to the eye of OpenSSH, with no private half.

import { createECDH, createHash } from 'node:crypto';

export type MadeUpType =
  | 'ssh-ed25519'
  | 'ssh-rsa'
  | 'ssh-dss'
  | 'ecdsa-sha2-nistp256'
  | 'ecdsa-sha2-nistp384'
  | 'ecdsa-sha2-nistp521'
  | 'sk-ssh-ed25519@openssh.com';

/** The same seed gives the same key. */
export function madeUpKey(type: MadeUpType, seed: string): Buffer {
  const positive = (bytes: number): Buffer =>
    Buffer.concat([Buffer.from([0, 0x81]), randomBytes(seed, bytes - 1)]);
  switch (type) {
    case 'ssh-ed25519':
      return blob(type, randomBytes(seed, 32));
    case 'sk-ssh-ed25519@openssh.com':
      return blob(type, randomBytes(seed, 32), Buffer.from('ssh:'));
    case 'ssh-rsa':
      return blob(type, Buffer.from([1, 0, 1]), positive(256));
    case 'ssh-dss':
      return blob(type, positive(128), positive(20), positive(128), positive(128));
    default:
      return blob(type, Buffer.from(type.slice('ecdsa-sha2-'.length)), pointOf(type, seed));
  }
}

/** Fields as SSH writes them, each after its length. */
export function blob(type: string, ...fields: readonly Buffer[]): Buffer {
  return Buffer.concat(
    [Buffer.from(type), ...fields].flatMap((field) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(field.length);
      return [length, field];
    }),
  );
}

const curves = {
  'ecdsa-sha2-nistp256': { name: 'prime256v1', bytes: 32 },
  'ecdsa-sha2-nistp384': { name: 'secp384r1', bytes: 48 },
  'ecdsa-sha2-nistp521': { name: 'secp521r1', bytes: 64 },
} as const;

function pointOf(type: keyof typeof curves, seed: string): Buffer {
  const { name, bytes } = curves[type];
  const curve = createECDH(name);
  curve.setPrivateKey(Buffer.concat([Buffer.from([1]), randomBytes(seed, bytes - 2)]));
  return curve.getPublicKey();
}

function randomBytes(seed: string, count: number): Buffer {
  return createHash('shake256', { outputLength: count }).update(seed).digest();
}
