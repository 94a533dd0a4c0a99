import assert from 'node:assert/strict';
import test from 'node:test';
import { parseConfiguration } from '../../src/debug/launchConfiguration.ts';

test('a run needs nothing else', () => {
  assert.deepEqual(
    parseConfiguration({ type: 'faultline', request: 'launch', name: 'x', run: 'r-1' }),
    {
      kind: 'run',
      run: 'r-1',
      node: undefined,
      stopOnEntry: false,
      justMyCode: false,
      noDebug: false,
      mappings: [],
    },
  );
});

/** What is started for the program of a configuration. */
function argvOf(configuration: object): readonly string[] {
  const parsed = parseConfiguration({ node: 'work-2', ...configuration });
  assert.equal(parsed.kind, 'program');
  return parsed.plan.argv;
}

test('a program, a module or a whole command line can be named', () => {
  assert.deepEqual(argvOf({ program: '/srv/x.py', args: ['a'] }), ['python3', '/srv/x.py', 'a']);
  assert.deepEqual(argvOf({ program: '/srv/x', args: ['a'] }), ['/srv/x', 'a']);
  assert.deepEqual(argvOf({ program: '/srv/x', python: '/v/python3' }), ['/v/python3', '/srv/x']);
  assert.deepEqual(argvOf({ program: '/v/python3', args: ['-m', 'x'], python: '/v/python3' }), [
    '/v/python3',
    '-m',
    'x',
  ]);
  assert.deepEqual(argvOf({ module: 'shop', python: '/v/python3' }), ['/v/python3', '-m', 'shop']);
  assert.deepEqual(argvOf({ argv: ['sh', '-c', 'x'] }), ['sh', '-c', 'x']);
});

test('without a run, the environment is added to that of the node', () => {
  const parsed = parseConfiguration({ node: 'work-2', argv: ['x'], env: { A: 'b' }, cwd: '/srv' });
  assert.deepEqual(parsed.kind === 'program' && parsed.plan, {
    argv: ['x'],
    cwd: '/srv',
    env: { A: 'b' },
    inheritEnv: true,
    umask: undefined,
    limits: undefined,
  });
});

const wrong: readonly (readonly [unknown, RegExp])[] = [
  [undefined, /it is no object/],
  ['x', /it is no object/],
  [{}, /"node" is missing/],
  [{ node: 'work-2' }, /one of "run", "program", "module" and "argv"/],
  [{ node: 'work-2', program: 'x', module: 'y' }, /one of "run"/],
  [{ node: 'work-2', argv: [] }, /"argv" is not valid/],
  [{ node: 'work-2', argv: [1] }, /"argv\.0" is not valid/],
  [{ node: 'work-2', argv: ['x'], env: { A: 1 } }, /"env\.A" is not valid/],
  [{ run: '' }, /"run" is not valid/],
  [{ run: 7 }, /"run" is not valid/],
  [{ run: 'r-1', argv: ['rm'] }, /a recorded "run" brings its program/],
  [{ run: 'r-1', stopOnEntry: 'yes' }, /"stopOnEntry" is not valid/],
  [{ run: 'r-1', pathMappings: [{ localRoot: 1 }] }, /"pathMappings\.0\.localRoot" is not valid/],
];

for (const [configuration, message] of wrong) {
  test(`refused: ${JSON.stringify(configuration)}`, () => {
    assert.throws(() => parseConfiguration(configuration), {
      code: 'debug.configuration',
      message,
    });
  });
}
