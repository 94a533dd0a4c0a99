import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import test, { after } from 'node:test';
import type { CliContext } from '../../src/cli/context.ts';
import { profileCommand } from '../../src/cli/profile.ts';
import { readFolded } from '../../src/profile/formats/folded.ts';
import type { Node } from '../../src/remote/node.ts';
import { stackWeights } from './columns.ts';
import { ScriptedShell } from './scriptedShell.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'faultline-profile-'));
after(() => rmSync(folder, { recursive: true }));
const out = (name: string): string => path.join(folder, name);

const facts = [
  'here',
  '/usr/bin/python3',
  '/srv',
  '0',
  '0',
  'no',
  'no',
  'python3',
  '/srv/app.py',
  '',
];

const sampled = [
  { type: 'frame', id: 0, name: 'main', file: '/srv/app.py', line: 3 },
  { type: 'frame', id: 1, name: '\u001b[2Jsum', file: '/srv/app.py', line: 10 },
  { type: 'stack', id: 0, frames: [[0, 4]], thread: 'MainThread' },
  {
    type: 'stack',
    id: 1,
    frames: [
      [0, 5],
      [1, 12],
    ],
    thread: 'MainThread',
  },
  {
    type: 'counts',
    t: 1000,
    stacks: [
      [0, 10, 0],
      [1, 30, 30],
    ],
  },
  { type: 'end', missed: 2, torn: 1, seconds: 1, samplerCpuSeconds: 0.02, rateGot: 40 },
]
  .map((line) => `${JSON.stringify(line)}\n`)
  .join('');

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function faultline(
  words: readonly string[],
  options: { readonly json?: boolean; readonly isTerminal?: boolean } = {},
): Promise<Run> {
  const shell = new ScriptedShell(facts.join('\0'), [{ stdout: sampled }]);
  const node: Node = { name: 'web-1', host: 'web-1', labels: [], logs: [], origin: 'settings' };
  const stdout = new PassThrough();
  const stderr = Object.assign(new PassThrough(), { isTTY: options.isTerminal ?? false });
  const context: CliContext = {
    access: {
      nodes: [node],
      onDidChange: () => ({ dispose: () => undefined }),
      state: () => ({ kind: 'offline' }),
      shell: () => Promise.resolve(shell),
      clock: () => Promise.reject(new Error('not asked for')),
    },
    stdout,
    stderr,
    signal: new AbortController().signal,
    json: options.json ?? false,
  };
  const code = await profileCommand(words, context);
  return { code, stdout: readNow(stdout), stderr: readNow(stderr) };
}

function readNow(stream: PassThrough): string {
  const chunk = stream.read() as Buffer | null;
  return chunk?.toString('utf8') ?? '';
}

test('the file is written in the format of its ending; a short summary is printed', async () => {
  const file = out('a.folded');
  const { code, stdout, stderr } = await faultline(['web-1', '7', '--seconds', '1', '-o', file]);
  assert.equal(code, 0);
  assert.equal(stderr, '', 'no progress where there is no terminal');
  assert.deepEqual(
    Object.values(stackWeights(readFolded(readFileSync(file, 'utf8')), 'wall')),
    [30],
  );
  assert.equal(
    stdout,
    [
      'python3 /srv/app.py (7 on web-1), 1.0 s',
      '40 samples, 30 of them on a processor, 40.0 of 49 Hz, by faultline-probe: it used 2.0% of one processor',
      '2 missed, 1 torn',
      '',
      '  self  total  function (processor time)',
      '100.0% 100.0%  ‹ESC›[2Jsum  /srv/app.py:12',
      '',
      "Sampler: Reads the process's memory from outside; the process is never stopped.",
      `Written: ${file}`,
      '',
    ].join('\n'),
  );
});

test('--kind wall counts the waiting too', async () => {
  const file = out('wall.folded');
  await faultline(['web-1', '7', '--kind', 'wall', '-o', file]);
  const weights = stackWeights(readFolded(readFileSync(file, 'utf8')), 'wall');
  assert.deepEqual(Object.values(weights), [10, 30]);
});

test('--json prints one document', async () => {
  const file = out('b.speedscope.json');
  const { stdout } = await faultline(['web-1', '7', '--rate', '50', '-o', file], { json: true });
  const report = JSON.parse(stdout) as Record<string, unknown>;
  assert.deepEqual(
    { ...report, top: undefined, startedAt: undefined, sampler: undefined },
    {
      file,
      format: 'speedscope.json',
      node: 'web-1',
      pid: 7,
      command: 'python3 /srv/app.py',
      seconds: 1,
      rateAskedHz: 50,
      rateGotHz: 40,
      kind: 'cpu',
      samples: { cpu: 30, wall: 40 },
      threads: ['MainThread'],
      missed: 2,
      torn: 1,
      notes: [],
      top: undefined,
      startedAt: undefined,
      sampler: undefined,
    },
  );
  assert.match(String(report['startedAt']), /^\d{4}-\d\d-\d\dT.*Z$/);
});

test('progress is written over one line of a terminal, and cleared', async () => {
  const words = ['web-1', '7', '--seconds', '1', '-o', out('c.cpuprofile')];
  const { stderr } = await faultline(words, { isTerminal: true });
  assert.equal(stderr, '\r\u001b[KSampling 7 on web-1: 1.0 of 1 s, 40 samples\r\u001b[K');
});

for (const [what, words] of [
  ['nothing', []],
  ['no pid', ['web-1', '-o', out('x.folded')]],
  ['no output', ['web-1', '7']],
  ['three words', ['web-1', '7', '8', '-o', out('x.folded')]],
  ['an unknown node', ['db-9', '7', '-o', out('x.folded')]],
  ['a pid that is a name', ['web-1', 'python', '-o', out('x.folded')]],
  ['a pid of 0', ['web-1', '0', '-o', out('x.folded')]],
  ['no seconds', ['web-1', '7', '--seconds', '0', '-o', out('x.folded')]],
  ['seconds in words', ['web-1', '7', '--seconds', 'ten', '-o', out('x.folded')]],
  ['an absurd rate', ['web-1', '7', '--rate', '1e9', '-o', out('x.folded')]],
  ['an unknown kind', ['web-1', '7', '--kind', 'memory', '-o', out('x.folded')]],
  ['an unknown option', ['web-1', '7', '--fast', '-o', out('x.folded')]],
  ['an unknown ending', ['web-1', '7', '-o', out('x.svg')]],
  ['a folder that is not there', ['web-1', '7', '-o', out('no/x.folded')]],
] as const) {
  test(`wrong use: ${what}`, async () => {
    const before = readdirSync(folder);
    await assert.rejects(faultline(words), { name: 'UserError', code: 'cli.usage' });
    assert.deepEqual(readdirSync(folder), before, 'nothing is written');
  });
}
