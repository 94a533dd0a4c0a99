// Whether a host's key is trusted: the files' verdict, the user's configuration, and a question to the user.
// Fails closed, and never writes without consent.

import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UserError } from '../base/errors.ts';
import {
  describeHostKey,
  fingerprint,
  keyTypeOf,
  knownHostsLine,
  knownHostsName,
  knownKeyTypes,
  lookUpHostKey,
  type KnownHostsFile,
} from './knownHosts.ts';
import type { HostKeyQuestion } from './loginPrompts.ts';
import type { SshTarget } from './sshConfig.ts';

export interface HostKeyTrustOptions {
  /** Fingerprints (`SHA256:…`) of unknown keys that the user has accepted: written down, then trusted. */
  readonly accepted: ReadonlySet<string>;
  /** Whether somebody is there to be asked about an unknown key. */
  readonly canAsk: boolean;
  /** Called after a key was added to known_hosts, with or without a question. */
  readonly onDidAdd?: (added: HostKeyQuestion) => void;
}

/**
 * Nobody has vouched for the key yet, and the user may: to be asked with no socket open, as sshd allows a login
 * two minutes and counts the unfinished ones. Connect again with the fingerprint among the accepted ones.
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
  private readonly target: SshTarget;
  private readonly files: readonly KnownHostsFile[];
  private readonly options: HostKeyTrustOptions;

  private constructor(
    target: SshTarget,
    files: readonly KnownHostsFile[],
    options: HostKeyTrustOptions,
  ) {
    this.target = target;
    this.files = files;
    this.options = options;
  }

  /** Errors: `node.knownHostsUnreadable`. */
  static async load(target: SshTarget, options: HostKeyTrustOptions): Promise<HostKeyTrust> {
    const paths = [...target.userKnownHostsFiles, ...target.globalKnownHostsFiles];
    const files = await Promise.all(paths.map(readKnownHosts));
    return new HostKeyTrust(
      target,
      files.filter((file) => file !== undefined),
      options,
    );
  }

  get name(): string {
    return this.target.hostKeyAlias ?? knownHostsName(this.target.host, this.target.port);
  }

  /** Key types to ask the server for first, so that a known key is not missed for an unknown one. */
  get knownKeyTypes(): readonly string[] {
    return knownKeyTypes(this.files, this.name);
  }

  /**
   * Resolves when the key is trusted. Rejects with UnknownHostKey when the user may accept it, otherwise with a
   * UserError `node.hostKey…`.
   */
  async check(key: Buffer): Promise<void> {
    const found = lookUpHostKey(this.files, this.name, key);
    if (found.verdict === 'known') return;
    if (found.verdict === 'changed') throw this.changed(key, found.where);
    if (found.verdict === 'revoked') throw this.revoked(found.where);
    if (found.hasAuthority) throw this.needsCertificate();
    await this.decideUnknown(key);
  }

  private async decideUnknown(key: Buffer): Promise<void> {
    const mode = this.target.strictHostKeyChecking;
    const file = this.target.userKnownHostsFiles[0];
    const isAccepted = this.options.accepted.has(fingerprint(key)) && mode === 'ask';
    if (mode === 'accept-new' || mode === 'no' || isAccepted) {
      if (file === undefined) return;
      await addKnownHost(file, this.name, key);
      this.options.onDidAdd?.(this.question(key, file));
      return;
    }
    if (mode !== 'ask' || !this.options.canAsk || file === undefined) throw this.unknown(key);
    throw new UnknownHostKey(this.target.alias, this.question(key, file));
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

  private changed(key: Buffer, where: string | undefined): UserError {
    return new UserError(
      'node.hostKeyChanged',
      `The host key of ${this.name} has changed: it offers ${describeHostKey(key)}, ` +
        `but another key is on file (${where}).`,
      {
        hint:
          'Somebody may be listening in. Only if you know why it changed, remove the old key: ' +
          `ssh-keygen -R "${this.name}"`,
      },
    );
  }

  private revoked(where: string | undefined): UserError {
    return new UserError(
      'node.hostKeyRevoked',
      `The host key of ${this.name} is marked as revoked (${where}).`,
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

/** Undefined when the file does not exist; any other trouble refuses the connection. */
async function readKnownHosts(path: string): Promise<KnownHostsFile | undefined> {
  try {
    return { path, text: await readFile(path, 'latin1') };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new UserError('node.knownHostsUnreadable', `The file ${path} cannot be read.`, {
      hint: 'Host keys cannot be checked without it: make it readable.',
      cause: error,
    });
  }
}

async function addKnownHost(file: string, name: string, key: Buffer): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const text = await readFile(file, 'latin1').catch(() => '');
  const separator = text === '' || text.endsWith('\n') ? '' : '\n';
  await appendFile(file, `${separator}${knownHostsLine(name, key)}`, { mode: 0o600 });
}
