import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { resolveHost, type SshTarget } from '../../src/remote/sshConfig.ts';
import { expandGlob, splitWords } from '../../src/remote/sshConfigLines.ts';

/** Each file of `files` in one directory, which they call DIR; `config` is the one asked about `web`. */
async function resolveWith(
  files: Readonly<Record<string, string | Buffer>>,
  { alias = 'web', prepare }: { alias?: string; prepare?: (dir: string) => Promise<void> } = {},
): Promise<SshTarget> {
  const dir = await mkdtemp(join(tmpdir(), 'faultline-config-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      const content = typeof text === 'string' ? text.replaceAll('DIR', dir) : text;
      await writeFile(join(dir, name), content, { mode: 0o600 });
    }
    await prepare?.(dir);
    const target = await resolveHost(alias, {
      configFile: join(dir, 'config'),
      sshPath: '/nonexistent/ssh',
    });
    const unsupported = target.unsupported.slice(1).map((piece) => piece.replaceAll(dir, 'DIR'));
    return { ...target, unsupported };
  } finally {
    await rm(dir, { recursive: true });
  }
}

function invalid(reason: RegExp): (error: Error & { code?: string }) => boolean {
  return (error) => {
    assert.equal(error.code, 'ssh.configInvalid');
    assert.match(error.message, reason);
    return true;
  };
}

test('the first value wins, and a negated pattern takes a host out', async () => {
  const target = await resolveWith({
    config: 'Host web !x\n Port 1\nHost * !web\n User no\nHost *\n Port 2\n User me\n',
  });
  assert.deepEqual([target.port, target.user], [1, 'me']);
});

test('a Host with 500 patterns', async () => {
  const many = Array.from({ length: 500 }, (_, i) => `h${i}*?*`).join(' ');
  assert.equal((await resolveWith({ config: `Host ${many} w*b\n Port 9\n` })).port, 9);
});

test('CRLF, tabs and = forms', async () => {
  const config = 'Host\tweb\r\n\tPort\t=\t9\r\n\tUser="a b"\r\nHostName = h.example \r\n';
  const { port, user, host } = await resolveWith({ config });
  assert.deepEqual({ port, user, host }, { port: 9, user: 'a b', host: 'h.example' });
});

test('a byte order mark is refused, as ssh does, with a reason', async () => {
  await assert.rejects(
    resolveWith({ config: '\ufeffHost web\n' }),
    invalid(/config:1: .*byte order/),
  );
});

test('a NUL ends a line; bytes that are no UTF-8 do not matter elsewhere', async () => {
  const config = Buffer.from('# \xff\xfe\nPort 9\0 junk\nUser m\xc3\xbc\n', 'latin1');
  const { port, user } = await resolveWith({ config });
  assert.deepEqual({ port, user }, { port: 9, user: 'mü' });
});

test('a line of a megabyte', async () => {
  const config = `# ${'x'.repeat(1 << 20)}\nHost ${'y'.repeat(1 << 20)} web\n  Port 9\n`;
  const startedAt = performance.now();
  assert.equal((await resolveWith({ config })).port, 9);
  assert.ok(performance.now() - startedAt < 500);
});

test('includes: globs in order, what does not exist, directories, 1,000 files', async () => {
  const files: Record<string, string> = {
    config: 'Include DIR/none DIR/no*\nInclude DIR/sub\nInclude DIR/i-*\nInclude DIR/[xy].conf\n',
    'x.conf': 'User me\n',
  };
  for (let i = 0; i < 1000; i++) files[`i-${String(i).padStart(4, '0')}`] = `Port ${i + 1}\n`;
  const target = await resolveWith(files, { prepare: (dir) => mkdir(join(dir, 'sub')).then() });
  assert.deepEqual([target.port, target.user], [1, 'me']);
});

test('what is included from a block that does not apply does not apply', async () => {
  const target = await resolveWith({
    config: 'Host other\nInclude DIR/more\nHost *\nPort 7\n',
    more: 'Host *\nPort 1\nMatch all\nPort 2\n',
  });
  assert.equal(target.port, 7);
});

test('a configuration that was named and is not there is said', async () => {
  for (const sshPath of ['ssh', '/nonexistent/ssh']) {
    await assert.rejects(resolveHost('web', { configFile: '/nonexistent/config', sshPath }), {
      code: 'ssh.configInvalid',
    });
  }
});

test('files that include each other in a circle are one sentence', async () => {
  await assert.rejects(
    resolveWith({ config: 'Include DIR/more\n', more: 'Include DIR/config DIR/config\n' }),
    invalid(/more than 16 levels deep/),
  );
});

test(
  'an included file that others may write is refused',
  { skip: userInfo().uid < 0 },
  async () => {
    await assert.rejects(
      resolveWith(
        { config: 'Include DIR/more\n', more: 'Port 1\n' },
        { prepare: (dir) => chmod(join(dir, 'more'), 0o666) },
      ),
      invalid(/more can be changed by others/),
    );
  },
);

test('what needs ssh itself is named with its line, where it applies', async () => {
  const target = await resolveWith({
    config: [
      'Match exec "touch DIR/ran"',
      '  Port 1',
      'Match final host web',
      '  Port 2',
      'Match exec "true" host other',
      'Match tagged x',
      'Host other',
      '  BindAddress 10.0.0.1',
      'Host web',
      '  CanonicalizeHostname yes',
      '  Ciphers aes128-ctr',
      '  KnownHostsCommand none',
      '  ForwardAgent yes',
      '  NotYetKnown 7',
      '  constructor 7',
      '  Include ~somebody/x',
      '  Port 9',
    ].join('\n'),
  });
  assert.equal(target.port, 9);
  assert.deepEqual(target.unsupported, [
    'Match exec (DIR/config:1)',
    'Match final (DIR/config:3)',
    'Match tagged (DIR/config:6)',
    'CanonicalizeHostname (DIR/config:10)',
    'Ciphers (DIR/config:11)',
    'notyetknown (DIR/config:14)',
    'constructor (DIR/config:15)',
    'Include ~somebody/x (DIR/config:16)',
  ]);
});

const wrong: readonly [string, RegExp][] = [
  ['Port many', /config:1: "many" is no port/],
  ['Host other\nPort 0', /config:2: "0" is no port/],
  ['Host', /config:1: nothing stands after "host"/],
  ['User "a', /config:1: its quotes do not match/],
  ['User a b', /config:1: "user" has more than one value/],
  ['Match', /config:1: nothing stands after "match"/],
  ['Match host', /config:1: nothing stands after "host"/],
  ['Match all user x', /config:1: "all" stands there with others/],
  ['ConnectTimeout soon', /config:1: "soon" is no time/],
  ['StrictHostKeyChecking perhaps', /config:1: "perhaps" is no value/],
  ['ProxyJump a;b', /config:1: "a;b" is no host to go through/],
  ['HostName %q', /unknown token "%q"/],
  [`IdentityAgent \${NO_SUCH_VARIABLE}`, /config:1: there is no variable NO_SUCH_VARIABLE/],
  ['Po\u202ert 7', /config:1: "po‹U\+202E›rt" is no keyword/],
];
for (const [config, reason] of wrong) {
  test(`a wrong line is named: ${JSON.stringify(config)}`, async () => {
    await assert.rejects(resolveWith({ config }), invalid(reason));
  });
}

test('words', () => {
  assert.deepEqual(splitWords('a  "b c"\t\'d "e\'f # g'), ['a', 'b c', 'd "ef']);
  assert.deepEqual(splitWords('a#b \\"c\\ d "\\ e" \\n'), ['a#b', '"c d', '\\ e', '\\n']);
  assert.deepEqual(splitWords('""'), ['']);
  assert.equal(splitWords('"a'), undefined);
});

test('a glob finds what glob(3) finds', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'faultline-glob-'));
  try {
    for (const name of ['a1', 'a2', 'b1', '.a3', 'a[1]', 'a.b'])
      await writeFile(join(dir, name), '');
    const names = async (pattern: string): Promise<string[]> =>
      (await expandGlob(join(dir, pattern))).map((path) => path.slice(dir.length + 1));
    assert.deepEqual(await names('a?'), ['a1', 'a2']);
    assert.deepEqual(await names('[ab]1'), ['a1', 'b1']);
    assert.deepEqual(await names('[!a]1'), ['b1']);
    assert.deepEqual(await names('a[[]1]'), ['a[1]']);
    assert.deepEqual(await names('.*'), ['.a3']);
    assert.deepEqual(await names('a.*'), ['a.b']);
    assert.deepEqual(await names('[z-a]*'), []);
    assert.deepEqual(await names('*/x'), []);
  } finally {
    await rm(dir, { recursive: true });
  }
});
