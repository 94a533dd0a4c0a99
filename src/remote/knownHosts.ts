// A host key and the lines of known_hosts files → OpenSSH's verdict.
//
// Follows sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT" and hostfile.c of OpenSSH 9.2, which passes over a line it cannot
// read, and calls a key `changed` whenever the host has any other key on file, whatever its type. All text is
// latin1: names are compared byte by byte.

import { createHash, hash, randomBytes } from 'node:crypto';
import { isPublicKeyBlob, keyTypeOf } from './publicKeyBlob.ts';

export type HostKeyVerdict = 'known' | 'unknown' | 'changed' | 'revoked';

export interface HostKeyLookup {
  readonly verdict: HostKeyVerdict;
  /** The deciding entry; undefined when there is none. */
  readonly entry: KnownHostsEntry | undefined;
  /** Whether a certificate authority vouches for this host. */
  readonly hasAuthority: boolean;
}

/** One line that names a host we look for. */
export interface KnownHostsEntry {
  readonly marker: '' | '@revoked' | '@cert-authority';
  readonly keyType: string;
  readonly key: Buffer;
  /** Where it stands, e.g. `/home/me/.ssh/known_hosts:12`. */
  readonly where: string;
}

/** What a host's key may be filed under. */
export interface HostNames {
  /** `host`, `[host]:port` for a port that is not 22, or the HostKeyAlias. */
  readonly name: string;
  /** The name without its port: a key that is on file for it is accepted, too. */
  readonly withoutPort: string | undefined;
}

/** All entries that name one host. */
export interface HostEntries {
  readonly exact: readonly KnownHostsEntry[];
  readonly withoutPort: readonly KnownHostsEntry[];
}

/** `host` and `alias` are compared without regard to case. */
export function hostNames(host: string, port: number, alias?: string): HostNames {
  if (alias !== undefined) return { name: lowerCase(alias), withoutPort: undefined };
  const name = lowerCase(host);
  if (port === 22) return { name, withoutPort: undefined };
  return { name: `[${name}]:${port}`, withoutPort: name };
}

/** As tolower(3) on the bytes of a name: other alphabets stay as they are. */
function lowerCase(name: string): string {
  return Buffer.from(name, 'utf8')
    .toString('latin1')
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** The verdict on `key`, the raw public key blob (RFC 4253 §6.6). */
export function judgeHostKey(entries: HostEntries, key: Buffer): HostKeyLookup {
  const hasAuthority = [...entries.exact, ...entries.withoutPort].some(
    ({ marker }) => marker === '@cert-authority',
  );
  const exact = judge(entries.exact, key);
  if (exact.verdict !== 'unknown') return { ...exact, hasAuthority };
  const withoutPort = judge(entries.withoutPort, key);
  const counts = withoutPort.verdict === 'known' || withoutPort.verdict === 'revoked';
  return { ...(counts ? withoutPort : exact), hasAuthority };
}

function judge(
  entries: readonly KnownHostsEntry[],
  key: Buffer,
): Pick<HostKeyLookup, 'verdict' | 'entry'> {
  const revoked = entries.find((entry) => entry.marker === '@revoked' && entry.key.equals(key));
  if (revoked !== undefined) return { verdict: 'revoked', entry: revoked };
  const plain = entries.filter((entry) => entry.marker === '');
  const known = plain.find((entry) => entry.key.equals(key));
  if (known !== undefined) return { verdict: 'known', entry: known };
  // The last one, as ssh names it.
  const other = plain.at(-1);
  return { verdict: other === undefined ? 'unknown' : 'changed', entry: other };
}

/** Types of the keys on file for the host. A type whose first key is revoked does not count. */
export function knownKeyTypes({ exact }: HostEntries): string[] {
  const firstOfType = new Map<string, KnownHostsEntry>();
  for (const entry of exact) {
    if (entry.marker !== '' || firstOfType.has(entry.keyType)) continue;
    firstOfType.set(entry.keyType, entry);
  }
  return [...firstOfType.values()]
    .filter((entry) => judge(exact, entry.key).verdict === 'known')
    .map((entry) => entry.keyType);
}

/**
 * The host key algorithms in the order to offer them: those of keys on file first, so that a known key is not
 * missed for an unknown one. As OpenSSH does, the order stays when the best algorithm is among them.
 */
export function preferKnownKeyTypes<Algorithm extends string>(
  algorithms: readonly Algorithm[],
  knownTypes: readonly string[],
): Algorithm[] {
  const isKnown = (algorithm: Algorithm): boolean => knownTypes.includes(keyTypeFor(algorithm));
  const best = algorithms[0];
  if (best !== undefined && isKnown(best)) return [...algorithms];
  return [
    ...algorithms.filter((algorithm) => isKnown(algorithm)),
    ...algorithms.filter((algorithm) => !isKnown(algorithm)),
  ];
}

/** The type of key that a signature algorithm is for. */
function keyTypeFor(algorithm: string): string {
  if (algorithm === 'rsa-sha2-256' || algorithm === 'rsa-sha2-512') return 'ssh-rsa';
  return algorithm.replace(/^webauthn-/, '');
}

/** `SHA256:…` as ssh-keygen prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** A key in words, e.g. `ssh-ed25519 SHA256:…`. */
export function describeHostKey(key: Buffer): string {
  return `${keyTypeOf(key)} ${fingerprint(key)}`;
}

/** The line to add for a host whose key was accepted; `hashed` hides the host's name as HashKnownHosts does. */
export function knownHostsLine(name: string, key: Buffer, hashed = false): string {
  const shown = hashed ? hashName(name, randomBytes(saltBytes)) : name;
  return `${shown} ${keyTypeOf(key)} ${key.toString('base64')}\n`;
}

/** A line whose host is not one we look for, or blank. */
export const otherHost = 'other host';
/** A line that cannot be read. */
export const unreadable = 'unreadable';

/** What a line says about `name`. The key is only looked at when the line names the host. */
export function readKnownHostsLine(
  line: string,
  name: string,
  where: string,
): KnownHostsEntry | typeof otherHost | typeof unreadable {
  const words = line.split('\0', 1)[0]!.split(/[ \t]+/);
  if (words[0] === '') words.shift();
  const first = words[0] ?? '';
  if (first === '' || first.startsWith('#')) return otherHost;
  const marker = first.startsWith('@') ? first : '';
  if (!isMarker(marker)) return unreadable;
  const [hosts = '', keyType = '', base64 = ''] = marker === '' ? words : words.slice(1);
  const isMatch = matchesHost(hosts, name);
  if (isMatch === undefined) return unreadable;
  if (!isMatch) return otherHost;
  const key = decodeBase64(base64);
  if (key === undefined || !isPublicKeyBlob(key)) return unreadable;
  if (keyTypeOf(key) !== keyTypeFor(keyType)) return unreadable;
  return { marker, keyType: keyTypeOf(key), key, where };
}

/** Whether a line's host is written as a hash. */
export function isHashedLine(line: string): boolean {
  return line.startsWith(hashMagic);
}

function isMarker(text: string): text is KnownHostsEntry['marker'] {
  return text === '' || text === '@revoked' || text === '@cert-authority';
}

/** A hashed name or a comma list of patterns; undefined for a hash that cannot be one. */
function matchesHost(hosts: string, name: string): boolean | undefined {
  if (!hosts.startsWith('|')) return matchesPatterns(hosts, name);
  const salt = hosts.startsWith(hashMagic) ? decodeBase64(hosts.split('|')[2] ?? '') : undefined;
  if (salt?.length !== saltBytes) return undefined;
  return hashName(name, salt) === hosts;
}

const hashMagic = '|1|';
/** As long as the digest. */
const saltBytes = 20;

function hashName(name: string, salt: Buffer): string {
  return `${hashMagic}${salt.toString('base64')}|${hmacSha1(salt, name)}`;
}

/**
 * RFC 2104 in base64, for keys of up to 64 bytes. Node's own HMAC takes nine times as long for so short a text,
 * which is felt with thousands of hashed lines and dozens of nodes.
 */
function hmacSha1(key: Buffer, text: string): string {
  const inner = Buffer.alloc(64 + text.length, 0x36);
  const outer = Buffer.alloc(64 + saltBytes, 0x5c);
  for (const [index, byte] of key.entries()) {
    inner[index] = byte ^ 0x36;
    outer[index] = byte ^ 0x5c;
  }
  inner.write(text, 64, 'latin1');
  hash('sha1', inner, 'buffer').copy(outer, 64);
  return hash('sha1', outer, 'base64');
}

/** OpenSSH gives up on a list with a pattern of this many characters. */
const tooLongPattern = 1023;

/** One negated pattern that matches excludes the host, whatever else does. */
function matchesPatterns(patterns: string, name: string): boolean {
  let matched = false;
  for (const one of patterns.split(',')) {
    const negated = one.startsWith('!');
    const pattern = negated ? one.slice(1) : one;
    if (pattern.length >= tooLongPattern) return false;
    if (
      !matchesPattern(
        name,
        pattern.replace(/[A-Z]/g, (letter) => letter.toLowerCase()),
      )
    )
      continue;
    if (negated) return false;
    matched = true;
  }
  return matched;
}

/** As strict as OpenSSH, where Node overlooks what is wrong; undefined when it is no base64. */
function decodeBase64(text: string): Buffer | undefined {
  // OpenSSH overlooks blanks, such as the carriage return of a file from Windows.
  const compact = text.replace(/[\v\f\r]+/g, '');
  const bytes = Buffer.from(compact, 'base64');
  return bytes.toString('base64') === compact ? bytes : undefined;
}

/** ssh_config(5) PATTERNS: `*` is any text, `?` any character. Linear: no regular expression is built. */
export function matchesPattern(text: string, pattern: string): boolean {
  let at = 0;
  let star = -1;
  let retry = 0;
  for (let i = 0; i < text.length;) {
    const wanted = pattern[at];
    if (wanted === '*') {
      star = at++;
      retry = i;
    } else if (wanted === '?' || wanted === text[i]) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++retry;
    } else {
      return false;
    }
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}
