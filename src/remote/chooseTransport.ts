// Which transport goes to a node: ssh2, or the system's ssh for what ssh2 cannot do.

import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { UserError } from '../base/errors.ts';
import { hostNames } from './knownHosts.ts';
import { readHostEntries } from './knownHostsFile.ts';
import { FieldReader, PacketStream } from './packetStream.ts';
import { keyTypeOf } from './publicKeyBlob.ts';
import type { SshConfigOptions, SshTarget } from './sshConfig.ts';
import type { TransportSetting } from './transportSetting.ts';

export interface TransportChoice {
  readonly transport: 'ssh2' | 'system';
  /** Why it is not ssh2, or why it should not be, as a piece of a sentence; undefined where that is as usual. */
  readonly reason: string | undefined;
}

/** What is on this machine and matters for one target. */
export interface TransportFacts {
  /** There is a program `ssh` that can share its connection (Windows has none). */
  readonly hasSystemSsh: boolean;
  /** Certificates beside the identity files, where ssh looks for them without being told. */
  readonly certificates: readonly string[];
  /** Identity files whose key is in a security key. */
  readonly securityKeys: readonly string[];
  /** Types of the keys that the agent would offer. */
  readonly agentKeyTypes: readonly string[];
  readonly hasKerberosTicket: boolean;
  /** A certificate authority vouches for the host, and no key of its own is on file. */
  readonly isOnlyCertified: boolean;
}

/** For one target; of a way through jump hosts each has a choice of its own (`chooseForWay`). */
export function chooseTransport(
  target: SshTarget,
  setting: TransportSetting,
  facts: TransportFacts,
): TransportChoice {
  if (setting !== 'auto') return { transport: setting, reason: undefined };
  const reason = reasonForSystemSsh(target, facts);
  if (reason === undefined) return { transport: 'ssh2', reason: undefined };
  if (facts.hasSystemSsh) return { transport: 'system', reason };
  return { transport: 'ssh2', reason: `${reason}, but there is no ssh program that can be shared` };
}

function reasonForSystemSsh(target: SshTarget, facts: TransportFacts): string | undefined {
  const [certificate] = [...target.certificateFiles, ...facts.certificates];
  if (certificate !== undefined) return `a certificate (${certificate})`;
  const [securityKey] = facts.securityKeys;
  if (securityKey !== undefined) return `a key in a security key (${securityKey})`;
  if (facts.agentKeyTypes.some(isCertificate)) return 'a certificate in the agent';
  if (facts.agentKeyTypes.some(isSecurityKey)) return 'a key in a security key, by the agent';
  if (facts.isOnlyCertified) return 'a host key that only a certificate authority vouches for';
  const wants = target.needsSystemSsh.filter(
    // Debian switches it on for every host; without a ticket nothing comes of it.
    (name) => name !== 'GSSAPIAuthentication' || facts.hasKerberosTicket,
  );
  return wants.length === 0 ? undefined : `${wants.join(', ')} in the ssh configuration`;
}

/** Why a failure of ssh2 is none of the system's ssh, as a piece of a sentence; undefined when it may well be one. */
export function systemSshMayHelp(error: unknown): string | undefined {
  if (!(error instanceof UserError)) return undefined;
  return helped.get(error.code);
}

const helped: ReadonlyMap<string, string> = new Map([
  ['node.noCommonAlgorithm', 'an algorithm that only the ssh program has'],
  ['node.hostKeyAuthority', 'a host key that only a certificate authority vouches for'],
]);

/** As `chooseTransport`, for the node and its jump hosts (jumpHosts.ts): the system's ssh for all of it when one sshd on it needs that. */
export async function chooseForWay(
  targets: readonly SshTarget[],
  setting: TransportSetting,
  config: SshConfigOptions,
): Promise<TransportChoice> {
  if (setting !== 'auto') return { transport: setting, reason: undefined };
  let choice: TransportChoice = { transport: 'ssh2', reason: undefined };
  for (const target of targets) {
    choice = chooseTransport(target, setting, await readTransportFacts(target, config));
    if (choice.reason !== undefined) return choice;
  }
  return choice;
}

/** Never rejects: what cannot be read is not there. */
export async function readTransportFacts(
  target: SshTarget,
  config: SshConfigOptions,
): Promise<TransportFacts> {
  const [
    hasSystemSsh,
    certificates,
    securityKeys,
    agentKeyTypes,
    hasKerberosTicket,
    isOnlyCertified,
  ] = await Promise.all([
    hasSharableSsh(config),
    existing(target.identityFiles.map((file) => `${file}-cert.pub`)),
    securityKeysOf(target.identityFiles),
    // With IdentitiesOnly the agent is asked for the keys of the files alone.
    target.agentSocket === undefined || target.identitiesOnly
      ? Promise.resolve([])
      : agentKeyTypesOf(target.agentSocket),
    hasTicket(),
    isCertified(target),
  ]);
  return {
    hasSystemSsh,
    certificates,
    securityKeys,
    agentKeyTypes,
    hasKerberosTicket,
    isOnlyCertified,
  };
}

function isCertificate(keyType: string): boolean {
  return keyType.endsWith('-cert-v01@openssh.com');
}

function isSecurityKey(keyType: string): boolean {
  return keyType.startsWith('sk-');
}

const sharable = new Map<string, Promise<boolean>>();

/** Asked once for each program. Proxy mode came with OpenSSH 7.4. */
export function hasSharableSsh({ sshPath: program = 'ssh' }: SshConfigOptions): Promise<boolean> {
  if (process.platform === 'win32') return Promise.resolve(false);
  const known = sharable.get(program);
  if (known !== undefined) return known;
  const asked = new Promise<boolean>((resolve) => {
    execFile(program, ['-V'], { timeout: 5_000 }, (_error, stdout, stderr) => {
      const [, major = '0', minor = '0'] = /OpenSSH_(\d+)\.(\d+)/.exec(stdout + stderr) ?? [];
      resolve(Number(major) > 7 || (Number(major) === 7 && Number(minor) >= 4));
    });
  });
  sharable.set(program, asked);
  return asked;
}

async function existing(files: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    files.map((file) =>
      access(file).then(
        () => [file],
        () => [],
      ),
    ),
  );
  return found.flat();
}

/** The type stands at the start of the public half. */
async function securityKeysOf(files: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    files.map(async (file) => {
      // A public half alone names a key of the agent.
      const publicFile = file.endsWith('.pub') ? file : `${file}.pub`;
      const text = await readFile(publicFile, 'latin1').catch(() => '');
      return isSecurityKey(text.trimStart()) ? [file] : [];
    }),
  );
  return found.flat();
}

/** The credentials cache of MIT Kerberos where it is a file; other kinds are named by a variable. */
async function hasTicket(): Promise<boolean> {
  const named = process.env.KRB5CCNAME;
  if (named !== undefined && !named.startsWith('FILE:') && !named.startsWith('/')) return true;
  const file = named?.replace(/^FILE:/, '') ?? `/tmp/krb5cc_${userInfo().uid}`;
  return (await existing([file])).length > 0;
}

async function isCertified(target: SshTarget): Promise<boolean> {
  const { host, port, hostKeyAlias, userKnownHostsFiles, globalKnownHostsFiles } = target;
  const names = hostNames(host, port, hostKeyAlias);
  const files = [...userKnownHostsFiles, ...globalKnownHostsFiles];
  // What cannot be read is said by the transport.
  const content = await readHostEntries(files, names).catch(() => undefined);
  const markers = [...(content?.exact ?? []), ...(content?.withoutPort ?? [])].map(
    ({ marker }) => marker,
  );
  return markers.includes('@cert-authority') && !markers.includes('');
}

const agentTimeoutMs = 1_000;
/** draft-ietf-sshm-ssh-agent §5.1. */
const agentMessage = { requestIdentities: 11, identitiesAnswer: 12 } as const;
const maxAgentKeys = 1_000;

/** Types of the keys that the agent has; none when it does not answer. */
export function agentKeyTypesOf(socketPath: string): Promise<string[]> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const finish = (types: string[]): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(types);
    };
    const timer = setTimeout(() => finish([]), agentTimeoutMs);
    const packets = new PacketStream(
      socket,
      (packet) => finish(readIdentities(packet)),
      () => finish([]),
    );
    packets.send(Buffer.of(agentMessage.requestIdentities));
  });
}

function readIdentities(packet: Buffer): string[] {
  const fields = new FieldReader(packet);
  const types: string[] = [];
  try {
    if (fields.byte() !== agentMessage.identitiesAnswer) return [];
    for (let left = Math.min(fields.uint32(), maxAgentKeys); left > 0; left--) {
      types.push(keyTypeOf(fields.string()));
      // Its comment.
      fields.string();
    }
  } catch {
    // An answer that is cut short tells of the keys before.
  }
  return types;
}
