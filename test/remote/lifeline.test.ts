import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootstrapCommand, encodeCommand } from '../../src/remote/command.ts';
import type { Channel } from '../../src/remote/connection.ts';
import { Lifeline } from '../../src/remote/lifeline.ts';
import type { RemoteCommand } from '../../src/remote/shell.ts';

/** The script of a lifeline, as it goes to a node. */
async function scriptOf(silenceMs: number): Promise<RemoteCommand> {
  return new Promise((resolve) => {
    const lifeline = new Lifeline((command) => {
      resolve(command);
      return Promise.resolve<Channel | undefined>(undefined);
    }, silenceMs);
    // Programs that end sooner need none.
    lifeline.guard(new Promise(() => undefined));
  });
}

/** Processes of the script, other than itself, that have not ended. */
async function timersOf(pid: number): Promise<number> {
  const list = spawn('ps', ['-eo', 'ppid=,stat='], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const bytes of list.stdout) text += String(bytes);
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/));
  return lines.filter(([ppid, state]) => Number(ppid) === pid && state?.[0] !== 'Z').length;
}

test('beats that come in a heap leave one timer, and the end leaves none', async () => {
  const command = await scriptOf(900);
  const child = spawn('/bin/sh', ['-c', bootstrapCommand], { stdio: ['pipe', 'ignore', 'ignore'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  // All of them are there before the first timer can have started.
  child.stdin.write(encodeCommand(command).header + '\n'.repeat(30));
  await sleep(500);
  const timers = await timersOf(child.pid!);
  child.stdin.end();
  assert.equal(await ended, 0);
  assert.equal(timers, 1);
});
