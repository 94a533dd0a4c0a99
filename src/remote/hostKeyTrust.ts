// Whether a host's key is trusted: the files' verdict, the user's configuration, and what the user has accepted.
// Fails closed, and never writes without consent.
//
// Stricter than OpenSSH in four cases. A changed or revoked key is refused with StrictHostKeyChecking `no` as
// well; a known_hosts file that cannot be read refuses all keys; with CheckHostIP a key that is wrong for the
// address is refused without a question; a key revoked for the host without its port is refused at every port.

import { isIP } from 'node:net';
import { UserError } from '../base/errors.ts';
import {
  describeHostKey,
  fingerprint,
  hostNames,
  judgeHostKey,
  knownKeyTypes,
  type HostNames,
  type KnownHostsEntry,
} from './knownHosts.ts';
import { addKnownHost, readHostEntries, type KnownHostsContent } from './knownHostsFile.ts';
import { acceptanceOf, type HostKeyQuestion } from './loginPrompts.ts';
import { keyTypeOf } from './publicKeyBlob.ts';
import type { SshTarget } from './sshConfig.ts';

export { describeHostKey };

/** What of a target decides on its host key. */
export type HostKeyTarget = Pick<
  SshTarget,
  | 'alias'
  | 'host'
  | 'port'
  | 'hostKeyAlias'
  | 'userKnownHostsFiles'
  | 'globalKnownHostsFiles'
  | 'strictHostKeyChecking'
  | 'hashKnownHosts'
  | 'checkHostIp'
>;

export interface HostKeyTrustOptions {
  /** Unknown keys that the user has accepted (`acceptanceOf`): written down, then trusted. */
  readonly accepted: ReadonlySet<string>;
  /** Whether somebody is there to be asked about an unknown key. */
  readonly canAsk: boolean;
  /** Called after a key was added to known_hosts, with or without a question. */
  readonly onDidAdd?: (added: HostKeyQuestion) => void;
  /** Called when an accepted key could not be added, e.g. as the home directory is read-only. */
  readonly onDidNotAdd?: (question: HostKeyQuestion, error: unknown) => void;
}

/**
 * Nobody has vouched for the key yet, and the user may: to be asked with no socket open, as sshd allows a login
 * two minutes and counts the unfinished ones. Connect again with the key among the accepted ones.
 */
export class UnknownHostKey extends UserError {
  readonly question: HostKeyQuestion;

  constructor(alias: string, question: HostKeyQuestion) {
    const { name, keyType, fingerprint: print } = question;
    super('node.hostKeyUnknown', `The host key of ${name} is not known (${keyType} ${print}).`, {
      hint: `Compare the fingerprint, then accept it once: ssh ${alias}`,
    });
    this.question = question;
  }
}

/** Known keys of one target, read once for each connection. */
export class HostKeyTrust {
  private readonly target: HostKeyTarget;
  private readonly names: HostNames;
  private readonly content: KnownHostsContent;
  private readonly options: HostKeyTrustOptions;

  private constructor(
    target: HostKeyTarget,
    names: HostNames,
    content: KnownHostsContent,
    options: HostKeyTrustOptions,
  ) {
    this.target = target;
    this.names = names;
    this.content = content;
    this.options = options;
  }

  /** Errors: `node.knownHostsUnreadable`, `node.knownHostsTooLarge`. */
  static async load(target: HostKeyTarget, options: HostKeyTrustOptions): Promise<HostKeyTrust> {
    const names = hostNames(target.host, target.port, target.hostKeyAlias);
    return new HostKeyTrust(target, names, await readHostEntries(filesOf(target), names), options);
  }

  /** What the host's key is filed under. */
  get name(): string {
    return Buffer.from(this.names.name, 'latin1').toString();
  }

  /** Key types to ask the server for first: see `preferKnownKeyTypes`. */
  get knownKeyTypes(): readonly string[] {
    return knownKeyTypes(this.content);
  }

  /** The first few lines of known_hosts files that were passed over, as `path:line`. */
  get unreadableLines(): readonly string[] {
    return this.content.unreadableLines;
  }

  /**
   * Resolves when the key is trusted. `address` is the one the connection goes to, undefined behind a proxy or
   * jump host. Rejects with UnknownHostKey when the user may accept the key, otherwise with a UserError
   * `node.hostKey…`.
   */
  async check(key: Buffer, address?: string): Promise<void> {
    const { verdict, entry, hasAuthority } = judgeHostKey(this.content, key);
    if (verdict === 'revoked') throw this.revoked(entry);
    if (verdict === 'changed') throw this.changed(key, entry);
    await this.checkAddress(key, address);
    if (verdict === 'known') return;
    if (hasAuthority) throw this.needsCertificate();
    await this.decideUnknown(key);
  }

  /** OpenSSH would ask whether to go on; a key that is wrong for the address is refused here. */
  private async checkAddress(key: Buffer, address: string | undefined): Promise<void> {
    if (!this.target.checkHostIp || address === undefined || isLoopback(address)) return;
    const { name } = hostNames(address, this.target.port);
    if (name === this.names.name) return;
    const names = { name, withoutPort: undefined };
    const found = judgeHostKey(await readHostEntries(filesOf(this.target), names), key);
    if (found.verdict === 'changed') throw this.otherAddress(key, name, found.entry);
  }

  private async decideUnknown(key: Buffer): Promise<void> {
    const mode = this.target.strictHostKeyChecking;
    const file = this.target.userKnownHostsFiles[0];
    if (mode === 'yes' || !this.isNameFit()) throw this.unknown(key);
    if (mode === 'accept-new' || mode === 'no') return this.add(key, file);
    const shown = acceptanceOf({ name: this.name, fingerprint: fingerprint(key) });
    if (this.options.accepted.has(shown)) return this.add(key, file);
    if (file === undefined || !this.options.canAsk) throw this.unknown(key);
    throw new UnknownHostKey(this.target.alias, this.question(key, file));
  }

  private async add(key: Buffer, file: string | undefined): Promise<void> {
    if (file === undefined) return;
    const hashed = this.target.hashKnownHosts;
    const question = this.question(key, file);
    try {
      await addKnownHost(file, { names: this.names, key, hashed });
    } catch (error) {
      // As in OpenSSH, a key that was accepted counts although it could not be written down.
      this.options.onDidNotAdd?.(question, error);
      return;
    }
    this.options.onDidAdd?.(question);
  }

  /** OpenSSH never writes a name that would mean something else in a known_hosts file. */
  private isNameFit(): boolean {
    const plain = this.target.hostKeyAlias ?? this.target.host;
    return plain !== '' && !/[\s@?*#[\]|'"\\,!\0]/.test(plain);
  }

  private question(key: Buffer, knownHostsFile: string): HostKeyQuestion {
    return {
      name: this.name,
      keyType: keyTypeOf(key),
      fingerprint: fingerprint(key),
      knownHostsFile,
    };
  }

  private unknown(key: Buffer): UserError {
    return new UserError(
      'node.hostKeyUnknown',
      `The host key of ${this.name} is not known (${describeHostKey(key)}).`,
      { hint: `Compare the fingerprint, then accept it once: ssh ${this.target.alias}` },
    );
  }

  private changed(key: Buffer, entry: KnownHostsEntry | undefined): UserError {
    // OpenSSH calls both changed: a server that had only its other key would have offered that.
    const isSameType = entry?.keyType === keyTypeOf(key);
    const onFile = isSameType ? 'another key' : `only a key of another type, ${entry?.keyType},`;
    return new UserError(
      'node.hostKeyChanged',
      `The host key of ${this.name} has changed: it offers ${describeHostKey(key)}, ` +
        `but ${onFile} is on file (${entry?.where}).`,
      {
        hint:
          'Somebody may be listening in. Only if you know why it changed, remove the old key: ' +
          `ssh-keygen -R "${this.name}"`,
      },
    );
  }

  private otherAddress(
    key: Buffer,
    address: string,
    entry: KnownHostsEntry | undefined,
  ): UserError {
    return new UserError(
      'node.hostKeyAddress',
      `${this.name} offers ${describeHostKey(key)}, but for its address ${address} another key is on ` +
        `file (${entry?.where}), and CheckHostIP is set.`,
      { hint: `If the address has moved to another node: ssh-keygen -R "${address}"` },
    );
  }

  private revoked(entry: KnownHostsEntry | undefined): UserError {
    return new UserError(
      'node.hostKeyRevoked',
      `The host key of ${this.name} is marked as revoked (${entry?.where}).`,
      { hint: 'Do not connect; ask whoever runs the node.' },
    );
  }

  private needsCertificate(): UserError {
    return new UserError(
      'node.hostKeyAuthority',
      `${this.name} is only vouched for by a certificate authority, which Faultline cannot check.`,
      { hint: 'Add the plain host key to your known_hosts.' },
    );
  }
}

function filesOf(target: HostKeyTarget): string[] {
  return [...target.userKnownHostsFiles, ...target.globalKnownHostsFiles];
}

function isLoopback(address: string): boolean {
  return isIP(address) === 4 ? address.startsWith('127.') : address === '::1';
}
