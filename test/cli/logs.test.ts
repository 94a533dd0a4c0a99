import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import test, { after } from 'node:test';
import { logsCommand, parseLogArgs } from '../../src/cli/logs.ts';
import { eventually } from '../fakes/eventually.ts';
import { LocalNodes, type LocalNodeOptions } from '../fakes/localNodes.ts';

const root = mkdtempSync(join(tmpdir(), 'faultline-cli-logs-'));
after(() => rmSync(root, { recursive: true, force: true }));

class Output extends Writable {
  text = '';
  readonly isTTY: boolean;

  constructor(isTTY = false) {
    super();
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

interface Run {
  readonly code: Promise<number>;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly abort: () => void;
}

function start(
  nodes: Readonly<Record<string, LocalNodeOptions>>,
  args: readonly string[],
  options: { readonly json?: boolean; readonly isTTY?: boolean } = {},
): Run {
  const access = new LocalNodes(nodes);
  const [stdout, stderr] = [new Output(options.isTTY), new Output()];
  const abort = new AbortController();
  const context = { access, stdout, stderr, signal: abort.signal, json: options.json ?? false };
  const code = logsCommand(args, context).finally(() => access.dispose());
  return { code, stdout, stderr, abort: () => abort.abort() };
}

const path = join(root, 'a.log');
writeFileSync(
  path,
  '{"level":30,"time":1795328274123,"reqId":"req-1","msg":"in \\u202e\\u009b31m"}\n' +
    '{"level":50,"time":1795328274125,"reqId":"req-1","msg":"bad"}\nTraceback (most recent call last):\n',
);

test('--json prints one entry a line, and nothing that a terminal acts on', async () => {
  const { code, stdout, stderr } = start({ n: { logs: [path] } }, ['--context', 'req-1'], {
    json: true,
  });
  assert.equal(await code, 0);
  const lines = stdout.text.trimEnd().split('\n');
  const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    entries.map((entry) => [entry['time'], entry['node'], entry['level'], entry['message']]),
    [
      ['2026-11-22T06:17:54.123Z', 'n', 'info', 'in \u202e\u009b31m'],
      ['2026-11-22T06:17:54.125Z', 'n', 'error', 'bad'],
    ],
  );
  assert.equal(entries[1]!['line'], 2);
  assert.doesNotMatch(stdout.text, /[\u007f-\u009f\u202e]/);
  assert.equal(stderr.text, '');
});

test('--time chooses the zone of the shown times', async () => {
  const { code, stdout } = start(
    { n: { logs: [path], shell: { env: { ...process.env, TZ: 'Asia/Kathmandu' } } } },
    ['--context', 'req-1', '--time', 'node'],
  );
  assert.equal(await code, 0);
  assert.match(stdout.text, /^\[2026-11-22 12:02:54\.123\+05:45\] INFO /);
  assert.throws(() => parseLogArgs(['--time', 'mars'], 0), { code: 'cli.usage' });
  assert.equal(parseLogArgs(['--time=local'], 0).times, 'local');
});

test('text is in colour on a terminal only, and shows hidden characters', async () => {
  const plain = start({ n: { logs: [path] } }, ['--grep', 'in ']);
  assert.equal(await plain.code, 0);
  assert.equal(
    plain.stdout.text,
    '[2026-11-22 06:17:54.123Z] INFO  (a on n): [req-1] in ‹U+202E›‹U+009B›31m\n',
  );
  const coloured = start({ n: { logs: [path] } }, ['--level', 'error'], { isTTY: true });
  assert.equal(await coloured.code, 0);
  assert.match(coloured.stdout.text, /\u001b\[31mERROR\u001b\[39m/);
});

test('a node that does not answer is named, the rest is printed, and the exit code is 3', async () => {
  const { code, stdout, stderr } = start(
    {
      bad: { logs: ['/x'], failure: new Error('no \u001b[2J way') },
      n: { logs: [path, '/none'] },
      unset: {},
    },
    ['--context', 'req-1'],
  );
  assert.equal(await code, 3);
  assert.equal(stdout.text.split('\n').length, 4);
  assert.equal(
    stderr.text,
    'faultline: No file matches /none on n, or its folder may not be read.\n' +
      'faultline: bad did not answer. no ‹ESC›[2J way\n',
  );
});

test('--follow prints what is written from now on, and ends with 0 when interrupted', async () => {
  const followed = join(root, 'followed.log');
  writeFileSync(followed, 'old\n');
  const { code, stdout, stderr, abort } = start(
    { n: { logs: [followed] } },
    ['--follow', '--grep', 'wanted'],
    { json: true },
  );
  await eventually(() => {
    appendFileSync(followed, 'wanted\nother\n');
    assert.notEqual(stdout.text, '');
  });
  abort();
  assert.equal(await code, 0);
  const [first] = stdout.text.split('\n');
  const entry = JSON.parse(first!) as Record<string, unknown>;
  assert.deepEqual([entry['message'], entry['late'], entry['node']], ['wanted', false, 'n']);
  assert.doesNotMatch(stdout.text, /old|other/);
  assert.equal(stderr.text, '');
});

test('--follow ends with 3 when no node can be followed', async () => {
  const { code, stderr } = start({ n: {} }, ['n', '--follow']);
  assert.equal(await code, 3);
  assert.match(stderr.text, /^faultline: n: n has no log files configured\. Add "logs"/);
});

const wrong: readonly (readonly [args: readonly string[], message: RegExp])[] = [
  [['--level', 'loud'], /no level "loud"/],
  [['--since', 'soon'], /--since "soon" is no time/],
  [['--since', '1m', '--until', '2m'], /end before it begins/],
  [['--follow', '--since', '1m'], /leave --since and --until out/],
  [['--grep', ''], /at least one character/],
  [['--nonsense'], /--nonsense/],
  [['--context'], /context/],
];

test('wrong use is one sentence', () => {
  for (const [args, message] of wrong) {
    assert.throws(() => parseLogArgs(args, 0), { code: 'cli.usage', message }, args.join(' '));
  }
  assert.deepEqual(parseLogArgs(['web-1', '--since', '10s', '--level', 'warn'], 20_000), {
    names: ['web-1'],
    query: { since: 10_000, level: 'warn' },
    isFollow: false,
    times: 'utc',
  });
});

test('nodes without log files are only asked when named', async () => {
  await assert.rejects(start({ n: {} }, []).code, { code: 'cli.usage' });
});
