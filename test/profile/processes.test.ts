import assert from 'node:assert/strict';
import test from 'node:test';
import { LocalShell } from '../../src/remote/localShell.ts';
import {
  kindOf,
  parseProcesses,
  readProcessFacts,
  shortCommand,
} from '../../src/profile/processes.ts';

const stat = (pid: number, name: string, user: number, system: number): string =>
  `${pid} (${name}) S 1 1 1 0 -1 4194560 1 2 3 4 ${user} ${system} 0 0 20 0 1 0 100 1 2`;

const listing = [
  'noise before the first section',
  '\u001eticks\n100\n',
  '\u001euptime1\n1000.00 50.00\n',
  `\u001estat1\n${stat(10, 'python3', 100, 20)}\n${stat(11, 'we (ird) )', 5, 5)}\nhalf a li\n`,
  '\u001euptime2\n1000.50 50.10\n',
  `\u001estat2\n${stat(10, 'python3', 120, 25)}\n${stat(11, 'we (ird) )', 5, 6)}\n`,
  '\u001eps\n',
  '     10 shop     /usr/bin/python3 -m shop.worker --token s3cret\n',
  '     11 root     node server.js\n',
  '     12 33       /usr/sbin/uwsgi --ini app.ini\n',
  '      2 root     [kthreadd]\n',
  '     13 root     [odd but with a program]\n',
  'not a process\n',
  '\u001eexe\n',
  'lrwxrwxrwx 1 shop shop 0 Nov 22 06:00 /proc/10/exe -> /usr/bin/python3.11\n',
  'lrwxrwxrwx 1 root root 0 Nov 22 06:00 /proc/13/exe -> /opt/x\n',
  '\u001ecgroup\n',
  '/proc/10/cgroup:0::/system.slice/shop-worker.service\n',
  '/proc/11/cgroup:12:pids:/docker/' + 'ab12'.repeat(16) + '\n',
  '/proc/12/cgroup:0::/user.slice/user-0.slice/user@0.service/session.slice\n',
].join('');

test('a listing is read: kind by program, service by control group, busiest first', () => {
  assert.deepEqual(parseProcesses(listing), [
    {
      pid: 10,
      user: 'shop',
      command: '/usr/bin/python3 -m shop.worker --token s3cret',
      cpuPercent: 50,
      kind: 'python',
      service: 'shop-worker.service',
    },
    {
      pid: 11,
      user: 'root',
      command: 'node server.js',
      cpuPercent: 2,
      kind: 'node',
      service: 'docker ab12ab12ab12',
    },
    {
      pid: 12,
      user: '33',
      command: '/usr/sbin/uwsgi --ini app.ini',
      cpuPercent: undefined,
      kind: 'other',
      service: undefined,
    },
    {
      pid: 13,
      user: 'root',
      command: '[odd but with a program]',
      cpuPercent: undefined,
      kind: 'other',
      service: undefined,
    },
  ]);
});

test('no listing, no processes', () => assert.deepEqual(parseProcesses(''), []));

for (const [program, kind] of [
  ['/usr/bin/python3.11', 'python'],
  ['/opt/venv/bin/python', 'python'],
  ['/usr/bin/python3.13t', 'python'],
  ['/usr/bin/python3.11 (deleted)', 'python'],
  ['python3-dbg', 'python'],
  ['/usr/bin/nodejs', 'node'],
  ['/usr/bin/node24', 'node'],
  ['/usr/bin/python-config-tool', 'other'],
  ['/usr/sbin/sshd', 'other'],
  ['', 'other'],
] as const) {
  test(`"${program}" is ${kind}`, () => assert.equal(kindOf(program), kind));
}

for (const [argv, short] of [
  [['/usr/bin/python3', '-m', 'shop.worker', '--token', 's3cret'], 'python3 -m shop.worker …'],
  [['python3', '-u', '-X', 'dev', '/srv/app.py', '--key=1'], 'python3 -u -X dev /srv/app.py …'],
  [['python3', '/srv/app.py'], 'python3 /srv/app.py'],
  [['python3', '-c', 'password = "x"'], 'python3 -c …'],
  [['python3'], 'python3'],
  [['python3', '-m'], 'python3 -m'],
  [['node', '--require', './x.js', 'server.js', 'token'], 'node --require ./x.js server.js …'],
  [['/usr/sbin/uwsgi', '--auth', 'secret'], 'uwsgi …'],
  [['gunicorn: master [shop]'], 'gunicorn: master [shop]'],
  [[], ''],
] as const) {
  test(`"${argv.join(' ')}" is "${short}" in short`, () => {
    assert.equal(shortCommand(argv), short);
  });
}

test('facts of this very process', async () => {
  const shell = new LocalShell();
  const facts = await readProcessFacts(shell, process.pid);
  assert.equal(facts.exists, true);
  assert.equal(kindOf(facts.exe ?? ''), 'node');
  assert.equal(facts.ownUid, process.getuid?.());
  assert.equal(facts.uid, facts.ownUid);
  assert.ok(facts.argv.some((word) => word.includes('processes.test.ts')));
  assert.equal(facts.cwd, process.cwd());
  assert.equal(facts.embedsPython, false);
  shell.dispose();
});

test('a process that is gone', async () => {
  const shell = new LocalShell();
  assert.equal((await readProcessFacts(shell, 2 ** 30)).exists, false);
  shell.dispose();
});
