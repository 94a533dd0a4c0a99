// The counts at the end of `npm test` have to be true, above all when a run goes wrong.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { runNodeTests } from './nodeTests.mjs';

async function countsOf(t: TestContext, source: string, fileTimeoutMs = 20_000) {
  const folder = mkdtempSync(path.join(tmpdir(), 'faultline-sample-'));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const file = path.join(folder, 'sample.test.mjs');
  writeFileSync(file, source);
  return runNodeTests({ files: [file], concurrency: 1, fileTimeoutMs });
}

test('passed, failed and skipped tests are counted, suites are not', async (t) => {
  const { passed, failed, skipped, output } = await countsOf(
    t,
    `import { describe, it } from 'node:test';
     describe('suite', () => {
       it('passes', () => {});
       it('fails', () => { throw new Error('out of paper'); });
       it('is skipped', { skip: 'no printer here' }, () => {});
     });`,
  );
  assert.deepEqual(
    { passed, failed, skipped },
    {
      passed: 1,
      failed: 1,
      skipped: ['is skipped: no printer here'],
    },
  );
  assert.match(output, /✗ fails[^]*out of paper/);
});

test('a file that breaks off counts as a failure', async (t) => {
  const { failed, output } = await countsOf(t, `throw new Error('no such module');`);
  assert.equal(failed, 1);
  assert.match(output, /no such module/);
});

test('a file that leaves half-way counts as a failure', async (t) => {
  const { failed } = await countsOf(
    t,
    `import test from 'node:test'; test('waits', () => new Promise(() => {})); process.exit(7);`,
  );
  assert.ok(failed > 0);
});

test('a file that never ends, though its tests do, is ended and counts as a failure', async (t) => {
  const { failed, output } = await countsOf(
    t,
    `import test from 'node:test'; test('passes', () => {}); setInterval(() => {}, 1000);`,
    1500,
  );
  assert.equal(failed, 1);
  assert.match(output, /had not ended after 1.5 s/);
});

test('what a file leaves running does not keep the run', async (t) => {
  const { passed, failed } = await countsOf(
    t,
    `import test from 'node:test'; import { spawn } from 'node:child_process';
     test('passes', () => { spawn('sleep', ['600'], { stdio: 'inherit' }).unref(); });`,
  );
  assert.deepEqual({ passed, failed }, { passed: 1, failed: 0 });
});

test('a file without tests is a failure', async (t) => {
  const { failed } = await countsOf(t, '');
  assert.equal(failed, 1);
});

test('a file that does not exist is a failure', async () => {
  const { failed, output } = await runNodeTests({
    files: [path.join(tmpdir(), 'faultline-no-such-file.test.mjs')],
    concurrency: 1,
    fileTimeoutMs: 20_000,
  });
  assert.ok(failed > 0, output);
});
