// The files of a node: the application's checkout, the wheelhouse, the probe, the user's home and
// /etc.

import { randomBytes } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { APP_UID, APP_USER, NODE_PLANS, addressOf } from './plan.ts';
import { shopEnv, type Setting } from './services.ts';
import { sshdConfig, type FleetKeys } from './ssh.ts';
import { run } from './system.ts';

const HERE = import.meta.dirname;
const PROBE = path.join(HERE, '../../src/probe/python');
const GITIGNORE = '__pycache__/\ndata/\nlog/\nvenv/\n';
/** Makes the commit's hash the same in every fleet of the same sources. */
const COMMIT_DATE = '2026-11-02T08:30:00Z';

/** Directories and files are readable for the nodes' user whatever the caller's umask. */
function makeDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o755);
}

function writeFile(file: string, text: string, mode = 0o644): void {
  makeDirectory(path.dirname(file));
  rmSync(file, { force: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
}

/** A git checkout of the shop with one commit, made once a fleet and copied to each node. */
export async function makeCheckout(directory: string): Promise<void> {
  makeDirectory(directory);
  cpSync(`${HERE}/app/shop`, `${directory}/shop`, {
    recursive: true,
    filter: (file) => path.basename(file) !== '__pycache__',
  });
  writeFile(`${directory}/.gitignore`, GITIGNORE);
  const who = { name: 'Shop Team', email: 'shop@example.org' };
  const env = {
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: who.name,
    GIT_AUTHOR_EMAIL: who.email,
    GIT_AUTHOR_DATE: COMMIT_DATE,
    GIT_COMMITTER_NAME: who.name,
    GIT_COMMITTER_EMAIL: who.email,
    GIT_COMMITTER_DATE: COMMIT_DATE,
  };
  const git = (...args: string[]) => run('git', args, { cwd: directory, env });
  await run('chmod', ['-R', 'u=rwX,go=rX', directory]);
  await git('init', '-q', '--template=', '--initial-branch=main');
  await git('add', '-A');
  await git('commit', '-q', '-m', 'shop 1.7.0');
}

/**
 * Writes everything below `setting.paths.directory`; what an earlier fleet left there is removed
 * first.
 */
export async function writeNodeTree(
  setting: Setting,
  checkout: string,
  keys: FleetKeys,
): Promise<void> {
  const { addresses, node, paths } = setting;
  const { directory } = paths;
  rmSync(directory, { recursive: true, force: true });
  for (const name of ['', 'srv', 'opt', 'home', 'log', 'etc']) {
    makeDirectory(path.join(directory, name));
  }
  cpSync(checkout, `${directory}/srv/shop`, { recursive: true });
  writeHome(setting);
  writeOpt(setting);
  if (addresses.mode === 'namespaces') {
    writeEtc(setting);
    writeSshd(setting, keys, '/etc/ssh', false);
    const owned = ['srv', 'home'].map((name) => `${directory}/${name}/`);
    await run('chmod', ['-R', 'u=rwX,go=rX', ...owned, `${directory}/opt`]);
    await run('chown', ['-R', `${APP_UID}:${APP_UID}`, ...owned.map((tree) => childOf(tree))]);
  } else {
    writeSshd(setting, keys, `${directory}/etc/ssh`, needsPam());
  }
  chmodSync(path.join(directory, 'home', APP_USER), 0o750);
  writeFileSync(path.join(directory, 'node.txt'), `${node.name}\n`);
}

/** `…/srv/` → `…/srv/shop`, `…/home/` → `…/home/app`: the one entry each of them holds. */
function childOf(tree: string): string {
  return path.join(tree, readdirSync(tree)[0] ?? '');
}

function writeHome(setting: Setting): void {
  const home = `${setting.paths.directory}/home/${APP_USER}`;
  const exports = Object.entries(shopEnv(setting)).map(
    ([name, value]) => `export ${name}='${value}'`,
  );
  writeFile(`${home}/.profile`, `# read by login shells\n${exports.join('\n')}\n`);
}

function writeOpt({ node, paths }: Setting): void {
  const opt = `${paths.directory}/opt`;
  if (existsSync(PROBE)) {
    cpSync(PROBE, `${opt}/faultline`, {
      recursive: true,
      filter: (file) => path.basename(file) !== '__pycache__',
    });
  }
  if (node.role === 'gateway')
    cpSync(`${HERE}/app/generator`, `${opt}/generator`, { recursive: true });
  if (node.role === 'worker') {
    cpSync(`${HERE}/packages`, `${opt}/wheelhouse`, { recursive: true });
    cpSync(`${HERE}/node/install.py`, `${opt}/wheelhouse/install.py`);
  }
}

/**
 * The node's own files over the machine's /etc. People of the machine are not people of the node.
 */
function writeEtc({ addresses, node, paths }: Setting): void {
  const etc = (name: string, text: string, mode = 0o644) =>
    writeFile(`${paths.directory}/etc/${name}`, text, mode);
  const accounts = systemLines('/etc/passwd');
  const groups = systemLines('/etc/group');
  const user = `${APP_USER}:x:${APP_UID}:${APP_UID}:Shop:/home/${APP_USER}:/bin/bash`;
  etc('passwd', `${accounts.join('\n')}\n${user}\n`);
  etc('group', `${groups.join('\n')}\n${APP_USER}:x:${APP_UID}:\n`);
  // `*`: no password, but not locked either, or sshd would refuse the key as well
  const names = [...accounts.map((line) => line.split(':')[0]), APP_USER];
  etc('shadow', names.map((name) => `${name}:*:20000:0:99999:7:::`).join('\n') + '\n', 0o600);
  etc('hostname', `${node.name}\n`);
  etc('hosts', hostsFile(addresses));
  etc('machine-id', `${randomBytes(16).toString('hex')}\n`);
  etc('motd', `${node.name}: a node of the Faultline demo fleet.\n`);
  etc('os-release', osRelease(node.image));
  etc('timezone', 'Etc/UTC\n');
  rmSync(`${paths.directory}/etc/localtime`, { force: true });
  symlinkSync('/usr/share/zoneinfo/Etc/UTC', `${paths.directory}/etc/localtime`);
}

/** Lines of system accounts or groups (id below 1000, or nobody's). */
function systemLines(file: string): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => {
      const id = Number(line.split(':')[2] || NaN);
      return id < 1000 || id === 65534;
    });
}

function hostsFile(addresses: Setting['addresses']): string {
  const lines = NODE_PLANS.map(({ name }) => `${addressOf(addresses, name)}\t${name}`);
  return `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n${lines.join('\n')}\n`;
}

function osRelease(image: number): string {
  return readFileSync('/etc/os-release', 'utf8').replace(
    /^PRETTY_NAME="?([^"\n]*)"?$/m,
    (_, name: string) => `PRETTY_NAME="${name}, shop image ${image}"\nIMAGE_VERSION=${image}`,
  );
}

/** `seenAt`: where the node sees the directory etc/ssh. */
function writeSshd(setting: Setting, keys: FleetKeys, seenAt: string, usePam: boolean): void {
  const { name } = setting.node;
  const directory = `${setting.paths.directory}/etc/ssh`;
  const files = {
    hostKey: `${seenAt}/ssh_host_ed25519_key`,
    authorizedKeys: `${seenAt}/authorized_keys`,
    usePam,
  };
  writeFile(`${directory}/sshd_config`, sshdConfig(setting, files));
  writeFile(
    `${directory}/ssh_host_ed25519_key`,
    readFileSync(keys.hostKeyFile(name), 'utf8'),
    0o600,
  );
  writeFile(`${directory}/ssh_host_ed25519_key.pub`, keys.hostKeyPublic(name));
  writeFile(`${directory}/authorized_keys`, keys.identityPublic);
}

/**
 * Without PAM sshd refuses a locked account, which root is on many machines; keys still open it
 * with PAM.
 */
function needsPam(): boolean {
  if (process.getuid?.() !== 0) return false;
  const root = readFileSync('/etc/shadow', 'utf8').match(/^root:([^:]*):/m);
  return root?.[1]?.startsWith('!') === true;
}
