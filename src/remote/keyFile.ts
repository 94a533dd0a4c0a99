// Private key files as they lie in ~/.ssh: what can be used, what is locked, and what the others are, by name.

import {
  createPrivateKey,
  createPublicKey,
  sign,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

export interface SigningKey {
  /** The public key as on the wire (RFC 4253 §6.6). */
  readonly publicBlob: Buffer;
  /** `hash` is what the node wants of an RSA key, e.g. `sha256`. Throws when it cannot sign. */
  sign(data: Buffer, hash: string | undefined): Buffer;
}

/** What a key file holds. */
export type ParsedKeyFile =
  | { readonly kind: 'key'; readonly key: SigningKey }
  | { readonly kind: 'locked' }
  | { readonly kind: 'unusable'; readonly reason: string };

/** What the transport's library can read. */
export interface KeyReader {
  parse(text: Buffer, passphrase?: string): ParsedKeyFile;
  /** The blob of a `.pub` file; undefined when it is none. */
  parsePublic(text: Buffer): Buffer | undefined;
}

export interface KeyFile {
  readonly path: string;
  readonly text: Buffer;
  readonly parsed: ParsedKeyFile;
  /** Known for a locked key, too, when the file or a `.pub` beside it tells. */
  readonly publicBlob: Buffer | undefined;
}

const maxKeyFileBytes = 1 << 20;

/** Files that are missing are passed over, as ssh does. A `.pub` alone names a key of the agent. */
export async function readKeyFiles(
  paths: readonly string[],
  reader: KeyReader,
): Promise<KeyFile[]> {
  const files = await Promise.all(paths.map((path) => readKeyFile(path, reader)));
  return files.filter((file) => file !== undefined);
}

async function readKeyFile(path: string, reader: KeyReader): Promise<KeyFile | undefined> {
  const found = await readSmallFile(path);
  const readPublic = async (): Promise<Buffer | undefined> => {
    const beside = await readSmallFile(`${path}.pub`);
    return beside?.kind === 'text' ? reader.parsePublic(beside.text) : undefined;
  };
  const unusable = (reason: string, publicBlob?: Buffer): KeyFile => {
    const text = found?.kind === 'text' ? found.text : Buffer.of();
    return { path, text, parsed: { kind: 'unusable', reason }, publicBlob };
  };
  if (found === undefined) {
    const publicBlob = await readPublic();
    return publicBlob && unusable('its private part is missing', publicBlob);
  }
  if (found.kind === 'unusable') return unusable(found.reason);
  const { text } = found;
  const publicOnly = reader.parsePublic(text);
  if (publicOnly !== undefined) return unusable('a public key', publicOnly);
  const publicBlob = publicPartOf(text) ?? (await readPublic());
  const reason = whyUnusable(text, publicBlob) ?? found.isOpenToOthers;
  if (reason !== undefined) return unusable(reason, publicBlob);
  const parsed = parsePkcs8(text) ?? reader.parse(text);
  return {
    path,
    text,
    parsed,
    publicBlob: parsed.kind === 'key' ? parsed.key.publicBlob : publicBlob,
  };
}

/** The key in a file that was `locked`; any other kind when the passphrase is wrong. */
export function unlockKeyFile(text: Buffer, reader: KeyReader, passphrase: string): ParsedKeyFile {
  return parsePkcs8(text, passphrase) ?? reader.parse(text, passphrase);
}

type SmallFile =
  | {
      readonly kind: 'text';
      readonly text: Buffer;
      /** A reason not to use it as a private key: ssh does not, either. */
      readonly isOpenToOthers: string | undefined;
    }
  | { readonly kind: 'unusable'; readonly reason: string };

/** Undefined when there is none. A pipe or a device is not read: it might never end. */
async function readSmallFile(path: string): Promise<SmallFile | undefined> {
  // Without O_NONBLOCK the opening of a pipe waits for its writer.
  const file = await open(path, openFlags).catch((error: NodeJS.ErrnoException) => error);
  if (file instanceof Error) {
    const isMissing = file.code === 'ENOENT' || file.code === 'ENOTDIR';
    return isMissing ? undefined : { kind: 'unusable', reason: `it cannot be read: ${file.code}` };
  }
  try {
    const { size, mode, uid, isFile } = await file
      .stat()
      .then((stat) => ({ ...stat, isFile: stat.isFile() }));
    if (!isFile) return { kind: 'unusable', reason: 'no regular file' };
    if (size > maxKeyFileBytes) return { kind: 'unusable', reason: 'larger than 1 MiB' };
    const isOpen = (mode & 0o077) !== 0 && uid === process.getuid?.();
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    return {
      kind: 'text',
      text: await file.readFile(),
      isOpenToOthers: isOpen ? `others may read it, mode ${octal}` : undefined,
    };
  } catch (error) {
    return { kind: 'unusable', reason: `it cannot be read: ${(error as Error).message}` };
  } finally {
    await file.close();
  }
}

const openFlags = constants.O_RDONLY | (process.platform === 'win32' ? 0 : constants.O_NONBLOCK);

const needsSystemSsh = 'which only the system’s ssh can use';

/** Kinds of keys that can be named without being read. */
function whyUnusable(text: Buffer, publicBlob: Buffer | undefined): string | undefined {
  const start = text.toString('latin1', 0, 200).trimStart();
  const type = publicBlob === undefined ? start : publicBlob.toString('latin1', 4, 60);
  if (start === '') return 'empty';
  if (/^PuTTY-User-Key-File-[3-9]/.test(start)) {
    return 'a key of PuTTY 0.75 or later: convert it with puttygen -O private-openssh';
  }
  if (/^sk-/.test(type)) return `a security key (FIDO), ${needsSystemSsh}`;
  if (/^[a-z0-9@.-]+-cert-v0/.test(type)) return `a certificate, ${needsSystemSsh}`;
  if (/^ssh-dss|^-----BEGIN DSA /.test(type) || /^-----BEGIN DSA /.test(start)) {
    return 'a DSA key, which nodes no longer accept';
  }
  return undefined;
}

/**
 * The public key that stands unencrypted in a private key file of OpenSSH's own format (PROTOCOL.key):
 * magic, cipher, kdf, kdf options, number of keys, public key.
 */
export function publicPartOf(text: Buffer): Buffer | undefined {
  const match = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]*?)-----END/.exec(
    text.toString('latin1'),
  );
  if (match === null) return undefined;
  const bytes = Buffer.from(match[1]!, 'base64');
  const magic = 'openssh-key-v1\0';
  if (bytes.toString('latin1', 0, magic.length) !== magic) return undefined;
  let at = magic.length;
  const readString = (): Buffer | undefined => {
    if (at + 4 > bytes.length) return undefined;
    const length = bytes.readUInt32BE(at);
    if (at + 4 + length > bytes.length) return undefined;
    at += 4 + length;
    return bytes.subarray(at - length, at);
  };
  for (let skipped = 0; skipped < 3; skipped++) if (readString() === undefined) return undefined;
  at += 4;
  return readString();
}

// --- PKCS#8, which ssh2 does not read --------------------------------------------------------------------

/** Undefined for a file of another format. */
function parsePkcs8(text: Buffer, passphrase?: string): ParsedKeyFile | undefined {
  const head = /-----BEGIN (ENCRYPTED )?PRIVATE KEY-----/.exec(text.toString('latin1'));
  if (head === null) return undefined;
  if (head[1] !== undefined && passphrase === undefined) return { kind: 'locked' };
  try {
    const key = createPrivateKey({
      key: text,
      ...(passphrase === undefined ? {} : { passphrase }),
    });
    const publicBlob = publicBlobOf(key);
    if (publicBlob === undefined) {
      return { kind: 'unusable', reason: `of a kind that SSH does not have` };
    }
    const isEd25519 = key.asymmetricKeyType === 'ed25519';
    const signData = (data: Buffer, hash: string | undefined): Buffer =>
      sign(isEd25519 ? null : (hash ?? hashOf(publicBlob)), data, key);
    return { kind: 'key', key: { publicBlob, sign: signData } };
  } catch {
    return passphrase === undefined
      ? { kind: 'unusable', reason: 'of a kind that cannot be read' }
      : { kind: 'locked' };
  }
}

/** RFC 5656 §6.2.1 for ECDSA, RFC 4253 §6.6 for RSA. */
function hashOf(publicBlob: Buffer): string {
  const type = publicBlob.toString('latin1', 4, 4 + publicBlob.readUInt32BE(0));
  return (
    { 'ecdsa-sha2-nistp384': 'sha384', 'ecdsa-sha2-nistp521': 'sha512', 'ssh-rsa': 'sha1' }[type] ??
    'sha256'
  );
}

const curves: Readonly<Record<string, string>> = {
  'P-256': 'nistp256',
  'P-384': 'nistp384',
  'P-521': 'nistp521',
};

function publicBlobOf(key: KeyObject): Buffer | undefined {
  const jwk: JsonWebKey = createPublicKey(key).export({ format: 'jwk' });
  const bytes = (value: string | undefined): Buffer => Buffer.from(value ?? '', 'base64url');
  const curve = curves[jwk.crv ?? ''];
  if (jwk.kty === 'RSA') {
    return fields('ssh-rsa', positive(bytes(jwk.e)), positive(bytes(jwk.n)));
  }
  if (jwk.kty === 'EC' && curve !== undefined) {
    const point = Buffer.concat([Buffer.of(4), bytes(jwk.x), bytes(jwk.y)]);
    return fields(`ecdsa-sha2-${curve}`, Buffer.from(curve), point);
  }
  if (jwk.crv === 'Ed25519') return fields('ssh-ed25519', bytes(jwk.x));
  return undefined;
}

/** An mpint (RFC 4251 §5) of big-endian bytes that start with no zero. */
function positive(bytes: Buffer): Buffer {
  return bytes[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
}

/** Strings as RFC 4251 §5 writes them, each after its length. */
function fields(type: string, ...values: readonly Buffer[]): Buffer {
  return Buffer.concat(
    [Buffer.from(type), ...values].flatMap((value) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(value.length);
      return [length, value];
    }),
  );
}
