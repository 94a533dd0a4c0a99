// A host key and known_hosts files → OpenSSH's verdict. Fails closed: an unreadable file is an error.
//
// Follows sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT" and the behaviour of OpenSSH 9.2's hostfile.c, which calls a
// key `changed` whenever the host has any other key on file, whatever its type.

import { createHash, createHmac } from 'node:crypto';

export type HostKeyVerdict = 'known' | 'unknown' | 'changed' | 'revoked';

export interface KnownHostsFile {
  readonly path: string;
  readonly text: string;
}

export interface HostKeyLookup {
  readonly verdict: HostKeyVerdict;
  /** Where the deciding entry stands, e.g. `~/.ssh/known_hosts:12`; undefined when there is none. */
  readonly where: string | undefined;
  /** Whether only a certificate authority vouches for this host: ssh2 cannot check certificates. */
  readonly hasAuthority: boolean;
}

interface KnownHostsEntry {
  readonly marker: '' | '@revoked' | '@cert-authority';
  readonly patterns: string;
  readonly keyType: string;
  readonly key: Buffer;
  readonly where: string;
}

/** The name a key is filed under: `host`, or `[host]:port` for a port that is not 22. */
export function knownHostsName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/**
 * The verdict on `key` (the raw public key blob, RFC 4253 §6.6) for `name`. As OpenSSH does, a key that is on
 * file for the host without its port is accepted as well.
 */
export function lookUpHostKey(
  files: readonly KnownHostsFile[],
  name: string,
  key: Buffer,
): HostKeyLookup {
  const entries = files.flatMap((file) => parseKnownHosts(file));
  const exact = judge(entries, name, key);
  const bare = /^\[(.*)\]:\d+$/.exec(name)?.[1];
  if (exact.verdict !== 'unknown' || bare === undefined) return exact;
  const withoutPort = judge(entries, bare, key);
  return withoutPort.verdict === 'known' || withoutPort.verdict === 'revoked' ? withoutPort : exact;
}

/** Key types on file for the host, so that the server is asked for one of those first. */
export function knownKeyTypes(files: readonly KnownHostsFile[], name: string): string[] {
  const types = files
    .flatMap((file) => parseKnownHosts(file))
    .filter((entry) => entry.marker === '' && matchesHost(entry.patterns, name))
    .map((entry) => entry.keyType);
  return [...new Set(types)];
}

/** `SHA256:…` as ssh-keygen prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** The key type that a public key blob names, e.g. `ssh-ed25519`. */
export function keyTypeOf(key: Buffer): string {
  const length = key.length >= 4 ? key.readUInt32BE(0) : 0;
  return key.toString('latin1', 4, 4 + Math.min(length, 64));
}

/** A key in words, e.g. `ssh-ed25519 SHA256:…`. */
export function describeHostKey(key: Buffer): string {
  return `${keyTypeOf(key)} ${fingerprint(key)}`;
}

/** The line to add for a host whose key the user accepted. */
export function knownHostsLine(name: string, key: Buffer): string {
  return `${name} ${keyTypeOf(key)} ${key.toString('base64')}\n`;
}

function judge(entries: readonly KnownHostsEntry[], name: string, key: Buffer): HostKeyLookup {
  const ours = entries.filter((entry) => matchesHost(entry.patterns, name));
  const hasAuthority = ours.some((entry) => entry.marker === '@cert-authority');
  const plain = ours.filter((entry) => entry.marker === '');
  const find = (found: readonly KnownHostsEntry[]): KnownHostsEntry | undefined =>
    found.find((entry) => entry.key.equals(key));
  const revoked = find(ours.filter((entry) => entry.marker === '@revoked'));
  if (revoked !== undefined) return { verdict: 'revoked', where: revoked.where, hasAuthority };
  const known = find(plain);
  if (known !== undefined) return { verdict: 'known', where: known.where, hasAuthority };
  const other = plain[0];
  if (other !== undefined) return { verdict: 'changed', where: other.where, hasAuthority };
  return { verdict: 'unknown', where: undefined, hasAuthority };
}

/** Lines that OpenSSH would skip (comments, broken ones) are skipped here, too. */
function parseKnownHosts(file: KnownHostsFile): KnownHostsEntry[] {
  const entries: KnownHostsEntry[] = [];
  for (const [index, line] of file.text.split('\n').entries()) {
    const words = line.trim().split(/[ \t]+/);
    const marker = words[0]?.startsWith('@') === true ? words.shift() : '';
    const [patterns, keyType, base64] = words;
    if (patterns === undefined || patterns.startsWith('#')) continue;
    if (keyType === undefined || base64 === undefined) continue;
    if (marker !== '' && marker !== '@revoked' && marker !== '@cert-authority') continue;
    const key = Buffer.from(base64, 'base64');
    if (keyTypeOf(key) !== keyType) continue;
    entries.push({ marker, patterns, keyType, key, where: `${file.path}:${index + 1}` });
  }
  return entries;
}

/** A hashed name (`|1|salt|hash`) or a comma list of patterns, of which a negated one excludes the host. */
function matchesHost(patterns: string, name: string): boolean {
  if (patterns.startsWith('|1|')) {
    const [salt, hash] = patterns.slice(3).split('|');
    if (salt === undefined || hash === undefined) return false;
    const expected = Buffer.from(hash, 'base64');
    return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest().equals(expected);
  }
  let matched = false;
  for (const pattern of patterns.toLowerCase().split(',')) {
    const negated = pattern.startsWith('!');
    if (!matchesPattern(name, negated ? pattern.slice(1) : pattern)) continue;
    if (negated) return false;
    matched = true;
  }
  return matched;
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
