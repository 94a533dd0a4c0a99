import assert from 'node:assert/strict';
import test from 'node:test';
import { OutputGate, type OutputLimits } from '../../src/debug/outputGate.ts';
import { eventually } from '../fakes/eventually.ts';

function gate(limits: OutputLimits): { gate: OutputGate; sent: string[] } {
  const sent: string[] = [];
  const made = new OutputGate((category, text) => sent.push(`${category}: ${text}`), limits);
  return { gate: made, sent };
}

test('output that comes close together is one message a category', async () => {
  const { gate: output, sent } = gate({ intervalMs: 5, charsPerInterval: 1000 });
  for (const text of ['a', 'b']) output.push('stdout', text);
  output.push('stderr', 'c');
  output.push('stdout', 'd');
  assert.deepEqual(sent, []);
  await eventually(() => assert.deepEqual(sent, ['stdout: ab', 'stderr: c', 'stdout: d']));
});

test('flushing sends what waits, in order, and once', () => {
  const { gate: output, sent } = gate({ intervalMs: 60_000, charsPerInterval: 1000 });
  output.push('stdout', 'last words');
  output.flush();
  output.flush();
  assert.deepEqual(sent, ['stdout: last words']);
  output.dispose();
});

test('a flood is cut, and says how much is missing', () => {
  const { gate: output, sent } = gate({ intervalMs: 60_000, charsPerInterval: 10 });
  for (let round = 0; round < 1000; round++) output.push('stdout', '0123456789');
  output.flush();
  assert.deepEqual(sent, [
    'stdout: 0123456789',
    'console: \n[9,990 characters of output were dropped: too fast to show]\n',
  ]);
  output.dispose();
});

test('after a flood, output is shown again', async () => {
  const { gate: output, sent } = gate({ intervalMs: 5, charsPerInterval: 3 });
  output.push('stdout', 'abcdef');
  await eventually(() => assert.equal(sent.length, 2));
  output.push('stdout', 'ghi');
  await eventually(() => assert.equal(sent.at(-1), 'stdout: ghi'));
});

test('a cut never leaves half a character', () => {
  const { gate: output, sent } = gate({ intervalMs: 60_000, charsPerInterval: 2 });
  output.push('stdout', 'a\u{1f40d}');
  output.flush();
  assert.equal(sent[0], 'stdout: a');
  output.dispose();
});

test('escape sequences that act are dropped, also when they are cut in two', () => {
  const { gate: output, sent } = gate({ intervalMs: 60_000, charsPerInterval: 1000 });
  output.push('stdout', 'a\u001b]52;c;');
  output.push('stderr', 'between');
  output.push('stdout', 'ZXZpbA==\u0007b\u001b[31m');
  output.flush();
  assert.deepEqual(sent, ['stdout: a', 'stderr: between', 'stdout: b\u001b[31m']);
  output.dispose();
});
