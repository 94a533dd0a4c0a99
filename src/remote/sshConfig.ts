// ~/.ssh/config → the hosts it names, and for one host what OpenSSH would do to reach it.
//
// `ssh -G` is the resolver: it knows Include, Match and every default. It runs `Match exec`, so it is only
// ever pointed at the user's own file, and only asked about validated names. Without the program `ssh` the files
// are read here.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { UserError } from '../base/errors.ts';
import { readHostOptions, unusedKeywords, type ConfigFile } from './sshConfigFile.ts';
import {
  decode,
  expandGlob,
  expandHome,
  readConfigLines,
  splitWords,
  type ConfigLine,
} from './sshConfigLines.ts';
import {
  badName,
  formatDestination,
  isSafeHostName,
  parseDestination,
  type Destination,
} from './sshDestination.ts';

/** How to reach one host, with all tokens expanded. */
export interface SshTarget {
  /** The name that was asked for. */
  readonly alias: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly identityFiles: readonly string[];
  readonly identitiesOnly: boolean;
  /** Path of the agent's socket; undefined when no agent is to be used. */
  readonly agentSocket: string | undefined;
  /** What the host's key is filed under instead of its name. */
  readonly hostKeyAlias: string | undefined;
  readonly userKnownHostsFiles: readonly string[];
  readonly globalKnownHostsFiles: readonly string[];
  readonly strictHostKeyChecking: 'yes' | 'ask' | 'accept-new' | 'no';
  /** Names are written to known_hosts as hashes. */
  readonly hashKnownHosts: boolean;
  /** The address must not have another key on file than the name. */
  readonly checkHostIp: boolean;
  /** Aliases of the hosts to go through, nearest first. */
  readonly proxyJump: readonly string[];
  readonly proxyCommand: string | undefined;
  readonly connectTimeoutMs: number | undefined;
  /** Ways to log in that the configuration leaves (RFC 4252 names); undefined: all. */
  readonly loginMethods?: readonly string[] | undefined;
  /** Certificates to log in with; the default ones beside the identity files are not listed. */
  readonly certificateFiles: readonly string[];
  /** How long a silent connection is left alone before it is asked for a sign of life; undefined: not said. */
  readonly serverAliveIntervalMs: number | undefined;
  /** How many unanswered questions end the connection; undefined: not said. */
  readonly serverAliveCountMax: number | undefined;
  /** What the configuration wants and Faultline does not do, as pieces of a sentence; never left out in silence. */
  readonly unsupported: readonly string[];
  /** What the configuration wants that only the system's ssh does, as ssh_config(5) names it. */
  readonly needsSystemSsh: readonly string[];
}

export interface SshConfigOptions {
  /** Default: `~/.ssh/config` and the system's, as OpenSSH does. */
  readonly configFile?: string;
  /** The `ssh` program. Default: the first on the PATH. */
  readonly sshPath?: string;
}

/** The user's own file, as ssh finds it: in the home directory of the account, whatever $HOME says. */
export function defaultConfigFile(): string {
  return join(userInfo().homedir, '.ssh', 'config');
}

function systemConfigFile(): string {
  return process.platform === 'win32'
    ? join(process.env['ProgramData'] ?? 'C:\\ProgramData', 'ssh', 'ssh_config')
    : '/etc/ssh/ssh_config';
}

/**
 * The hosts that the file and its includes name without wildcards, in order. A missing file is an empty
 * list, and includes that cannot be read are left out. Errors: `ssh.configUnreadable`.
 */
export async function listHosts(configFile: string = defaultConfigFile()): Promise<string[]> {
  const hosts = new Set<string>();
  const files = new Set<string>();
  const collect = async (lines: readonly ConfigLine[]): Promise<void> => {
    for (const line of lines) {
      const words = splitWords(line.value) ?? [];
      if (line.keyword === 'host') {
        for (const name of words) if (isPlainHostName(name)) hosts.add(name);
      } else if (line.keyword === 'include') {
        for (const path of await includedFiles(words)) {
          // A file in a circle, or included twice, names the same hosts again.
          if (files.has(path)) continue;
          files.add(path);
          await collect(await readConfigLines(path).catch(() => []));
        }
      }
    }
  };
  await collect(await readConfigLines(configFile));
  return [...hosts];
}

async function includedFiles(patterns: readonly string[]): Promise<string[]> {
  const paths = patterns.map((pattern) => expandHome(decode(pattern)));
  const found = await Promise.all(
    paths.map((path) =>
      expandGlob(isAbsolute(path) ? path : join(dirname(defaultConfigFile()), path)),
    ),
  );
  return found.flat();
}

function isPlainHostName(name: string): boolean {
  return !/[*?!]/.test(name) && isSafeHostName(name);
}

/**
 * How to reach a host, as OpenSSH would: what `ssh -G` says, or where there is no `ssh`, what the files say.
 * `alias` may be anything `parseDestination` reads, e.g. a hop of a ProxyJump. Errors: `node.badName`,
 * `ssh.configInvalid`, `ssh.configUnreadable`.
 */
export async function resolveHost(alias: string, options: SshConfigOptions): Promise<SshTarget> {
  const destination = parseDestination(alias);
  if (destination === undefined) throw badName(alias);
  try {
    return parseTarget(alias, await askSsh(destination, options));
  } catch (error) {
    if (!(error instanceof NoSsh)) throw error;
    return readTarget(alias, destination, options);
  }
}

/** Without the program `ssh`: a subset, see sshConfigFile.ts. */
async function readTarget(
  alias: string,
  destination: Destination,
  { configFile, sshPath }: SshConfigOptions,
): Promise<SshTarget> {
  const files: ConfigFile[] =
    configFile === undefined
      ? [
          { path: defaultConfigFile(), isUsers: true, checkOwner: true },
          { path: systemConfigFile(), isUsers: false, checkOwner: false },
        ]
      : [{ path: configFile, isUsers: true, checkOwner: false, mustExist: true }];
  const { values, unsupported } = await readHostOptions(destination, files);
  const missing =
    sshPath === undefined ? [] : [`the program ${sshPath}, which was not found or cannot run`];
  const target = targetOf(alias, values, unsupported);
  // Nothing that the system's ssh could help with.
  return { ...target, unsupported: [...missing, ...target.unsupported] };
}

/** The program `ssh` is not there. */
class NoSsh extends Error {}

function askSsh(destination: Destination, options: SshConfigOptions): Promise<string> {
  const { user, host, port } = destination;
  const args = [
    '-G',
    '-T',
    ...(options.configFile === undefined ? [] : ['-F', options.configFile]),
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', String(port)]),
    '--',
    host,
  ];
  return new Promise((resolve, reject) => {
    execFile(
      options.sshPath ?? 'ssh',
      args,
      { timeout: 10_000, maxBuffer: 4 << 20 },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(sshFailure(host, error, stderr));
      },
    );
  });
}

function sshFailure(alias: string, error: Error & { code?: unknown }, stderr: string): Error {
  if (error.code === 'ENOENT' || error.code === 'EACCES') return new NoSsh();
  const reason = stderr.trim().split('\n').at(-1) ?? error.message;
  return new UserError(
    'ssh.configInvalid',
    `The ssh configuration for "${alias}" cannot be used: ${reason}.`,
    { hint: 'Correct that line, then refresh the nodes.', cause: error },
  );
}

/** The output of `ssh -G`: one `keyword value` a line, keywords in lower case. */
export function parseTarget(alias: string, output: string): SshTarget {
  const values = new Map<string, string[]>();
  for (const line of output.split('\n')) {
    const space = line.indexOf(' ');
    if (space < 0) continue;
    const keyword = line.slice(0, space);
    const value = line.slice(space + 1).trim();
    // The lists of known_hosts files are the only ones on one line; their names are not quoted there.
    const found = keyword.endsWith('knownhostsfile') ? value.split(/\s+/) : [value];
    values.set(keyword, [...(values.get(keyword) ?? []), ...found]);
  }
  return targetOf(alias, values, unusedOf(values));
}

/** Of what `ssh -G` says, what is set and not acted upon. It prints the defaults of algorithms as well. */
function unusedOf(values: ReadonlyMap<string, readonly string[]>): string[] {
  return [...unusedKeywords].flatMap(([keyword, [name = keyword, ...harmless]]) => {
    const value = values.get(keyword)?.[0]?.toLowerCase();
    const isAlgorithms = /algorithms$|^(ciphers|macs)$/.test(keyword);
    return value === undefined || isAlgorithms || harmless.includes(value) ? [] : [name];
  });
}

/** Options by keyword → what they mean for a connection, with ssh's defaults for those that are not said. */
function targetOf(
  alias: string,
  values: ReadonlyMap<string, readonly string[]>,
  unsupported: readonly string[],
): SshTarget {
  const destination = parseDestination(alias);
  const all = (keyword: string): readonly string[] => values.get(keyword) ?? [];
  const first = (keyword: string): string | undefined => all(keyword)[0];
  const jump = first('proxyjump');
  const proxyCommand = first('proxycommand');
  const host = first('hostname') ?? alias;
  const names: TokenNames = {
    alias: destination?.host ?? alias,
    host,
    port: Number(first('port') ?? 22),
    user: first('user') ?? userInfo().username,
    jump: isNone(jump) ? undefined : jump,
    hostKeyAlias: first('hostkeyalias'),
  };
  const expand = (text: string): string => expandTokens(text, names);
  const files = (keyword: string, defaults: readonly string[]): string[] => {
    const said = all(keyword);
    return (said.length === 0 ? defaults : said).filter((file) => !isNone(file)).map(expand);
  };
  const timeout = Number(first('connecttimeout'));
  const aliveInterval = Number(first('serveraliveinterval'));
  const aliveCount = Number(first('serveralivecountmax') ?? 3);
  return {
    alias,
    host,
    port: names.port,
    user: names.user,
    identityFiles: files('identityfile', defaultIdentityFiles),
    identitiesOnly: isOn(first('identitiesonly')),
    agentSocket: agentSocket(first('identityagent'), expand),
    // Taken as it is: ssh 9.2 expands no tokens there.
    hostKeyAlias: names.hostKeyAlias,
    userKnownHostsFiles: files('userknownhostsfile', defaultUserKnownHosts),
    globalKnownHostsFiles: files('globalknownhostsfile', defaultGlobalKnownHosts),
    strictHostKeyChecking: strictness(first('stricthostkeychecking')),
    hashKnownHosts: isOn(first('hashknownhosts')),
    checkHostIp: isOn(first('checkhostip')),
    proxyJump: names.jump === undefined ? [] : names.jump.split(',').map(plainHop),
    proxyCommand:
      proxyCommand === undefined || isNone(proxyCommand) ? undefined : expand(proxyCommand),
    connectTimeoutMs: timeout > 0 ? timeout * 1000 : undefined,
    loginMethods: loginMethods(first),
    certificateFiles: files('certificatefile', []),
    serverAliveIntervalMs: aliveInterval > 0 ? aliveInterval * 1000 : undefined,
    serverAliveCountMax: aliveInterval > 0 && aliveCount > 0 ? aliveCount : undefined,
    unsupported,
    needsSystemSsh: [
      ...(/^(yes|true)$/.test(first('gssapiauthentication') ?? '') ? ['GSSAPIAuthentication'] : []),
      ...unsupported.filter((setting) => !isIdleForSystemSsh(setting)),
    ],
  };
}

/** Unsupported here, and no reason to take the system's ssh: left out there, too, or of use with others only. */
function isIdleForSystemSsh(setting: string): boolean {
  return /^(RemoteCommand|Tag|SecurityKeyProvider|CASignatureAlgorithms)\b/.test(setting);
}

const defaultIdentityFiles = ['rsa', 'ecdsa', 'ecdsa_sk', 'ed25519', 'ed25519_sk'].map(
  (type) => `~/.ssh/id_${type}`,
);
const defaultUserKnownHosts = ['~/.ssh/known_hosts', '~/.ssh/known_hosts2'];
const defaultGlobalKnownHosts = ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'];

function isOn(value: string | undefined): boolean {
  return value === 'yes' || value === 'true';
}

function isNone(value: string | undefined): boolean {
  return value === undefined || value.toLowerCase() === 'none';
}

/** `ssh -G` puts brackets around addresses; as an alias they stand without. */
function plainHop(hop: string): string {
  const destination = parseDestination(hop);
  return destination === undefined ? hop : formatDestination(destination);
}

function strictness(value: string | undefined): SshTarget['strictHostKeyChecking'] {
  if (value === 'true' || value === 'yes') return 'yes';
  if (value === 'accept-new') return 'accept-new';
  if (value === 'false' || value === 'no' || value === 'off') return 'no';
  return 'ask';
}

function loginMethods(first: (keyword: string) => string | undefined): string[] | undefined {
  const preferred = first('preferredauthentications')?.split(',');
  const off = [
    ['pubkeyauthentication', 'publickey'],
    ['kbdinteractiveauthentication', 'keyboard-interactive'],
    ['passwordauthentication', 'password'],
  ].flatMap(([keyword = '', method = '']) => (isOff(first(keyword)) ? [method] : []));
  if (preferred === undefined && off.length === 0) return undefined;
  const all = preferred ?? ['publickey', 'keyboard-interactive', 'password'];
  return all.filter((method) => !off.includes(method));
}

/** `ssh -G` says `false` of some and `no` of others. */
function isOff(value: string | undefined): boolean {
  return value === 'no' || value === 'false';
}

function agentSocket(
  value: string | undefined,
  expand: (text: string) => string,
): string | undefined {
  if (value === 'none') return undefined;
  if (value === undefined || value === 'SSH_AUTH_SOCK') return process.env.SSH_AUTH_SOCK;
  return value.startsWith('$') && !value.startsWith('${')
    ? process.env[value.slice(1)]
    : expand(value);
}

interface TokenNames {
  readonly alias: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly jump: string | undefined;
  readonly hostKeyAlias: string | undefined;
}

/** ssh_config(5) TOKENS, `~` and `${VARIABLE}`. An unknown token stays as it is. */
export function expandTokens(text: string, names: TokenNames): string {
  const me = userInfo();
  const fullHost = hostname();
  const values: Readonly<Record<string, string>> = {
    '%': '%',
    d: me.homedir,
    h: names.host,
    i: String(me.uid),
    j: names.jump ?? '',
    k: names.hostKeyAlias ?? names.host,
    L: fullHost.split('.')[0] ?? fullHost,
    l: fullHost,
    n: names.alias,
    p: String(names.port),
    r: names.user,
    u: me.username,
    C: createHash('sha1')
      .update(`${fullHost}${names.host}${names.port}${names.user}${names.jump ?? ''}`)
      .digest('hex'),
  };
  return expandHome(text).replace(
    /\$\{(\w+)\}|%(.)/g,
    (whole, name: string | undefined, token: string) =>
      (name === undefined ? values[token] : process.env[name]) ?? whole,
  );
}
