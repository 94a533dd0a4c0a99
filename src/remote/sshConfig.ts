// ~/.ssh/config → the hosts it names, and for one host what OpenSSH would do to reach it.
//
// `ssh -G` is the resolver: it knows Include, Match and every default. It runs `Match exec`, so it is only
// ever pointed at the user's own file, and only asked about validated names.

import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { homedir, hostname, userInfo } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import SSHConfig from 'ssh-config';
import { UserError } from '../base/errors.ts';
import { matchesPattern } from './knownHosts.ts';

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
  /** Aliases of the hosts to go through, nearest first. */
  readonly proxyJump: readonly string[];
  readonly proxyCommand: string | undefined;
  readonly connectTimeoutMs: number | undefined;
  /** Certificates to log in with; the default ones beside the identity files are not listed. */
  readonly certificateFiles: readonly string[];
  /** How long a silent connection is left alone before it is asked for a sign of life; undefined: not said. */
  readonly serverAliveIntervalMs: number | undefined;
  /** How many unanswered questions end the connection; undefined: not said. */
  readonly serverAliveCountMax: number | undefined;
  /** What the configuration wants and Faultline does not do, as pieces of a sentence; never left out in silence. */
  readonly unsupported: readonly string[];
}

export interface SshConfigOptions {
  /** Default: `~/.ssh/config` and the system's, as OpenSSH does. */
  readonly configFile?: string;
  /** The `ssh` program. Default: the first on the PATH. */
  readonly sshPath?: string;
}

/** Deepest Include chain that OpenSSH follows. */
const maxIncludeDepth = 16;
const maxConfigBytes = 1 << 20;

export function defaultConfigFile(): string {
  return join(homedir(), '.ssh', 'config');
}

/**
 * The hosts that the file and its includes name without wildcards, in order. A missing file is an empty
 * list; an unreadable one is a UserError `ssh.configUnreadable`.
 */
export async function listHosts(configFile: string = defaultConfigFile()): Promise<string[]> {
  const hosts = new Set<string>();
  await collectHosts(configFile, dirname(configFile), hosts, 0);
  return [...hosts];
}

async function collectHosts(
  file: string,
  base: string,
  hosts: Set<string>,
  depth: number,
): Promise<void> {
  if (depth > maxIncludeDepth) return;
  for (const line of SSHConfig.parse(await readConfig(file))) {
    if (!('param' in line)) continue;
    const values = wordsOf(line.value);
    const keyword = line.param.toLowerCase();
    if (keyword === 'host') {
      for (const name of values) if (isPlainHostName(name)) hosts.add(name);
    } else if (keyword === 'include') {
      for (const pattern of values) {
        const path = expandHome(pattern);
        for (const included of await expandGlob(isAbsolute(path) ? path : join(base, path))) {
          await collectHosts(included, base, hosts, depth + 1);
        }
      }
    }
  }
}

/** The files an absolute path with `*` and `?` stands for, sorted, as glob(3) does for Include. */
async function expandGlob(path: string): Promise<string[]> {
  let found = ['/'];
  for (const segment of path.split('/').filter((part) => part !== '')) {
    if (!/[*?]/.test(segment)) {
      found = found.map((parent) => join(parent, segment));
      continue;
    }
    const lists = await Promise.all(
      found.map(async (parent) => {
        // A directory that is missing or unreadable holds no match, as for glob(3).
        const names = await readdir(parent).catch(() => []);
        return names
          .filter((name) => !name.startsWith('.') && matchesPattern(name, segment))
          .sort()
          .map((name) => join(parent, name));
      }),
    );
    found = lists.flat();
  }
  return found;
}

async function readConfig(file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8');
    return text.length > maxConfigBytes ? text.slice(0, maxConfigBytes) : text;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw new UserError('ssh.configUnreadable', `The ssh configuration ${file} cannot be read.`, {
      hint: 'Check that it is a file you may read.',
      cause: error,
    });
  }
}

function wordsOf(value: string | readonly { val: string }[]): string[] {
  return typeof value === 'string' ? [value] : value.map((word) => word.val);
}

function isPlainHostName(name: string): boolean {
  return !/[*?!]/.test(name) && isSafeHostName(name);
}

/**
 * Whether a name may be handed to `ssh` at all. A settings file may come from elsewhere: a name that
 * begins with `-` would be an option, and shells must never see anything but these characters (T-22).
 */
export function isSafeHostName(name: string): boolean {
  return name.length <= 255 && /^[A-Za-z0-9_%[\]:.@][A-Za-z0-9_%[\]:.@-]*$/.test(name);
}

/** Asks `ssh -G` how to reach a host. Errors: `node.badName`, `ssh.noClient`, `ssh.configInvalid`. */
export async function resolveHost(alias: string, options: SshConfigOptions): Promise<SshTarget> {
  if (!isSafeHostName(alias)) {
    throw new UserError('node.badName', `"${alias.slice(0, 80)}" is not a valid host name.`, {
      hint: 'Use letters, digits, dots, colons, hyphens and underscores.',
    });
  }
  return parseTarget(alias, await askSsh(alias, options));
}

function askSsh(alias: string, options: SshConfigOptions): Promise<string> {
  const args = ['-G', '-T', ...(options.configFile ? ['-F', options.configFile] : []), '--', alias];
  return new Promise((resolve, reject) => {
    execFile(
      options.sshPath ?? 'ssh',
      args,
      { timeout: 10_000, maxBuffer: 4 << 20 },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(sshFailure(alias, error, stderr));
      },
    );
  });
}

function sshFailure(alias: string, error: Error & { code?: unknown }, stderr: string): UserError {
  if (error.code === 'ENOENT') {
    return new UserError('ssh.noClient', 'The program "ssh" was not found on this machine.', {
      hint: 'Install OpenSSH (Debian: apt install openssh-client), then try again.',
      cause: error,
    });
  }
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
    values.set(keyword, [...(values.get(keyword) ?? []), line.slice(space + 1).trim()]);
  }
  const first = (keyword: string): string | undefined => values.get(keyword)?.[0];
  const jump = first('proxyjump');
  const names = {
    alias,
    host: first('hostname') ?? alias,
    port: Number(first('port') ?? 22),
    user: first('user') ?? userInfo().username,
    jump: jump === 'none' ? undefined : jump,
    hostKeyAlias: undefined as string | undefined,
  };
  names.hostKeyAlias = first('hostkeyalias');
  const expand = (text: string): string => expandTokens(text, names);
  const files = (keyword: string): string[] =>
    (values.get(keyword) ?? [])
      .flatMap((value) => value.split(/\s+/))
      .filter((value) => value !== '' && value !== 'none')
      .map(expand);
  const proxyCommand = first('proxycommand');
  const timeout = Number(first('connecttimeout'));
  const aliveInterval = Number(first('serveraliveinterval'));
  const aliveCount = Number(first('serveralivecountmax'));
  return {
    alias,
    host: names.host,
    port: names.port,
    user: names.user,
    identityFiles: (values.get('identityfile') ?? []).filter((f) => f !== 'none').map(expand),
    identitiesOnly: first('identitiesonly') === 'yes',
    agentSocket: agentSocket(first('identityagent'), expand),
    hostKeyAlias: names.hostKeyAlias === undefined ? undefined : expand(names.hostKeyAlias),
    userKnownHostsFiles: files('userknownhostsfile'),
    globalKnownHostsFiles: files('globalknownhostsfile'),
    strictHostKeyChecking: strictness(first('stricthostkeychecking')),
    proxyJump: names.jump === undefined ? [] : names.jump.split(','),
    proxyCommand:
      proxyCommand === undefined || proxyCommand === 'none' ? undefined : expand(proxyCommand),
    connectTimeoutMs: timeout > 0 ? timeout * 1000 : undefined,
    certificateFiles: (values.get('certificatefile') ?? []).filter((f) => f !== 'none').map(expand),
    serverAliveIntervalMs: aliveInterval > 0 ? aliveInterval * 1000 : undefined,
    serverAliveCountMax: aliveInterval > 0 && aliveCount > 0 ? aliveCount : undefined,
    unsupported: [],
  };
}

function strictness(value: string | undefined): SshTarget['strictHostKeyChecking'] {
  if (value === 'true' || value === 'yes') return 'yes';
  if (value === 'accept-new') return 'accept-new';
  if (value === 'false' || value === 'no' || value === 'off') return 'no';
  return 'ask';
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
  return expandHome(text)
    .replace(/\$\{(\w+)\}/g, (whole, name: string) => process.env[name] ?? whole)
    .replace(/%(.)/g, (whole, token: string) => values[token] ?? whole);
}

function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}
