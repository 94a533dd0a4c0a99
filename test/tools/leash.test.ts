// Whatever happens to the one who started a program, the program does not stay behind.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startLeashed } from './leash.mjs';

const leashModule = path.join(import.meta.dirname, 'leash.mjs');

async function becomesTrue(isTrue: () => boolean): Promise<boolean> {
  for (let tries = 0; tries < 100 && !isTrue(); tries++) await delay(50);
  return isTrue();
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A shell with a child: both print their pids, and neither ends by itself. */
const family = ['/bin/sh', ['-c', 'sleep 600 & echo $$ $!; wait']] as const;

const pidsIn = (logFile: string) =>
  (/^(\d+) (\d+)$/m.exec(readFileSync(logFile, 'utf8')) ?? []).slice(1).map(Number);

function logFileFor(t: { after(fn: () => void): void }): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'faultline-leash-'));
  t.after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return path.join(folder, 'log');
}

test('stop ends the program with its children', async (t) => {
  const logFile = logFileFor(t);
  const leashed = startLeashed(family[0], family[1], { env: process.env, logFile });
  assert.ok(await becomesTrue(() => pidsIn(logFile).length === 2));
  await leashed.stop();
  // The grandchild is the system's to bury: it may be there for a moment yet.
  assert.ok(await becomesTrue(() => !pidsIn(logFile).some(isAlive)));
});

test('a killed starter takes the program with it', async (t) => {
  const logFile = logFileFor(t);
  const code = `
    import { startLeashed } from ${JSON.stringify(leashModule)};
    startLeashed(...${JSON.stringify(family)}, { env: process.env, logFile: ${JSON.stringify(logFile)} });`;
  const starter = spawn(process.execPath, ['--input-type=module', '-e', code]);
  t.after(() => starter.kill('SIGKILL'));
  assert.ok(await becomesTrue(() => readsTwoPids(logFile)));
  starter.kill('SIGKILL');
  await once(starter, 'exit');
  assert.ok(await becomesTrue(() => !pidsIn(logFile).some(isAlive)));
});

function readsTwoPids(logFile: string): boolean {
  try {
    return pidsIn(logFile).length === 2;
  } catch {
    return false; // Not written yet.
  }
}

test("the program's own end is passed on", async (t) => {
  const leashed = startLeashed('/bin/sh', ['-c', 'exit 7'], {
    env: process.env,
    logFile: logFileFor(t),
  });
  assert.equal(await leashed.ended, 7);
  assert.equal(leashed.isRunning(), false);
});
