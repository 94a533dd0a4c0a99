// generated ssh configurations, resolved by `ssh -G` and by our own reading of the files. They have to agree.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { resolveHost, type SshTarget } from '../../src/remote/sshConfig.ts';

export interface DifferentialResult {
  readonly checked: number;
  /** How many of them ssh refused: both have to. */
  readonly refused: number;
}

/**
 * Makes `count` configurations from `seed`. Rejects with the smallest configuration it can find on which the
 * two differ. Takes about 15 ms for each.
 */
export async function runSshConfigDifferential(
  count: number,
  seed: number,
): Promise<DifferentialResult> {
  const dir = await mkdtemp(join(tmpdir(), 'faultline-differential-'));
  let checked = 0;
  let refused = 0;
  const property = fc.asyncProperty(configuration, async (made) => {
    const [theirs, ours] = await resolveBoth(made, dir);
    checked++;
    if (theirs === undefined) refused++;
    if (isDeepStrictEqual(ours.target, theirs)) return;
    const files = Object.entries(made.files(dir)).map(([name, text]) => `${name}:\n${text}`);
    assert.deepEqual(
      ours.target,
      theirs,
      [...files, ours.reason, `asked: ${made.asked}`].join('\n'),
    );
  });
  try {
    await fc.assert(property, { numRuns: count, seed });
  } finally {
    await rm(dir, { recursive: true });
  }
  return { checked, refused };
}

interface Configuration {
  readonly asked: string;
  /** Contents by name in `dir`; `config` is the one to start with. */
  files(dir: string): Readonly<Record<string, string>>;
}

interface Answer {
  /** Undefined: refused. */
  readonly target: object | undefined;
  readonly reason: string;
}

let runs = 0;

async function resolveBoth(
  made: Configuration,
  parent: string,
): Promise<[object | undefined, Answer]> {
  const dir = join(parent, String(++runs));
  await mkdir(dir);
  for (const [name, text] of Object.entries(made.files(dir))) {
    await writeFile(join(dir, name), text, { mode: 0o600 });
  }
  const configFile = join(dir, 'config');
  const ask = (sshPath: string): Promise<Answer> =>
    resolveHost(made.asked, { configFile, sshPath }).then(
      (target) => ({ target: comparable(target), reason: '' }),
      (error: Error) => ({ target: undefined, reason: error.message }),
    );
  const [theirs, ours] = await Promise.all([ask('ssh'), ask('/nonexistent/ssh')]);
  await rm(dir, { recursive: true });
  return [theirs.target, ours];
}

/** Without what is left out on purpose: key types that newer OpenSSH has dropped. */
function comparable({ unsupported: _, ...target }: SshTarget): object {
  return {
    ...target,
    identityFiles: target.identityFiles.filter((file) => !/id_(dsa|xmss)$/.test(file)),
  };
}

const { constantFrom: one, nat, boolean, record, array, oneof, tuple } = fc;

const hosts = ['web', 'Web', 'db-1', 'a.b.eu', '10.0.0.1', 'fe80::1'] as const;
const patterns = ['*', 'web', 'WEB', 'w*', '!web', '!w?b', '?b-1', '*.eu', 'a.*.eu', '10.*', 'x'];
const lists = ['web', '*', 'w*,db-1', '*,!web', '!web', 'WEB', '*.eu,10.0.0.1', 'h.example'];
const users = ['me', 'you', 'root', 'm*', '*,!me', '"m?"'];

/** Values of each keyword; the last ones of some are wrong and make ssh refuse the file. */
const values: Readonly<Record<string, readonly string[]>> = {
  HostName: ['h.example', '%h.example', '10.0.0.7', 'H.Example', '100%%', '"x.y"', '%q'],
  Port: ['22', '2222', '"65535"', "'443'", 'ssh', '0', '65536', 'many', '22 23'],
  User: ['me', 'you', '"a b"', "'c d'", 'e\\ f', 'ü', 'x#y', ''],
  IdentityFile: ['~/.ssh/a', '"/b c"', '%d/%h_%r', '/x\\ y', '/n#1', "'/q'", 'none', '/b/%n-%p-%%'],
  CertificateFile: ['~/.ssh/a-cert.pub', '/c'],
  IdentitiesOnly: ['yes', 'no', 'true', 'False', 'YES', 'maybe'],
  IdentityAgent: [
    'none',
    '/run/agent',
    '~/agent',
    '$SSH_AUTH_SOCK',
    `\${HOME}/a`,
    '$-x',
    `\${NONE_X}`,
  ],
  ProxyJump: [
    'none',
    'one',
    'me@one:2222,two',
    '10.0.0.9',
    'ssh://you@one:7,two',
    '[::1]:22',
    'one:many',
  ],
  ProxyCommand: ['none', 'nc %h %p', 'nc "a  b" # c', "sh -c 'x  y'", 'ssh -W "%h:%p" b'],
  HostKeyAlias: ['alias', '%h-x'],
  UserKnownHostsFile: ['/a', '/a  ~/b', '"/a" /c', 'none', '/%h', 'none /a'],
  GlobalKnownHostsFile: ['/g', '/g /h', 'none'],
  StrictHostKeyChecking: ['yes', 'no', 'off', 'ask', 'accept-new', 'true', 'perhaps'],
  ConnectTimeout: ['5', '1m', '1m30s', 'none', '0', '1H', 'soon'],
  ServerAliveInterval: ['15', '1m', '0', '-1'],
  ServerAliveCountMax: ['1', '5', '0', 'x'],
  SendEnv: ['LANG'],
  LogLevel: ['ERROR'],
  ForwardX11: ['no'],
  PreferredAuthentications: ['publickey', 'publickey,password'],
  PasswordAuthentication: ['no', 'yes', 'sometimes'],
};

/** How a line may be written without meaning something else. */
const layout = record({
  indent: one('', '  ', '\t', ' \t '),
  separator: one(' ', '  ', '\t', '=', ' = ', '= '),
  end: one('\n', '\n', '\n', '\r\n', ' \n', ' # note\n', '\n\n'),
  isUpper: boolean(),
});

const option = oneof(
  { weight: 9, arbitrary: tuple(one(...Object.keys(values)), nat(), nat(9)) },
  { weight: 1, arbitrary: tuple(one('Port', 'ConnectTimeout', 'HostName'), nat(), nat(9)) },
).map(([keyword, index, chance]) => {
  const known = values[keyword]!;
  // Most files should be right, or only refusals are compared.
  const value = known[chance === 0 ? known.length - 1 : index % Math.max(1, known.length - 1)]!;
  return [keyword, value];
});

const criterion = oneof(
  tuple(one('host', 'originalhost', '!host', 'Host'), one(...lists)),
  tuple(one('user', '!user', 'localuser'), one(...users)),
).map((words) => words.join(' '));

const header = oneof(
  array(one(...patterns), { minLength: 1, maxLength: 4 }).map((words) => ['Host', words.join(' ')]),
  array(criterion, { minLength: 1, maxLength: 3 }).map((words) => ['Match', words.join(' ')]),
  one('all', '!all').map((word) => ['Match', word]),
);

const directive = oneof(
  { weight: 8, arbitrary: option },
  { weight: 3, arbitrary: header },
  {
    weight: 1,
    arbitrary: one('DIR/more', 'DIR/*.conf', 'DIR/[am].conf', '"DIR/more" DIR/none', 'DIR/').map(
      (words) => ['Include', words],
    ),
  },
);

const line = tuple(directive, layout).map(
  ([[keyword = '', value = ''], { indent, separator, end, isUpper }]) => {
    const isCommand = /^Proxy/.test(keyword);
    const close = isCommand && end.includes('#') ? '\n' : end;
    return `${indent}${isUpper ? keyword.toUpperCase() : keyword}${separator}${value}${close}`;
  },
);

const text = array(
  oneof({ weight: 9, arbitrary: line }, one('\n', '# note\n', '  #x = y\n', '\t\n')),
  {
    maxLength: 14,
  },
).map((lines) => lines.join(''));

const configuration: fc.Arbitrary<Configuration> = record({
  host: one(...hosts),
  user: one('', '', 'me@'),
  first: one('', '', 'IgnoreUnknown zz*\nzzTop a\n'),
  config: text,
  more: text,
  a: text,
}).map(({ host, user, first, config, more, a }) => ({
  asked: user + host,
  files: (dir) => {
    const here = (content: string): string => content.replaceAll('DIR', dir);
    // Files included from others do not include: circles are tested by themselves.
    const flat = (content: string): string => content.replaceAll(/^.*DIR.*$/gm, '');
    return {
      config: first + here(config),
      more: flat(more),
      'a.conf': flat(a),
      'm.conf': 'Port 77\n',
    };
  },
}));
