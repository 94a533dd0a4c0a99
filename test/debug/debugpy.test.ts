import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { debugpyLaunchArguments, findDebugpy, findPythonProgram } from '../../src/debug/debugpy.ts';
import type { ProgramPlan } from '../../src/debug/launcher.ts';
import { LocalShell } from '../../src/remote/localShell.ts';

const shell = new LocalShell();
const directory = mkdtempSync(join(tmpdir(), 'faultline-debugpy-'));
test.after(() => {
  shell.dispose();
  rmSync(directory, { recursive: true, force: true });
});

/** An executable of this text; gives its path. */
function script(name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, text);
  chmodSync(file, 0o755);
  return file;
}

function plan(argv: readonly string[], path = '/usr/bin:/bin'): ProgramPlan {
  return {
    argv,
    cwd: directory,
    env: { PATH: path },
    inheritEnv: false,
    umask: undefined,
    limits: undefined,
  };
}

test('the first interpreter with debugpy is taken, whatever its start-up code prints', async () => {
  const without = script('without', '#!/bin/sh\nexit 1\n');
  const broken = script('broken', '#!/bin/sh\necho no JSON\n');
  const withIt = script(
    'with',
    '#!/bin/sh\necho noise\necho \'["/v/bin/python3", "/v/lib/debugpy", "1.8.20", false]\'\n',
  );
  assert.deepEqual(await findDebugpy(shell, 'work-2', ['/absent', without, withIt]), {
    python: '/v/bin/python3',
    directory: '/v/lib/debugpy',
    version: '1.8.20',
    needsNeighbours: false,
  });
  for (const interpreters of [[without], [broken], []]) {
    await assert.rejects(findDebugpy(shell, 'work-2', interpreters), {
      code: 'debug.noDebugpy',
      message: 'work-2 has no debugpy, the debugger for Python.',
      hint: /apt install python3-debugpy.*pip install debugpy.*without debugger/,
    });
  }
});

test('a Python command line runs in the recorded interpreter', async () => {
  const found = await findPythonProgram(shell, plan(['python3', '-m', 'x']), '/v/bin/python3');
  assert.equal(found?.python, '/v/bin/python3');
  assert.equal(
    (await findPythonProgram(shell, plan(['python3', 'x.py']), undefined))?.python,
    'python3',
  );
  assert.equal(
    await findPythonProgram(shell, plan(['python3', '--version']), '/v/bin/python3'),
    undefined,
  );
});

test('a Python script is a Python program, by path and by name', async () => {
  const file = script('shopctl', '#!/v/bin/python3 -E\nprint()\n');
  const expected = {
    python: '/v/bin/python3',
    command: { flags: ['-E'], target: { kind: 'program', value: file }, args: ['now'] },
  };
  for (const name of [file, 'shopctl']) {
    const found = await findPythonProgram(
      shell,
      plan([name, 'now'], `${directory}:/usr/bin:/bin`),
      '/v/bin/python3',
    );
    assert.deepEqual(found, expected, name);
  }
  const relative = await findPythonProgram(shell, plan(['./shopctl']), '/v/bin/python3');
  assert.equal(relative?.command.target.value, './shopctl');
});

test('other programs are none', async () => {
  script('job', '#!/bin/sh\n');
  for (const argv of [['./job'], ['sh', '-c', 'x'], ['absent'], ['/bin/cat'], ['/'], ["';x"]]) {
    assert.equal(await findPythonProgram(shell, plan(argv), '/v/bin/python3'), undefined, argv[0]);
    assert.equal(await findPythonProgram(shell, plan(argv), undefined), undefined, argv[0]);
  }
});

test('options of the interpreter stay before what debugpy adds', () => {
  const debugpy = {
    python: '/usr/bin/python3',
    directory: '/d',
    version: '1',
    needsNeighbours: false,
  };
  const program = {
    python: '/v/bin/python3',
    command: { flags: ['-X', 'dev'], target: { kind: 'code', value: 'a\nb' }, args: ['c'] },
  } as const;
  const options = { stopOnEntry: true, justMyCode: true };
  const args = debugpyLaunchArguments(program, debugpy, undefined, options);
  assert.deepEqual(args['python'], ['/v/bin/python3', '-X', 'dev']);
  assert.deepEqual([args['code'], args['args'], 'cwd' in args], [['a\nb'], ['c'], false]);
  assert.deepEqual([args['stopOnEntry'], args['justMyCode']], [true, true]);
});
