import assert from 'node:assert/strict';
import test from 'node:test';
import { findPython } from '../../src/debug/launcher.ts';
import { LocalShell } from '../../src/remote/localShell.ts';

test('the first interpreter that is there is used', async () => {
  const shell = new LocalShell();
  assert.equal(await findPython(shell, 'work-2', ['/absent/python3', 'sh', 'cat']), 'sh');
  await assert.rejects(findPython(shell, 'work-2', ['/absent/python3', '$(touch never)']), {
    code: 'debug.noPython',
    message: 'work-2 has no Python 3, which starts programs there.',
    hint: 'Install python3 on work-2.',
  });
  shell.dispose();
});
