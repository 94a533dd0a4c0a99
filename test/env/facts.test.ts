import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { isAvailable, parseSnapshot, type Variables } from '../../src/env/envSnapshot.ts';
import { nodeTimeOf, readChapters, type Sections } from '../../src/env/facts.ts';
import { sampleSnapshot } from './samples.ts';

/** Sections as a node would print them: text, or text with an exit code. */
function sectionsOf(
  contents: Readonly<Record<string, string | readonly [string, number | undefined]>>,
): Sections {
  return new Map(
    Object.entries(contents).map(([name, content]) => {
      const [text, exitCode] = typeof content === 'string' ? [content, 0] : content;
      return [name, { content: Buffer.from(text), exitCode }];
    }),
  );
}

const keep = (variables: Readonly<Record<string, string>>): Variables => variables;
const read = (contents: Parameters<typeof sectionsOf>[0]): ReturnType<typeof readChapters> =>
  readChapters(sectionsOf(contents), 'abcdef12', keep);

test('a Debian node', () => {
  const chapters = read({
    uname: 'Linux work-1 6.1.0-28-amd64 x86_64\n',
    osRelease: 'PRETTY_NAME="Debian \\"12\\""\nID=debian\nVERSION_ID="12"\n',
    id: 'uid=1500(app) gid=1500(app) groups=1500(app),4(adm) context=unconfined_u\n',
    passwd: 'app:x:1500:1500:Shop,,,:/home/app:/bin/bash\n',
    command:
      'umask\u00000022\u0000cwd\u0000/srv/shop/current\u0000physical\u0000/srv/shop/releases/7\u0000',
    cpu: 'model AMD EPYC\ncount 8\nusable 2\n',
    memory: 'MemTotal: 1024\nMemAvailable: 512\nSwapTotal: 0\n',
    timezone:
      'link\u0000/usr/share/zoneinfo/Europe/Berlin\u0000now\u00001795330244 CET +0100\u0000',
    plainEnv:
      'LANG=de_DE.UTF-8\u0000TZ=UTC\u0000A=1\u0000A=2\u0000EMPTY=\u0000no equals sign\u0000',
    charmap: 'UTF-8\n',
  });
  assert.deepEqual(chapters.os, {
    source: 'uname, os-release',
    prettyName: 'Debian "12"',
    id: 'debian',
    versionId: '12',
    kernelName: 'Linux',
    kernel: '6.1.0-28-amd64',
    machine: 'x86_64',
    hostname: 'work-1',
  });
  assert.deepEqual(chapters.user, {
    source: 'id, passwd',
    name: 'app',
    uid: 1500,
    gid: 1500,
    groups: ['app', 'adm'],
    home: '/home/app',
    shell: '/bin/bash',
  });
  assert.deepEqual(chapters.command, {
    source: 'umask, pwd',
    cwd: { logical: '/srv/shop/current', physical: '/srv/shop/releases/7' },
    umask: '0022',
  });
  assert.deepEqual(chapters.cpu, {
    source: '/proc/cpuinfo',
    model: 'AMD EPYC',
    count: 8,
    usable: 2,
  });
  assert.deepEqual(chapters.timezone, {
    source: 'date, /etc/localtime',
    tz: 'UTC',
    zone: 'Europe/Berlin',
    abbreviation: 'CET',
    offsetMinutes: 60,
  });
  assert.deepEqual(chapters.env.plainCommand, {
    source: 'the environment of a command over SSH',
    variables: { LANG: 'de_DE.UTF-8', TZ: 'UTC', A: '1', EMPTY: '' },
  });
  assert.deepEqual(chapters.locale, {
    source: 'the variables of a plain command, locale',
    variables: { LANG: 'de_DE.UTF-8' },
    charmap: 'UTF-8',
  });
});

test('limits from /proc, and from ulimit in its own units', () => {
  const proc =
    'Limit                     Soft Limit           Hard Limit           Units     \n' +
    'Max open files            1024                 unlimited            files     \n' +
    'Max realtime timeout      unlimited            unlimited            us        \n' +
    'Max something new         1                    2                    things    \n';
  assert.deepEqual(read({ limits: proc }).limits, {
    source: '/proc/self/limits',
    limits: { nofile: [1024, -1], rttime: [-1, -1] },
  });
  assert.deepEqual(
    read({ limits: 'ulimit nofile 256 unlimited\nulimit stack 8192 65536\n' }).limits,
    {
      source: 'ulimit',
      limits: { nofile: [256, -1], stack: [8388608, 67108864] },
    },
  );
});

test('disks of GNU and BusyBox df, with blanks in names, shared ones apart', () => {
  const { disks } = read({
    mounts: '/dev/vda / ext4 rw 0 0\nfiler:/home /mnt/my\\040home nfs4 rw 0 0\n',
    disks:
      'Filesystem     1024-blocks    Used Available Capacity Mounted on\n' +
      '/dev/vda               100      40        60      40% /\n' +
      '\u001e\n' +
      'Filesystem              Inodes      Used Available Capacity Mounted on\n' +
      '/dev/vda                  1000        10       990       1% /\n',
    networkDisks: [
      'Filesystem 1024-blocks Used Available Capacity Mounted on\n' +
        'filer:/home 10 5 5 50% /mnt/my home\n\u001e\n',
      124,
    ],
  });
  assert.deepEqual(disks, {
    source: 'df',
    disks: [
      {
        mount: '/',
        device: '/dev/vda',
        fileSystem: 'ext4',
        isShared: false,
        sizeBytes: 102400,
        usedBytes: 40960,
        availableBytes: 61440,
        inodes: { total: 1000, used: 10 },
      },
      {
        mount: '/mnt/my home',
        device: 'filer:/home',
        fileSystem: 'nfs4',
        isShared: true,
        sizeBytes: 10240,
        usedBytes: 5120,
        availableBytes: 5120,
        inodes: null,
      },
    ],
    notes: ['network file systems: df timed out'],
  });
});

test('system packages of dpkg, apk and rpm', () => {
  const { systemPackages: dpkg } = read({
    systemPackages: 'dpkg\nlibc6 2.36-9 amd64\nlibc6 2.36-9 i386\nzlib1g 1:1.2.13 amd64\n',
  });
  assert.deepEqual(dpkg, {
    source: 'the database of dpkg',
    manager: 'dpkg',
    packages: { libc6: '2.36-9', 'libc6:i386': '2.36-9', zlib1g: '1:1.2.13' },
  });
  const { systemPackages: rpm } = read({ systemPackages: 'rpm\nbash (none):5.1-6 x86_64\n' });
  assert.deepEqual(isAvailable(rpm) && rpm.packages, { bash: '5.1-6' });
  assert.deepEqual(read({ systemPackages: ['', 127] }).systemPackages, {
    unavailable: 'no dpkg, apk or rpm on this node',
  });
});

test('Python interpreters with their packages; a node without Python has none', () => {
  const fields = [
    ['note', 'only the first 64 interpreters were looked at'],
    ['python', '/srv/shop/venv/bin/python'],
    ['real', '/usr/bin/python3.11'],
    ['version', '3.11.2'],
    ['implementation', 'cpython'],
    ['prefix', '/srv/shop/venv'],
    ['basePrefix', '/usr'],
    ['isVenv', '1'],
    ['inUse', '1'],
    ['foundBy', 'process'],
    ['foundBy', 'venv'],
    ['package', 'pricelib', '2.1.0'],
    ['package', 'constructor', '1.0'],
  ];
  const { pythons } = read({
    pythons: fields
      .flat()
      .map((field) => `${field}\u0000`)
      .join(''),
  });
  assert.deepEqual(pythons, {
    source: 'names of *.dist-info and *.egg-info; each program started once for its version',
    interpreters: [
      {
        executable: '/srv/shop/venv/bin/python',
        realExecutable: '/usr/bin/python3.11',
        version: '3.11.2',
        implementation: 'cpython',
        prefix: '/srv/shop/venv',
        basePrefix: '/usr',
        isVenv: true,
        isInUse: true,
        foundBy: ['process', 'venv'],
        packages: { pricelib: '2.1.0', constructor: '1.0' },
      },
    ],
    notes: ['only the first 64 interpreters were looked at'],
  });
  assert.deepEqual(read({ pythons: ['', 127] }).pythons, {
    source: 'no python3 was found',
    interpreters: [],
    notes: [],
  });
});

test('a login shell: noise is dropped, and what goes wrong is told', () => {
  const shell = '/bin/bash\u0000';
  const login = (content: string, exitCode: number | undefined = 0): unknown =>
    read({ loginEnv: [shell + content, exitCode] }).env.loginShell;
  assert.deepEqual(login('hello\nA=1\u0000\u001eabcdef12\nA=2\u0000B=x\ny\u0000'), {
    source: '/bin/bash as a login shell',
    shell: '/bin/bash',
    variables: { A: '2', B: 'x\ny' },
  });
  const why = (content: string, exitCode?: number): unknown =>
    (login(content, exitCode) as { readonly unavailable: string }).unavailable;
  assert.equal(why('noise'), 'the login shell /bin/bash ended in its start-up files');
  assert.equal(why('', 124), 'the login shell /bin/bash, with its start-up files, timed out');
  assert.equal(
    why('', 1),
    'the login shell /bin/bash, with its start-up files, failed with exit code 1',
  );
  assert.equal(
    (read({ loginEnv: [shell, undefined] }).env.loginShell as { unavailable: string }).unavailable,
    'the node did not finish this in time',
  );
});

test('an answer that ends early leaves a reason in every chapter that is missing', () => {
  const chapters = read({});
  for (const chapter of [
    ...Object.entries(chapters).flatMap(([name, each]) => (name === 'env' ? [] : [each])),
    ...Object.values(chapters.env),
  ]) {
    assert.match((chapter as { unavailable: string }).unavailable, /^the node ended its answer/);
  }
});

test('whatever a node says, the chapters are those of a snapshot', () => {
  const names = [
    'command',
    'limits',
    'plainEnv',
    'uname',
    'osRelease',
    'id',
    'passwd',
    'cpu',
    'memory',
    'timezone',
    'charmap',
    'mounts',
    'disks',
    'systemPackages',
    'nodejs',
    'pythons',
    'loginEnv',
    'networkDisks',
  ];
  const text = fc.string({
    unit: fc.constantFrom(
      '\u0000',
      '\n',
      '\u001e',
      ' ',
      ':',
      '=',
      '/',
      '%',
      '-',
      '1',
      '9e99',
      'uid=',
      'Max open files',
      'python\u0000',
      'package\u0000',
      '__proto__',
      'dpkg\n',
      'unlimited',
      '\udcff',
      'é',
    ),
    maxLength: 40,
  });
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.constantFrom(...names),
        fc.tuple(text, fc.constantFrom(0, 1, 124, 127, undefined)),
      ),
      (contents) => {
        const sections = sectionsOf(contents);
        const snapshot = { ...sampleSnapshot(), ...readChapters(sections, 'abcdef12', keep) };
        parseSnapshot(JSON.parse(JSON.stringify(snapshot)));
        nodeTimeOf(sections);
      },
    ),
    { numRuns: 300 },
  );
});
