import assert from 'node:assert/strict';
import test from 'node:test';
import type { CurrentFacts } from '../../src/run/current.ts';
import { preflight, summarise, type Finding } from '../../src/run/preflight.ts';
import { parseRunRecord, programName, type RunRecord } from '../../src/run/runRecord.ts';

const record: RunRecord = parseRunRecord({
  format: 'faultline.run',
  version: 1,
  id: 'r-20261122T061754-3fa9c1d2',
  state: 'failed',
  startedAt: '2026-11-22T06:17:54.123Z',
  exitCode: 1,
  argv: ['/srv/shop/venv/bin/python', '-m', 'shop.settle'],
  program: '/srv/shop/venv/bin/python',
  cwd: { logical: '/srv/shop', physical: '/srv/shop' },
  env: {
    TARIFF_REGION: 'eu',
    PATH: '/usr/bin:/bin',
    SHOP_DB_PASSWORD: { redacted: true, reason: 'name', length: 9, hash: '0a1b2c3d' },
  },
  redaction: { salt: '00' },
  user: { name: 'app', uid: 1500, gid: 1500, groups: ['app'] },
  umask: '0022',
  limits: { nofile: [1024, 4096] },
  timezone: { tz: null, name: 'UTC', offsetMinutes: 0 },
  host: { name: 'work-2', os: 'Debian 12', kernel: '6.1', machine: 'x86_64' },
  interpreter: {
    implementation: 'CPython',
    version: '3.11.2',
    executable: '/srv/shop/venv/bin/python',
  },
  packages: { pricelib: '1.4.2', boxes: '1.0.0', words: '3.1.0' },
  code: { root: '/srv/shop', commit: 'abc', branch: 'main', dirty: false, files: { 'a.py': 'ff' } },
  exception: {
    type: 'TypeError',
    message: 'no rounding for JPY',
    traceback: '',
    frames: [
      { file: '/srv/shop/a.py', line: 3, function: 'main', code: 'settle()' },
      {
        file: '/srv/shop/venv/lib/python3.11/site-packages/pricelib/money.py',
        line: 9,
        function: 'round',
        code: 'raise TypeError',
      },
    ],
  },
});

const same: CurrentFacts = {
  format: 'faultline.current',
  version: 1,
  host: { name: 'work-2', os: 'Debian 12', kernel: '6.1', machine: 'x86_64' },
  user: { name: 'app', uid: 1500, gid: 1500, groups: ['app'] },
  umask: '0022',
  limits: { nofile: [1024, 4096] },
  timezone: { tz: null, name: 'UTC' },
  cwd: { exists: true, physical: '/srv/shop' },
  program: '/srv/shop/venv/bin/python',
  interpreter: {
    implementation: 'cpython',
    version: '3.11.2',
    executable: '/srv/shop/venv/bin/python',
    prefix: '/srv/shop/venv',
    packages: { pricelib: '1.4.2', boxes: '1.0.0', words: '3.1.0' },
  },
  code: { commit: 'abc', branch: 'main', dirty: false },
  files: { '/srv/shop/a.py': 'ff' },
  secrets: { SHOP_DB_PASSWORD: { found: true, same: true, where: 'login shell' } },
  env: {
    TARIFF_REGION: 'eu',
    PATH: '/usr/bin:/bin',
    SHOP_DB_PASSWORD: { redacted: true, reason: 'name', length: 9, hash: '0a1b2c3d' },
  },
  notes: [],
};

function told(now: CurrentFacts): string[] {
  return preflight(record, now)
    .filter((finding) => finding.status !== 'same')
    .map(
      ({ status, severity, fact, recorded, current }) =>
        `${status} ${severity} ${fact}: ${recorded} → ${current}`,
    );
}

const find = (findings: readonly Finding[], fact: string): Finding | undefined =>
  findings.find((finding) => finding.fact === fact);

test('on a node where nothing has changed everything is the same', () => {
  assert.deepEqual(told(same), []);
  assert.match(summarise(preflight(record, same)), /^0 differ, 0 could not be checked, \d\d are/);
});

test('a package whose files are in the traceback comes before a larger change elsewhere', () => {
  const packages = { pricelib: '1.4.3', boxes: '2.0.0', words: '3.1.0' };
  const now = { ...same, interpreter: { ...same.interpreter!, packages } };
  assert.deepEqual(told(now), [
    'differs high packages.pricelib: 1.4.2 → 1.4.3',
    'differs high packages.boxes: 1.0.0 → 2.0.0',
  ]);
  const note = find(preflight(record, now), 'packages.pricelib')?.note;
  assert.equal(note, 'Its files are in the recorded traceback.');
});

test('a variable that is missing now is named; one that the failure names comes first', () => {
  const { TARIFF_REGION: _, ...env } = same.env;
  const now = { ...same, env: { ...env, JPY: 'x', REGION: 'us' } };
  assert.deepEqual(told(now), [
    'differs high env.JPY: null → x',
    'differs medium env.REGION: null → us',
    'differs low env.TARIFF_REGION: eu → null',
  ]);
});

test('a directory that is gone comes with the reason', () => {
  const now: CurrentFacts = { ...same, cwd: { exists: false, reason: 'it is gone' } };
  assert.deepEqual(told(now), ['differs high cwd: /srv/shop → null']);
  assert.match(find(preflight(record, now), 'cwd')?.note ?? '', /it is gone/);
});

test('a secret is compared without its value', () => {
  const elsewhere = (found: boolean, isSame: boolean): CurrentFacts => ({
    ...same,
    secrets: { SHOP_DB_PASSWORD: { found, same: isSame, where: 'login shell' } },
  });
  assert.deepEqual(told(elsewhere(true, false)), [
    'differs high env.SHOP_DB_PASSWORD: ‹redacted› → ‹redacted›',
  ]);
  assert.deepEqual(told(elsewhere(false, false)), [
    'unchecked medium env.SHOP_DB_PASSWORD: ‹redacted› → null',
  ]);
});

test('an interpreter that cannot be asked leaves its packages unchecked', () => {
  const now = { ...same, interpreter: null };
  assert.deepEqual(told(now), [
    'differs high interpreter: CPython 3.11.2 → null',
    'unchecked low packages: null → null',
  ]);
});

test('edited code, another commit and another machine', () => {
  const now: CurrentFacts = {
    ...same,
    host: { ...same.host, name: 'work-1' },
    code: { commit: 'def', branch: 'main', dirty: true },
    files: { '/srv/shop/a.py': 'ee' },
  };
  assert.deepEqual(told(now), [
    'differs high code.commit: abc → def',
    'differs high code.files.a.py: ff → ee',
    'differs medium code.localEdits: no → yes',
    'differs low host: work-2 → work-1',
  ]);
});

test('a limit that cannot be reached is worse than one that is only set differently', () => {
  const now = (nofile: [number, number]): CurrentFacts => ({ ...same, limits: { nofile } });
  assert.deepEqual(told(now([256, 4096])), ['differs low limits.nofile: 1024 → 256']);
  assert.deepEqual(told(now([256, 512])), ['differs medium limits.nofile: 1024 → 256']);
});

test('a record of a later version is refused by name, a broken one by its field', () => {
  assert.throws(() => parseRunRecord({ ...record, version: 2 }), { code: 'run.tooNew' });
  assert.throws(() => parseRunRecord({ ...record, argv: 'x' }), {
    code: 'run.invalid',
    message: /argv/,
  });
  assert.throws(() => parseRunRecord('x'), { code: 'run.invalid' });
});

const names: readonly [string, string][] = [
  ['/srv/venv/bin/python -m shop.settle --order 7', 'shop.settle'],
  ['python3.11 -u jobs/task.py -m x', 'task.py'],
  ['python3 -c print(1)', 'python3'],
  ['/usr/bin/node --inspect app.js', 'app.js'],
  ['/opt/bin/import-orders --all', 'import-orders'],
  ['python', 'python'],
];
for (const [command, name] of names) {
  test(`${command} is called ${name}`, () => {
    assert.equal(programName(command.split(' ')), name);
  });
}
