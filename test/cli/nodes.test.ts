import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import test from 'node:test';
import { nodesCommand } from '../../src/cli/nodes.ts';
import { CommandLog } from '../../src/remote/commandLog.ts';
import { LocalNodes } from '../fakes/localNodes.ts';

/** A log as the shells leave it behind when they have measured a clock. */
function usedLog(): CommandLog {
  const log = new CommandLog((args) => args);
  const running = log.begin('web-1', 'start', { title: 'Measure the clock', script: 'date +%s' });
  running.sent(100);
  running.received(24);
  running.end({ exitCode: 0, signal: undefined });
  return log;
}

async function run(json: boolean, commands?: CommandLog): Promise<string> {
  const access = new LocalNodes({ 'web-1': {} });
  const stdout = new PassThrough();
  const code = await nodesCommand([], {
    access,
    stdout,
    stderr: new PassThrough(),
    signal: new AbortController().signal,
    json,
    ...(commands === undefined ? {} : { commands }),
  });
  access.dispose();
  commands?.dispose();
  assert.equal(code, 0);
  return String(stdout.read());
}

test('--commands adds what was run, word by word, and what it came to', async () => {
  const text = await run(false, usedLog());
  assert.match(text, /^web-1 +ready +clock/);
  assert.match(text, /^# Measure the clock\n# on web-1, begun 2\d{3}-[\d: .-]+Z$/m);
  assert.match(text, /^date \+%s$/m);
  assert.match(text, /^web-1: 1 command · 124 bytes$/m);
});

test('--commands with --json is one document with both', async () => {
  const answer = JSON.parse(await run(true, usedLog())) as {
    nodes: { name: string }[];
    commands: { script: string; bytesReceived: number }[];
  };
  assert.equal(answer.nodes[0]?.name, 'web-1');
  assert.equal(answer.commands[0]?.script, 'date +%s');
  assert.equal(answer.commands[0]?.bytesReceived, 24);
});

test('without it the list of nodes is as it was', async () => {
  const answer = JSON.parse(await run(true)) as { name: string; clock: unknown }[];
  assert.equal(answer[0]?.name, 'web-1');
  assert.deepEqual(Object.keys(answer[0].clock as object), ['offsetMs', 'errorMs', 'sync', 'zone']);
});

test('a node tells who keeps its clock, and its zone', async () => {
  assert.match(await run(false), /^web-1 +ready +clock \+0 ms ± 0.1 ms, .+, \S+ [+-]\d\d:\d\d$/m);
});
