// A real sshd with accounts of its own, in a mount namespace: each account has the login shell, the home directory
// and the start-up files that a test wants, and the node may lack what others have. Needs root.

import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ConnectionReport } from '../../src/remote/connectionReport.ts';
import { sshConnector } from '../../src/remote/connect.ts';
import type { Node } from '../../src/remote/node.ts';
import type { PooledShell } from '../../src/remote/pooledShell.ts';
import { startSshd, type TestSshd } from './sshd.ts';

export interface Account {
  readonly name: string;
  /** As /etc/passwd has it. */
  readonly shell: string;
  /** By their path in the home directory. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
  /** Default: one of its own below the sshd's folder. */
  readonly home?: string;
  /** Day since 1970 on which the account expires. */
  readonly expires?: number;
  /** Whether the password must be changed before anything else. */
  readonly mustChangePassword?: boolean;
}

export interface AccountNodeOptions {
  readonly accounts: readonly Account[];
  /** sh, run in the node's mount namespace before its sshd; `$dir` is the node's folder. */
  readonly setup?: string;
  /** Further lines of sshd_config. */
  readonly config?: string;
  /** Settings that come before all others, as `Name=value`. */
  readonly settings?: readonly string[];
}

export interface AccountNode {
  readonly sshd: TestSshd;
  home(account: string): string;
  /** With the connection's steps in `report`. */
  connect(account: string, report?: ConnectionReport): Promise<PooledShell>;
  stop(): Promise<void>;
}

/** Ids that no Debian system gives by itself. */
const firstId = 47_100;

export const testNode: Node = {
  name: 'node',
  host: 'node',
  labels: [],
  logs: [],
  origin: 'settings',
};

export async function startAccountNode(options: AccountNodeOptions): Promise<AccountNode> {
  let folder = '';
  const homeOf = ({ home, name }: Account): string => home ?? join(folder, 'home', name);
  const sshd = await startSshd({
    config: options.config ?? '',
    launcher: async (dir) => {
      folder = dir;
      await chmod(dir, 0o755);
      await makeAccounts(dir, options.accounts, homeOf);
      const script = [
        'set -e',
        'dir=$1; shift',
        'for file in passwd shadow group; do mount --bind "$dir/etc/$file" "/etc/$file"; done',
        options.setup ?? '',
        `exec "$@" ${(options.settings ?? []).map((setting) => `-o ${setting}`).join(' ')}`,
      ];
      return ['unshare', '--mount', '/bin/sh', '-c', script.join('\n'), 'sh', dir];
    },
  });
  return {
    sshd,
    home: (name) => homeOf({ name, shell: '' }),
    connect: async (account, report = new ConnectionReport()) => {
      const configFile = await sshd.config();
      const text = await readFile(configFile, 'utf8');
      await writeFile(configFile, text.replace(/^ {2}User .*$/m, `  User ${account}`));
      const connector = sshConnector(
        () => ({ configFile }),
        () => ({}),
      );
      const attempt = { isBackground: false, report };
      return connector(testNode, new AbortController().signal, attempt);
    },
    stop: () => sshd.stop(),
  };
}

/** The machine's accounts and those of the node. */
async function makeAccounts(
  dir: string,
  accounts: readonly Account[],
  homeOf: (account: Account) => string,
): Promise<void> {
  const lines = accounts.map((account, index) => {
    const { name, shell } = account;
    const id = firstId + index;
    const changed = account.mustChangePassword === true ? 0 : 19_000;
    return {
      passwd: `${name}:x:${id}:${id}::${homeOf(account)}:${shell}`,
      shadow: `${name}:*:${changed}:0:99999:7::${account.expires ?? ''}:`,
      group: `${name}:x:${id}:`,
    };
  });
  await mkdir(join(dir, 'etc'));
  for (const file of ['passwd', 'shadow', 'group'] as const) {
    const machine = await readFile(`/etc/${file}`, 'utf8');
    const own = lines.map((line) => `${line[file]}\n`).join('');
    await writeFile(join(dir, 'etc', file), machine + own, {
      mode: file === 'shadow' ? 0o600 : 0o644,
    });
  }
  for (const [index, account] of accounts.entries()) {
    if (account.home !== undefined) continue;
    const id = firstId + index;
    const home = homeOf(account);
    await mkdir(home, { recursive: true });
    await chown(home, id, id);
    for (const [path, content] of Object.entries(account.files ?? {})) {
      await mkdir(dirname(join(home, path)), { recursive: true });
      await writeFile(join(home, path), content);
    }
  }
}

export interface LoginShell {
  readonly name: string;
  /** Undefined where this machine does not have it. */
  readonly path: string | undefined;
}

/** The login shells that Faultline promises to work with (reliability.md R-54). `folder` is for links. */
export async function loginShells(folder: string): Promise<readonly LoginShell[]> {
  const ash = join(folder, 'ash');
  const busybox = find('busybox');
  if (busybox !== undefined) await symlink(busybox, ash);
  const others = ['bash', 'dash', 'zsh', 'mksh', 'fish', 'tcsh'];
  return [
    ...others.map((name) => ({ name, path: find(name) })),
    { name: 'ash', path: busybox === undefined ? undefined : ash },
  ];
}

function find(name: string): string | undefined {
  return ['/bin', '/usr/bin', '/usr/local/bin']
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}
