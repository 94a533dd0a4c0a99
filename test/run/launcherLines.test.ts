import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import test from 'node:test';
import { LauncherLines } from '../../src/run/launcherLines.ts';

/** What stays of a launcher's stderr, its notes and its refusal, in chunks of this size. */
async function read(
  stderr: string,
  size = Infinity,
): Promise<{ rest: string; notes: string[]; refusal: string | undefined }> {
  const notes: string[] = [];
  const lines = new LauncherLines({ onNote: (note) => notes.push(note) });
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
  const lines = new LauncherLines({ onNote: () => undefined });
  const first = lines.iterator().next();
  lines.write('fault? ');
  assert.equal(String((await first).value), 'fault? ');
});

test('a line that only begins like one of ours is held no longer than it can become one', async () => {
  const long = `faultline: note: ${'x'.repeat(20_000)}`;
  const lines = new LauncherLines({ onNote: () => undefined });
  const first = lines.iterator().next();
  lines.write(long);
  assert.equal(String((await first).value), long);
});

test('a refusal shows a hostile name without its control characters', async () => {
  const { refusal } = await read('faultline: cannot start: \u001b[2J: no such program\n');
  assert.equal(refusal, '‹ESC›[2J: no such program');
});

test('under the recorder the run is named by its last line, in chunks of every size', async () => {
  const own = 'faultline: run r-20261122T061754-3fa9c1d2\n';
  const forged = 'prompt> faultline: run r-forged-in-a-line\nfaultline: run as you like\n';
  for (const size of [1, 5, Infinity]) {
    const lines = new LauncherLines({ onNote: () => undefined, isRecorded: true });
    const bytes = Buffer.from(forged + own);
    for (let at = 0; at < bytes.length; at += size) lines.write(bytes.subarray(at, at + size));
    lines.end();
    assert.equal(await text(lines), forged);
    assert.equal(lines.runId, 'r-20261122T061754-3fa9c1d2');
  }
});

test('without the recorder such a line is the program\u2019s own', async () => {
  const words = 'faultline: run r-20261122T061754-3fa9c1d2\n';
  assert.equal((await read(words)).rest, words);
});
