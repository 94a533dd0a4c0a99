// A public key as SSH sends it (RFC 4253 §6.6): its type, and whether it is one OpenSSH would accept.
//
// A known_hosts line with a key that OpenSSH cannot read counts for nothing there, so it must not count here.

import { createPublicKey } from 'node:crypto';

/** The key type that a public key blob names, e.g. `ssh-ed25519`. */
export function keyTypeOf(blob: Buffer): string {
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0;
  return blob.toString('latin1', 4, 4 + Math.min(length, 64));
}

/** Whether the whole blob is one key of a type that OpenSSH 9.2 knows. */
export function isPublicKeyBlob(blob: Buffer): boolean {
  const fields = readFields(blob);
  const type = fields?.[0]?.toString('latin1');
  if (fields === undefined || type === undefined) return false;
  if (type.endsWith('-cert-v01@openssh.com')) return fields.length > 3;
  return checks.get(type)?.(fields.slice(1)) ?? false;
}

type Fields = readonly Buffer[];

const checks: ReadonlyMap<string, (fields: Fields) => boolean> = new Map([
  ['ssh-ed25519', ([key, ...rest]: Fields) => key?.length === 32 && rest.length === 0],
  [
    'sk-ssh-ed25519@openssh.com',
    ([key, ...rest]: Fields) => key?.length === 32 && rest.length === 1,
  ],
  ['ssh-rsa', isRsa],
  ['ssh-dss', (fields: Fields) => fields.length === 4 && fields.every(isPositive)],
  ['ecdsa-sha2-nistp256', (fields: Fields) => fields.length === 2 && isPoint('nistp256', fields)],
  ['ecdsa-sha2-nistp384', (fields: Fields) => fields.length === 2 && isPoint('nistp384', fields)],
  ['ecdsa-sha2-nistp521', (fields: Fields) => fields.length === 2 && isPoint('nistp521', fields)],
  [
    'sk-ecdsa-sha2-nistp256@openssh.com',
    (fields: Fields) => fields.length === 3 && isPoint('nistp256', fields),
  ],
]);

/** The length-prefixed strings a blob consists of; undefined when it does not end with one of them. */
function readFields(blob: Buffer): Buffer[] | undefined {
  const fields: Buffer[] = [];
  let at = 0;
  while (at < blob.length) {
    if (at + 4 > blob.length) return undefined;
    const end = at + 4 + blob.readUInt32BE(at);
    if (end > blob.length) return undefined;
    fields.push(blob.subarray(at + 4, end));
    at = end;
  }
  return fields;
}

/** An mpint (RFC 4251 §5) that is not negative. */
function isPositive(field: Buffer): boolean {
  return field.length === 0 || field[0]! < 0x80;
}

/** OpenSSH reads no RSA key of fewer bits (SSH_RSA_MINIMUM_MODULUS_SIZE). */
const minRsaBits = 1024;

function isRsa(fields: Fields): boolean {
  const [exponent, modulus] = fields;
  if (exponent === undefined || modulus === undefined || fields.length !== 2) return false;
  if (!isPositive(exponent) || !isPositive(modulus)) return false;
  const start = modulus.findIndex((byte) => byte !== 0);
  if (start < 0) return false;
  return (modulus.length - start) * 8 - (Math.clz32(modulus[start]!) - 24) >= minRsaBits;
}

const curves = {
  nistp256: { crv: 'P-256', bytes: 32 },
  nistp384: { crv: 'P-384', bytes: 48 },
  nistp521: { crv: 'P-521', bytes: 66 },
} as const;

/** An uncompressed point that lies on the curve. */
function isPoint(curve: keyof typeof curves, [name, point]: Fields): boolean {
  const { crv, bytes } = curves[curve];
  if (name?.toString('latin1') !== curve) return false;
  if (point === undefined || point.length !== 1 + 2 * bytes || point[0] !== 4) return false;
  const x = point.subarray(1, 1 + bytes).toString('base64url');
  const y = point.subarray(1 + bytes).toString('base64url');
  try {
    createPublicKey({ key: { kty: 'EC', crv, x, y }, format: 'jwk' });
    return true;
  } catch {
    return false; // Not on the curve.
  }
}
