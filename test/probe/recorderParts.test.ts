import assert from 'node:assert/strict';
import test from 'node:test';
import { askRecorder } from './pythons.ts';

test('the hook goes into commands that run Python and look at PYTHONPATH, and into no other', () => {
  const commands: readonly (readonly [argv: readonly string[], hooked: boolean])[] = [
    [['/usr/bin/python3', 'x.py'], true],
    [['/opt/venv/bin/python', '-m', 'shop'], true],
    [['/usr/bin/python3.11', '-u', '-X', 'dev', '-W', 'error', '-c', 'pass'], true],
    [['/usr/bin/python3.13t', '-c', '-I'], true],
    [['/usr/bin/pypy3', 'x.py', '-E'], true],
    [['/usr/bin/python3', '-I', 'x.py'], false],
    [['/usr/bin/python3', '-uE', 'x.py'], false],
    [['/usr/bin/python3', '-W', 'error', '-S', 'x.py'], false],
    [['/bin/sh', 'python3'], false],
    [['/usr/bin/python2.7', 'x.py'], false],
    [['/usr/bin/python3-config', '--libs'], false],
  ];
  const answer = askRecorder(
    'answer = [probe.hook_refusal(argv[0].encode(), argv) for argv in given]',
    commands.map(([argv]) => argv),
  ) as (string | null)[];
  assert.deepEqual(
    answer.map((refusal) => refusal === null),
    commands.map(([, hooked]) => hooked),
  );
});

test('a script is Python when its first line says so', () => {
  const lines: readonly (readonly [line: string, hooked: boolean])[] = [
    ['#!/usr/bin/env python3', true],
    ['#!/srv/venv/bin/python', true],
    ['#! /usr/bin/python3 -u', true],
    ['#!/usr/bin/env -S A=b python3 -X dev', true],
    ['#!/usr/bin/python3 -Es', false],
    ['#!/bin/bash', false],
    ['\u007fELF', false],
    ['', false],
  ];
  const answer = askRecorder(
    `import os, tempfile
answer = []
for line in given:
    with tempfile.NamedTemporaryFile() as file:
        file.write(line.encode() + b'\\nrest')
        file.flush()
        answer.append(probe.hook_refusal(file.name.encode(), ['script', '-I']) is None)`,
    lines.map(([line]) => line),
  );
  assert.deepEqual(
    answer,
    lines.map(([, hooked]) => hooked),
  );
});

test('distributions are read from the names of their directories', () => {
  const names = [
    'PyYAML-6.0.dist-info',
    'zope.interface-5.4.dist-info',
    'lazr.uri-1.0.6.egg-info',
    'ruamel_yaml-0.17-py3.11.egg-info',
    'torch-2.1.0+cpu.dist-info',
    'requests',
    'distutils-precedence.pth',
  ];
  const answer = askRecorder(
    'answer = [probe.distribution(name, "/nowhere") for name in given]',
    names,
  );
  assert.deepEqual(answer, [
    ['pyyaml', '6.0'],
    ['zope-interface', '5.4'],
    ['lazr-uri', '1.0.6'],
    ['ruamel-yaml', '0.17'],
    ['torch', '2.1.0+cpu'],
    null,
    null,
  ]);
});

test('a record is at most 1 MiB, and says what was cut to fit', () => {
  const answer = askRecorder(
    `def size(env, argv=0):
    notes = []
    record = {'env': env, 'packages': {}, 'stderrTail': '', 'exception': None, 'notes': notes,
              'argv': probe.bounded_argv(['x' * 1000] * argv, notes)}
    data = probe.fitted(record)
    return [len(data), json.loads(data.decode())['notes']]
answer = [size({'A': 'b'}), size({'A': 'x' * 100000}), size({'V%d' % i: '\\u2039' * 9000 for i in range(300)}),
          size({'V%d' % i: 'x' for i in range(200000)}), size({}, 1000)]`,
    null,
  ) as [number, string[]][];
  for (const [bytes] of answer) assert.ok(bytes <= 1 << 20);
  assert.deepEqual(answer[0]?.[1], []);
  assert.deepEqual(answer[1]?.[1], ['env A: 100000 characters, the first 65536 kept']);
  assert.equal(answer[2]?.[1].length, 100);
  assert.match(answer[3]?.[1][0] ?? '', /the record was too large/);
  assert.match(answer[4]?.[1][0] ?? '', /^1000 arguments, the first 262 kept/);
});

test('the oldest ended records are deleted over the bounds, a running one never', () => {
  const answer = askRecorder(
    `import os, tempfile
probe.KEEP_RECORDS, probe.KEEP_BYTES = 3, 75000
with tempfile.TemporaryDirectory() as folder:
    store = probe.Store(folder)
    own = {'pid': os.getpid(), 'pidStart': probe.process_start(os.getpid())}
    base = {'format': probe.FORMAT, 'version': 1, 'env': {}, 'notes': [], 'exception': None, 'stderrTail': '',
            'host': {'name': probe.os_text(probe.socket.gethostname())},
            'recorder': dict(own, bootId=probe.boot_id())}
    def write(day, state, extra=''):
        store.write(dict(base, id='r-202611%02dT000000-00000000' % day, state=state, x=extra, **own))
    write(1, 'running')
    for day in range(2, 7):
        write(day, 'failed')
    store.prune()
    kept = [[run[8:10] for run in store.ids()]]
    write(7, 'failed', 'x' * 9000)
    store.prune()
    kept.append([run[8:10] for run in store.ids()])
    modes = [oct(os.stat(store.folder).st_mode & 0o777), oct(os.stat(store.path(store.ids()[0])).st_mode & 0o777)]
answer = [kept, modes]`,
    null,
  );
  assert.deepEqual(answer, [
    [
      ['06', '05', '01'],
      ['07', '01'],
    ],
    ['0o700', '0o600'],
  ]);
});

test('the head of a git checkout is read without git', () => {
  const answer = askRecorder(
    `import os, tempfile
def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as file:
        file.write(text)
commit = 'c3ff574ae254b6e0789f97a99c622b48fd21616d'
answer = []
with tempfile.TemporaryDirectory() as folder:
    folder = os.path.realpath(folder)
    git = os.path.join(folder, '.git')
    os.makedirs(os.path.join(folder, 'src/deep'))
    write(git + '/HEAD', 'ref: refs/heads/fix/price\\n')
    write(git + '/packed-refs', '# pack-refs\\n%s refs/heads/fix/price\\n' % commit)
    facts = probe.code_facts([os.path.join(folder, 'src/deep')])
    answer.append([facts['root'] == folder, facts['commit'] == commit, facts['branch']])
    write(git + '/refs/heads/fix/price', commit[::-1] + '\\n')
    answer.append(probe.code_facts([folder])['commit'] == commit[::-1])
    write(git + '/HEAD', commit + '\\n')
    answer.append(probe.code_facts([folder])['branch'])
    tree = os.path.join(folder, 'other')
    write(tree + '/.git', 'gitdir: %s/worktrees/other\\n' % git)
    write(git + '/worktrees/other/HEAD', 'ref: refs/heads/fix/price\\n')
    write(git + '/worktrees/other/commondir', '../..\\n')
    answer.append(probe.code_facts([tree])['commit'] == commit[::-1])
answer.append(probe.code_facts(['/proc', '/nowhere']))`,
    null,
  );
  assert.deepEqual(answer, [[true, true, 'fix/price'], true, null, true, null]);
});

test('on a disk that is full by its end a run is still recorded as it ended', () => {
  const answer = askRecorder(
    `import errno, os, tempfile
real = os.open
def full(path, flags, *rest):
    if flags & os.O_CREAT:
        raise OSError(errno.ENOSPC, 'No space left on device', path)
    return real(path, flags, *rest)
with tempfile.TemporaryDirectory() as folder:
    os.environ['BIG'] = 'x' * 60000
    recording = probe.Recording('run', [b'a'], state=folder)
    recording.write()
    path = recording.store.path(recording.id)
    reserved = os.stat(path).st_size
    recording.set_exception({'type': 'OSError', 'module': 'builtins', 'message': 'full',
                             'traceback': 'y' * 100000, 'frames': []}, 'hook')
    probe.os.open = full
    recording.finish(1, None, 'failed')
    probe.os.open = real
    record = recording.store.read(recording.id)
    answer = [record['state'], record['exitCode'], record['exception']['message'],
              os.stat(path).st_size == reserved, record['notes'][0], recording.is_written]`,
    null,
  ) as unknown[];
  assert.deepEqual(answer, [
    'failed',
    1,
    'full',
    true,
    'written on a full disk: No space left on device',
    true,
  ]);
});
