import assert from 'node:assert/strict';
import test from 'node:test';
import { fromRunFacts, fromSnapshot, type RunFacts } from '../../src/env/comparable.ts';
import { diffEnvironments, type EnvComparison } from '../../src/env/diff.ts';
import { matchPythons } from '../../src/env/diffPythons.ts';
import type { EnvSnapshot } from '../../src/env/envSnapshot.ts';
import {
  samplePython,
  sampleSnapshot,
  sampleVariables,
  systemPython,
  withVariables,
} from './samples.ts';

const compare = (a: EnvSnapshot, b: EnvSnapshot): EnvComparison =>
  diffEnvironments(fromSnapshot(a), fromSnapshot(b));

/** `severity path: a | b (note)`, one a line. */
function lines(comparison: EnvComparison): string[] {
  return [...comparison.differences, ...comparison.folded].map(
    ({ severity, path, a, b, note }) =>
      `${severity} ${path}: ${a} | ${b}${note === null ? '' : ` (${note})`}`,
  );
}

/** What one change of the sample makes, seen from both sides. */
function differencesOf(changes: Partial<EnvSnapshot>): string[] {
  const [plain, changed] = [sampleSnapshot(), sampleSnapshot(changes)];
  const reverse = compare(changed, plain);
  assert.deepEqual(
    reverse.differences.map(({ path, severity }) => `${severity} ${path}`).sort(),
    compare(plain, changed)
      .differences.map(({ path, severity }) => `${severity} ${path}`)
      .sort(),
  );
  return lines(compare(plain, changed));
}

const python = (changes: Parameters<typeof samplePython>[0]): Partial<EnvSnapshot> => ({
  pythons: { source: '', interpreters: [samplePython(changes), systemPython], notes: [] },
});

const sample = sampleSnapshot();
const facts = <K extends keyof EnvSnapshot>(name: K, changes: object): Partial<EnvSnapshot> => ({
  [name]: { ...(sample[name] as object), ...changes },
});

test('a snapshot does not differ from itself', () => {
  assert.deepEqual(compare(sample, sampleSnapshot()), {
    differences: [],
    folded: [],
    uncompared: [],
  });
});

test('one fact that differs is one difference', () => {
  const cases: readonly (readonly [Partial<EnvSnapshot>, string[]])[] = [
    [
      python({ packages: { pip: '23.0.1', pricelib: '1.4.2' } }),
      ['high packages./srv/shop/venv.pricelib: 2.1.0 | 1.4.2'],
    ],
    [
      python({ packages: { pip: '23.0.1' } }),
      ['high packages./srv/shop/venv.pricelib: 2.1.0 | null'],
    ],
    [
      python({ packages: { pip: '24.0', pricelib: '2.1' } }),
      [
        'low packages./srv/shop/venv.pip: 23.0.1 | 24.0',
        'info packages./srv/shop/venv.pricelib: 2.1.0 | 2.1 (two spellings of one version)',
      ],
    ],
    [python({ version: '3.12.1' }), ['high python./srv/shop/venv.version: 3.11.2 | 3.12.1']],
    [
      python({ implementation: 'pypy' }),
      ['high python./srv/shop/venv.version: 3.11.2 | pypy 3.11.2'],
    ],
    [
      { pythons: { source: '', interpreters: [samplePython()], notes: [] } },
      ['medium python./usr: 3.11.2, 2 packages | null'],
    ],
    [
      facts('command', { umask: '0077' }),
      ['medium umask: 0022 | 0077 (new files get other permissions)'],
    ],
    [
      facts('locale', { charmap: 'ANSI_X3.4-1968' }),
      [
        'medium locale.charmap: UTF-8 | ANSI_X3.4-1968 (text is read and written in another encoding)',
      ],
    ],
    [
      facts('locale', { charmap: 'utf-8' }),
      ['info locale.charmap: UTF-8 | utf-8 (the same encoding)'],
    ],
    [
      facts('limits', { limits: { nofile: [65536, 1048576], core: [0, -1] } }),
      ['medium limits.nofile.soft: 1024 | 65536'],
    ],
    [
      facts('limits', { limits: { nofile: [1025, 1048576], core: [0, -1] } }),
      ['low limits.nofile.soft: 1024 | 1025'],
    ],
    [
      facts('limits', { limits: { nofile: [1024, 4096], core: [-1, -1] } }),
      ['low limits.nofile.hard: 1048576 | 4096', 'low limits.core.soft: 0 | unlimited'],
    ],
    [
      facts('timezone', { zone: 'Zulu' }),
      ['info timezone.zone: Etc/UTC | Zulu (two names of one zone)'],
    ],
    [
      facts('timezone', { offsetMinutes: -90 }),
      ['medium timezone.offset: +00:00 | −01:30 (the same moment has another local time)'],
    ],
    [
      facts('clock', { offsetMs: 3500, errorMs: 0.2 }),
      ['medium clock.offset: +0.0 ms ± 0.2 ms | +3500.0 ms ± 0.2 ms (3.5 s apart)'],
    ],
    [
      facts('clock', { offsetMs: -90000, errorMs: 1 }),
      ['high clock.offset: +0.0 ms ± 0.2 ms | −90000.0 ms ± 1.0 ms (90.0 s apart)'],
    ],
    [
      facts('clock', { offsetMs: 0.3, errorMs: 1 }),
      [
        'info clock.offset: +0.0 ms ± 0.2 ms | +0.3 ms ± 1.0 ms (the same within the error of the measurement)',
      ],
    ],
    [facts('os', { machine: 'aarch64' }), ['high os.machine: x86_64 | aarch64']],
    [
      facts('os', { kernel: '6.1.0-31-amd64' }),
      [
        'info os.kernel: 6.1.0-28-amd64 | 6.1.0-31-amd64 (another build of the same kernel release)',
      ],
    ],
    [
      facts('os', { hostname: 'work-9' }),
      ["info os.hostname: work-1 | work-9 (the node's own name)"],
    ],
    [
      facts('user', { uid: 0, groups: ['adm', 'app', 'sudo'] }),
      [
        'high user.uid: 1500 | 0 (one of them is root)',
        'low user.groups: adm, app | adm, app, sudo',
      ],
    ],
    [
      facts('memory', { totalBytes: 16 * 2 ** 30, availableBytes: 1 }),
      [
        'low memory.total: 8.00 GiB | 16.0 GiB',
        'info memory.available: 4.00 GiB | 1 bytes (changes by itself)',
      ],
    ],
    [facts('nodejs', { runtimes: [] }), ['medium nodejs.version: 20.20.2 | null']],
    [
      facts('systemPackages', {
        packages: { bash: '5.2.15-2+b8', libc6: '2.31-13', libssl3: '3.0.15-1~deb12u1', jq: '1.6' },
      }),
      [
        'medium systemPackages.libc6: 2.36-9+deb12u9 | 2.31-13',
        'low systemPackages.jq: null | 1.6',
        'info systemPackages.bash: 5.2.15-2+b7 | 5.2.15-2+b8 (the same version, packaged again)',
      ],
    ],
    [
      withVariables({ ...sampleVariables, TARIFF_REGION: 'us' }),
      ['medium env.TARIFF_REGION: eu-central | us'],
    ],
    [
      withVariables({ ...sampleVariables, SSH_CLIENT: 'x' }),
      ['info env.SSH_CLIENT: null | x (of this connection)'],
    ],
    [
      withVariables({ ...sampleVariables, PATH: '/usr/bin:/usr/local/bin:/bin' }),
      [
        'medium env.PATH: /usr/local/bin:/usr/bin:/bin | /usr/bin:/usr/local/bin:/bin (the same entries in another order)',
      ],
    ],
    [
      withVariables({ ...sampleVariables, PATH: '/opt/x/bin:/usr/bin:/bin' }),
      [
        'medium env.PATH: /usr/local/bin:/usr/bin:/bin | /opt/x/bin:/usr/bin:/bin (only on work-1: /usr/local/bin; only on work-1: /opt/x/bin)',
      ],
    ],
  ];
  for (const [changes, expected] of cases) assert.deepEqual(differencesOf(changes), expected);
});

test('a nearly full disk matters, any other use does not', () => {
  const [disk] = fromSnapshot(sample).disks ?? [];
  const used = (usedBytes: number): Partial<EnvSnapshot> =>
    facts('disks', { disks: [{ ...disk, usedBytes }] });
  assert.deepEqual(differencesOf(used(20 * 2 ** 30)), [
    'info disks./.used: 11 % | 19 % (changes by itself)',
  ]);
  const full = {
    ...disk,
    usedBytes: 99 * 2 ** 30,
    availableBytes: 1,
    inodes: { total: 10, used: 10 },
  };
  assert.deepEqual(differencesOf(facts('disks', { disks: [full] })), [
    'medium disks./.inodesUsed: 1 % | 100 % (nearly full)',
    'medium disks./.used: 11 % | 100 % (nearly full)',
  ]);
  assert.deepEqual(differencesOf(facts('disks', { disks: [] })), [
    'low disks./: ext4, 100 GiB | null',
  ]);
});

test('the likeliest trouble comes first', () => {
  const other = sampleSnapshot({
    node: 'work-2',
    ...withVariables({
      HOME: '/home/app',
      LANG: 'C.UTF-8',
      PATH: '/bin:/usr/bin',
      SSH_TTY: '/dev/pts/1',
    }),
    ...facts('command', { umask: '0077' }),
    ...facts('os', { kernel: '5.10.0', hostname: 'work-2' }),
    pythons: {
      source: '',
      interpreters: [
        samplePython({ version: '3.12.1', packages: { pip: '24.0', pricelib: '1.4.2' } }),
        systemPython,
      ],
      notes: [],
    },
  });
  assert.deepEqual(
    compare(sample, other).differences.map(({ severity, path }) => `${severity} ${path}`),
    [
      'high python./srv/shop/venv.version',
      'high env.TARIFF_REGION',
      'high packages./srv/shop/venv.pricelib',
      'medium env.PATH',
      'medium umask',
      'low os.kernel',
      'low packages./srv/shop/venv.pip',
    ],
  );
});

test('a variable that differs in one of the environments says in which', () => {
  const changed = sampleSnapshot({
    env: {
      ...sample.env,
      loginShell: {
        source: '',
        shell: '/bin/bash',
        variables: { ...sampleVariables, TARIFF_REGION: 'us', NEW: '1' },
      },
    },
  });
  assert.deepEqual(lines(compare(sample, changed)), [
    'high env.loginShell.NEW: null | 1 (only in a login shell)',
    'medium env.loginShell.TARIFF_REGION: eu-central | us (only in a login shell)',
  ]);
});

test('values that hold the own name or home of each node are the same', () => {
  const variables = (name: string, home: string): Partial<EnvSnapshot> => ({
    node: name,
    ...facts('os', { hostname: name }),
    ...facts('user', { home }),
    ...withVariables({ URL: `http://${name}:8000`, CACHE: `${home}/cache`, HOME: home }),
  });
  assert.deepEqual(
    lines(
      compare(
        sampleSnapshot(variables('work-1', '/home/app')),
        sampleSnapshot(variables('work-22', '/srv/app')),
      ),
    ),
    [
      'low env.HOME: /home/app | /srv/app',
      'low user.home: /home/app | /srv/app',
      'info env.CACHE: /home/app/cache | /srv/app/cache (differs by the home directory alone)',
      "info env.URL: http://work-1:8000 | http://work-22:8000 (differs by the node's own name alone)",
      "info os.hostname: work-1 | work-22 (the node's own name)",
    ],
  );
});

test('masked values are compared by hash where the key is the same', () => {
  const secret = (hash: string, length = 14): Partial<EnvSnapshot> =>
    withVariables({ DB_PASSWORD: { redacted: true, reason: 'name', length, hash } });
  const other = { redaction: { keyId: 'bbbbbbbb' } };
  const one = sampleSnapshot(secret('11111111'));
  assert.deepEqual(lines(compare(one, sampleSnapshot(secret('11111111')))), []);
  assert.deepEqual(lines(compare(one, sampleSnapshot(secret('22222222')))), [
    'medium env.DB_PASSWORD: ‹redacted 14 bytes #11111111› | ‹redacted 14 bytes #22222222› ' +
      '(a secret: its value is not shown)',
  ]);
  const unknown = compare(one, sampleSnapshot({ ...secret('22222222'), ...other }));
  assert.deepEqual(lines(unknown), []);
  assert.deepEqual(unknown.uncompared, [
    { path: 'env.DB_PASSWORD', why: 'masked with different keys, so nobody can tell' },
  ]);
  assert.equal(lines(compare(one, sampleSnapshot({ ...secret('3', 15), ...other }))).length, 1);
});

test('what could not be compared is named', () => {
  const other = sampleSnapshot({
    pythons: { unavailable: 'python3 timed out' },
    systemPackages: { source: '', manager: 'apk', packages: {} },
  });
  assert.deepEqual(compare(sample, other).uncompared, [
    { path: 'pythons', why: 'work-1: python3 timed out' },
    { path: 'systemPackages', why: 'dpkg and apk name their packages differently' },
  ]);
});

test('interpreters are matched by place, then by what they are for', () => {
  const here = [
    samplePython(),
    systemPython,
    samplePython({ prefix: '/a/venv', executable: '/a/bin/x' }),
  ];
  const there = [
    systemPython,
    samplePython({ prefix: '/opt/shop/venv', executable: '/opt/shop/venv/bin/python' }),
    samplePython({ prefix: '/b/env', executable: '/b/bin/x' }),
  ];
  const { matches, onlyA, onlyB } = matchPythons(here, there);
  assert.deepEqual(
    matches.map(({ a, b }) => `${a.prefix} ${b.prefix}`),
    ['/usr /usr', '/srv/shop/venv /opt/shop/venv'],
  );
  assert.deepEqual(
    [onlyA.map(({ prefix }) => prefix), onlyB.map(({ prefix }) => prefix)],
    [['/a/venv'], ['/b/env']],
  );
});

test('what a variable names is the same thing on both nodes, wherever it lies', () => {
  const own = (name: string, version: string): ReturnType<typeof samplePython> =>
    samplePython({
      prefix: `/nodes/${name}/venv`,
      executable: `/nodes/${name}/venv/bin/python`,
      packages: { pricelib: version },
    });
  const declared = { foundBy: ['process', '$SHOP_HOME/venv'] };
  // Both nodes see the processes of both, as on one machine.
  const one = { ...own('one', '2.1.0'), ...declared };
  const two = { ...own('two', '1.4.2'), ...declared };
  const here = { pythons: { source: '', interpreters: [one, own('two', '1.4.2')], notes: [] } };
  const there = { pythons: { source: '', interpreters: [own('one', '2.1.0'), two], notes: [] } };
  assert.deepEqual(lines(compare(sampleSnapshot(here), sampleSnapshot(there))), [
    'high packages./nodes/one/venv.pricelib: 2.1.0 | 1.4.2 (compared with /nodes/two/venv)',
  ]);
});

test('a package that differs in several interpreters is one difference', () => {
  const both = (version: string): Partial<EnvSnapshot> => ({
    pythons: {
      source: '',
      interpreters: [
        samplePython({ packages: { numpy: version } }),
        { ...systemPython, packages: { numpy: version } },
      ],
      notes: [],
    },
  });
  assert.deepEqual(lines(compare(sampleSnapshot(both('1.24.0')), sampleSnapshot(both('2.0.0')))), [
    'high packages./srv/shop/venv.numpy: 1.24.0 | 2.0.0 (also in /usr)',
  ]);
});

const run: RunFacts = {
  label: 'run r-1',
  env: {
    ...sampleVariables,
    TARIFF_REGION: 'us',
    API_KEY: { redacted: true, reason: 'name', length: 3, hash: '1' },
  },
  keyId: 'cccccccc',
  user: { name: 'app', uid: 1500, gid: 1500, groups: ['adm', 'app'] },
  umask: '0022',
  cwd: '/srv/shop',
  limits: { nofile: [1024, 1048576] },
  timezone: { tz: null, name: 'UTC', offsetMinutes: 0 },
  host: { name: 'work-1', kernel: '6.1.0-28-amd64', machine: 'x86_64' },
  interpreter: {
    executable: '/srv/shop/venv/bin/python',
    version: '3.11.2',
    implementation: 'CPython',
    prefix: '/srv/shop/venv',
    basePrefix: '/usr',
  },
  packages: { pip: '23.0.1', pricelib: '1.4.2' },
};

test('a run is compared by what both sides have', () => {
  const comparison = diffEnvironments(fromRunFacts(run), fromSnapshot(sample));
  assert.deepEqual(lines(comparison), [
    'high env.API_KEY: ‹redacted 3 bytes #1› | null',
    'high packages./srv/shop/venv.pricelib: 1.4.2 | 2.1.0',
    'medium env.TARIFF_REGION: us | eu-central',
    'low cwd: /srv/shop | /home/app',
  ]);
  const itself = diffEnvironments(fromRunFacts(run), fromRunFacts(run));
  assert.deepEqual([itself.differences, itself.folded, itself.uncompared], [[], [], []]);
});
