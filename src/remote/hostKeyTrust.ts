// Whether a host's key is trusted: the files' verdict, the user's configuration, and a question to the user.
// Fails closed, and never writes without consent.

import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { UserError } from '../base/errors.ts';
import {
  fingerprint,
  keyTypeOf,
  knownHostsLine,
  knownHostsName,
  knownKeyTypes,
  lookUpHostKey,
  type KnownHostsFile,
} from './knownHosts.ts';
import type { AskHostKey } from './loginPrompts.ts';
import type { SshTarget } from './sshConfig.ts';

/** Known keys of one target, read once for each connection. */
export class HostKeyTrust {
  private readonly target: SshTarget;
  private readonly files: readonly KnownHostsFile[];
  private readonly ask: AskHostKey | undefined;

  private constructor(
    target: SshTarget,
    files: readonly KnownHostsFile[],
    ask: AskHostKey | undefined,
  ) {
    this.target = target;
    this.files = files;
    this.ask = ask;
  }

  /** `ask` is undefined where nobody can answer: an unknown key is then refused. */
  static async load(target: SshTarget, ask: AskHostKey | undefined): Promise<HostKeyTrust> {
    const paths = [...target.userKnownHostsFiles, ...target.globalKnownHostsFiles];
    const files = await Promise.all(paths.map(readKnownHosts));
    return new HostKeyTrust(
      target,
      files.filter((file) => file !== undefined),
      ask,
    );
  }

  get name(): string {
    return this.target.hostKeyAlias ?? knownHostsName(this.target.host, this.target.port);
  }

  /** Key types to ask the server for first, so that a known key is not missed for an unknown one. */
  get knownKeyTypes(): readonly string[] {
    return knownKeyTypes(this.files, this.name);
  }

  /** Resolves when the key is trusted; rejects with a UserError `node.hostKey…` when it is not. */
  async check(key: Buffer): Promise<void> {
    const found = lookUpHostKey(this.files, this.name, key);
    if (found.verdict === 'known') return;
    if (found.verdict === 'changed') throw this.changed(key, found.where);
    if (found.verdict === 'revoked') throw this.revoked(found.where);
    if (found.hasAuthority) throw this.needsCertificate();
    await this.decideUnknown(key);
  }

  private async decideUnknown(key: Buffer): Promise<void> {
    const file = this.target.userKnownHostsFiles[0];
    const mode = this.target.strictHostKeyChecking;
    const accepts = mode === 'accept-new' || mode === 'no';
    if (!accepts) {
      const canAsk = mode === 'ask' && this.ask !== undefined && file !== undefined;
      if (!canAsk) throw this.unknown(key);
      const accepted = await this.ask({
        name: this.name,
        keyType: keyTypeOf(key),
        fingerprint: fingerprint(key),
        knownHostsFile: file,
      });
      if (!accepted) throw this.unknown(key);
    }
    if (file !== undefined) await addKnownHost(file, this.name, key);
  }

  private unknown(key: Buffer): UserError {
    return new UserError(
      'node.hostKeyUnknown',
      `The host key of ${this.name} is not known (${keyTypeOf(key)} ${fingerprint(key)}).`,
      { hint: `Compare the fingerprint, then accept it once: ssh ${this.target.alias}` },
    );
  }

  private changed(key: Buffer, where: string | undefined): UserError {
    return new UserError(
      'node.hostKeyChanged',
      `The host key of ${this.name} has changed: it offers ${keyTypeOf(key)} ${fingerprint(key)}, ` +
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
