import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import test from 'node:test';
import { findPython, LauncherLines } from '../../src/debug/launcher.ts';
import { LocalShell } from '../../src/remote/localShell.ts';

/** What stays of a launcher's stderr, its notes and its refusal, in chunks of this size. */
async function read(
  stderr: string,
  size = Infinity,
): Promise<{ rest: string; notes: string[]; refusal: string | undefined }> {
  const notes: string[] = [];
  const lines = new LauncherLines((note) => notes.push(note));
  const bytes = Buffer.from(stderr);
  for (let at = 0; at < bytes.length; at += size) lines.write(bytes.subarray(at, at + size));
  lines.end();
  return { rest: await text(lines), notes, refusal: lines.refusal };
}

const stderr =
  'faultline: note: the limit core could not be set: é.\n' +
  'Traceback\nfaultline: notes of mine\n  faultline: note: indented\nfaultline\n' +
  'faultline: cannot start: there is no such program\n' +
  'prompt> ';
const rest =
  'Traceback\nfaultline: notes of mine\n  faultline: note: indented\nfaultline\nprompt> ';

test("the launcher's own lines are taken out, in chunks of every size", async () => {
  for (const size of [1, 2, 3, 7, 64, Infinity]) {
    assert.deepEqual(
      await read(stderr, size),
      {
        rest,
        notes: ['the limit core could not be set: é'],
        refusal: 'there is no such program',
      },
      String(size),
    );
  }
});

test('a prompt does not wait for its line to end', async () => {
  const lines = new LauncherLines(() => undefined);
  const first = lines.iterator().next();
  lines.write('fault? ');
  assert.equal(String((await first).value), 'fault? ');
});

test('a line that only begins like one of ours is held no longer than it can become one', async () => {
  const long = `faultline: note: ${'x'.repeat(20_000)}`;
  const lines = new LauncherLines(() => undefined);
  const first = lines.iterator().next();
  lines.write(long);
  assert.equal(String((await first).value), long);
});

test('a refusal shows a hostile name without its control characters', async () => {
  const { refusal } = await read('faultline: cannot start: \u001b[2J: no such program\n');
  assert.equal(refusal, '‹ESC›[2J: no such program');
});

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
