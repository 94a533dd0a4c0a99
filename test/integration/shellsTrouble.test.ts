// Start-up files, accounts and nodes that stand in the way of commands: each works or is one sentence, in time
// (R-71, B-026, B-056, B-057).

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Emitter } from '../../src/base/emitter.ts';
import { describeError, UserError } from '../../src/base/errors.ts';
import { takeSnapshot } from '../../src/env/collect.ts';
import { isAvailable, unavailableChapters } from '../../src/env/envSnapshot.ts';
import { createRedactionKey } from '../../src/env/redactionKey.ts';
import { searchNodes } from '../../src/log/search.ts';
import { measureClock } from '../../src/remote/clock.ts';
import { ConnectionReport, formatReport } from '../../src/remote/connectionReport.ts';
import { listDirectory, readFile, statFile } from '../../src/remote/nodeFiles.ts';
import type { Node, NodeAccess } from '../../src/remote/node.ts';
import type { PooledShell } from '../../src/remote/pooledShell.ts';
import { runRecorded } from '../../src/run/rerun.ts';
import {
  loginShells,
  startAccountNode,
  testNode,
  type Account,
  type AccountNode,
  type AccountNodeOptions,
} from '../fakes/accountNode.ts';
import { temporaryFolder } from '../fakes/temporaryFolder.ts';
import { whyNoNamespaces } from '../fleet/namespaces.ts';

await using folder = await temporaryFolder();
const whyNot = await whyNoNamespaces();
const shells = new Map((await loginShells(folder.path)).map(({ name, path }) => [name, path]));

/** What is asked of an account, beside that it works or is refused in words. */
interface Expected {
  /** The error's code; without one everything works. */
  readonly refused?: string;
  /** In the error's sentence, or in the connection's report. */
  readonly says?: RegExp;
  /** Default 10,000 ms: the five seconds of R-71, twice, for a machine that is busy. */
  readonly withinMs?: number;
  /** Chapters of a snapshot that this node cannot fill. */
  readonly unavailable?: readonly string[];
  /** Default: true. */
  readonly hasPython?: boolean;
}

interface Trouble extends Expected {
  /** Default: bash. */
  readonly shell?: string;
  readonly files?: Account['files'];
  readonly account?: Partial<Account>;
  readonly more?: (shell: PooledShell) => Promise<void>;
}

async function assertTerminalTaken(shell: PooledShell, says: RegExp): Promise<void> {
  const size = { columns: 80, rows: 24 };
  await assert.rejects(shell.openTerminal(size, { script: 'true' }), {
    code: 'node.terminalTaken',
    message: says,
  });
  // The user's own login shell is theirs.
  (await shell.openTerminal(size)).dispose();
}

const bashrc = (text: string): Pick<Trouble, 'files'> => ({ files: { '.bashrc': `${text}\n` } });

/** Of accounts of one node. */
const troubles: Readonly<Record<string, Trouble>> = {
  // Those that take long come first: the others are tried beside them.
  'takes two seconds': { ...bashrc('sleep 2'), says: /slow: .* took \d/, withinMs: 20_000 },
  'takes twenty seconds': {
    ...bashrc('sleep 20'),
    refused: 'node.shellTooSlow',
    says: /its shell did not start within 15 s\./,
    withinMs: 20_000,
  },
  'asks something on a terminal': {
    ...bashrc('[ -t 0 ] && read -p "Which project? " project'),
    more: (shell) => assertTerminalTaken(shell, /it says: Which project\?\)/),
    withinMs: 20_000,
  },
  'prints text on stdout and stderr': {
    ...bashrc('echo Welcome; echo "no such thing" >&2; printf "faultline-00\\n"; fortune'),
    says: /print text/,
  },
  'prints escape sequences': bashrc(`printf '\\033]0;mine\\007\\033[2J\\033[?1049h\\036\\0'`),
  'prints a megabyte': bashrc(`head -c 1000000 /dev/zero | tr '\\0' x`),
  'prints bytes that are no text': bashrc(
    'head -c 50000 /dev/urandom; head -c 50000 /dev/urandom >&2',
  ),
  'leaves a program running': bashrc('sleep 20 & disown'),
  'changes everything it can': bashrc(
    [
      'shopt -s expand_aliases nullglob failglob dotglob',
      `alias printf='echo pwned' cat=rm ls=rm eval='echo pwned' read='echo pwned' sh='echo pwned'`,
      'printf() { echo pwned; }; cat() { echo pwned; }; awk() { echo pwned; }; export -f printf cat awk',
      `export IFS=x PS4='$(echo pwned >&2)' CDPATH=/:/usr GREP_OPTIONS=--color=always POSIXLY_CORRECT=1`,
      'export LC_ALL=xx_YY.ISO8859-1 TZ=Asia/Kathmandu LS_COLORS=x l=line m=word MALLOC_CHECK_=0',
      `echo 'echo pwned' >~/other 2>/dev/null; export ENV=~/.bashrc BASH_ENV=~/.bashrc`,
      'umask 077; cd /; set -euf; trap "echo pwned" EXIT; set -o noclobber',
    ].join('\n'),
  ),
  'leaves no PATH': bashrc('export PATH='),
  'leaves a PATH without programs': bashrc('export PATH=/nonexistent:/etc'),
  'unsets HOME, USER and SHELL': bashrc('unset HOME USER LOGNAME SHELL'),
  'sets the terminal': bashrc(
    'stty erase ^H; stty -ixon; tput clear; mesg n; bind "set bell-style none"',
  ),
  'reads a line': {
    ...bashrc('read answer'),
    refused: 'node.shellReadsInput',
    says: /start-up files/,
  },
  'reads some bytes': {
    ...bashrc('head -c 40 >/dev/null'),
    refused: 'node.shellReadsInput',
    says: /start-up files/,
  },
  'reads everything': {
    ...bashrc('cat >/dev/null'),
    refused: 'node.shellReadsInput',
    says: /start-up files/,
  },
  'starts zsh': { ...bashrc('exec zsh'), refused: 'node.noShell', says: /runs no commands/ },
  'starts fish': { ...bashrc('exec fish'), refused: 'node.noShell', says: /runs no commands/ },
  'starts tcsh': { ...bashrc('exec tcsh'), refused: 'node.noShell', says: /runs no commands/ },
  'starts another program on a terminal only': {
    ...bashrc('[ -t 0 ] && echo "Bye." && exit'),
    more: (shell) => assertTerminalTaken(shell, /it says: Bye\.\)/),
  },
  'ends at once': {
    ...bashrc('echo "Go away."; exit 0'),
    refused: 'node.noShell',
    says: /Go away/,
  },
  'has an alias for exec': {
    ...bashrc(`shopt -s expand_aliases; alias exec='echo pwned'`),
    refused: 'node.noShell',
    says: /it says: pwned/,
  },
  'has a function for exec': {
    ...bashrc('exec() { echo pwned; }'),
    refused: 'node.noShell',
    says: /it says: pwned/,
  },
  'zsh that prints and asks for a terminal': {
    shell: 'zsh',
    files: { '.zshenv': 'echo noise; stty -ixon; alias -g x=pwned; setopt nomatch xtrace\n' },
  },
  'fish whose configuration is wrong': {
    shell: 'fish',
    files: {
      '.config/fish/config.fish': 'echo noise\nnosuchcommand\nset -x PATH\nif true\n  echo (\n',
      '.config/fish/conf.d/a.fish':
        'function cat; echo pwned; end\nset -gx fish_greeting x\nfalse | \n',
    },
  },
  'fish with a function for exec': {
    shell: 'fish',
    files: { '.config/fish/config.fish': 'alias ls rm\nfunction sh; echo pwned; end\n' },
  },
  'tcsh whose start-up file is wrong': {
    shell: 'tcsh',
    files: { '.tcshrc': 'echo noise\nstty erase ^H\nset prompt="%~> "\nnosuchcommand\n' },
  },
  'tcsh with an alias for exec': {
    shell: 'tcsh',
    files: { '.tcshrc': `alias exec 'echo pwned'\n` },
    refused: 'node.noShell',
    says: /runs no commands/,
  },
  'tcsh whose start-up file has an open quote': {
    shell: 'tcsh',
    files: { '.tcshrc': `set x = "never\n` },
  },
  'mksh whose start-up file ends it': {
    shell: 'mksh',
    files: { '.mkshrc': 'echo pwned\n', '.profile': 'exit\n' },
    unavailable: ['env.loginShell'],
  },
  'no login': { shell: '/usr/sbin/nologin', refused: 'node.accountClosed', says: /not available/ },
  'a shell that does nothing': {
    shell: '/bin/false',
    refused: 'node.noShell',
    says: /runs no commands/,
  },
  'a restricted shell': { shell: '/bin/rbash', refused: 'node.noShell', says: /restricted/ },
  'a shell that is not there': {
    shell: '/nonexistent/sh',
    refused: 'node.authRefused',
    says: /refused the login/,
  },
  'an account that has expired': {
    account: { expires: 1 },
    refused: 'node.authRefused',
    says: /refused the login/,
  },
  'no home directory': { account: { home: '/nonexistent/home' } },
  'a forced command': { refused: 'node.noShell', says: /it says: closed/ },
  'a forced command that waits': { refused: 'node.noShell', says: /it says/ },
  'file transfer only': { refused: 'node.noShell', says: /runs no commands/ },
};

const accountName = (index: number): string => `fl-trouble-${index}`;

describe(
  'accounts and their start-up files',
  { skip: whyNot ?? false, concurrency: 4 },
  async () => {
    if (whyNot !== undefined) return;
    const names = Object.keys(troubles);
    const user = (name: string): string => accountName(names.indexOf(name));
    const node = await startAccountNode({
      accounts: Object.values(troubles).map(({ shell = 'bash', files, account }, index) => ({
        name: accountName(index),
        shell: shell.startsWith('/') ? shell : (shells.get(shell) ?? ''),
        files,
        ...account,
      })),
      config: [
        `Match User ${user('a forced command')}\n  ForceCommand echo closed`,
        `Match User ${user('a forced command that waits')}\n  ForceCommand cat`,
        `Match User ${user('file transfer only')}\n  ForceCommand internal-sftp`,
      ].join('\n'),
    });
    test.after(() => node.stop());
    for (const [index, [name, { shell = 'bash', more, ...expected }]] of Object.entries(
      troubles,
    ).entries()) {
      const isThere = shell.startsWith('/') || shells.get(shell) !== undefined;
      test(name, { skip: !isThere && `${shell} is not installed` }, () =>
        meet(expected, node, accountName(index), more),
      );
    }
  },
);

interface Lack extends Expected, Omit<AccountNodeOptions, 'accounts'> {
  readonly account?: Partial<Account>;
  readonly more?: (shell: PooledShell) => Promise<void>;
}

/** A directory in which files may be added and removed without changing the machine's. */
const ownDirectory = (path: string): string => `
layer=$(mktemp -d)
mount -t tmpfs tmpfs $layer; mkdir $layer/upper $layer/work
mount -t overlay overlay -o lowerdir=${path},upperdir=$layer/upper,workdir=$layer/work ${path}`;

const otherSh = (name: string): string => `${ownDirectory('/usr/bin')}\nln -sf ${name} /usr/bin/sh`;

/** Only the node's folder can be written to. */
const keepFolder = 'mount --bind "$dir" "$dir"';

/** Of whole nodes, each with one account. */
const lacks: Readonly<Record<string, Lack>> = {
  'processes of others are hidden': {
    setup: 'mount -t proc -o hidepid=2 proc /proc',
    more: async (shell) => {
      const { stdout } = await shell.exec({ script: '[ -e /proc/1 ] || echo hidden' });
      assert.equal(stdout.toString(), 'hidden\n');
    },
  },
  'no Python': {
    setup: `${ownDirectory('/usr/bin')}\nrm -f /usr/bin/python3*`,
    hasPython: false,
    more: async (shell) => {
      const output = { onStdout: () => undefined, onStderr: () => undefined };
      await assert.rejects(runRecorded(shell, testNode, { argv: ['true'], env: {} }, output), {
        code: 'run.noPython',
      });
    },
  },
  'BusyBox only': {
    setup: `
mkdir "$dir/applets"; cp /bin/busybox "$dir/applets"
"$dir/applets/busybox" --install -s "$dir/applets"
for name in "$dir"/applets/*; do [ ! -h "$name" ] || ln -sfn busybox "$name"; done
mount --bind "$dir/applets" /usr/bin`,
    account: { shell: '/usr/bin/ash' },
    hasPython: false,
  },
  'BusyBox as /bin/sh': { setup: otherSh('/bin/busybox') },
  'bash as /bin/sh': { setup: otherSh('bash') },
  'mksh as /bin/sh': { setup: otherSh('mksh') },
  'bash as /bin/sh, which takes over functions': {
    setup: otherSh('bash'),
    account: { files: { '.bashrc': 'printf() { echo pwned; }; export -f printf' } },
    refused: 'node.noShell',
    says: /it says: pwned/,
  },
  'nothing can be written': {
    setup: `${keepFolder}\nmount --bind "$dir/home" "$dir/home"; mount -o remount,bind,ro "$dir/home"\nmount -o remount,bind,ro /`,
    account: { files: { '.bashrc': '[ ! -w / ] && ! touch ~/x 2>/dev/null' } },
  },
  'nothing can be executed in /tmp and at home': {
    setup:
      'mount --bind "$dir" /mnt; mount -t tmpfs -o noexec,mode=1777 tmpfs /tmp; mkdir -p "$dir"; mount --move /mnt "$dir"; mount -o remount,bind,noexec "$dir"',
  },
  'no space in /tmp and at home': {
    setup: `
mount --bind "$dir" /mnt; mount -t tmpfs -o size=64k,mode=1777 tmpfs /tmp; mkdir -p "$dir"
mount --move /mnt "$dir"
cp -a "$dir/home" /run/fl-home.$$; mount -t tmpfs -o size=64k,mode=755 tmpfs "$dir/home"
cp -a /run/fl-home.$$/. "$dir/home"; rm -r /run/fl-home.$$
for full in /tmp "$dir/home/fl-node"; do cat /dev/zero >"$full/full" 2>/dev/null || :; done`,
    more: async (shell) => {
      const { stdout } = await shell.exec({ script: 'echo x >/tmp/more || echo full' });
      assert.equal(stdout.toString(), 'full\n');
    },
  },
  'a password that must be changed': {
    settings: ['UsePAM=yes'],
    account: { mustChangePassword: true },
    refused: 'node.passwordExpired',
    says: /it says: .*[Pp]assword/,
  },
  'an account that has expired, by PAM': {
    settings: ['UsePAM=yes'],
    account: { expires: 1 },
    refused: 'node.turnedAway',
    says: /it says: Your account has expired/,
  },
};

describe('nodes that lack something', { skip: whyNot ?? false, concurrency: 2 }, () => {
  for (const [name, { account, more, setup, settings, ...expected }] of Object.entries(lacks)) {
    test(name, async () => {
      const accounts = [{ name: 'fl-node', shell: '/bin/bash', ...account }];
      const node = await startAccountNode({ accounts, setup, settings });
      try {
        await meet(expected, node, 'fl-node', more);
      } finally {
        await node.stop();
      }
    });
  }
});

const logText =
  '2026-11-22T10:00:00Z INFO one request=r-1\n2026-11-22T10:00:01Z ERROR two request=r-1\n  below\n';

/** Connects and tries everything, or is refused, as expected. */
async function meet(
  expected: Expected,
  node: AccountNode,
  account: string,
  more?: (shell: PooledShell) => Promise<void>,
): Promise<void> {
  const report = new ConnectionReport();
  const startedAt = performance.now();
  const withinMs = expected.withinMs ?? 10_000;
  const shell = await node.connect(account, report).catch((error: unknown) => error);
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs < withinMs, `took ${tookMs} ms`);
  if (shell instanceof Error) {
    assert.ok(shell instanceof UserError, String(shell.stack));
    assert.equal(shell.code, expected.refused, describeError(shell));
    assert.match(shell.message, expected.says ?? /./);
    // One sentence, and nothing in it that a terminal would act on.
    assert.match(shell.message, /^[^\u0000-\u001f\u007f]{1,400}\.$/);
    return;
  }
  try {
    assert.equal(undefined, expected.refused);
    assert.match(formatReport('node', report), expected.says ?? /./);
    const logFile = join(node.sshd.dir, `${account}.log`);
    await writeFile(logFile, logText);
    await tryEverything(shell as PooledShell, logFile, expected);
    await more?.(shell as PooledShell);
  } finally {
    (shell as PooledShell).dispose();
  }
}

async function tryEverything(
  shell: PooledShell,
  logFile: string,
  { unavailable = [], hasPython = true }: Expected,
): Promise<void> {
  const args = ['a b', "it's\n", '*'];
  const result = await shell.exec({ script: `printf '%s|' "$@"; echo err >&2; exit 4`, args });
  assert.deepEqual(
    [result.stdout.toString(), result.stderr, result.exitCode],
    [args.map((arg) => `${arg}|`).join(''), 'err\n', 4],
  );
  const stat = await statFile(shell, '/proc/version');
  assert.equal(stat.kind, 'file');
  assert.ok((await listDirectory(shell, '/etc')).some(({ name }) => name === 'passwd'));
  assert.match((await readFile(shell, '/etc/passwd')).toString(), /^root:/);

  const key = createRedactionKey();
  const snapshot = await takeSnapshot(shell, { node: 'node', clock: undefined, key });
  const lacking = unavailableChapters(snapshot)
    .filter(({ chapter }) => chapter !== 'clock')
    .map(({ chapter }) => chapter);
  assert.deepEqual(lacking, unavailable);
  assert.ok(isAvailable(snapshot.pythons));
  assert.equal(snapshot.pythons.interpreters.length > 0, hasPython);

  const node: Node = { ...testNode, logs: [logFile] };
  const access: NodeAccess = {
    nodes: [node],
    onDidChange: new Emitter<Node>().event,
    state: () => ({ kind: 'ready', clock: undefined }),
    shell: () => Promise.resolve(shell),
    clock: () => measureClock(shell),
  };
  const { entries, missing, warnings } = await searchNodes(access, [node], { text: 'request=r-1' });
  assert.deepEqual([missing, warnings], [[], []]);
  assert.deepEqual(entries.map(({ raw }) => `${raw}\n`).join(''), logText);
}
