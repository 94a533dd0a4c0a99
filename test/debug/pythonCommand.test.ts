import assert from 'node:assert/strict';
import test from 'node:test';
import {
  isPythonInterpreter,
  parsePythonCommand,
  parsePythonShebang,
} from '../../src/debug/pythonCommand.ts';

/** A command line as words → `flags | kind value | args`. */
const commands: Readonly<Record<string, string>> = {
  'python3 settle.py': '| program settle.py |',
  'python3 settle.py --order 7 -m x': '| program settle.py | --order 7 -m x',
  'python3 -m shop.settle --order 7': '| module shop.settle | --order 7',
  'python3 -mshop.settle -v': '| module shop.settle | -v',
  'python3 -u -B -m shop': '-u -B | module shop |',
  'python3 -uBm shop': '-uB | module shop |',
  'python3 -c pass a b': '| code pass | a b',
  'python3 -cpass a': '| code pass | a',
  'python3 -X dev -W error -I x.py': '-X dev -W error -I | program x.py |',
  'python3 -Xdev -Werror x.py': '-X dev -W error | program x.py |',
  'python3 -OO -bb -vv x.py': '-OO -bb -vv | program x.py |',
  'python3 -IXdev x.py': '-I -X dev | program x.py |',
  'python3 --check-hash-based-pycs never x.py': '--check-hash-based-pycs never | program x.py |',
  'python3 -- x.py --': '| program x.py | --',
  'python3 /srv/app': '| program /srv/app |',
};

for (const [command, expected] of Object.entries(commands)) {
  test(`taken apart: ${command}`, () => {
    const parsed = parsePythonCommand(command.split(' '));
    assert.ok(parsed !== undefined);
    const { flags, target, args } = parsed;
    const text = `${flags.join(' ')} | ${target.kind} ${target.value} | ${args.join(' ')}`;
    assert.equal(text.trim(), expected);
  });
}

test('arguments are left as they are, whatever they hold', () => {
  const args = ['', 'a b', "'", '$(x)', '-m', 'line\nfeed', 'bad\udcff'];
  assert.deepEqual(parsePythonCommand(['python3', '-c', 'a\nb', ...args]), {
    flags: [],
    target: { kind: 'code', value: 'a\nb' },
    args,
  });
});

for (const command of [
  'python3',
  'python3 -',
  'python3 -i',
  'python3 -V',
  'python3 --version',
  'python3 -uh',
  'python3 -m',
  'python3 -X',
  'python3 --',
]) {
  test(`nothing to debug: ${command}`, () => {
    assert.equal(parsePythonCommand(command.split(' ')), undefined);
  });
}

test('interpreters are known by their names', () => {
  const interpreters = [
    'python',
    'python3',
    '/usr/bin/python3.11',
    '/v/bin/python3.13t',
    'pypy3',
    'python3-dbg',
  ];
  for (const name of interpreters) assert.ok(isPythonInterpreter(name), name);
  const others = [
    'pythonista',
    'bash',
    '/srv/python/run',
    'python3.py',
    'ipython3',
    'python3-config',
    '',
  ];
  for (const name of others) assert.ok(!isPythonInterpreter(name), name);
});

test('a script says that it is Python in its first line', () => {
  assert.deepEqual(parsePythonShebang('#!/srv/venv/bin/python3'), []);
  assert.deepEqual(parsePythonShebang('#! /usr/bin/python3 -sE '), ['-sE']);
  assert.deepEqual(parsePythonShebang('#!/usr/bin/env python3'), []);
  assert.deepEqual(parsePythonShebang('#!/usr/bin/env -S python3 -u'), ['-u']);
  for (const line of ['#!/bin/sh', '#!/usr/bin/env node', '\u007fELF', '', 'python3']) {
    assert.equal(parsePythonShebang(line), undefined, line);
  }
});
