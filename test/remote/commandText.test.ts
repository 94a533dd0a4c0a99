import assert from 'node:assert/strict';
import test from 'node:test';
import { CommandLog, type CommandEntry } from '../../src/remote/commandLog.ts';
import {
  commandDocument,
  commandList,
  commandToJson,
  describeCost,
  describeExit,
  describeTotals,
} from '../../src/remote/commandText.ts';

const entry: CommandEntry = {
  id: 7,
  node: 'web-1',
  kind: 'exec',
  title: 'List a directory',
  script: '\ncd -- "$1"\nls\n',
  args: ['/srv/\u001b]52;c;eA==\u0007x', 'two\nlines; rm -rf /'],
  program: '',
  startedAt: Date.UTC(2026, 10, 22, 10, 0, 0, 123),
  durationMs: 12.34,
  bytesSent: 1229,
  bytesReceived: 340,
  exit: { exitCode: 0, signal: undefined },
};

test('a document holds the literal text, and arguments as comments that can do nothing', () => {
  assert.equal(
    commandDocument(entry),
    [
      '# List a directory',
      '# on web-1, begun 2026-11-22 10:00:00.123Z',
      '# 12 ms · sent 1.20 KiB, received 340 bytes · exit 0',
      "# Run by the node's /bin/sh with the arguments that stand below it:",
      '',
      'cd -- "$1"',
      'ls',
      '',
      '# $1 = /srv/‹ESC›]52;c;eA==‹BEL›x',
      '# $2 = two',
      '#      lines; rm -rf /',
      '',
    ].join('\n'),
  );
});

test('a program that is sent on the input is there too, word by word', () => {
  const text = commandDocument({ ...entry, program: 'import sys\nprint(1)\n' });
  assert.match(text, /\n\n# It is sent this program on its input:\n\nimport sys\nprint\(1\)\n$/);
});

test('a terminal says that what happens in it is not kept', () => {
  const text = commandDocument({ ...entry, kind: 'terminal', script: '', args: [] });
  assert.match(text, /^# A terminal: what was typed and shown is not kept\.$/m);
  assert.doesNotMatch(text, /bin\/sh/);
});

test('every end has words of its own', () => {
  const ends: [Partial<CommandEntry>, string][] = [
    [{ durationMs: undefined, exit: undefined }, 'running'],
    [{ exit: undefined, bytesSent: 0, bytesReceived: 0 }, 'not started'],
    [{ exit: undefined }, 'given up'],
    [{ exit: { exitCode: undefined, signal: undefined } }, 'closed'],
    [{ exit: { exitCode: undefined, signal: 'SIGKILL' } }, 'SIGKILL'],
    [{ exit: { exitCode: 3, signal: undefined } }, 'exit 3'],
  ];
  for (const [change, expected] of ends)
    assert.equal(describeExit({ ...entry, ...change }), expected);
  assert.equal(
    describeCost({ ...entry, durationMs: undefined }),
    'sent 1.20 KiB, received 340 bytes · running',
  );
});

test('totals name failures only where there are some', () => {
  const totals = {
    count: 42,
    running: 0,
    failed: 3,
    bytesSent: 0,
    bytesReceived: 1258291,
    durationMs: 1,
  };
  assert.equal(describeTotals(totals), '42 commands · 1.20 MiB · 3 failed');
  assert.equal(
    describeTotals({ ...totals, count: 1, failed: 0, running: 1 }),
    '1 command · 1.20 MiB · 1 running',
  );
});

test('the list has each node with its totals and its commands, and says what is not in it', () => {
  const log = new CommandLog((args) => args, { entries: 2, characters: 1000 });
  assert.equal(commandList(log), 'No command was run on any node.\n');
  for (const node of ['web-1', 'web-1', 'db\u001b[2J']) {
    const running = log.begin(node, 'exec', { script: 'true', title: 'Measure the clock' });
    running.sent(100);
    running.end({ exitCode: 0, signal: undefined });
  }
  const lines = commandList(log).split('\n');
  assert.match(lines[0] ?? '', /^web-1: 2 commands · 200 bytes, /);
  assert.match(
    lines[1] ?? '',
    /^ {2}\d\d:\d\d:\d\d\.\d{3}Z +\d+\.\d ms +↑ 100 bytes +↓ 0 bytes +exit 0 +Measure the clock$/,
  );
  assert.match(lines[2] ?? '', /^db‹ESC›\[2J: 1 command/);
  assert.equal(lines[4], '1 older command is not listed.');
  log.dispose();
});

test('JSON has null where nothing is known', () => {
  assert.deepEqual(commandToJson({ ...entry, durationMs: undefined, exit: undefined }), {
    node: 'web-1',
    kind: 'exec',
    title: 'List a directory',
    script: entry.script,
    args: entry.args,
    program: null,
    startedAt: '2026-11-22T10:00:00.123Z',
    durationMs: null,
    bytesSent: 1229,
    bytesReceived: 340,
    exitCode: null,
    signal: null,
  });
});
