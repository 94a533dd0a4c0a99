// generated known_hosts files, judged by the real `ssh -o BatchMode=yes` and by us. The verdicts have to agree,
// and where a key is added without a question the files have to be the same afterwards.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { UserError } from '../../src/base/errors.ts';
import { HostKeyTrust, type HostKeyTarget } from '../../src/remote/hostKeyTrust.ts';
import { knownHostsLine, preferKnownKeyTypes } from '../../src/remote/knownHosts.ts';
import { keyTypeOf } from '../../src/remote/publicKeyBlob.ts';
import { madeUpKey } from '../fakes/hostKeys.ts';
import { startSshd, type HostKeyKind, type TestSshd } from '../fakes/sshd.ts';
import { temporaryFolder } from '../fakes/temporaryFolder.ts';

export type Verdict = 'known' | 'unknown' | 'added' | 'changed' | 'revoked';

export interface DifferentialResult {
  readonly checked: number;
  readonly verdicts: Readonly<Record<Verdict, number>>;
}

/**
 * Makes `count` sets of files from `seed`. Rejects with the smallest one it can find on which the two differ.
 * Takes about 0.15 s for each.
 */
export async function runKnownHostsDifferential(
  count: number,
  seed: number,
): Promise<DifferentialResult> {
  await using folder = await temporaryFolder();
  const servers = await Promise.all(
    serverKeys.map((hostKeys) => startSshd({ hostKeys, config: 'MaxStartups 100' })),
  );
  const verdicts = { known: 0, unknown: 0, added: 0, changed: 0, revoked: 0 };
  let checked = 0;
  const property = fc.asyncProperty(situation, async (made) => {
    const dir = join(folder.path, String(checked++));
    const { theirs, ours, text } = await judgeBoth(made, servers[made.server]!, dir);
    verdicts[theirs.verdict]++;
    assert.deepEqual(ours, theirs, text);
  });
  try {
    await fc.assert(property, { numRuns: count, seed });
    return { checked, verdicts };
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

// --- what is generated -----------------------------------------------------------------------------------

/** The keys of three servers. RSA and ECDSA alone show which type was asked for first. */
const serverKeys: readonly (readonly HostKeyKind[])[] = [
  ['ed25519'],
  ['rsa', 'ed25519'],
  ['ecdsa', 'rsa'],
];

interface Situation {
  readonly server: number;
  /** How the host is named: by address and port, by a name and port, or by an alias. */
  readonly naming: 'address' | 'name' | 'alias' | 'upper alias';
  readonly mode: HostKeyTarget['strictHostKeyChecking'];
  readonly files: readonly [File, File, File];
}

interface File {
  readonly lines: readonly Line[];
  readonly eol: string;
  /** How much is missing at the end; 0 for nothing. */
  readonly cut: number;
}

interface Line {
  readonly indent: string;
  readonly marker: string;
  readonly hosts: readonly HostPattern[];
  readonly isHashed: boolean;
  readonly blank: string;
  readonly key: KeyChoice;
  readonly damage: Damage;
  readonly rest: string;
}

const hostPatterns = [
  'exact',
  'without port',
  'other',
  'other port',
  'wildcard',
  'question marks',
  'star',
  'upper case',
  'not exact',
  'not other',
  'empty',
  'too long',
] as const;
type HostPattern = (typeof hostPatterns)[number];

const keyChoices = [
  'first of server',
  'last of server',
  'ssh-ed25519',
  'ssh-rsa',
  'ssh-dss',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
] as const;
type KeyChoice = (typeof keyChoices)[number];

const damages = [
  'none',
  'half a key',
  'stray character',
  'other type',
  'algorithm as type',
  'no key',
  'no type',
  'more behind',
  'bad salt',
  'comment',
] as const;
type Damage = (typeof damages)[number];

/** The first of the values most often. */
function mostly<Value>(first: Value, ...others: readonly Value[]): fc.Arbitrary<Value> {
  return fc.oneof({ weight: 4, arbitrary: fc.constant(first) }, fc.constantFrom(first, ...others));
}

const someLine: fc.Arbitrary<Line> = fc.record({
  indent: mostly('', ' ', '\t '),
  marker: fc.oneof(
    { weight: 6, arbitrary: fc.constant('') },
    { weight: 2, arbitrary: fc.constant('@revoked ') },
    fc.constantFrom('@cert-authority ', '@junk ', '@revoked @revoked ', '@', '#'),
  ),
  hosts: fc.oneof(
    fc.constant(['exact' as const]),
    fc.array(fc.constantFrom(...hostPatterns), { minLength: 1, maxLength: 4 }),
  ),
  isHashed: mostly(false, true),
  blank: mostly(' ', '\t', '  \t'),
  key: fc.constantFrom(...keyChoices),
  damage: mostly(...damages),
  rest: mostly('', ' me@here', '\t# comment', ' '),
});

const someFile: fc.Arbitrary<File> = fc.record({
  lines: fc.array(someLine, { maxLength: 5 }),
  eol: mostly('\n', '\r\n', '\n\n'),
  cut: mostly(0, 1, 2, 30),
});
const emptyFile: fc.Arbitrary<File> = fc.constant({ lines: [], eol: '\n', cut: 0 });

const situation: fc.Arbitrary<Situation> = fc.record({
  server: fc.nat({ max: serverKeys.length - 1 }),
  naming: fc.constantFrom('address', 'name', 'alias', 'upper alias'),
  mode: mostly('ask', 'yes', 'accept-new', 'no'),
  files: fc.tuple(someFile, fc.oneof(emptyFile, someFile), fc.oneof(emptyFile, someFile)),
});

// --- as text ---------------------------------------------------------------------------------------------

interface Names {
  readonly host: string;
  readonly alias: string | undefined;
  readonly exact: string;
  readonly withoutPort: string;
}

function namesOf({ naming }: Situation, port: number): Names {
  if (naming === 'address' || naming === 'name') {
    const host = naming === 'name' ? 'localhost' : '127.0.0.1';
    return { host, alias: undefined, exact: `[${host}]:${port}`, withoutPort: host };
  }
  const alias = naming === 'alias' ? 'web-1.example' : 'Web-1.Example';
  const exact = alias.toLowerCase();
  return { host: '127.0.0.1', alias, exact, withoutPort: `[${exact}]:${port}` };
}

function patternText(pattern: HostPattern, { exact, withoutPort }: Names): string {
  switch (pattern) {
    case 'exact':
      return exact;
    case 'without port':
      return withoutPort;
    case 'other':
      return 'db-1.example';
    case 'other port':
      return `[${withoutPort}]:1`;
    case 'wildcard':
      return `${exact.slice(0, 3)}*${exact.slice(-2)}`;
    case 'question marks':
      return `${'?'.repeat(exact.length - 3)}${exact.slice(-3)}`;
    case 'star':
      return '*';
    case 'upper case':
      return exact.toUpperCase();
    case 'not exact':
      return `!${exact}`;
    case 'not other':
      return '!db-*';
    case 'empty':
      return '';
    case 'too long':
      return 'x'.repeat(1023);
  }
}

function lineText(line: Line, names: Names, keyFor: (choice: KeyChoice) => Buffer): string {
  const key = keyFor(line.key);
  const [, base64 = ''] = knownHostsLine('h', key).trim().split('h ')[1]!.split(' ');
  const patterns = line.hosts.map((pattern) => patternText(pattern, names));
  const hashedName = knownHostsLine(patterns[0]!, key, true).split(' ')[0]!;
  const hosts = line.isHashed ? hashedName : patterns.join(',');
  const type = keyTypeOf(key);
  const text = (h: string, t: string, k: string): string =>
    `${line.indent}${line.marker}${h}${line.blank}${t}${line.blank}${k}${line.rest}`;
  switch (line.damage) {
    case 'none':
      return text(hosts, type, base64);
    case 'half a key':
      return text(hosts, type, base64.slice(0, base64.length >> 1));
    case 'stray character':
      return text(hosts, type, `${base64.slice(0, 30)}-${base64.slice(30)}`);
    case 'other type':
      return text(hosts, 'ecdsa-sha2-nistp384', base64);
    case 'algorithm as type':
      return text(hosts, 'rsa-sha2-512', base64);
    case 'no key':
      return text(hosts, type, '');
    case 'no type':
      return text(hosts, base64, '');
    case 'more behind':
      return text(hosts, type, Buffer.concat([key, Buffer.alloc(3)]).toString('base64'));
    case 'bad salt':
      return text(hosts.replace('|1|', '|1|x'), type, base64);
    case 'comment':
      return `# ${text(hosts, type, base64)}`;
  }
}

function fileText(file: File, names: Names, keyFor: (choice: KeyChoice) => Buffer): string {
  const whole = file.lines.map((line) => lineText(line, names, keyFor) + file.eol).join('');
  const text = whole.slice(0, Math.max(0, whole.length - file.cut));
  // OpenSSH 9.2 reads on in the line before when an unfinished last line is only a name.
  const last = text.split('\n').at(-1)!;
  return last !== '' && !/\S[ \t]+\S/.test(last) ? `${text}\n` : text;
}

// --- both verdicts ---------------------------------------------------------------------------------------

interface Answer {
  readonly verdict: Verdict;
  /** The first user file afterwards; undefined where both may write it in their own way. */
  readonly file: string | undefined;
}

/** OpenSSH's order, less what no test server has. */
const algorithms = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const;

async function judgeBoth(
  made: Situation,
  server: TestSshd,
  dir: string,
): Promise<{ theirs: Answer; ours: Answer; text: string }> {
  const names = namesOf(made, server.port);
  const keys = [...server.hostKeys.values()];
  const keyFor = (choice: KeyChoice): Buffer => {
    if (choice === 'first of server') return keys[0]!;
    return choice === 'last of server' ? keys.at(-1)! : madeUpKey(choice, 'made up');
  };
  const texts = made.files.map((file) => fileText(file, names, keyFor));
  // ssh leaves an unfinished line unfinished, hashes names by its option alone, and adds a plain key of a host
  // with a certificate authority.
  const isComparable =
    /(^|\n)$/.test(texts[0]!) &&
    !texts[0]!.includes('|1|') &&
    !texts.some((text) => text.includes('@cert-authority'));
  const answer = async (
    who: string,
    judge: (files: string[]) => Promise<Verdict>,
  ): Promise<Answer> => {
    const folder = join(dir, who);
    await mkdir(folder, { recursive: true });
    const files = texts.map((_, index) => join(folder, `file-${index}`));
    for (const [index, file] of files.entries()) await writeFile(file, texts[index]!, 'latin1');
    const verdict = await judge(files);
    return { verdict, file: isComparable ? await readFile(files[0]!, 'latin1') : undefined };
  };
  const asked = await answer('ssh', (files) => askSsh(made, server, names, files));
  // With accept-new ssh writes a key down before it finds that the name without the port revokes it. We write nothing.
  const isRevoked = asked.verdict === 'revoked' && isComparable;
  const theirs = isRevoked ? { ...asked, file: texts[0] } : asked;
  const ours = await answer('ours', (files) => askOurs(made, server, names, files));
  const shown = texts.map((text, index) => `file ${index}:\n${text}`).join('\n');
  return { theirs, ours, text: `${JSON.stringify(names)} ${made.mode}\n${shown}` };
}

function askSsh(
  { mode }: Situation,
  server: TestSshd,
  names: Names,
  [user1, user2, global]: readonly string[],
): Promise<Verdict> {
  const options = [
    'BatchMode=yes',
    // The host key is judged before; a login that cannot be is the quickest end.
    'PreferredAuthentications=none',
    'UpdateHostKeys=no',
    'HashKnownHosts=no',
    `StrictHostKeyChecking=${mode}`,
    `UserKnownHostsFile=${user1} ${user2}`,
    `GlobalKnownHostsFile=${global}`,
    ...(names.alias === undefined ? [] : [`HostKeyAlias=${names.alias}`]),
  ];
  const args = [
    ...['-F', 'none', '-p', String(server.port)],
    ...options.flatMap((option) => ['-o', option]),
    ...['--', names.host, 'true'],
  ];
  return new Promise((resolve, reject) => {
    execFile('ssh', args, { timeout: 20_000 }, (_error, _stdout, stderr) => {
      const verdict = verdictOf(stderr);
      if (verdict === undefined) reject(new Error(`ssh said: ${stderr}`));
      else resolve(verdict);
    });
  });
}

function verdictOf(stderr: string): Verdict | undefined {
  if (stderr.includes('REVOKED HOST KEY DETECTED')) return 'revoked';
  if (stderr.includes('REMOTE HOST IDENTIFICATION HAS CHANGED')) return 'changed';
  if (stderr.includes('Permanently added')) return 'added';
  if (stderr.includes('Host key verification failed')) return 'unknown';
  return stderr.includes('Permission denied') ? 'known' : undefined;
}

async function askOurs(
  { mode }: Situation,
  server: TestSshd,
  names: Names,
  files: readonly string[],
): Promise<Verdict> {
  let isAdded = false;
  const trust = await HostKeyTrust.load(
    {
      alias: 'node',
      host: names.host,
      port: server.port,
      hostKeyAlias: names.alias,
      userKnownHostsFiles: files.slice(0, 2),
      globalKnownHostsFiles: files.slice(2),
      strictHostKeyChecking: mode,
      hashKnownHosts: false,
      checkHostIp: false,
    },
    { accepted: new Set(), canAsk: false, onDidAdd: () => (isAdded = true) },
  );
  const types = preferKnownKeyTypes(algorithms, trust.knownKeyTypes).map((algorithm) =>
    algorithm.replace(/^rsa-sha2-\d+$/, 'ssh-rsa'),
  );
  const offered = server.hostKeys.get(types.find((type) => server.hostKeys.has(type))!)!;
  try {
    await trust.check(offered);
    return isAdded ? 'added' : 'known';
  } catch (error) {
    const verdict = error instanceof UserError ? verdictByCode.get(error.code) : undefined;
    if (verdict === undefined) throw error;
    // ssh adds a plain key of a host with an authority, where we look for another way to check it.
    const adds = error instanceof UserError && error.code === 'node.hostKeyAuthority';
    if (!adds || mode === 'ask' || mode === 'yes') return verdict;
    return 'added';
  }
}

const verdictByCode: ReadonlyMap<string, Verdict> = new Map([
  ['node.hostKeyUnknown', 'unknown'],
  ['node.hostKeyAuthority', 'unknown'],
  ['node.hostKeyChanged', 'changed'],
  ['node.hostKeyRevoked', 'revoked'],
]);
