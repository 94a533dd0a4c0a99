import assert from 'node:assert/strict';
import test from 'node:test';
import { canonicalChapters, canonicalText, showText } from '../../src/env/canonical.ts';
import { fromSnapshot } from '../../src/env/comparable.ts';
import { diffEnvironments } from '../../src/env/diff.ts';
import type { EnvSnapshot } from '../../src/env/envSnapshot.ts';
import { countDifferences, differingChapters, summaryTexts } from '../../src/env/summary.ts';
import {
  samplePython,
  sampleSnapshot,
  sampleVariables,
  systemPython,
  withVariables,
} from './samples.ts';

const golden = `Environment of work-1
taken 2026-11-22T06:17:54.123Z, incomplete

System
──────
os: Debian GNU/Linux 12 (bookworm)
os id: debian 12
kernel: Linux 6.1.0-28-amd64
machine: x86_64
host name: work-1
cpu: AMD EPYC
cpu count: 2
cpu usable: 2
memory: 8.00 GiB
swap: 0 bytes
node.js: 20.20.2 (/usr/bin/node)

User and limits
───────────────
user: app (uid 1500, gid 1500)
groups: adm, app
home: /home/app
shell: /bin/bash
cwd: /home/app
umask: 0022
limit core: 0 (hard unlimited)
limit nofile: 1024 (hard 1048576)
locale LANG: C.UTF-8
encoding: UTF-8
time zone: Etc/UTC
local time: UTC +00:00

Environment of a login shell
────────────────────────────
variables: not available: the login shell /bin/bash, with its start-up files, timed out

Environment of a plain command
──────────────────────────────
BYTES=a‹xFF›b
DB_PASSWORD=‹redacted 14 bytes #1a2b3c4d›
PATH=
    /usr/local/bin
    /usr/bin
    ‹ESC›[31m‹LF›/bin
SSH_CLIENT=10.0.0.1 2222 22

Python interpreters and packages
────────────────────────────────
/srv/shop/venv: Python 3.11.2 (virtual environment of /usr)
    executable /srv/shop/venv/bin/python
    pip 23.0.1
    pricelib 2.1.0
/usr: Python 3.11.2 (cpython)
    executable /usr/bin/python3
    pip 23.0.1
    pyyaml 6.0

System packages
───────────────
package manager: dpkg
bash 5.2.15-2+b7
libc6 2.36-9+deb12u9
libssl3 3.0.15-1~deb12u1

Disks
─────
/: ext4, 100 GiB

Clock
─────
offset: +0.0 ms ± 0.2 ms
`;

test('a snapshot as text: one fact a line, sorted, nothing hidden', () => {
  const snapshot = sampleSnapshot({
    partial: true,
    env: {
      loginShell: {
        unavailable: 'the login shell /bin/bash, with its start-up files, timed out',
      },
      plainCommand: {
        source: 'ssh',
        variables: {
          SSH_CLIENT: '10.0.0.1 2222 22',
          PATH: '/usr/local/bin:/usr/bin:\u001b[31m\n/bin',
          DB_PASSWORD: { redacted: true, reason: 'name', length: 14, hash: '1a2b3c4d' },
          BYTES: 'a\udcffb',
        },
      },
    },
  });
  assert.equal(canonicalText(snapshot), golden);
});

test('the order of facts in a snapshot does not change its text', () => {
  const reversed = <T extends object>(record: T): T =>
    Object.fromEntries(Object.entries(record).reverse()) as T;
  const snapshot = sampleSnapshot();
  const shuffled = sampleSnapshot({
    ...withVariables(reversed(sampleVariables)),
    pythons: {
      source: '',
      interpreters: [
        systemPython,
        samplePython({ packages: { pricelib: '2.1.0', pip: '23.0.1' } }),
      ],
      notes: [],
    },
  });
  assert.deepEqual(canonicalChapters(shuffled), canonicalChapters(snapshot));
});

test('a very long value is cut, and still tells itself from another one', () => {
  const [a, b] = [showText('x'.repeat(1 << 20)), showText(`${'x'.repeat((1 << 20) - 1)}y`)];
  assert.ok(a.length < 2100);
  assert.match(a, /… \(1048576 characters, checksum [0-9a-f]{8}\)$/);
  assert.notEqual(a, b);
});

const other: EnvSnapshot = sampleSnapshot({
  node: 'work-2',
  ...withVariables({ HOME: '/home/app', LANG: 'C.UTF-8', PATH: '/bin', SSH_CLIENT: 'x' }),
  os: { ...(sampleSnapshot().os as object), hostname: 'work-2' } as EnvSnapshot['os'],
  pythons: {
    source: '',
    interpreters: [samplePython({ packages: { pip: '23.0.1', pricelib: '1.4.2' } }), systemPython],
    notes: [],
  },
});

test('a summary names the same fact in the same line of both sides', () => {
  const comparison = diffEnvironments(fromSnapshot(sampleSnapshot()), fromSnapshot(other));
  assert.equal(countDifferences(comparison), '3 differences: 2 high, 1 medium');
  const { a, b } = summaryTexts(comparison);
  assert.equal(
    b,
    `3 differences: 2 high, 1 medium

high    env.TARIFF_REGION = (not there)
high    packages./srv/shop/venv.pricelib = 1.4.2
medium  env.PATH = /bin
        only on work-1: /usr/local/bin, /usr/bin

Folded, as they do not matter (2)
        env.SSH_CLIENT: of this connection
        os.hostname: the node's own name
`,
  );
  assert.deepEqual(
    a.split('\n').map((line) => line.replace(/ = .*/, '')),
    b.split('\n').map((line) => line.replace(/ = .*/, '')),
  );
  assert.match(a, /^high {4}env\.TARIFF_REGION = eu-central$/m);
});

test('only chapters that differ are shown, the worst first; harmless facts make none differ', () => {
  const snapshot = sampleSnapshot(withVariables({ ...sampleVariables, SSH_CLIENT: 'y' }));
  const comparison = diffEnvironments(fromSnapshot(snapshot), fromSnapshot(other));
  const differing = differingChapters(snapshot, other, comparison);
  assert.deepEqual(
    differing.map(([{ id }]) => id),
    ['login', 'command', 'python'],
  );
  const right = differing.find(([{ id }]) => id === 'command')?.[1];
  assert.match(right?.text ?? '', /^SSH_CLIENT=‹of this connection›$/m);
});
