import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { runTerminalCommand } from '../../src/debug/runTerminal.ts';
import { LocalShell } from '../../src/remote/localShell.ts';

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'faultline-terminal-')));
test.after(() => rmSync(directory, { recursive: true, force: true }));

/** Stands in for the user's shell, under the name of one: prints what it was started with. */
function shellNamed(name: string): string {
  const file = join(directory, name);
  const print = 'echo "$PWD|$(umask)|$*"; exec cat /proc/self/environ';
  writeFileSync(file, `#!/bin/sh\n${print}\n`);
  chmodSync(file, 0o755);
  return file;
}

interface Started {
  readonly said: string;
  readonly directory: string | undefined;
  readonly umask: string | undefined;
  readonly options: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

type Env = Parameters<typeof runTerminalCommand>[0]['env'];

async function start(env: Env, name = 'bash', cwd = directory): Promise<Started> {
  const login = {
    PATH: '/usr/bin:/bin',
    TERM: 'xterm-256color',
    SHELL: shellNamed(name),
    HOME: '/home/login',
    SECRET_OF_LOGIN: 'x',
  };
  const shell = new LocalShell({ env: login });
  const command = runTerminalCommand({ cwd: { logical: cwd, physical: cwd }, umask: '0027', env });
  const { stdout } = await shell.exec(command);
  shell.dispose();
  const text = stdout.toString();
  const [said = '', line = '', environ = ''] =
    /^((?:faultline: .*\r\n)*)(.*)\n([^]*)$/.exec(text)?.slice(1) ?? [];
  const [pwd, umask, options] = line.split('|');
  const pairs = environ.split('\0').filter((pair) => pair !== '');
  const found = pairs.map((pair) => pair.split(/=(.*)/s).slice(0, 2) as [string, string]);
  return { said, directory: pwd, umask, options, env: Object.fromEntries(found) };
}

/** Set by every shell by itself. */
function withoutShellsOwn(env: Readonly<Record<string, string>>): object {
  const { PWD: _pwd, OLDPWD: _old, SHLVL: _level, _: _last, ...rest } = env;
  return rest;
}

test("the shell has the run's directory, umask and variables, and no others", async () => {
  const env = {
    PATH: '/usr/bin:/bin:/srv/venv/bin',
    EMPTY: '',
    LINES_: 'two\nlines\n',
    QUOTES: `'"$(touch never)\`x\`\\`,
    TEXT: 'é漢',
    name: 'a loop variable elsewhere',
    IFS_: ' \t',
  };
  const started = await start(env);
  assert.equal(started.directory, directory);
  assert.equal(started.umask, '0027');
  assert.equal(started.said, '');
  assert.deepEqual(withoutShellsOwn(started.env), {
    ...env,
    TERM: 'xterm-256color',
  });
});

test("start-up files are not read, by each shell's own option", async () => {
  const options = {
    bash: '--noprofile --norc -i',
    zsh: '-f -i',
    fish: '--no-config -i',
    tcsh: '-f -i',
    dash: '-i',
  };
  for (const [name, expected] of Object.entries(options)) {
    assert.equal((await start({ PATH: '/usr/bin:/bin' }, name)).options, expected);
  }
});

test("the terminal's type is its own", async () => {
  const { env } = await start({ PATH: '/usr/bin:/bin', TERM: 'dumb' });
  assert.equal(env['TERM'], 'xterm-256color');
});

test('masked secrets are left out, and named', async () => {
  const masked = { redacted: true, reason: 'name', length: 14, hash: '00112233' } as const;
  const started = await start({ PATH: '/usr/bin:/bin', API_TOKEN: masked, 'X\u001b[2J': masked });
  assert.equal(
    started.said,
    'faultline: Not set, because they were masked in the record: API_TOKEN, X‹ESC›[2J\r\n',
  );
  assert.equal(started.env['API_TOKEN'], undefined);
});

test('ENV is left out, since an interactive sh runs what it names', async () => {
  const started = await start({ PATH: '/usr/bin:/bin', ENV: '$(touch never)' }, 'dash');
  assert.match(started.said, /^faultline: Not set, because .*: ENV\r\n$/);
  assert.equal(started.env['ENV'], undefined);
});

test('variables that sh cannot set are passed over', async () => {
  const started = await start({
    PATH: '/usr/bin:/bin',
    'a.b': '1',
    '1x': '2',
    'x;touch never': '3',
    OK: '4',
  });
  assert.equal(started.env['OK'], '4');
  assert.equal(started.env['a.b'], undefined);
});

test('a directory that is gone is said, and the shell starts all the same', async () => {
  const started = await start({ PATH: '/usr/bin:/bin' }, 'bash', '/srv/absent');
  assert.match(started.said, /^faultline: the directory of the run cannot be entered\r\n$/);
});
