// What is listed of Python on a node, against what Python itself says.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { takeSnapshot } from '../../src/env/collect.ts';
import { isAvailable, type PythonInterpreter } from '../../src/env/envSnapshot.ts';
import { redactionKey } from '../../src/env/redactionKey.ts';
import { LocalShell } from '../../src/remote/localShell.ts';

const system = '/usr/bin/python3';
const home = realpathSync(mkdtempSync(join(tmpdir(), 'faultline-python-')));
const env = { PATH: '/usr/bin:/bin', HOME: home, SHELL: '/bin/sh' };
after(() => rmSync(home, { recursive: true }));

const [minor = ''] =
  /^\d+\.\d+/.exec(ask('import sys; print(sys.version.split()[0])', system)) ?? [];
const shop = join(home, 'shop/venv');
const site = join(shop, `lib/python${minor}/site-packages`);

function ask(program: string, python: string): string {
  return execFileSync(python, ['-B', '-c', program], { env, encoding: 'utf8' });
}

/** Distributions by normalised name, the first found of each, as `importlib.metadata` sees them. */
function oracle(python: string): Record<string, string> {
  const program = `
import importlib.metadata as m, json, re
found = {}
for d in m.distributions():
    name = d.metadata['Name']
    if name: found.setdefault(re.sub(r'[-_.]+', '-', name).lower(), d.version)
print(json.dumps(found))`;
  return JSON.parse(ask(program, python)) as Record<string, string>;
}

function distribution(directory: string, entry: string, name: string, version: string): void {
  mkdirSync(join(directory, entry), { recursive: true });
  const file = entry.endsWith('.egg-info') ? 'PKG-INFO' : 'METADATA';
  writeFileSync(
    join(directory, entry, file),
    `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n\nVersion: 9 of the text\n`,
  );
}

async function listed(changes: NodeJS.ProcessEnv = {}): Promise<readonly PythonInterpreter[]> {
  const shell = new LocalShell({ env: { ...env, ...changes } });
  const key = redactionKey('00'.repeat(32));
  const { pythons } = await takeSnapshot(shell, { node: 'here', clock: undefined, key });
  shell.dispose();
  assert.ok(isAvailable(pythons), JSON.stringify(pythons));
  assert.deepEqual(
    pythons.notes.filter((note) => note.includes('ended early')),
    [],
  );
  return pythons.interpreters;
}

before(() => {
  // By hand: the module venv of Debian is a package of its own, and all that makes one is this file.
  const make = (directory: string, seesSystem: boolean): void => {
    mkdirSync(join(directory, 'bin'), { recursive: true });
    mkdirSync(join(directory, `lib/python${minor}/site-packages`), { recursive: true });
    symlinkSync(system, join(directory, 'bin/python'));
    symlinkSync('python', join(directory, 'bin/python3'));
    writeFileSync(
      join(directory, 'pyvenv.cfg'),
      `home = /usr/bin\ninclude-system-site-packages = ${seesSystem}\nversion = 3\n`,
    );
  };
  make(join(home, 'venv'), false);
  make(shop, true);
  distribution(site, 'price_lib-2.1.0.dist-info', 'price-lib', '2.1.0');
  distribution(site, 'Zope.Interface-5.0-py3.11.egg-info', 'zope.interface', '5.0');
  distribution(site, 'local_label-1.0+cu118.dist-info', 'local-label', '1.0+cu118');
  distribution(site, 'six-0.0.1.dist-info', 'six', '0.0.1');
  distribution(site, 'developed.egg-info', 'developed', '3.3');
  mkdirSync(join(site, '~rice_lib-2.0.0.dist-info'));
  const linked = join(home, 'checkout');
  distribution(linked, 'linked.egg-info', 'linked', '0.7');
  writeFileSync(join(site, 'linked.pth'), `# a comment\nimport os\n${linked}\n/does/not/exist\n`);
});

test('packages are those that the interpreter itself can import', async () => {
  const [found] = (await listed({ VIRTUAL_ENV: shop, PATH: `${shop}/bin:${env.PATH}` })).filter(
    ({ prefix }) => prefix === shop,
  );
  const expected = oracle(join(shop, 'bin/python'));
  // What pip left behind has no name; importlib.metadata of some versions lists it all the same.
  delete expected['-rice-lib'];
  assert.deepEqual(found?.packages, expected);
  assert.equal(found?.packages['price-lib'], '2.1.0');
  assert.equal(found?.packages['six'], '0.0.1', 'the first directory wins');
  assert.deepEqual(
    [found?.isVenv, found?.basePrefix, found?.version],
    [true, '/usr', ask('import platform; print(platform.python_version())', system).trim()],
  );
});

test('the system’s interpreter, with what lies in the user’s own directory', async () => {
  const user = join(home, `.local/lib/python${minor}/site-packages`);
  distribution(user, 'from_home-1.2.dist-info', 'from-home', '1.2');
  const found = (await listed()).filter(({ prefix }) => prefix === '/usr');
  assert.deepEqual(
    found.map(({ packages }) => packages),
    [oracle(system)],
    'one interpreter, however many names it has',
  );
  assert.equal(found[0]?.packages['from-home'], '1.2');
  rmSync(join(home, '.local'), { recursive: true });
});

test('virtual environments beside the code, and the one a process runs in', async () => {
  const alone = (await listed()).map(({ prefix }) => prefix);
  assert.ok(alone.includes(join(home, 'venv')), 'in the home directory');
  assert.ok(!alone.includes(shop), 'two levels down nobody looks');
  const running = spawn(join(shop, 'bin/python'), ['-c', 'input()'], {
    env,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  await once(running, 'spawn');
  try {
    const inUse = (await listed()).find(({ prefix }) => prefix === shop);
    assert.deepEqual([inUse?.isInUse, inUse?.foundBy], [true, ['process']]);
  } finally {
    running.kill();
    await once(running, 'exit');
  }
});

test('an interpreter that fails, or that others could have put there, is a note', async () => {
  const place = (version: string, mode: number): string => {
    const directory = join(home, `.pyenv/versions/${version}/bin`);
    mkdirSync(directory, { recursive: true });
    const file = join(directory, 'python3');
    writeFileSync(file, `#!/bin/sh\n: >${home}/started-${version}\nexit 1\n`);
    chmodSync(file, mode);
    return file;
  };
  const failing = place('3.98.0', 0o755);
  const foreign = place('3.99.0', 0o775);
  const copied = join(home, 'copied/venv');
  mkdirSync(join(copied, 'bin'), { recursive: true });
  writeFileSync(join(copied, 'pyvenv.cfg'), 'home = /opt/py/bin\nversion = 3.97.1\n');
  // `python` alone: a `python3` that is first on the PATH would be the one that runs all this.
  symlinkSync(foreign, join(copied, 'bin/python'));
  const shell = new LocalShell({ env: { ...env, PATH: `${copied}/bin:${env.PATH}` } });
  const key = redactionKey('00'.repeat(32));
  const { pythons } = await takeSnapshot(shell, { node: 'here', clock: undefined, key });
  shell.dispose();
  assert.ok(isAvailable(pythons), JSON.stringify(pythons));
  // Notes about other programs of this machine are not this test's.
  const own = pythons.notes.filter((note) => note.includes(home) || note.includes('ended early'));
  assert.deepEqual(own, [
    `${failing} did not say its version`,
    `${foreign} may be another user's and was not started`,
  ]);
  assert.ok(existsSync(`${home}/started-3.98.0`));
  assert.ok(!existsSync(`${home}/started-3.99.0`));
  const venv = pythons.interpreters.find(({ prefix }) => prefix === copied);
  assert.deepEqual([venv?.version, venv?.basePrefix], ['3.97.1', '/opt/py']);
  assert.ok(pythons.interpreters.some(({ prefix }) => prefix === '/usr'));
});
