// Keys and the three ssh files of a fleet: each node's sshd_config, and the client's ssh_config and
// known_hosts.

import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { loginEnv, type Setting } from './services.ts';
import { NODE_PLANS, addressOf, type Addresses } from './plan.ts';
import { run } from './system.ts';

export interface FleetKeys {
  /** Private key file of the one who logs in. */
  readonly identityFile: string;
  readonly identityPublic: string;
  hostKeyFile(name: string): string;
  hostKeyPublic(name: string): string;
}

/** Makes what is missing: the same directory keeps its keys over restarts, as machines do. */
export async function makeKeys(fleetDir: string): Promise<FleetKeys> {
  const directory = `${fleetDir}/keys`;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const identityFile = `${directory}/id_ed25519`;
  const hostKeyFile = (name: string) => `${directory}/host_${name}`;
  await Promise.all([
    makeKey(identityFile, 'demo-fleet'),
    ...NODE_PLANS.map(({ name }) => makeKey(hostKeyFile(name), name)),
  ]);
  return {
    identityFile,
    identityPublic: readFileSync(`${identityFile}.pub`, 'utf8'),
    hostKeyFile,
    hostKeyPublic: (name) => readFileSync(`${hostKeyFile(name)}.pub`, 'utf8'),
  };
}

async function makeKey(file: string, comment: string): Promise<void> {
  if (existsSync(file) && existsSync(`${file}.pub`)) return;
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', file]);
  chmodSync(file, 0o600);
}

export interface SshdFiles {
  readonly hostKey: string;
  readonly authorizedKeys: string;
  readonly usePam: boolean;
}

/** The defaults a Debian node has, but for logins by key alone. */
export function sshdConfig(setting: Setting, files: SshdFiles): string {
  const { addresses, node } = setting;
  const isLoopback = addresses.mode === 'loopback';
  const lines = [
    `ListenAddress ${isLoopback ? addressOf(addresses, node.name) : '0.0.0.0'}`,
    `Port ${addresses.sshPort}`,
    `HostKey ${quote(files.hostKey)}`,
    `AuthorizedKeysFile ${quoteFile(files.authorizedKeys)}`,
    `PidFile ${isLoopback ? 'none' : '/run/sshd.pid'}`,
    // in loopback mode the keys lie where the caller put the fleet, perhaps below a world-writable
    // /tmp
    ...(isLoopback ? ['StrictModes no'] : ['PermitRootLogin no']),
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitUserEnvironment no',
    'UseDNS no',
    `UsePAM ${files.usePam ? 'yes' : 'no'}`,
    'Subsystem sftp internal-sftp',
    // one line: sshd takes the first SetEnv only
    `SetEnv ${setEnv(setting)}`,
  ];
  return lines.join('\n') + '\n';
}

function setEnv(setting: Setting): string {
  return Object.entries(loginEnv(setting))
    .map(([name, value]) => quote(`${name}=${value}`))
    .join(' ');
}

/** One argument of an ssh or sshd configuration line. */
function quote(text: string): string {
  if (/["\\\n]/.test(text)) throw new Error(`ssh's files cannot hold ${JSON.stringify(text)}`);
  return `"${text}"`;
}

/** A file name where ssh expands tokens (%h, %u …): a literal % is written twice. */
function quoteFile(file: string): string {
  return quote(file.replaceAll('%', '%%'));
}

export interface ClientFiles {
  readonly sshConfig: string;
  readonly knownHosts: string;
}

export function clientFiles(
  addresses: Addresses,
  keys: FleetKeys,
  user: string,
  knownHostsFile: string,
): ClientFiles {
  const hosts = NODE_PLANS.map(({ name }) =>
    [
      `Host ${name}`,
      `  HostName ${addressOf(addresses, name)}`,
      `  Port ${addresses.sshPort}`,
      `  User ${user}`,
      `  IdentityFile ${quoteFile(keys.identityFile)}`,
      '  IdentitiesOnly yes',
      `  UserKnownHostsFile ${quoteFile(knownHostsFile)}`,
      '  GlobalKnownHostsFile /dev/null',
      '  StrictHostKeyChecking yes',
      '  UpdateHostKeys no',
    ].join('\n'),
  );
  const known = NODE_PLANS.map(({ name }) => {
    const [type, key] = keys.hostKeyPublic(name).split(' ');
    return `${knownHostName(addresses, name)} ${type} ${key}`;
  });
  const head = '# The nodes of a Faultline demo fleet; written when it starts.\n';
  return { sshConfig: `${head}${hosts.join('\n\n')}\n`, knownHosts: `${known.join('\n')}\n` };
}

function knownHostName(addresses: Addresses, name: string): string {
  const address = addressOf(addresses, name);
  return addresses.sshPort === 22 ? address : `[${address}]:${addresses.sshPort}`;
}
